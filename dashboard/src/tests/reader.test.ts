import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Refused } from '../client';
import { Reader } from '../reader';

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

/** A reader of a backend that answers when it is told to, and what came of it. */
function setting(versionOf?: (answer: number) => unknown) {
  const asked: { answer: (value: number) => void; fail: (error: unknown) => void; signal: AbortSignal }[] = [];
  const taken: number[] = [];
  const refused: number[] = [];
  const ask = (signal: AbortSignal) => new Promise<number>((answer, fail) => { asked.push({ answer, fail, signal }); });
  const reader = new Reader<number>(ask, (answer) => taken.push(answer), ({ status }) => refused.push(status), versionOf);
  const settle = () => vi.advanceTimersByTimeAsync(0);
  return { asked, taken, refused, reader, settle };
}

test('a read that runs is let finish, and what changed meanwhile is read once behind it', async () => {
  const { asked, taken, reader, settle } = setting();
  for (const version of [1, 2, 3, 4]) reader.want(version);
  expect(asked.length).toBe(1);
  asked[0]?.answer(10);
  await settle();
  expect([asked[0]?.signal.aborted, taken, asked.length]).toEqual([false, [10], 2]);
  asked[1]?.answer(40);
  await settle();
  expect([taken, asked.length]).toEqual([[10, 40], 2]);
});

test('what an answer already knows is not read again', async () => {
  const { asked, reader, settle } = setting((answer) => answer);
  reader.want(undefined);
  reader.want(7);
  asked[0]?.answer(7);
  await settle();
  reader.want(7);
  expect(asked.length).toBe(1);
  reader.want(8);
  expect(asked.length).toBe(2);
});

test('a read that fails is repeated after waits that grow, whatever changes meanwhile, until it is answered', async () => {
  const { asked, taken, refused, reader, settle } = setting();
  reader.want(1);
  for (const [at, ms] of [500, 1000, 2000].entries()) {
    asked[at]?.fail(new Refused(503, 'full'));
    await settle();
    reader.want(at + 2);
    await vi.advanceTimersByTimeAsync(ms - 1);
    expect(asked.length).toBe(at + 1);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked.length).toBe(at + 2);
  }
  asked[3]?.answer(9);
  await settle();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([taken, refused, asked.length]).toEqual([[9], [503, 503, 503], 4]);
});

test('a reader that is closed asks for nothing more and says nothing', async () => {
  const { asked, taken, refused, reader, settle } = setting();
  reader.want(1);
  reader.close();
  asked[0]?.fail(new Error('aborted'));
  await settle();
  reader.want(2);
  reader.read();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([asked[0]?.signal.aborted, asked.length, taken, refused]).toEqual([true, 1, [], []]);
});
