import { describe, expect, test } from 'vitest';
import type { Alert, History, RangeAnswer } from '../../api';
import { joined } from '../alerts';
import { isEmpty, origin, PAST_SPANS, pastTrouble, refresh, seriesOfRange, windowOf } from '../past';

const NOW = 1_764_309_600;
const history = (over: Partial<History> = {}): History => ({
  state: 'Good', from: 'Store', place: '/h.db', since: NOW - 60, reason: null, bytes: 1, limit: 2, oldest: NOW - 7200,
  evictedSeconds: 0, evictedAlerts: 0, evictedUntil: null, lost: 0, ...over,
});

describe('what is asked for', () => {
  test.each(PAST_SPANS.map(([width]) => width))('ends now and reaches %d s back', (width) => {
    expect(windowOf(width, NOW, null, null)).toEqual({ from: NOW - width, to: NOW });
  });

  test('is around the moment of an alert, and never beyond now', () => {
    expect(windowOf(300, NOW, NOW - 86_400, null)).toEqual({ from: NOW - 88_200, to: NOW - 85_800 });
    expect(windowOf(300, NOW, NOW - 60, null).to).toBe(NOW);
    const day = windowOf(86_400, NOW, NOW - 200_000, null);
    expect(day.to - day.from).toBe(86_400);
    expect((day.to + day.from) / 2).toBe(NOW - 200_000);
  });

  test('is what was zoomed into, in whole seconds', () => {
    expect(windowOf(86_400, NOW, null, { from: 10.4, to: 20.2 })).toEqual({ from: 10, to: 21 });
  });

  test('is asked for again about once a pixel', () => {
    expect([600, 21_600, 604_800].map(refresh)).toEqual([10, 22, 605]);
  });
});

test('an answer is drawn at the times of its steps, and one of nulls is said to be empty', () => {
  const none = [null, null];
  const answer: RangeAnswer = { uid: 'a', target: null, from: 'Store', start: 1000, step: 300, measuredUs: [1, null], q50Us: none, q90Us: none, q99Us: none, chance: none, thresholdUs: none, firing: [true, false], next: null };
  const series = seriesOfRange(answer);
  expect([series.times, series.measured, series.step]).toEqual([[1000, 1300], [1, null], 300]);
  expect(isEmpty(series)).toBe(false);
  expect(isEmpty(seriesOfRange({ ...answer, measuredUs: none }))).toBe(true);
});

describe('the banner', () => {
  test('has nothing to say of what works', () => {
    expect(pastTrouble([], NOW)).toBeNull();
    expect(pastTrouble([history()], NOW)).toBeNull();
  });

  test('says what fails, and what was lost', () => {
    expect(pastTrouble([history({ state: 'Failing', reason: 'the disk is full', lost: 1234 })], NOW)).toMatch(/the disk is full\. Retrying\. 1,234 seconds/);
    expect(pastTrouble([history({ state: 'Damaged', reason: 'it is damaged' })], NOW)).toMatch(/it is damaged\. Nothing more is written/);
  });

  test('names each of two that fail', () => {
    const both = [history({ from: 'Prometheus', state: 'Failing', reason: 'no answer' }), history({ state: 'Failing', reason: 'full' })];
    expect(pastTrouble(both, NOW)).toMatch(/no answer.*full/);
  });
});

test('a chart says where it comes from and what had to go', () => {
  expect(origin([history()], NOW)).toBe('From /h.db: it reaches 2 h 0 min back.');
  expect(origin([history({ evictedSeconds: 9, evictedUntil: NOW - 7200 })], NOW)).toContain('had to make room');
  expect(origin([history({ from: 'Prometheus', place: 'http://p:9090' })], NOW)).toBe('From Prometheus at http://p:9090.');
});

test('alerts from disk come behind those that are known, each once', () => {
  const alert = (name: string, firedUnix: number, state = 'Resolved') => ({ name, firedUnix, state }) as Alert;
  const all = joined([alert('a', 5, 'Firing'), alert('a', 4)], [alert('a', 5), alert('b', 4), alert('a', 1)]);
  expect(all.map(({ name, firedUnix, state }) => `${name}${firedUnix}${state[0]}`)).toEqual(['a5F', 'a4R', 'b4R', 'a1R']);
});
