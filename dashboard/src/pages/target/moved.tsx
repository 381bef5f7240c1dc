import type uPlot from 'uplot';
import { useMemo, useRef } from 'preact/hooks';
import type { About, SignalHistory } from '../../api';
import type { Range } from '../../pure/axis';
import { clock, quantity } from '../../pure/format';
import { relation, type Move } from '../../pure/moves';
import { feature } from '../../pure/words';
import { colour } from '../../theme';
import { faded, mark, shortGapsBridged, timeAxis, valueAxis } from '../../ui/axes';
import { Chart } from '../../ui/chart';

/** Signals that are drawn; what moved later is named only. */
const MOST = 8;

interface Props {
  found: Move[];
  rtt: Move | null;
  signals: SignalHistory;
  version: number;
  about: About;
  /** The last second that was looked at. */
  end: number;
  range: Range;
  isDark: boolean;
  onZoom: (range: Range) => void;
  onReset: () => void;
  oldest: number | null;
}

/** What is out of its usual, in the order in which it moved. */
export function Moved({ found, rtt, signals, version, about, end, range, isDark, onZoom, onReset, oldest }: Props) {
  const isBefore = oldest != null && end < oldest;
  const rest = found.slice(MOST);
  return (
    <section class="moved" aria-label="Signals out of their usual">
      <h2>Out of their usual, in the order in which they moved</h2>
      {isBefore && <p class="empty">Signals of that time are no longer kept: the oldest second is {clock(oldest)}.</p>}
      {!isBefore && found.length === 0 && <p class="empty">Every signal is at its usual.</p>}
      <ol>
        {found.slice(0, MOST).map((each) => (
          <li key={each.signal} class="panel">
            <Signal each={each} rtt={rtt} values={signals.signals[each.signal] ?? []} start={signals.start} version={version} about={about} end={end} range={range} isDark={isDark} onZoom={onZoom} onReset={onReset} />
          </li>
        ))}
      </ol>
      {rest.length > 0 && <p class="soft">Later: {rest.map((each) => feature(about.signals[each.signal]?.name ?? '')).join(', ')}.</p>}
    </section>
  );
}

type SignalProps = Omit<Props, 'found' | 'signals' | 'oldest'> & { each: Move; values: (number | null)[]; start: number };

function Signal({ each, rtt, values, start, version, about, end, range, isDark, onZoom, onReset }: SignalProps) {
  const { name = '', unit = '1', doc = '' } = about.signals[each.signal] ?? {};
  const marks = useRef({ since: each.since, rtt: rtt?.since ?? null });
  marks.current = { since: each.since, rtt: rtt?.since ?? null };
  const data = useMemo<uPlot.AlignedData>(
    () => [values.map((_, at) => start + at), [...values], values.map(() => each.usual)],
    [values, start, version, each.usual],
  );
  const options = () => ({
    series: [
      {},
      { label: name, scale: 'y', stroke: colour('signal'), width: 1.5, fill: faded('signal', 12), gaps: shortGapsBridged, points: { show: false } },
      { label: 'usual', scale: 'y', stroke: colour('soft'), width: 1, dash: [2, 4], points: { show: false } },
    ] satisfies uPlot.Series[],
    scales: { y: { range: (_u: uPlot, _low: number, high: number): [number, number] => [0, 1.1 * high || 1] } },
    axes: [timeAxis(false), { ...valueAxis((value) => quantity(value, unit), 30), scale: 'y' }],
    hooks: {
      draw: [
        (u: uPlot) => {
          if (marks.current.rtt != null) mark(u, marks.current.rtt, colour('measured'), [3, 3]);
          mark(u, marks.current.since, colour('signal'));
        },
      ],
    },
  });
  return (
    <>
      <div class="alert-head">
        <h3 title={doc}>{feature(name)}</h3>
        <b class="relation">{relation(each, rtt, end)}</b>
        <span class="soft">{each.lasts ? 'now' : 'was'} {quantity(each.lasts ? values.findLast((value) => value != null) : each.value, unit)}, usually {quantity(each.usual, unit)}{each.lasts ? '' : ', back at its usual'}</span>
      </div>
      <Chart label={`${feature(name)}: ${doc}`} options={options} version={isDark ? 'dark' : 'light'} data={data} range={range} height={84} sync="target" onZoom={onZoom} onReset={onReset} />
    </>
  );
}
