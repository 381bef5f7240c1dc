import type uPlot from 'uplot';
import { useMemo, useRef } from 'preact/hooks';
import { ceiling, slice, type Range } from '../../pure/axis';
import { chance, clock, moment, time } from '../../pure/format';
import { firingRuns, type Series } from '../../pure/series';
import { colour } from '../../theme';
import { faded, mark, shade, shortGapsBridged, timeAxis, valueAxis } from '../../ui/axes';
import { Chart } from '../../ui/chart';

interface Props {
  series: Series;
  version: number;
  range: Range;
  /** Seconds that a forecast looks ahead. */
  horizon: number;
  /** Seconds behind the last point over which its forecast is drawn; as far as it looks ahead where nothing is said. */
  ahead?: number;
  needed: number | null;
  cursor: number | null;
  /** When RTT left its usual. */
  rttSince: number | null;
  isDark: boolean;
  onCursor: (at: number | null) => void;
  onZoom: (range: Range) => void;
  onReset: () => void;
}

const dotless = { points: { show: false } };

/** RTT with forecast and threshold; below it the chance of a breach. */
export function RttCharts(props: Props) {
  const { series, version, range, horizon, ahead = horizon, needed, cursor, rttSince, isDark, onCursor, onZoom, onReset } = props;
  const now = useRef(props);
  now.current = props;
  const [from, to] = slice(series.times, range);
  const threshold = series.threshold.findLast((value) => value != null) ?? null;
  const top = ceiling(series.measured.slice(from, to), series.q99.slice(from, to), threshold);
  const highest = useRef(top);
  highest.current = top;
  const [rtt, chances] = useMemo(() => columns(series, ahead, needed), [series, version, ahead, needed]);

  const rttOptions = () => ({
    series: [
      {},
      { label: '99 %', scale: 'y', stroke: 'transparent', ...dotless },
      { label: '90 %', scale: 'y', stroke: faded('forecast', 55), width: 1, ...dotless },
      { label: '50 %', scale: 'y', stroke: colour('forecast'), width: 1.5, ...dotless },
      { label: 'threshold', scale: 'y', stroke: colour('bad'), width: 1, dash: [6, 4], ...dotless },
      { label: 'measured', scale: 'y', stroke: colour('measured'), width: 1.75, gaps: shortGapsBridged, ...dotless },
    ] satisfies uPlot.Series[],
    bands: [
      { series: [1, 2], fill: faded('forecast', 12) },
      { series: [2, 3], fill: faded('forecast', 26) },
    ] satisfies uPlot.Band[],
    scales: { y: { range: (): [number, number] => [0, highest.current] } },
    axes: [timeAxis(true), { ...valueAxis(time), scale: 'y' }],
    hooks: {
      drawClear: [
        (u: uPlot) => {
          shade(u, firingRuns(now.current.series).map(([first, end]) => [first, end + now.current.series.step - 1]), faded('bad', 12));
          const last = now.current.series.times.at(-1);
          if (last != null && now.current.ahead == null) shade(u, [[last, last + now.current.horizon]], faded('soft', 8));
        },
      ],
      draw: [(u: uPlot) => { if (now.current.rttSince != null) mark(u, now.current.rttSince, colour('measured'), [3, 3]); }],
    },
  });
  const chanceOptions = () => ({
    series: [
      {},
      { label: 'chance', scale: 'y', stroke: colour('chance'), width: 1.5, fill: faded('chance', 25), ...dotless },
      { label: 'needed', scale: 'y', stroke: colour('bad'), width: 1, dash: [6, 4], ...dotless },
    ] satisfies uPlot.Series[],
    scales: { y: { range: (): [number, number] => [0, 1] } },
    axes: [timeAxis(false), { ...valueAxis((share) => `${Math.round(100 * share)} %`, 24), scale: 'y' }],
  });

  // Without a cursor the last second that can be seen.
  const at = cursor != null && cursor < series.times.length ? cursor : Math.max(0, to - 1);
  const theme = isDark ? 'dark' : 'light';
  return (
    <div class="panel charts">
      <div class="readout" role="status">
        <b>{series.step === 1 ? clock(series.times[at] ?? 0) : moment(series.times[at] ?? 0, Date.now() / 1000)}</b>
        <span class="key m">measured <b>{time(series.measured[at])}</b></span>
        <span class="key f">forecast 50 % <b>{time(series.q50[at])}</b> · 90 % <b>{time(series.q90[at])}</b> · 99 % <b>{time(series.q99[at])}</b></span>
        <span class="key t">threshold <b>{time(series.threshold[at])}</b></span>
        <span class="key c">chance <b>{chance(series.chance[at])}</b></span>
        <span class="key a">{series.firing[at] ? 'alert firing' : 'shaded: alert firing'}</span>
      </div>
      <Chart label="Round-trip time, forecast and threshold" options={rttOptions} version={theme} data={rtt} range={range} height={300} sync="target" onCursor={onCursor} onZoom={onZoom} onReset={onReset} />
      <h2 class="chart-title">Chance of a breach within {horizon} s</h2>
      <Chart label="Chance of a breach" options={chanceOptions} version={theme} data={chances} range={range} height={90} sync="target" onCursor={onCursor} onZoom={onZoom} onReset={onReset} />
      {rttSince != null && <p class="soft foot">Dotted: RTT left its usual at {clock(rttSince)}.</p>}
    </div>
  );
}

/** The columns of both charts. A forecast is about the seconds that follow, so the last one reaches into them. */
function columns(series: Series, ahead: number, needed: number | null): [uPlot.AlignedData, uPlot.AlignedData] {
  const last = series.times.at(-1) ?? 0;
  const times = [...series.times, last + ahead];
  const held = (values: (number | null)[]) => [...values, values.at(-1) ?? null];
  const open = (values: (number | null)[]) => [...values, null];
  return [
    [times, held(series.q99), held(series.q90), held(series.q50), held(series.threshold), open(series.measured)],
    [times, open(series.chance), times.map(() => needed)],
  ];
}
