import { describe, expect, test } from 'vitest';
import { move, moves, relation, usual, type Values } from '../moves';

const START = 1000;
/** Ten minutes of a level with a little noise, of which the seconds from `from` on are `then`. */
function stepped(level: number, then: number, from: number, length = 600): Values {
  return Array.from({ length }, (_, at) => (at >= from ? then : level * (1 + 0.01 * ((at * 7919) % 5))));
}

test('a signal that rises is found at its first second', () => {
  expect(move(0, stepped(100, 300, 560), START)).toMatchObject({ since: START + 560, direction: 'rose', value: 300, lasts: true });
});

test('a signal that falls is found, too', () => {
  expect(move(0, stepped(100, 20, 570), START)).toMatchObject({ since: START + 570, direction: 'fell', value: 20 });
});

test('a signal at its usual, single seconds and what was never measured are no moves', () => {
  expect(move(0, stepped(100, 100, 600), START)).toBeNull();
  const blips = stepped(100, 100, 600).map((value, at) => (at === 540 || at === 580 ? 900 : value));
  expect(move(0, blips, START)).toBeNull();
  expect(move(0, Array.from({ length: 600 }, () => null), START)).toBeNull();
});

test('a short dip does not end a move', () => {
  const values = stepped(100, 300, 550).map((value, at) => (at === 560 || at === 561 ? 100 : value));
  expect(move(0, values, START)?.since).toBe(START + 550);
});

test('a move that is over is named with its farthest value', () => {
  const values = stepped(100, 300, 530).map((value, at) => (at > 545 ? 100 : value));
  expect(move(0, values, START)).toMatchObject({ since: START + 530, lasts: false, value: 300 });
});

test('a count that is mostly zero is usual in one second of ten', () => {
  const rare = Array.from({ length: 600 }, (_, at) => (at % 8 === 0 ? 2 : 0));
  expect(usual(rare)?.high).toBe(2);
  expect(move(0, rare, START)).toBeNull();
  expect(move(0, rare.map((value, at) => (at >= 570 ? 14 : value)), START)?.since).toBe(START + 570);
});

test('earlier surges do not become the usual', () => {
  const values = stepped(100, 300, 560).map((value, at) => (at % 270 < 40 && at < 500 ? 300 : value));
  expect(move(0, values, START)?.since).toBe(START + 560);
});

describe('several signals', () => {
  const signals = [stepped(100, 300, 566), stepped(10, 90, 560), stepped(1, 1, 600), stepped(5, 50, 572)];
  const rtt = move(-1, signals[0] ?? [], START);

  test('come in the order in which they moved', () => {
    expect(moves(signals, START, (signal) => signal > 0).map(({ signal }) => signal)).toEqual([1, 3]);
  });

  test('are named in relation to RTT', () => {
    const words = moves(signals, START, () => true).map((each) => relation(each, rtt, START + 599));
    expect(words).toEqual(['rose 6 s before RTT', 'rose in the same second as RTT', 'rose 6 s after RTT']);
    expect(relation({ ...moves(signals, START, (signal) => signal === 3)[0]!, since: START + 590 }, null, START + 599)).toBe('rose 9 s ago; RTT is at its usual');
  });
});
