/** Which targets are shown, in which order. */

import type { Latest, Standing, Target } from '../api';
import { ruleName } from './words';

export type Key = 'urgency' | 'name' | 'namespace' | 'workload' | 'node' | 'policy' | 'measured' | 'forecast' | 'chance' | 'threshold';

export interface Order {
  key: Key;
  descending: boolean;
}

export interface Filter {
  text: string;
  standing: 'all' | 'trouble' | 'warning' | 'calm' | 'waiting';
  /** Only those of a namespace, and of a node. */
  namespace?: string | null;
  node?: string | null;
}

export const GROUP: Record<Standing, Filter['standing']> = {
  Trouble: 'trouble',
  Warning: 'warning',
  Pending: 'warning',
  Recovering: 'calm',
  Calm: 'calm',
  Waiting: 'waiting',
  Unselected: 'waiting',
  Stale: 'waiting',
};

const URGENCY: Record<Standing, number> = { Trouble: 0, Warning: 1, Pending: 2, Recovering: 3, Calm: 4, Waiting: 5, Unselected: 6, Stale: 7 };

const natural = new Intl.Collator('en', { numeric: true });

/** What text is looked for in, lower case. */
export function haystack({ name, namespace, workload, node, aliases, labels, rules }: Target): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  const all = [name, namespace, workload, node, ...aliases, ...pairs, ...rules.map(ruleName)];
  return all.filter(Boolean).join('\n').toLowerCase();
}

/** Every word has to be found. */
export function matches(stack: string, text: string): boolean {
  return text.toLowerCase().split(/\s+/).every((word) => stack.includes(word));
}

/**
 * By urgency the order changes by steps of a quarter chance and of half a threshold, so that rows do not jump with every
 * sample.
 */
function urgency(latest: Latest, at: number, thresholdUs: number | undefined): number {
  const steps = Math.round(4 * (latest.chance[at] ?? 0)) * 10;
  const reach = Math.min(9, Math.round((2 * (latest.forecastUs[at] ?? 0)) / (thresholdUs ?? Infinity)));
  return URGENCY[latest.standing[at] ?? 'Unselected'] * 1000 - steps - reach;
}

function text(target: Target, key: Key): string {
  if (key === 'policy') return target.rules[0] ? ruleName(target.rules[0]) : '';
  return (key === 'namespace' ? target.namespace : key === 'workload' ? target.workload : key === 'node' ? target.node : target.name) ?? '';
}

function figure(target: Target, latest: Latest, at: number, key: Key): number | null {
  switch (key) {
    case 'urgency': return urgency(latest, at, target.rules[0]?.thresholdUs);
    case 'measured': return latest.measuredUs[at] ?? null;
    case 'forecast': return latest.forecastUs[at] ?? null;
    case 'chance': return latest.chance[at] ?? null;
    default: return target.rules[0]?.thresholdUs ?? null;
  }
}

const TEXTS: readonly Key[] = ['name', 'namespace', 'workload', 'node', 'policy'];

/** Positions in the roster of those that pass the filter, in order. Those without a value come last either way. */
export function arrange(targets: Target[], stacks: string[], latest: Latest, filter: Filter, order: Order): number[] {
  const words = filter.text.trim();
  const passes = (at: number) => {
    const standing = GROUP[latest.standing[at] ?? 'Unselected'];
    if (filter.namespace != null && targets[at]?.namespace !== filter.namespace) return false;
    if (filter.node != null && targets[at]?.node !== filter.node) return false;
    return (filter.standing === 'all' || standing === filter.standing) && (!words || matches(stacks[at] ?? '', words));
  };
  const shown = targets.map((_, at) => at).filter(passes);
  const sign = order.descending ? -1 : 1;
  const byName = (a: number, b: number) => natural.compare(targets[a]?.name ?? '', targets[b]?.name ?? '') || a - b;
  if (TEXTS.includes(order.key)) {
    const keys = targets.map((target) => text(target, order.key));
    return shown.sort((a, b) => {
      const [x, y] = [keys[a] ?? '', keys[b] ?? ''];
      return Number(!x) - Number(!y) || sign * natural.compare(x, y) || byName(a, b);
    });
  }
  const keys = targets.map((target, at) => figure(target, latest, at, order.key));
  return shown.sort((a, b) => {
    const [x, y] = [keys[a] ?? null, keys[b] ?? null];
    return Number(x == null) - Number(y == null) || sign * ((x ?? 0) - (y ?? 0)) || byName(a, b);
  });
}
