import { number, time } from '../../pure/format';
import { reach } from '../../pure/trial';
import type { Answer, Figures as Numbers } from '../../trial';

const share = (value: number | null) => (value == null ? '–' : `${number(100 * value, 0)} %`);
const daily = (value: number | null) => (value == null ? '–' : number(value, value < 10 ? 1 : 0));
const lead = (seconds: number | null) => (seconds == null ? '–' : `${seconds} s`);

/** How the rule would have fared. */
export function Figures({ answer }: { answer: Answer }) {
  const { figures, missing, cut } = answer;
  return (
    <>
      <dl class="facts big">
        <div><dt>False alarms per target-day</dt><dd>{daily(missing ? null : figures.falseAlarmsPerTargetDay)}</dd></div>
        <div><dt>Precision</dt><dd>{share(figures.precision)}</dd></div>
        <div><dt>Recall</dt><dd>{share(figures.recall)}</dd></div>
        <div><dt>Median lead</dt><dd>{lead(figures.leadMedianSeconds)}</dd></div>
        <div><dt>Alerts</dt><dd>{number(figures.alerts, 0)}</dd></div>
        <div><dt>Incidents</dt><dd>{number(figures.incidents - figures.gated, 0)}</dd></div>
      </dl>
      {missing && <p class="note">Too little to say: {missing}.</p>}
      {cut && <p class="note">Not all of it: {cut}.</p>}
      <p class="soft">
        {reach(answer)} {figures.confirmed} alerts came true, {figures.unconfirmed} were false, {figures.late} late{figures.unjudged ? `, ${figures.unjudged} could not be judged` : ''}; {figures.missed} incidents were missed.
      </p>
    </>
  );
}

interface Row {
  key: string;
  words: string;
  isOwn: boolean;
  figures: Numbers;
  choose: () => void;
}

interface TablesProps {
  answer: Answer;
  thresholdUs: number;
  confidencePercent: number;
  onThreshold: (us: number) => void;
  onConfidence: (percent: number) => void;
}

/** The same at other confidences and thresholds. */
export function Tables({ answer, thresholdUs, confidencePercent, onThreshold, onConfidence }: TablesProps) {
  const confidences = answer.confidences.map(({ confidencePercent: percent, figures }): Row => ({
    key: String(percent), words: `${percent} %`, isOwn: percent === confidencePercent, figures, choose: () => onConfidence(percent),
  }));
  const thresholds = answer.thresholds.map(({ thresholdUs: us, figures }): Row => ({
    key: String(us), words: time(us), isOwn: us === thresholdUs, figures, choose: () => onThreshold(us),
  }));
  return (
    <div class="panel tables">
      <Table name="By confidence" first="Confidence" rows={confidences} />
      <Table name="By threshold" first="Threshold" rows={thresholds} />
    </div>
  );
}

function Table({ name, first, rows }: { name: string; first: string; rows: Row[] }) {
  return (
    <div>
      <h2>{name}</h2>
      <div class="wide-table" tabIndex={0} role="region" aria-label={name}>
        <table class="experts outcomes">
          <thead><tr><th scope="col">{first}</th><th scope="col">False / day</th><th scope="col">Recall</th><th scope="col">Precision</th><th scope="col">Lead</th><th scope="col">Alerts</th><th scope="col">True</th><th scope="col">False</th><th scope="col">Late</th><th scope="col">Missed</th></tr></thead>
          <tbody>
            {rows.map(({ key, words, isOwn, figures, choose }) => (
              <tr key={key} aria-current={isOwn ? 'true' : undefined}>
                <th scope="row"><button type="button" aria-pressed={isOwn} aria-label={`${first} ${words}`} onClick={choose}>{words}</button></th>
                <td>{daily(figures.falseAlarmsPerTargetDay)}</td>
                <td><span class="bar" aria-hidden="true"><i style={{ width: `${Math.round(100 * (figures.recall ?? 0))}%` }} /></span>{share(figures.recall)}</td>
                <td>{share(figures.precision)}</td>
                <td>{lead(figures.leadMedianSeconds)}</td>
                <td>{figures.alerts}</td><td>{figures.confirmed}</td><td>{figures.unconfirmed}</td><td>{figures.late}</td><td>{figures.missed}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

/** How much a trial takes, in words. */
export function limit(mostTargetSeconds: number): string {
  return `One trial plays at most ${number(mostTargetSeconds / 3600, 0)} hours of all targets together.`;
}
