import { expect, test } from 'vitest';
import type { Source } from '../../api';
import { trouble } from '../trouble';

const NOW = 1_700_000_000;
const source = (state: Source['state']): Source => ({
  state, url: 'http://127.0.0.1:9470', since: NOW - 60, reason: state === 'Stale' ? 'connection refused' : null, agentVersion: null, kernel: null, lostTicks: 0,
});

test('a page whose stream brings seconds of a live agent has nothing to say', () => {
  expect(trouble(source('Live'), { failures: 0, heard: NOW * 1000 }, null, NOW)).toBeNull();
  expect(trouble(null, { failures: 0, heard: null }, null, NOW)).toBeNull();
});

test('a stream that never opens is said to be so, though nothing was lost yet', () => {
  expect(trouble(null, { failures: 1, heard: null }, null, NOW)).toMatch(/proxy.*stands still/);
});

test('a stream that ended is said to be so with the last second, whatever the agent was then', () => {
  for (const state of ['Live', 'Stale'] as const) expect(trouble(source(state), { failures: 3, heard: NOW * 1000 }, null, NOW)).toContain('what it knew at');
});

test('the reason that the backend gives comes first, until seconds come again', () => {
  expect(trouble(null, { failures: 2, heard: null }, 'is it still running?', NOW)).toMatch(/^is it still running\? No/);
  expect(trouble(null, { failures: 2, heard: null }, 'got host x', NOW)).toMatch(/^got host x\. No/);
  expect(trouble(source('Live'), { failures: 0, heard: NOW * 1000 }, 'is it still running?', NOW)).toBeNull();
});

test('an agent that is not read is said to be so with the reason', () => {
  expect(trouble(source('Stale'), { failures: 0, heard: NOW * 1000 }, null, NOW)).toContain('connection refused');
});

test('of a cluster it is the API server that is not read', () => {
  expect(trouble(source('Stale'), { failures: 0, heard: NOW * 1000 }, null, NOW, 'the API server')).toContain('Stale: the API server has not been read');
});
