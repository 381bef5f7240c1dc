import type uPlot from 'uplot';
import { useMemo, useState } from 'preact/hooks';
import type { Trend as TrendData } from '../../api';
import { within, type Range } from '../../pure/axis';
import { minute, percent } from '../../pure/format';
import { ruleName } from '../../pure/words';
import { colour } from '../../theme';
import { timeAxis, valueAxis } from '../../ui/axes';
import { Chart } from '../../ui/chart';

const dotless = { points: { show: false } };

/** The least that is drawn, s: a line of two minutes says nothing of an hour. */
const LEAST = 1800;

/** What a rule's scores were, since the dashboard started. */
export function Trend({ trend, isDark }: { trend: TrendData; isDark: boolean }) {
  const [zoom, setZoom] = useState<Range | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const { start, step, precisionPercent, recallPercent, neededPercent, reachablePercent } = trend;
  const last = precisionPercent.length - 1;
  const data = useMemo<uPlot.AlignedData>(
    () => [precisionPercent.map((_, at) => start + at * step), reachablePercent, neededPercent, recallPercent, precisionPercent],
    [trend],
  );
  const to = start + last * step;
  const all: Range = { from: Math.min(start, to - LEAST), to };
  const range = zoom ? within(zoom, all) : all;
  const options = () => ({
    series: [
      {},
      { label: 'highest recent chance', scale: 'y', stroke: colour('chance'), width: 1, ...dotless },
      { label: 'needed', scale: 'y', stroke: colour('bad'), width: 1, dash: [6, 4], ...dotless },
      { label: 'recall', scale: 'y', stroke: colour('measured'), width: 1.75, ...dotless },
      { label: 'precision', scale: 'y', stroke: colour('good'), width: 1.75, ...dotless },
    ] satisfies uPlot.Series[],
    scales: { y: { range: (): [number, number] => [0, 100] } },
    axes: [timeAxis(true), { ...valueAxis((value) => `${value} %`, 30), scale: 'y' }],
  });
  const at = cursor != null && cursor <= last ? cursor : last;
  return (
    <div>
      <h3>Score over time</h3>
      <div class="readout">
        <b>{minute(start + at * step)}</b>
        <span class="key p">precision <b>{percent(precisionPercent[at])}</b></span>
        <span class="key r">recall <b>{percent(recallPercent[at])}</b></span>
        <span class="key n">needs a chance of <b>{percent(neededPercent[at])}</b></span>
        <span class="key c">highest recent chance <b>{percent(reachablePercent[at])}</b></span>
      </div>
      {last < 1
        ? <p class="soft">One sample a minute, from now on, for a day.</p>
        : <Chart label={`Score of ${ruleName(trend)} over time`} options={options} version={isDark ? 'dark' : 'light'} data={data} range={range} height={140} sync={`trend ${ruleName(trend)}`} onCursor={setCursor} onZoom={(next) => setZoom(within(next, all))} onReset={() => setZoom(null)} />}
    </div>
  );
}
