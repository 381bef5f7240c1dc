import { useMemo, useState } from 'preact/hooks';
import type { Alert, Alerts, Live } from '../api';
import { read, type Refused } from '../client';
import { chosen, joined, type AlertFilter } from '../pure/alerts';
import { chance, moment, number, quantity, span, time } from '../pure/format';
import { href } from '../pure/route';
import { feature, group, ruleName, verdict, VERDICTS, verdictWords, type Verdict } from '../pure/words';
import { useRead } from '../reader';
import { Chip } from '../ui/chip';
import { Search, Select } from '../ui/select';

const STATES = [['all', 'any'], ['Firing', 'firing'], ['Resolved', 'resolved']] as const;
const OUTCOMES: readonly (readonly ['all' | Verdict, string])[] = [
  ['all', 'any'],
  ...(Object.entries(VERDICTS) as [Verdict, [string, string]][]).map(([key, [, words]]) => [key, words] as const),
];
const PAGE = 50;
/** Older ones that are read at a time. */
const OLDER = 200;

/** What was read from disk. */
interface Older {
  alerts: Alert[];
  /** Where the next ones begin; undefined before any was read. */
  next: string | null | undefined;
  isReading: boolean;
  refused: string | null;
}

export function AlertsPage({ live }: { live: Live | null }) {
  const { answer: alerts, refused } = useRead('alerts', (signal) => read<Alerts>('alerts', signal), live?.alerts, ({ version }) => version);
  const [filter, setFilter] = useState<AlertFilter>({ text: '', state: 'all', verdict: 'all' });
  const [most, setMost] = useState(PAGE);
  const [older, setOlder] = useState<Older>({ alerts: [], next: undefined, isReading: false, refused: null });
  const all = useMemo(() => joined(alerts?.alerts ?? [], older.alerts), [alerts, older.alerts]);
  const found = useMemo(() => chosen(all, filter), [all, filter]);
  const next = older.next === undefined ? (alerts?.next ?? null) : older.next;
  const readOlder = () => {
    // New alerts push those out of the list in memory that are not among the older ones.
    const shown = older.next === undefined ? (alerts?.alerts ?? []) : older.alerts;
    setOlder({ ...older, isReading: true });
    read<Alerts>(`alerts?limit=${OLDER}&after=${encodeURIComponent(next ?? '')}`).then(
      (page) => {
        setOlder({ alerts: [...shown, ...page.alerts], next: page.next, isReading: false, refused: null });
        setMost(most + OLDER);
      },
      (error: Refused) => setOlder({ ...older, isReading: false, refused: error.message }),
    );
  };
  const change = (part: Partial<AlertFilter>) => {
    setFilter({ ...filter, ...part });
    setMost(PAGE);
  };
  const now = live?.unix ?? Date.now() / 1000;
  return (
    <section class="alerts">
      <h1>Alerts</h1>
      <div class="tools">
        <Search label="Filter by target, policy, cause, model" value={filter.text} onChange={(text) => change({ text })} />
        <Select label="State" value={filter.state} options={STATES} onChange={(state) => change({ state })} />
        <Select label="Outcome" value={filter.verdict} options={OUTCOMES} onChange={(outcome) => change({ verdict: outcome })} />
        <span class="soft" role="status">{alerts ? `${number(found.length, 0)} of ${number(all.length, 0)} alerts${next == null ? '' : ', older ones are kept'}` : ''}{alerts?.forgotten && !live?.history.some(({ from }) => from === 'Store') ? `, ${number(alerts.forgotten, 0)} older ones are no longer kept` : ''}</span>
      </div>
      {!alerts && <p class="empty">{refused?.message ?? 'Loading…'}</p>}
      {alerts && found.length === 0 && <p class="empty">{all.length ? 'No alert matches.' : live?.history.some(({ from }) => from === 'Store') ? 'No alerts are kept.' : 'No alerts since this dashboard and its agent started.'}</p>}
      <ol class="alert-list">{found.slice(0, most).map((alert) => <Item key={`${alert.name} ${alert.firedUnix}`} alert={alert} now={now} />)}</ol>
      {found.length > most && <button type="button" class="more" onClick={() => setMost(most + 4 * PAGE)}>Show more</button>}
      {found.length <= most && next != null && <button type="button" class="more" disabled={older.isReading} onClick={readOlder}>Read older ones from disk</button>}
      {older.refused && <p class="note" role="alert">{older.refused}</p>}
    </section>
  );
}

function Item({ alert, now }: { alert: Alert; now: number }) {
  const isFiring = alert.state === 'Firing';
  const mood = VERDICTS[verdict(alert)][0];
  const end = alert.resolvedUnix == null ? '' : `, ${(alert.resolution ?? 'over').toLowerCase()} after ${span(alert.resolvedUnix - alert.firedUnix)}`;
  return (
    <li class={isFiring ? 'panel alert firing' : 'panel alert'}>
      <div class="alert-head">
        <i class="dot" aria-hidden="true" />
        <a class="name" href={href({ page: 'target', uid: alert.targetUid, at: alert.firedUnix })} title={`${alert.target}: chart at that moment`}>{alert.target}</a>
        {isFiring && <Chip mood="bad">firing</Chip>}
        <Chip mood={mood}>{verdictWords(alert)}</Chip>
        <span class="soft when">{moment(alert.firedUnix, now)}{end}</span>
      </div>
      <dl class="facts">
        <div><dt>Forecast</dt><dd class="f">{time(alert.predictedUs)}</dd></div>
        <div><dt>Chance</dt><dd>{chance(alert.chance)}</dd></div>
        <div><dt>Measured</dt><dd class="m">{time(alert.measuredUs)}</dd></div>
        <div><dt>Threshold</dt><dd>{time(alert.thresholdUs)}</dd></div>
        <div><dt>Lead</dt><dd>{alert.leadSeconds == null ? '–' : `${alert.leadSeconds} s`}</dd></div>
      </dl>
      <ul class="causes" aria-label="Causes">
        {alert.causes.map((cause) => (
          <li key={cause.group}>
            <span class="bar" aria-hidden="true"><i style={{ width: `${Math.min(100, cause.sharePercent)}%` }} /></span>
            <b>{group(cause.group)} {cause.sharePercent} %</b> <span class="soft">{feature(cause.feature)}: {quantity(cause.value, cause.unit)}, usually {quantity(cause.baseline, cause.unit)}</span>
          </li>
        ))}
        {alert.causes.length === 0 && <li class="soft">Nothing else was out of its usual.</li>}
      </ul>
      <p class="soft foot">{alert.severity} of {ruleName(alert)}{alert.rtt === 'RTT' ? '' : ` (${alert.rtt})`} · model {alert.model.name}{alert.count > 1 ? ` · fired ${alert.count} times` : ''}</p>
      {alert.model.fallback && <p class="note">fallback: {alert.model.fallback}</p>}
    </li>
  );
}
