import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { About, Live, Point, SignalHistory, TargetHistory } from '../api';
import { read, type Refused } from '../client';
import { within, zoomed, type Range } from '../pure/axis';
import { clock, span, time, chance, moment } from '../pure/format';
import { moves, move, RECENT, type Values } from '../pure/moves';
import { PAST_SPANS } from '../pure/past';
import { append, LONGEST_GAP, seriesOf, SPAN, type Series } from '../pure/series';
import { href } from '../pure/route';
import { ruleName } from '../pure/words';
import { useRead } from '../reader';
import { Chip, StandingChip } from '../ui/chip';
import { Moved } from './target/moved';
import { Past } from './target/past';
import { RttCharts } from './target/rtt';

/** Seconds of signals that are looked at. */
const SIGNAL_SPAN = 600;
/** Seconds behind an alert that its chart shows. */
const AFTER = 60;
const SPANS = [[120, '2 min'], [300, '5 min'], [900, '15 min'], [SPAN, '1 h']] as const;

interface Props {
  uid: string;
  at: number | null;
  live: Live | null;
  about: About;
  isDark: boolean;
}

interface Past {
  history: TargetHistory;
  series: Series;
  signals: SignalHistory;
}

interface Data extends Past {
  /** Counts changes, because series grow in place. */
  version: number;
}

async function readPast(uid: string, until: number | null, signal: AbortSignal): Promise<Past> {
  const ask = `uid=${encodeURIComponent(uid)}`;
  const moments = until == null ? '' : `&until=${until}`;
  const [history, signals] = await Promise.all([
    read<TargetHistory>(`target?${ask}`, signal),
    read<SignalHistory>(`signals?${ask}&seconds=${SIGNAL_SPAN}${moments}`, signal),
  ]);
  return { history, series: seriesOf(history), signals };
}

/** The history of a target, continued by the stream; read again when a second does not follow. */
function useTarget(uid: string, until: number | null, point: Point | null, isPaused: boolean): [Data | null, Refused | null] {
  const [jumps, setJumps] = useState(0);
  const { answer: past, refused } = useRead(`${until} ${uid}`, (signal) => readPast(uid, until, signal), jumps);
  const [version, setVersion] = useState(0);
  const data = useMemo(() => past && { ...past, version }, [past, version]);
  const waiting = useRef<Point[]>([]);
  useEffect(() => {
    if (!point) return;
    // What comes during a pause waits, as far as it could be drawn at all.
    waiting.current = [...waiting.current, point].slice(-SPAN);
    if (isPaused || !past) return;
    const fresh = waiting.current;
    waiting.current = [];
    const follows = fresh.every((each) => append(past.series, each) && (until != null || appendSignals(past.signals, each)));
    if (follows) setVersion((before) => before + 1);
    else setJumps((before) => before + 1);
  }, [point, isPaused]);
  return [data, refused];
}

function appendSignals(history: SignalHistory, point: Point): boolean {
  const length = history.signals[0]?.length ?? 0;
  const next = history.start + length;
  if (point.unix < next) return point.unix >= next - 1;
  if (point.unix > next + LONGEST_GAP) return false;
  history.signals.forEach((values, signal) => {
    for (let unix = next; unix < point.unix; unix += 1) values.push(null);
    values.push(point.signals[signal] ?? null);
    if (values.length > SIGNAL_SPAN) values.splice(0, values.length - SIGNAL_SPAN);
  });
  history.start = point.unix + 1 - (history.signals[0]?.length ?? 0);
  return true;
}

