/** Which nodes are shown, and what of them in words. */

import type { NodeBrief, NodeView, StreamView, Target } from '../api';
import { matches } from './order';
import { number, span } from './format';
import type { Mood } from './words';

const natural = new Intl.Collator('en', { numeric: true });
const sorted = (names: Iterable<string | null>) => [...new Set(names)].filter((name): name is string => name != null).sort(natural.compare);

/** Namespaces and nodes to choose from. */
export function placesOf(targets: Target[], nodes: NodeBrief[]): { namespaces: string[]; nodes: string[] } {
  return {
    namespaces: sorted(targets.map(({ namespace }) => namespace)),
    nodes: sorted([...nodes.map(({ name }) => name), ...targets.map(({ node }) => node)]),
  };
}

/** How many nodes are not shown live although they have targets, and how many targets that are. */
export function unstreamed(nodes: NodeBrief[], streams: StreamView[]): { nodes: number; targets: number } {
  const streamed = new Set(streams.map(({ node }) => node));
  const rest = nodes.filter(({ name, targets }) => !streamed.has(name) && (targets ?? 0) > 0);
  return { nodes: rest.length, targets: rest.reduce((sum, { targets }) => sum + (targets ?? 0), 0) };
}

export interface NodeFilter {
  text: string;
  only: 'all' | 'wrong' | 'streamed';
}

function stack({ name, standing, agentVersion, kernel, sensors, problems, remarks }: NodeView): string {
  const off = sensors.filter(({ state }) => state !== 'Active').map((sensor) => `${sensor.name} ${sensor.state}`);
  return [name, standing, agentVersion, kernel, ...off, ...problems, ...remarks].filter(Boolean).join('\n').toLowerCase();
}

/** Those that pass, in the order of the backend: what is worst first. */
export function chosenNodes(nodes: NodeView[], { text, only }: NodeFilter): NodeView[] {
  const words = text.trim();
  const passes = (node: NodeView) => {
    if (only === 'wrong' && node.problems.length + node.remarks.length + node.losses.length === 0) return false;
    return (only !== 'streamed' || node.stream != null) && (!words || matches(stack(node), words));
  };
  return nodes.filter(passes);
}

const STANDINGS: Record<string, [Mood, string]> = {
  Ready: ['good', 'works'],
  Starting: ['none', 'starting'],
  Unwanted: ['none', 'no agent wanted'],
  Missing: ['bad', 'agent missing'],
  Stale: ['bad', 'silent'],
  NotReady: ['bad', 'not ready'],
};

/** The state of a node's agent. What a later release calls it is shown as it is. */
export function nodeStanding({ standing, problems }: NodeView): [Mood, string] {
  const [mood, words] = STANDINGS[standing ?? ''] ?? ['none', standing ?? 'unknown'];
  return mood === 'good' && problems.length > 0 ? ['warn', 'works, with trouble'] : [mood, words];
}

/** How an agent is read. */
export function streamWords({ state, targets, lostTicks }: StreamView): string {
  const lost = lostTicks ? `, ${number(lostTicks, 0)} ticks lost` : '';
  switch (state) {
    case 'Live': return `live, ${number(targets, 0)} ${targets === 1 ? 'target' : 'targets'}${lost}`;
    case 'Connecting': return 'connecting';
    case 'Stale': return 'not heard';
  }
}

/** How old a heartbeat is. */
export function age(seconds: number | null): string {
  return seconds == null ? '–' : `${span(seconds)} ago`;
}
