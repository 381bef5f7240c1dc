import { useEffect, useState } from 'preact/hooks';
import type { About, History, RangeAnswer } from '../../api';
import { read } from '../../client';
import { zoomed, type Range } from '../../pure/axis';
import { moment, span } from '../../pure/format';
import { isEmpty, origin, refresh, seriesOfRange, windowOf } from '../../pure/past';
import { useRead } from '../../reader';
import { Chip } from '../../ui/chip';
import { RttCharts } from './rtt';

/** The most that one answer covers, s: 3,600 steps of an hour, one of which may be cut. */
const MOST = 3_599 * 3_600;

/** The least that is zoomed into, s. */
const LEAST = 60;

interface Props {
  uid: string;
  /** Seconds that are shown. */
  width: number;
  /** Around which moment; null for up to now. */
  at: number | null;
  now: number;
  history: History[];
  about: About;
  needed: number | null;
  /** Why nothing else is shown of the target: then its name stands above; null where it does already. */
  alone: string | null;
  isDark: boolean;
}

/** Charts of what is kept on disk, or by a Prometheus. */
export function Past({ uid, width, at, now, history, about, needed, alone, isDark }: Props) {
  const [zoom, setZoom] = useState<Range | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  useEffect(() => setZoom(null), [uid, width, at]);
  const every = refresh(width);
  // What ends at a moment, or was zoomed into, stays as it is.
  const version = at == null && !zoom ? Math.floor(now / every) : 0;
  const wanted = windowOf(width, now, at, zoom);
  const subject = zoom || at != null ? `${uid} ${wanted.from} ${wanted.to}` : `${uid} ${width}`;
  const { answer, refused } = useRead(
    subject,
    async (signal) => {
      const { from, to } = zoom || at != null ? wanted : windowOf(width, Math.floor(Date.now() / 1000), at, zoom);
      const range = await read<RangeAnswer>(`range?uid=${encodeURIComponent(uid)}&from=${Math.max(0, from)}&until=${to}`, signal);
      return { subject, series: seriesOfRange(range), name: range.target?.name ?? null };
    },
    version,
  );
  const change = ({ from, to }: Range) => {
    const middle = (from + to) / 2;
    const half = Math.min(MOST, Math.max(LEAST, to - from)) / 2;
    setCursor(null);
    setZoom({ from: middle - half, to: Math.min(now, middle + half) });
  };
  const zoomBy = (factor: number) => change(zoomed(wanted, (wanted.from + wanted.to) / 2, factor));
  if (refused && answer?.subject !== subject) return <p class="empty" role="alert">{refused.message}</p>;
  if (!answer) return <p class="empty">Loading…</p>;
  const { series } = answer;
  return (
    <section class="past" aria-label="History">
      {alone && <div class="alert-head"><h1>{answer.name ?? uid}</h1><Chip mood="none">{alone}</Chip></div>}
      <div class="tools">
        <div class="buttons" role="group" aria-label="Zoom">
          <button type="button" aria-label="Zoom in" onClick={() => zoomBy(0.5)}>+</button>
          <button type="button" aria-label="Zoom out" onClick={() => zoomBy(2)}>−</button>
          {zoom && <button type="button" onClick={() => setZoom(null)}>Show all</button>}
        </div>
        <span class="soft">{moment(wanted.from, now)} to {moment(wanted.to, now)} ({span(wanted.to - wanted.from)}), each point the highest of {span(series.step)}. {origin(history, now)}</span>
      </div>
      {refused && <p class="note">{refused.message}</p>}
      {isEmpty(series) && <p class="empty">Nothing was kept of that time.</p>}
      <RttCharts series={series} version={0} range={wanted} horizon={about.horizonSeconds} ahead={series.step} needed={needed} cursor={cursor} rttSince={null} isDark={isDark} onCursor={setCursor} onZoom={change} onReset={() => setZoom(null)} />
    </section>
  );
}
