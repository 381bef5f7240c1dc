/**
 * Which signals are out of their usual, and since when: what moved before RTT did is what a person looks for first.
 *
 * A signal's usual is taken from the seconds before the recent ones: its middle half, and how far it strays from its median.
 * It has moved once at least `LEAST_RUN` seconds of a run are outside; single seconds are noise.
 */

/** Seconds in which a move is looked for. */
export const RECENT = 90;
/** Seconds that the usual is taken from at least. */
export const LEAST_USUAL = 30;
/** Seconds in a run that are back inside without ending it. */
const GAP = 3;
/** Seconds outside that make a move. */
const LEAST_RUN = 3;
/** Deviations from the middle half that are still usual. */
const WIDTH = 4;
/** Share of the usual level that no deviation is smaller than: what is 8 % above it is not worth a line. */
const FLOOR = 0.02;

export type Values = (number | null)[];

export interface Move {
  /** Position among the signals. */
  signal: number;
  /** Unix second in which the run began. */
  since: number;
  direction: 'rose' | 'fell';
  /** The farthest value of the run. */
  value: number;
  /** The median before. */
  usual: number;
  /** Whether the run goes on at the last second. */
  lasts: boolean;
}

function quantile(sorted: number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)] ?? 0;
  return low + ((sorted[Math.ceil(at)] ?? low) - low) * (at - Math.floor(at));
}

interface Usual {
  low: number;
  median: number;
  high: number;
}

/** What a signal stays within; null where too little was measured. */
export function usual(values: Values): Usual | null {
  const sorted = values.filter((value): value is number => value != null).sort((a, b) => a - b);
  if (sorted.length < LEAST_USUAL) return null;
  const median = quantile(sorted, 0.5);
  const deviation = quantile(sorted.map((value) => Math.abs(value - median)).sort((a, b) => a - b), 0.5) * 1.4826;
  const [q25, q75] = [quantile(sorted, 0.25), quantile(sorted, 0.75)];
  const scale = Math.max(deviation, Math.abs(q75) * FLOOR, Math.abs(median) * FLOOR);
  // A count that is mostly zero has no deviation: what it shows in one second of ten is still usual.
  const rare = q75 === 0 ? quantile(sorted, 0.9) : 0;
  return { low: q25 - WIDTH * scale, median, high: Math.max(q75 + WIDTH * scale, rare) };
}

interface Run {
  from: number;
  to: number;
  outside: number;
}

/** The last run of seconds outside that is long enough, short gaps included. */
function lastRun(length: number, isOutside: (at: number) => boolean): Run | null {
  const runs: Run[] = [];
  for (let at = 0; at < length; at += 1) {
    if (!isOutside(at)) continue;
    const run = runs.at(-1);
    if (run && at - run.to <= GAP) {
      run.to = at;
      run.outside += 1;
    } else {
      runs.push({ from: at, to: at, outside: 1 });
    }
  }
  return runs.findLast((run) => run.outside >= LEAST_RUN) ?? null;
}

/** How a signal moved in the last `RECENT` seconds; null when it is at its usual. `start` is the first value's second. */
export function move(signal: number, values: Values, start: number): Move | null {
  const split = Math.max(values.length - RECENT, Math.min(LEAST_USUAL * 2, Math.floor(values.length / 2)));
  const before = usual(values.slice(0, split));
  if (!before) return null;
  const recent = values.slice(split);
  let found: Move | null = null;
  for (const direction of ['rose', 'fell'] as const) {
    const isOutside = (at: number) => {
      const value = recent[at];
      return value != null && (direction === 'rose' ? value > before.high : value < before.low);
    };
    const run = lastRun(recent.length, isOutside);
    if (!run || (found && found.since >= start + split + run.from)) continue;
    const inRun = recent.slice(run.from, run.to + 1).filter((value): value is number => value != null);
    const value = direction === 'rose' ? Math.max(...inRun) : Math.min(...inRun);
    const lasts = recent.length - 1 - run.to <= GAP;
    found = { signal, since: start + split + run.from, direction, value, usual: before.median, lasts };
  }
  return found;
}

/** Every move, in the order in which they began; what moved farther comes first within a second. */
export function moves(signals: Values[], start: number, isShown: (signal: number) => boolean): Move[] {
  const found = signals.flatMap((values, signal) => (isShown(signal) ? (move(signal, values, start) ?? []) : []));
  const reach = ({ value, usual: level }: Move) => Math.abs(value - level) / (Math.abs(level) || 1);
  return found.sort((a, b) => a.since - b.since || reach(b) - reach(a));
}

/** A move in relation to RTT's. */
export function relation(each: Move, rtt: Move | null, now: number): string {
  if (!rtt) return `${each.direction} ${now - each.since} s ago; RTT is at its usual`;
  const ahead = rtt.since - each.since;
  if (ahead > 0) return `${each.direction} ${ahead} s before RTT`;
  return ahead === 0 ? `${each.direction} in the same second as RTT` : `${each.direction} ${-ahead} s after RTT`;
}
