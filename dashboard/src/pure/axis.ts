/** What of a chart is drawn: the span of time, and how high. */

export interface Range {
  from: number;
  to: number;
}

/** The least that is zoomed into, s. */
export const LEAST_SPAN = 10;

/** The highest that is drawn. What was measured decides: a forecast far above stands at the upper edge. */
export function ceiling(measured: (number | null)[], forecast: (number | null)[], thresholdUs: number | null): number {
  const most = (values: (number | null)[]) => values.reduce((high: number, value) => (value != null && value > high ? value : high), 0);
  const seen = Math.max(most(measured), thresholdUs ?? 0);
  const above = Math.min(most(forecast), seen ? 2 * seen : Infinity);
  return 1.1 * Math.max(seen, above) || 1;
}

/** A range moved into what there is and widened to the least span. */
export function within({ from, to }: Range, all: Range): Range {
  const span = Math.min(Math.max(to - from, LEAST_SPAN), all.to - all.from);
  const start = Math.min(Math.max(from, all.from), all.to - span);
  return { from: start, to: start + span };
}

/** Zooms by a factor about a moment that stays in place. */
export function zoomed({ from, to }: Range, at: number, factor: number): Range {
  return { from: at - (at - from) * factor, to: at + (to - at) * factor };
}

/** First and last position whose time is in the range; times ascend. */
export function slice(times: number[], { from, to }: Range): [number, number] {
  const lower = (value: number) => {
    let [low, high] = [0, times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((times[middle] ?? Infinity) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return [lower(from), lower(to + 1e-9)];
}
