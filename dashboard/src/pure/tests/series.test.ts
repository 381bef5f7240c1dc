import { describe, expect, test } from 'vitest';
import type { TargetHistory } from '../../api';
import { ceiling, slice, within, zoomed } from '../axis';
import { append, firingRuns, LONGEST_GAP, seriesOf, SPAN } from '../series';
import { wait } from '../../live';
import { point, target } from './samples';

function history(values: (number | null)[], step = 1): TargetHistory {
  const none = values.map(() => null);
  return { unix: 0, target: target('a'), start: 1000, step, measuredUs: values, q50Us: none, q90Us: none, q99Us: none, chance: none, thresholdUs: none, firing: values.map(() => false) };
}

describe('a second that arrives', () => {
  test('follows, with a gap for what did not', () => {
    const series = seriesOf(history([1, 2]));
    expect(append(series, point(1004, { measuredUs: 9 }))).toBe(true);
    expect(series.times).toEqual([1000, 1001, 1002, 1003, 1004]);
    expect(series.measured).toEqual([1, 2, null, null, 9]);
  });

  test('that is known already leaves the highest', () => {
    const series = seriesOf(history([1, 5]));
    expect(append(series, point(1001, { measuredUs: 3 }))).toBe(true);
    expect(series.measured).toEqual([1, 5]);
  });

  test('joins the step that it is in', () => {
    const series = seriesOf(history([1, 5], 10));
    for (const unix of [1019, 1020, 1024]) append(series, point(unix, { measuredUs: unix, firing: unix === 1020 }));
    expect(series.times).toEqual([1000, 1010, 1020]);
    expect(series.measured).toEqual([1, 1019, 1024]);
    expect(series.firing).toEqual([false, false, true]);
  });

  test('does not follow when the clock was set back, or after a sleep', () => {
    const series = seriesOf(history([1, 2]));
    expect(append(series, point(990))).toBe(false);
    expect(append(series, point(1001 + LONGEST_GAP + 1))).toBe(false);
    expect(append(series, point(1001 + LONGEST_GAP))).toBe(true);
    expect(series.times).toHaveLength(2 + LONGEST_GAP);
  });

  test('pushes out what is older than an hour', () => {
    const series = seriesOf(history(Array.from({ length: SPAN }, () => 1)));
    append(series, point(1000 + SPAN));
    expect([series.times.length, series.times[0], series.firing.length, series.q99.length]).toEqual([SPAN, 1001, SPAN, SPAN]);
  });
});

test('seconds in which an alert was out are joined to runs', () => {
  const series = { ...seriesOf(history([1, 1, 1, 1, 1])), firing: [true, true, false, false, true] };
  expect(firingRuns(series)).toEqual([[1000, 1001], [1004, 1004]]);
});

describe('axes', () => {
  test('what was measured decides how high a chart is, and the threshold is always in it', () => {
    expect(ceiling([100], [], 200)).toBeCloseTo(220);
    expect(ceiling([100], [9000], 200)).toBeCloseTo(440);
    expect(ceiling([null], [], null)).toBe(1);
  });

  test('a range stays within what there is, and is never too short', () => {
    const all = { from: 0, to: 3600 };
    expect(within({ from: -50, to: 50 }, all)).toEqual({ from: 0, to: 100 });
    expect(within({ from: 3599, to: 3600 }, all)).toEqual({ from: 3590, to: 3600 });
    expect(within({ from: -9e9, to: 9e9 }, all)).toEqual(all);
  });

  test('zooming keeps the moment under the cursor in place', () => {
    expect(zoomed({ from: 0, to: 100 }, 25, 0.5)).toEqual({ from: 12.5, to: 62.5 });
  });

  test('the visible places are found by their times', () => {
    expect(slice([10, 20, 30, 40], { from: 20, to: 30 })).toEqual([1, 3]);
    expect(slice([], { from: 0, to: 1 })).toEqual([0, 0]);
  });
});

test('attempts come at growing intervals, ten seconds at most', () => {
  expect([0, 1, 2, 99].map(wait)).toEqual([500, 1000, 2000, 10_000]);
});