export function TargetPage({ uid, at, live, about, isDark }: Props) {
  const [isPaused, setPaused] = useState(false);
  const [width, setWidth] = useState<number>(300);
  const [zoom, setZoom] = useState<Range | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const until = at == null ? null : at + AFTER;
  // The last event may still be about the target that was looked at before.
  const point = live?.point?.uid === uid ? live.point : null;
  const [data, refused] = useTarget(uid, until, point, isPaused);
  useEffect(() => setZoom(at == null ? null : { from: at - 120, to: at + AFTER }), [at]);
  const isGone = live?.point === null;
  const series = data?.series;
  const last = series?.times.at(-1) ?? 0;
  const all: Range = { from: last - SPAN, to: last + about.horizonSeconds };
  const range = zoom ? within(zoom, all) : { from: last - width + about.horizonSeconds, to: last + about.horizonSeconds };
  const change = (next: Range) => setZoom(within(next, all));
  const reset = () => setZoom(null);
  const rtt = useMemo(() => (data ? rttMove(data) : null), [data]);
  const found = useMemo(() => (data ? moves(data.signals.signals, data.signals.start, (signal) => isShown(about.signals[signal]?.name ?? '')) : []), [data, about]);
  if (!data && live?.cluster && refused?.status === 404 && !live.history.length) return <p class="empty">Waiting for the agent of this target’s node, which is shown live from now on. If this stays, the target is gone. <a href="#/">Go to the overview.</a></p>;
  const history = live?.history ?? [];
  const past = (alone: string | null) => <Past uid={uid} width={width} at={at} now={live?.unix ?? Math.floor(Date.now() / 1000)} history={history} about={about} needed={data?.history.target.rules[0]?.needed ?? null} alone={alone} isDark={isDark} />;
  const spans = [...SPANS, ...(history.length ? PAST_SPANS : [])];
  const buttons = (
    <div class="buttons" role="group" aria-label="Span">
      {spans.map(([seconds, words]) => <button key={seconds} type="button" aria-pressed={!zoom && width === seconds} onClick={() => { setWidth(seconds); setZoom(null); }}>{words}</button>)}
    </div>
  );
  if (refused?.status === 404 && history.length) return <section class="target-page"><div class="tools">{buttons}</div>{past(live?.cluster ? 'not shown live' : 'no longer watched')}</section>;
  if (!data || !series) return <p class="empty">{refused ? <>{refused.message}. <a href="#/">Go to the overview.</a></> : 'Loading…'}</p>;
  // Further back than what is in memory, which begins with the dashboard or an hour ago.
  const isPast = history.length > 0 && (width > SPAN || (at != null && at < (series.times[0] ?? last)));
  const { target } = data.history;
  const rule = target.rules[0];
  // In a cluster one agent may be silent while the rest goes on: then nothing is as of now.
  const stream = live?.cluster?.streams.find(({ node }) => node === target.node);
  const isHeard = !live?.cluster || stream?.state === 'Live';
  const now = isHeard ? point : null;
  const end = data.signals.start + (data.signals.signals[0]?.length ?? 0) - 1;
  const zoomBy = (factor: number) => change(zoomed(range, zoom ? (range.from + range.to) / 2 : range.to, factor));
  return (
    <section class="target-page">
      <div class="alert-head">
        <h1 title={target.name}>{target.name}</h1>
        {now && <StandingChip standing={now.standing} note={now.note} />}
        {!isHeard && <StandingChip standing="Stale" note={stream?.reason ?? null} />}
        {isGone && isHeard && <Chip mood="none">no longer watched</Chip>}
        {target.rules.map((each) => <span key={ruleName(each)} class="soft">{ruleName(each)}{each.rtt === 'RTT' ? '' : ` (${each.rtt})`} · {each.model.name}</span>)}
      </div>
      {at != null && <p class="soft">Around the alert of {moment(at, Date.now() / 1000)}. <a href={`#/target/${encodeURIComponent(uid)}`}>Show now</a></p>}
      {now?.note && <p class="note">No forecast: {now.note}</p>}
      {!isHeard && <p class="note">The agent on {target.node} is not heard; the charts end where it was. {stream?.reason}</p>}
      <dl class="facts big">
        <div><dt>Now</dt><dd class="m">{time(now?.measuredUs)}</dd></div>
        <div><dt>Next {about.horizonSeconds} s, median</dt><dd class="f">{time(now?.q50Us)}</dd></div>
        <div><dt>99 % stay below</dt><dd class="f">{time(now?.q99Us)}</dd></div>
        <div><dt>Chance of a breach</dt><dd>{chance(now?.chance)}</dd></div>
        <div><dt>Threshold</dt><dd>{time(rule?.thresholdUs)}</dd></div>
      </dl>
      {isPast && <><div class="tools">{buttons}</div>{past(null)}</>}
      {!isPast && <div class="tools">
        {buttons}
        <div class="buttons" role="group" aria-label="Zoom">
          <button type="button" aria-label="Zoom in" onClick={() => zoomBy(0.5)}>+</button>
          <button type="button" aria-label="Zoom out" onClick={() => zoomBy(2)}>−</button>
          {zoom && <button type="button" onClick={reset}>Follow</button>}
        </div>
        <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>{isPaused ? 'Go on' : 'Pause'}</button>
        <a class="button" href={href({ page: 'try', uid, rule: rule ? ruleName(rule) : null })}>Try a policy</a>
        <span class="soft">{clock(range.from)} to {clock(Math.min(range.to, last))} ({span(Math.min(range.to, last) - range.from)}). Drag to zoom, double-click to follow.</span>
      </div>}
      {!isPast && <RttCharts series={series} version={data.version} range={range} horizon={about.horizonSeconds} needed={rule?.needed ?? null} cursor={cursor} rttSince={rtt?.since ?? null} isDark={isDark} onCursor={setCursor} onZoom={change} onReset={reset} />}
      {!isPast && <Moved found={found} rtt={rtt} signals={data.signals} version={data.version} about={about} end={end} range={range} isDark={isDark} onZoom={change} onReset={reset} oldest={data.signals.oldest} />}
    </section>
  );
}

/** RTT itself is the reference, so the signals that it is measured by are not moves of their own. */
function isShown(name: string): boolean {
  return !/^(rtt_|handshake_|stall_)/.test(name);
}

function rttMove({ series, signals }: Data): ReturnType<typeof move> {
  if (series.step !== 1) return null;
  const offset = signals.start - (series.times[0] ?? 0);
  const length = signals.signals[0]?.length ?? 0;
  const values: Values = Array.from({ length }, (_, at) => series.measured[offset + at] ?? null);
  return values.length > RECENT ? move(-1, values, signals.start) : null;
}
