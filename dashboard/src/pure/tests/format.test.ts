import { describe, expect, test } from 'vitest';
import { chance, quantity, span, time } from '../format';
import { feature, ruleName, verdict, verdictWords } from '../words';
import { alert } from './samples';

describe('round trips', () => {
  test.each([
    [null, '–'], [0, '0 µs'], [7.25, '7.3 µs'], [999, '999 µs'], [999.6, '1 ms'], [1234, '1.2 ms'], [9994, '10 ms'], [182_400, '182 ms'],
    [999_499, '999 ms'], [999_500, '1 s'], [1_250_000, '1.25 s'], [12_340_000, '12.3 s'],
  ])('%s µs read as %s', (us, words) => expect(time(us)).toBe(words));
});

describe('chances', () => {
  test.each([[null, '–'], [0, '0 %'], [0.001, '<1 %'], [0.5, '50 %'], [0.9999, '>99 %'], [1, '100 %']])('%s reads as %s', (share, words) =>
    expect(chance(share)).toBe(words));
});

test.each([
  [null, 'bytes', '–'], [182_000, 'bytes', '182 kB'], [1_250_000, 'bytes/s', '1.3 MB/s'], [900, 'bytes', '900 B'], [0.043, 'ratio', '4.3 %'],
  [3, '1', '3'], [14, 'segments', '14 segments'], [320, 'µs', '320 µs'],
] as const)('%s in %s reads as %s', (value, unit, words) => expect(quantity(value, unit)).toBe(words));

test.each([[0, '0 s'], [59.6, '1 min'], [95, '1 min 35 s'], [7320, '2 h 2 min'], [259_200, '3 d'], [-4, '0 s']])('%s seconds are %s', (seconds, words) =>
  expect(span(seconds)).toBe(words));

test.each([
  ['run_queue_p99_us', 'run-queue delay p99'], ['qdisc_backlog_bytes', 'queueing discipline backlog'], ['delivery_rate_bytes_per_second', 'delivery rate'],
  ['tx_bytes', 'bytes sent'], ['closes', 'connections closed'], ['opens', 'connections opened'], ['established', 'established connections'], ['rtt_measured_max10', 'RTT, 10 s max'],
])('%s is called %s', (name, words) => expect(feature(name)).toBe(words));

test("a policy's name is its own only in its kind and namespace", () => {
  expect(ruleName({ policyKind: 'PrecursorPolicy', policyNamespace: 'shop', policy: 'p', rule: 'rtt' })).toBe('shop/p/rtt');
  expect(ruleName({ policyKind: 'PrecursorPolicy', policy: 'p', rule: 'rtt' })).toBe('p/rtt');
  expect(ruleName({ policyKind: 'ClusterPrecursorPolicy', policy: 'p', rule: 'rtt' })).toBe('cluster policy p/rtt');
});

test('a verdict tells what came true from what came late, and from what was never warned of', () => {
  expect(verdictWords(alert({ confirmed: 'True', leadSeconds: 6 }))).toBe('came true, 6 s ahead');
  expect(verdict(alert({ confirmed: 'False', measuredUs: 100 }))).toBe('false');
  expect(verdict(alert({ confirmed: 'False', measuredUs: 300_000 }))).toBe('late');
  expect(verdict(alert({ confirmed: 'Unknown', trigger: 'Measured' }))).toBe('unwarned');
  expect(verdict(alert({ confirmed: 'Unknown', state: 'Firing', measuredUs: null }))).toBe('open');
  expect(verdict(alert({ confirmed: 'Unknown', state: 'Resolved' }))).toBe('none');
});
