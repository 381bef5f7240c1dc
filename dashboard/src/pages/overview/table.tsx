import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Latest, Spark as SparkData, Sparks, Target } from '../../api';
import { read } from '../../client';
import type { Key, Order } from '../../pure/order';
import { visible } from '../../pure/visible';
import { COLUMNS } from './columns';
import { Row } from './row';

/** Heights in the style sheet: a line of a table, or a card on a narrow screen. */
const ROW = 44;
const CARD = 118;
const NARROW = '(max-width: 760px)';
/** Sparklines are read again once a bucket of them is complete. */
const REFRESH_S = 5;

interface Props {
  targets: Target[];
  latest: Latest;
  rows: number[];
  columns: Key[];
  order: Order;
  onSort: (key: Key) => void;
  unix: number;
  isDark: boolean;
}

function useNarrow(): boolean {
  const [is, set] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const query = matchMedia(NARROW);
    const follow = () => set(query.matches);
    query.addEventListener('change', follow);
    return () => query.removeEventListener('change', follow);
  }, []);
  return is;
}

/** How far the list is scrolled, and how much of it can be seen. */
function useScroll(element: { current: HTMLElement | null }): [number, number] {
  const [place, setPlace] = useState<[number, number]>([0, innerHeight]);
  useEffect(() => {
    const box = element.current;
    if (!box) return undefined;
    const look = () => setPlace([box.scrollTop, box.clientHeight]);
    const size = new ResizeObserver(look);
    size.observe(box);
    box.addEventListener('scroll', look, { passive: true });
    look();
    return () => {
      size.disconnect();
      box.removeEventListener('scroll', look);
    };
  }, [element]);
  return place;
}

/** The sparklines of what is drawn. */
function useSparks(uids: string[], unix: number): Map<string, SparkData> {
  const [sparks, setSparks] = useState(new Map<string, SparkData>());
  const wanted = uids.join('\n');
  const period = Math.floor(unix / REFRESH_S);
  useEffect(() => {
    if (!wanted) return undefined;
    const abort = new AbortController();
    const ask = wanted.split('\n').map((uid) => `uid=${encodeURIComponent(uid)}`).join('&');
    // Not while somebody scrolls by.
    const timer = setTimeout(() => {
      read<Sparks>(`sparks?${ask}`, abort.signal)
        .then((answer) => setSparks(new Map(answer.sparks.map((spark) => [spark.uid, spark]))))
        // The banner says when nothing answers; the next period asks again.
        .catch(() => undefined);
    }, sparks.size ? 60 : 0);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [wanted, period]);
  return sparks;
}

export function Table({ targets, latest, rows, columns, order, onSort, unix, isDark }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const isNarrow = useNarrow();
  const [scrolled, height] = useScroll(box);
  const { first, end, before, after } = visible(rows.length, isNarrow ? CARD : ROW, scrolled, height);
  const drawn = rows.slice(first, end);
  const uids = drawn.map((at) => targets[at]?.uid ?? '');
  const sparks = useSparks([...uids].sort(), unix);
  // Without the columns of a cluster there is room for longer sparklines.
  const isRoomy = columns.length <= 6;
  const move = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    const links = [...(box.current?.querySelectorAll<HTMLElement>('a.name') ?? [])];
    const next = links[links.indexOf(document.activeElement as HTMLElement) + step];
    if (!step || !links.includes(document.activeElement as HTMLElement) || !next) return;
    event.preventDefault();
    next.focus();
  };
  const head = useMemo(() => columns.map((key) => <Head key={key} column={key} order={order} onSort={onSort} />), [columns, order, onSort]);
  return (
    <div class="scroller" ref={box} onKeyDown={move} tabIndex={0} role="region" aria-label="Targets">
      <table class={isRoomy ? 'targets roomy' : 'targets'} role="table" aria-label="Targets" aria-rowcount={rows.length + 1}>
        <thead role="rowgroup"><tr role="row" aria-rowindex={1}>{head}</tr></thead>
        <tbody role="rowgroup">
          <tr class="space" aria-hidden="true" style={{ height: `${before}px` }} />
          {drawn.map((at, place) => {
            const target = targets[at];
            return target && (
              <Row key={target.uid} target={target} at={at} latest={latest} columns={columns} index={first + place + 2} spark={sparks.get(target.uid)} isNarrow={isNarrow} rttWidth={isNarrow ? 138 : isRoomy ? 310 : 148} isDark={isDark} />
            );
          })}
          <tr class="space" aria-hidden="true" style={{ height: `${after}px` }} />
        </tbody>
      </table>
    </div>
  );
}

function Head({ column, order, onSort }: { column: Key; order: Order; onSort: (key: Key) => void }) {
  const isSorted = order.key === column;
  const sort = isSorted ? (order.descending ? 'descending' : 'ascending') : 'none';
  return (
    <th role="columnheader" scope="col" class={`c-${column}`} aria-sort={sort}>
      <button type="button" onClick={() => onSort(column)}>
        {COLUMNS[column].words}<i aria-hidden="true">{isSorted ? (order.descending ? '▾' : '▴') : ''}</i>
      </button>
    </th>
  );
}
