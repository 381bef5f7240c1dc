import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { time } from '../../pure/format';
import { MOST_THRESHOLD_US, place, PLACES, thresholdAt, type Draft } from '../../pure/trial';
import type { Choices, Measure, Statistic } from '../../trial';
import { Select } from '../../ui/select';

const MEASURES: readonly (readonly [Measure, string])[] = [['Rtt', 'RTT'], ['Inflation', 'RTT above its floor']];
const STATISTICS: readonly (readonly [Statistic, string])[] = [['Max', 'largest'], ['P99', 'P99'], ['P90', 'P90'], ['P50', 'median']];
const LEAST_PERCENT = 5;
const MOST_PERCENT = 99;

interface Props {
  draft: Draft;
  choices: Choices;
  onChange: (rule: Partial<Draft['rule']>) => void;
}

/** What the rule asks for: threshold and confidence as sliders with fields, the rest as fields. */
export function Controls({ draft: { rule }, choices, onChange }: Props) {
  return (
    <>
      <div class="sliders">
        <Slider
          label="Threshold" words={time(rule.thresholdUs)} value={place(rule.thresholdUs)} least={0} most={PLACES}
          onChange={(at) => onChange({ thresholdUs: thresholdAt(at) })}
        >
          <Field label="Threshold in ms" value={rule.thresholdUs / 1000} least={0.001} most={MOST_THRESHOLD_US / 1000} onChange={(ms) => onChange({ thresholdUs: Math.round(ms * 1000) })} />
        </Slider>
        <Slider
          label="Confidence" words={`${rule.confidencePercent} %`} value={rule.confidencePercent} least={LEAST_PERCENT} most={MOST_PERCENT}
          onChange={(percent) => onChange({ confidencePercent: percent })}
        >
          <Field label="Confidence in percent" value={rule.confidencePercent} least={LEAST_PERCENT} most={MOST_PERCENT} isWhole onChange={(percent) => onChange({ confidencePercent: percent })} />
        </Slider>
      </div>
      <div class="tools">
        <Select label="Model" value={rule.model} options={choices.models.map((name) => [name, name] as const)} onChange={(model) => onChange({ model })} />
        <Select label="Measured" value={rule.measure} options={MEASURES} onChange={(measure) => onChange({ measure })} />
        <Select label="Sample of a second" value={rule.statistic} options={STATISTICS} onChange={(statistic) => onChange({ statistic })} />
        <label class="field"><span>Hold for, s</span><Field label="Hold for, s" value={rule.holdSeconds} least={0} most={60} isWhole onChange={(holdSeconds) => onChange({ holdSeconds })} /></label>
        <label class="field"><span>Keep firing for, s</span><Field label="Keep firing for, s" value={rule.keepFiringSeconds} least={0} most={3600} isWhole onChange={(keepFiringSeconds) => onChange({ keepFiringSeconds })} /></label>
      </div>
    </>
  );
}

interface SliderProps {
  label: string;
  /** The value as it is said. */
  words: string;
  value: number;
  least: number;
  most: number;
  onChange: (value: number) => void;
  children: ComponentChildren;
}

function Slider({ label, words, value, least, most, onChange, children }: SliderProps) {
  return (
    <div class="slider">
      <span class="slider-head"><span class="soft">{label}</span> <output>{words}</output></span>
      <input type="range" aria-label={label} aria-valuetext={words} min={least} max={most} step={1} value={value} onInput={(event) => onChange(Number(event.currentTarget.value))} />
      {children}
    </div>
  );
}

interface FieldProps {
  label: string;
  value: number;
  least: number;
  most: number;
  isWhole?: boolean;
  onChange: (value: number) => void;
}

/** A number that is taken once it is one in range; until then it is marked as wrong, and stays as it is written. */
function Field({ label, value, least, most, isWhole = false, onChange }: FieldProps) {
  const [text, setText] = useState(String(value));
  const parse = (written: string) => {
    const number = written.trim() === '' ? NaN : Number(written);
    return number >= least && number <= most && (!isWhole || Number.isInteger(number)) ? number : null;
  };
  useEffect(() => {
    if (parse(text) !== value) setText(String(value));
  }, [value]);
  const isWrong = parse(text) == null;
  return (
    <input
      type="text" inputMode={isWhole ? 'numeric' : 'decimal'} aria-label={label} aria-invalid={isWrong} title={`${least} to ${most}`} class="short" value={text} maxLength={12}
      onInput={(event) => {
        const written = event.currentTarget.value;
        setText(written);
        const number = parse(written);
        if (number != null) onChange(number);
      }}
      onBlur={() => { if (isWrong) setText(String(value)); }}
    />
  );
}
