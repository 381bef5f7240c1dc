import type uPlot from 'uplot';
import { useMemo, useRef, useState } from 'preact/hooks';
import { ceiling, within, type Range } from '../../pure/axis';
import { chance, clock, time } from '../../pure/format';
import { elapsed } from '../../pure/trial';
import { colour } from '../../theme';
import type { AlertMark, Answer, IncidentMark, Outcome } from '../../trial';
import { faded, mark, shade, shortGapsBridged, timeAxis, valueAxis } from '../../ui/axes';
import { Chart } from '../../ui/chart';
import { Chip } from '../../ui/chip';
import { Select } from '../../ui/select';

const OUTCOMES: Record<Outcome, ['good' | 'warn' | 'bad' | 'none', string]> = {
  Confirmed: ['good', 'came true'],
  False: ['warn', 'false alarm'],
  Late: ['bad', 'after the breach'],
  Unjudged: ['none', 'not judged'],
  Open: ['none', 'no verdict yet'],
};

/** Alerts that are listed below the chart. */
const LISTED = 20;

/** Height of an incident's bar at the upper edge, px. */
const BAR = 5;

const dotless = { points: { show: false } };

interface Props {
  answer: Answer;
  thresholdUs: number;
  isDark: boolean;
}

/** What was measured of one target, and where the rule would have fired. */
export function TrialChart({ answer, thresholdUs, isDark }: Props) {
  const { lines: { axis, targets, alerts, incidents, moreTargets, moreMarks } } = answer;
  const [uid, setUid] = useState<string | null>(null);
  const [zoom, setZoom] = useState<Range | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const drawn = targets.filter(({ measuredUs }) => measuredUs.length > 0);
  const found = Math.max(0, drawn.findIndex((target) => target.uid === uid));
  const line = drawn[found];
  const at = line ? targets.indexOf(line) : -1;
  const own = useMemo(() => ({ alerts: alerts.filter(({ target }) => target === at), incidents: incidents.filter(({ target }) => target === at) }), [answer, at]);
  const last = axis.start + (axis.count - 1) * axis.step;
  const all: Range = { from: axis.start, to: Math.max(last, axis.start + 10) };
  const range = zoom ? within(zoom, all) : all;
  const marks = useRef(own);
  marks.current = own;
  const top = ceiling(line?.measuredUs ?? [], [], thresholdUs);
  const highest = useRef(top);
  highest.current = top;
  const data = useMemo<uPlot.AlignedData>(() => {
    const times = Array.from({ length: axis.count }, (_, step) => axis.start + step * axis.step);
    return [times, times.map(() => thresholdUs), line?.measuredUs ?? times.map(() => null)];
  }, [answer, at, thresholdUs]);
  if (!line) return null;
  const when = (seconds: number) => (axis.isUnix ? clock(seconds) : elapsed(seconds));
  const axes = timeAxis(true);
  const options = () => ({
    series: [
      {},
      { label: 'threshold', scale: 'y', stroke: colour('bad'), width: 1, dash: [6, 4], ...dotless },
      { label: 'measured', scale: 'y', stroke: colour('measured'), width: 1.5, ...(axis.step === 1 && { gaps: shortGapsBridged }), ...dotless },
    ] satisfies uPlot.Series[],
    scales: { y: { range: (): [number, number] => [0, highest.current] } },
    axes: [axis.isUnix ? axes : { ...axes, values: (_: uPlot, splits: number[]) => splits.map(elapsed) }, { ...valueAxis(time), scale: 'y' }],
    hooks: {
      drawClear: [(u: uPlot) => shade(u, marks.current.alerts.map(({ fired, resolved }): [number, number] => [fired, resolved ?? last]), faded('forecast', 16))],
      draw: [(u: uPlot) => {
        for (const incident of marks.current.incidents) bar(u, incident);
        for (const { fired, outcome } of marks.current.alerts) mark(u, fired, colour(tone(outcome)), outcome === 'Confirmed' ? [] : [4, 3]);
      }],
    },
  });
  const step = cursor != null && cursor < axis.count ? cursor : null;
  const under = step == null ? null : axis.start + step * axis.step;
  return (
    <div class="panel charts">
      <div class="tools">
        <Select label="Target" value={line.uid} options={drawn.map(({ uid: each, name, alerts: fired, missed }) => [each, `${name} (${fired} alerts, ${missed} missed)`] as const)} onChange={(next) => { setUid(next); setZoom(null); }} />
        {zoom && <button type="button" onClick={() => setZoom(null)}>Show all</button>}
        {(moreTargets > 0 || drawn.length < targets.length) && <span class="soft">Those with the most alerts; {targets.length - drawn.length + moreTargets} targets have no line.</span>}
        {moreMarks > 0 && <span class="soft">{moreMarks} marks had no room.</span>}
      </div>
      <div class="readout">
        <b>{under == null ? `${when(range.from)} to ${when(range.to)}` : when(under)}</b>
        <span class="key m">measured{axis.step > 1 ? `, highest of ${axis.step} s` : ''} {step != null && <b>{time(line.measuredUs[step])}</b>}</span>
        <span class="key t">threshold <b>{time(thresholdUs)}</b></span>
        {step != null && <span>chance <b>{chance(line.chance[step])}</b></span>}
        <span class="key w">shaded: alert out</span>
        <span class="key i">incident</span>
      </div>
      <Chart label={`What was measured of ${line.name}, with ${own.alerts.length} alerts and ${own.incidents.length} incidents`} options={options} version={`${isDark ? 'dark' : 'light'} ${axis.isUnix} ${axis.step}`} data={data} range={range} height={260} sync="try" onCursor={setCursor} onZoom={(next) => setZoom(within(next, all))} onReset={() => setZoom(null)} />
      <Listed alerts={own.alerts} incidents={own.incidents} when={when} onShow={(fired) => setZoom(within({ from: fired - 60, to: fired + 60 }, all))} />
    </div>
  );
}

