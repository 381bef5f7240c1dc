import uPlot from 'uplot';
import { useEffect, useRef } from 'preact/hooks';
import type { Range } from '../pure/axis';

export interface ChartProps {
  /** Said to screen readers. */
  label: string;
  /** Without size, scale of time and cursor; made anew when `version` changes. */
  options: () => Pick<uPlot.Options, 'series' | 'axes' | 'bands' | 'scales' | 'hooks'>;
  version: string;
  data: uPlot.AlignedData;
  range: Range;
  height: number;
  /** Charts of one key share the cursor. */
  sync: string;
  onZoom: (range: Range) => void;
  onReset: () => void;
  /** Position under the cursor. */
  onCursor?: (at: number | null) => void;
}

const STEPS: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30 };

/** uPlot, with zoom by dragging, and the same by keys. */
export function Chart(props: ChartProps) {
  const { label, options, version, data, range, height, sync } = props;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;

  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const own = options();
    const made = new uPlot(
      {
        ...own,
        width: element.clientWidth || 300,
        height,
        scales: { ...own.scales, x: { time: true, range: () => [latest.current.range.from, latest.current.range.to] } },
        padding: [8, 14, 6, 0],
        legend: { show: false },
        cursor: { sync: { key: sync, scales: ['x', null] }, drag: { x: true, y: false, setScale: false }, points: { size: 6 }, y: false },
        hooks: { ...own.hooks, setSelect: [select], setCursor: [(u) => latest.current.onCursor?.(u.cursor.idx ?? null)] },
      },
      latest.current.data,
      element,
    );
    plot.current = made;
    const size = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    size.observe(element);
    const reset = () => latest.current.onReset();
    made.over.addEventListener('dblclick', reset);
    return () => {
      size.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [version, height, sync]);

  function select(u: uPlot): void {
    if (u.select.width < 8) return;
    const [from, to] = [u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x')];
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    latest.current.onZoom({ from, to });
  }

  useEffect(() => plot.current?.setData(data), [data, range.from, range.to]);

  const key = (event: KeyboardEvent) => {
    const u = plot.current;
    if (!u) return;
    const at = u.cursor.idx ?? null;
    const middle = at == null ? (range.from + range.to) / 2 : (u.data[0][at] ?? range.to);
    const zoom = (factor: number) => props.onZoom({ from: middle - (middle - range.from) * factor, to: middle + (range.to - middle) * factor });
    if (event.key === '+' || event.key === '=') zoom(0.5);
    else if (event.key === '-') zoom(2);
    else if (event.key === 'Escape') props.onReset();
    else if (event.key in STEPS) point(u, at, (STEPS[event.key] ?? 0) * (event.shiftKey ? 10 : 1));
    else return;
    event.preventDefault();
  };

  return <div class="chart" ref={host} style={{ height: `${height}px` }} tabIndex={0} role="application" aria-label={`${label}. Arrow keys move the cursor, plus and minus zoom, Escape shows all.`} onKeyDown={key} />;
}

/** Moves the cursor by some seconds, as the mouse would. */
function point(u: uPlot, at: number | null, step: number): void {
  const times = u.data[0];
  const [first, last] = [u.valToIdx(u.scales['x']?.min ?? 0), u.valToIdx(u.scales['x']?.max ?? 0)];
  const next = Math.max(first, Math.min(last, (at ?? last) + step));
  const time = times[next];
  if (time != null) u.setCursor({ left: u.valToPos(time, 'x'), top: u.over.clientHeight / 2 });
}
