/** What lies further back than the live charts: which span is asked for, and how what keeps it is doing. */

import type { History, RangeAnswer } from '../api';
import type { Range } from './axis';
import { moment, number, span } from './format';
import { SPAN, type Series } from './series';

/** Spans beyond the live hour, s. */
export const PAST_SPANS = [[6 * 3600, '6 h'], [24 * 3600, '24 h'], [7 * 24 * 3600, '7 d']] as const;

/** Seconds that are shown before a moment, and behind it. */
const BEFORE = 1800;
const BEHIND = 600;

/** The seconds that a span covers: up to now, or around a moment. What is zoomed into is asked for anew, in finer steps. */
export function windowOf(width: number, now: number, at: number | null, zoom: Range | null): Range {
  if (zoom) return { from: Math.floor(zoom.from), to: Math.ceil(zoom.to) };
  if (at != null && width <= SPAN) return { from: at - BEFORE, to: Math.min(at + BEHIND, Math.max(now, at)) };
  const to = at == null ? now : Math.min(now, at + width / 2);
  return { from: to - width, to };
}

/** How often what reaches to now is asked for again, s: about once a pixel. */
export function refresh(width: number): number {
  return Math.max(10, Math.round(width / 1000));
}

/** An answer as the chart draws it. */
export function seriesOfRange(answer: RangeAnswer): Series {
  const { start, step } = answer;
  return {
    times: answer.measuredUs.map((_, at) => start + at * step),
    measured: answer.measuredUs, q50: answer.q50Us, q90: answer.q90Us, q99: answer.q99Us,
    chance: answer.chance, threshold: answer.thresholdUs, firing: answer.firing, step,
  };
}

/** Whether anything was measured or forecast at all. */
export function isEmpty({ measured, q50 }: Series): boolean {
  return measured.every((value) => value == null) && q50.every((value) => value == null);
}

/** Words for the banner; null when all is well. */
export function pastTrouble(history: History[], now: number): string | null {
  const words = history.filter(({ state }) => state !== 'Good').map(({ state, since, reason, lost }) => {
    const next = state === 'Damaged' ? 'Nothing more is written to it.' : 'Retrying.';
    const gone = lost ? ` ${number(lost, 0)} seconds of targets were lost.` : '';
    return `History: since ${moment(since, now)} ${reason ?? 'it fails'}. ${next}${gone}`;
  });
  return words.length ? words.join(' ') : null;
}

/** Where a chart comes from, and how far back that goes. */
export function origin(history: History[], now: number): string {
  const [first] = history;
  if (!first) return '';
  if (first.from === 'Prometheus') return `From Prometheus at ${first.place}.`;
  const reach = first.oldest == null ? 'nothing is kept yet' : `it reaches ${span(now - first.oldest)} back`;
  const gone = first.evictedSeconds && first.evictedUntil != null
    ? `; what was before ${moment(first.evictedUntil, now)} had to make room, at least in part (--history-size)`
    : '';
  return `From ${first.place}: ${reach}${gone}.`;
}