function tone(outcome: Outcome): string {
  const [mood] = OUTCOMES[outcome];
  return mood === 'none' ? 'soft' : mood;
}

/** An incident as a bar at the upper edge. */
function bar(u: uPlot, { start, last }: IncidentMark): void {
  const { ctx, bbox } = u;
  const edge = (value: number) => Math.max(bbox.left, Math.min(bbox.left + bbox.width, u.valToPos(value, 'x', true)));
  const [from, to] = [edge(start - 0.5), edge(last + 0.5)];
  if (to <= from && (from === bbox.left || from === bbox.left + bbox.width)) return;
  ctx.save();
  ctx.fillStyle = colour('bad');
  ctx.fillRect(from, bbox.top, Math.max(to - from, 2 * devicePixelRatio), BAR * devicePixelRatio);
  ctx.restore();
}

interface ListedProps {
  alerts: AlertMark[];
  incidents: IncidentMark[];
  when: (seconds: number) => string;
  onShow: (fired: number) => void;
}

/** The marks in words. */
function Listed({ alerts, incidents, when, onShow }: ListedProps) {
  const missed = incidents.filter(({ warned }) => warned === 'Missed');
  if (!alerts.length) return <p class="soft foot">It would not have fired here. {missed.length ? `${missed.length} incidents would have been missed.` : 'There was no incident to miss.'}</p>;
  return (
    <div class="foot">
      <ol class="fired">
        {alerts.slice(0, LISTED).map(({ fired, outcome, leadSeconds, chance: said }) => (
          <li key={fired}>
            <button type="button" aria-label={`Alert at ${when(fired)}: ${OUTCOMES[outcome][1]}. Show it`} onClick={() => onShow(fired)}>{when(fired)}</button>
            <Chip mood={OUTCOMES[outcome][0]}>{OUTCOMES[outcome][1]}{leadSeconds == null ? '' : `, ${leadSeconds} s ahead`}</Chip>
            {said != null && <span class="soft">{chance(said)}</span>}
          </li>
        ))}
      </ol>
      {alerts.length > LISTED && <p class="soft">{alerts.length - LISTED} more are on the chart.</p>}
    </div>
  );
}
