import { expect, test } from 'vitest';
import type { NodeView, StreamView } from '../../api';
import { chosenNodes, nodeStanding, placesOf, streamWords, unstreamed } from '../nodes';
import { target } from './samples';

const stream = (node: string, part: Partial<StreamView> = {}): StreamView => ({ node, state: 'Live', since: 1, reason: null, lostTicks: 0, targets: 2, ...part });

function node(name: string, part: Partial<NodeView> = {}): NodeView {
  return {
    name, standing: 'Ready', problems: [], remarks: [], heartbeatAgeSeconds: 10, agentVersion: '0.1.0', kernel: '6.18.4', rttSource: 'Measured', coveragePercent: 97,
    targets: 3, firing: 0, pending: 0, cpu: '4m', memory: '31Mi', losses: [], sensors: [], conditions: [], stream: null, ...part,
  };
}

const names = (nodes: NodeView[]) => nodes.map(({ name }) => name);

test('nodes with something wrong, or that are streamed, can be looked at alone', () => {
  const nodes = [node('a', { problems: ['no agent'] }), node('b', { losses: [{ what: 'messages dropped', count: 1 }] }), node('c', { stream: stream('c') })];
  expect(names(chosenNodes(nodes, { text: '', only: 'wrong' }))).toEqual(['a', 'b']);
  expect(names(chosenNodes(nodes, { text: '', only: 'streamed' }))).toEqual(['c']);
  expect(names(chosenNodes(nodes, { text: '', only: 'all' }))).toEqual(['a', 'b', 'c']);
});

test('a sensor that does not work is found by its name', () => {
  const sensor = { name: 'sched', need: 'Optional', state: 'Unavailable', reason: 'tracefs', limits: null } as const;
  const nodes = [node('a', { sensors: [sensor] }), node('b', { sensors: [{ ...sensor, state: 'Active' }] })];
  expect(names(chosenNodes(nodes, { text: 'sched unavailable', only: 'all' }))).toEqual(['a']);
});

test('an agent that works with trouble does not look as if all were well, and an unknown word is shown', () => {
  expect(nodeStanding(node('a'))).toEqual(['good', 'works']);
  expect(nodeStanding(node('a', { problems: ['dropped'] }))[0]).toBe('warn');
  expect(nodeStanding(node('a', { standing: 'Paused' }))).toEqual(['none', 'Paused']);
  expect(nodeStanding(node('a', { standing: null }))).toEqual(['none', 'unknown']);
});

test('targets of nodes that nobody streams are counted', () => {
  const briefs = [['a', 3], ['b', 4], ['c', 0], ['d', null]].map(([name, targets]) => ({ name: name as string, targets: targets as number | null, firing: 0, standing: 'Ready' }));
  expect(unstreamed(briefs, [stream('a')])).toEqual({ nodes: 1, targets: 4 });
});

test('places are in the order of their numbers, without what has none', () => {
  const brief = { name: 'node10', targets: 1, firing: 0, standing: null };
  const places = placesOf([target('x', { node: 'node9', namespace: 'shop' }), target('y', { node: 'node10' })], [brief]);
  expect(places).toEqual({ namespaces: ['shop'], nodes: ['node9', 'node10'] });
});

test('a stream that lost ticks says so', () => {
  expect(streamWords(stream('a', { lostTicks: 3 }))).toBe('live, 2 targets, 3 ticks lost');
  expect(streamWords(stream('a', { state: 'Stale', reason: 'refused' }))).toBe('not heard');
});
