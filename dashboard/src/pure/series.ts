/** The history of one target as the chart draws it: columns of equal length, one place per step, nulls where nothing was measured. */

import type { Point, TargetHistory } from '../api';

type Column = (number | null)[];

export interface Series {
  /** Start of each step, Unix s. */
  times: number[];
  measured: Column;
  q50: Column;
  q90: Column;
  q99: Column;
  chance: Column;
  threshold: Column;
  firing: boolean[];
  step: number;
}

/** Seconds that are kept. */
export const SPAN = 3600;

/** A longer silence than this was the page's own (a browser that slept): the backend may know what it missed. */
export const LONGEST_GAP = 10;

export function seriesOf(history: TargetHistory): Series {
  const { start, step } = history;
  return {
    times: history.measuredUs.map((_, at) => start + at * step),
    measured: [...history.measuredUs],
    q50: [...history.q50Us],
    q90: [...history.q90Us],
    q99: [...history.q99Us],
    chance: [...history.chance],
    threshold: [...history.thresholdUs],
    firing: [...history.firing],
    step,
  };
}

const COLUMNS = ['measured', 'q50', 'q90', 'q99', 'chance', 'threshold'] as const;

/**
 * Takes in a second. A few seconds in between that did not arrive are gaps; within a step the highest counts, as it does in
 * the backend. Returns whether the second follows: if not, the clock has jumped or the browser slept, and the history has to
 * be asked for again.
 */
export function append(series: Series, point: Point): boolean {
  const { times, step } = series;
  const slot = Math.floor(point.unix / step) * step;
  const last = times.at(-1) ?? slot - step;
  if (slot < last || slot > last + Math.max(step, LONGEST_GAP)) return false;
  const values = [point.measuredUs, point.q50Us, point.q90Us, point.q99Us, point.chance, point.thresholdUs];
  for (let at = last + step; at <= slot; at += step) {
    times.push(at);
    for (const name of COLUMNS) series[name].push(null);
    series.firing.push(false);
  }
  const end = times.length - 1;
  COLUMNS.forEach((name, column) => {
    const [before, now] = [series[name][end] ?? null, values[column] ?? null];
    series[name][end] = name === 'threshold' ? (now ?? before) : before == null ? now : now == null ? before : Math.max(before, now);
  });
  series.firing[end] ||= point.firing;
  const surplus = times.length - Math.ceil(SPAN / step);
  if (surplus > 0) {
    times.splice(0, surplus);
    for (const name of COLUMNS) series[name].splice(0, surplus);
    series.firing.splice(0, surplus);
  }
  return true;
}

/** Runs of seconds in which an alert was out: first and last second of each. */
export function firingRuns({ times, firing, step }: Series): [number, number][] {
  const runs: [number, number][] = [];
  firing.forEach((is, at) => {
    const time = times[at];
    if (!is || time == null) return;
    const last = runs.at(-1);
    if (last && last[1] === time - step) last[1] = time;
    else runs.push([time, time]);
  });
  return runs;
}
