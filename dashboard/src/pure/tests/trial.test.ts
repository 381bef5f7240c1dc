import { expect, test } from 'vitest';
import type { Rule, Target } from '../../api';
import type { Answer } from '../../trial';
import { commonLabels, draftOf, elapsed, meaning, MOST_UIDS, place, PLACES, reach, requestOf, rulesOf, thresholdAt } from '../trial';

const RULE: Rule = { policyKind: 'PrecursorPolicy', policyNamespace: 'shop', policy: 'checkout', rule: 'slow', rtt: 'P90 of the RTT inflation', thresholdUs: 90_000, needed: 0.6, model: { name: 'damped-holt' } };
const target = (uid: string, labels: Record<string, string>, rules = [RULE]): Target => ({ uid, name: uid, namespace: null, workload: null, node: null, aliases: [], labels, rules });

test('the slider reaches from 100 µs to 10 s, by decades', () => {
  expect([0, 200, 400, 600, 800, PLACES].map(thresholdAt)).toEqual([100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000]);
  expect([50, 100, 100_000, 99_000_000].map(place)).toEqual([0, 0, 600, PLACES]);
});

test('every place of the slider is a threshold of its own in three digits, so that each key moves it', () => {
  for (let at = 0; at <= PLACES; at += 1) expect([place(thresholdAt(at)), Number(thresholdAt(at).toPrecision(3))]).toEqual([at, thresholdAt(at)]);
});

test.each([
  ['RTT', 'Rtt', 'Max', null],
  ['RTT inflation', 'Inflation', 'Max', null],
  ['P90 of the RTT to external peers', 'Rtt', 'P90', 'external peers'],
  ['P99 of the RTT inflation', 'Inflation', 'P99', null],
  ['something of another release', 'Rtt', 'Max', null],
])('%s is read as what the rule means', (words, measure, statistic, peers) => {
  expect(meaning(words)).toEqual({ measure, statistic, peers });
});

test('a draft starts from a rule under a name of its own', () => {
  const { rule, policy } = draftOf(RULE, ['adaptive', 'damped-holt'], 'adaptive');
  expect(rule).toMatchObject({ name: 'slow', thresholdUs: 90_000, model: 'damped-holt', measure: 'Inflation', statistic: 'P90' });
  expect(policy).toMatchObject({ kind: 'PrecursorPolicy', name: 'checkout-tried', namespace: 'shop' });
  expect(draftOf({ ...RULE, policy: 'x'.repeat(253) }, [], 'adaptive').policy.name.length).toBe(253);
});

test('a model that does not come with the release is none to try', () => {
  expect(draftOf({ ...RULE, model: { name: '/srv/m.onnx' } }, ['adaptive'], 'adaptive').rule.model).toBe('adaptive');
});

test('each rule is offered once', () => {
  const other = { ...RULE, policyNamespace: 'depot' };
  expect(rulesOf([target('a', {}), target('b', {}, [RULE, other])])).toEqual([RULE, other]);
});

test('labels are those that all targets have', () => {
  expect(commonLabels([target('a', { app: 'x', v: '1' }), target('b', { app: 'x', v: '2' })])).toEqual({ app: 'x' });
  expect(commonLabels([])).toEqual({});
});

test('a request names at most so many targets as are tried, and none of a recording', () => {
  const draft = draftOf(RULE, [], 'adaptive');
  const uids = Array.from({ length: 300 }, (_, at) => `u${at}`);
  expect(requestOf(draft, 'p', uids, { app: 'x' })).toMatchObject({ page: 'p', uids: uids.slice(0, MOST_UIDS), policy: { labels: {}, namespace: 'shop' } });
  expect(requestOf({ ...draft, recording: 'r', byLabels: true }, 'p', uids, { app: 'x' })).toMatchObject({ recording: 'r', uids: null, policy: { labels: { app: 'x' } } });
  const cluster = { ...draft, policy: { ...draft.policy, kind: 'ClusterPrecursorPolicy' as const } };
  expect(requestOf(cluster, 'p', null, {}).policy.namespace).toBe(null);
});

test('figures say what they rest on', () => {
  const answer = (targets: number, seconds: number) => ({ targets, seconds, figures: { targetSeconds: targets * seconds } }) as Answer;
  expect(reach(answer(10, 2580))).toBe('Over 43 min of 10 targets. False alarms per day are extrapolated from that: one false alarm here counts as 3.3 per target-day.');
  expect(reach(answer(1, 172_800))).toBe('Over 2 d of one target: 2 target-days.');
  expect(reach(answer(0, 0))).toBe('Nothing was played.');
});

test('time without a clock counts from the beginning', () => {
  expect([0, 59, 61, 3723].map(elapsed)).toEqual(['0:00', '0:59', '1:01', '1:02:03']);
});
