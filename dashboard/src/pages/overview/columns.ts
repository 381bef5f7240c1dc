import type { Target } from '../../api';
import type { Key } from '../../pure/order';

interface Column {
  words: string;
  startsDescending: boolean;
}

export const COLUMNS: Record<Key, Column> = {
  urgency: { words: 'State', startsDescending: false },
  name: { words: 'Target', startsDescending: false },
  namespace: { words: 'Namespace', startsDescending: false },
  workload: { words: 'Workload', startsDescending: false },
  node: { words: 'Node', startsDescending: false },
  policy: { words: 'Policy', startsDescending: false },
  measured: { words: 'Now', startsDescending: true },
  forecast: { words: 'Next 10 s', startsDescending: true },
  chance: { words: 'Chance', startsDescending: true },
  threshold: { words: 'Threshold', startsDescending: true },
};

const ALWAYS: readonly Key[] = ['measured', 'forecast', 'threshold', 'chance'];

/** Columns in order. Those that say nothing of any target are left out: one host has neither namespaces nor workloads. */
export function shownColumns(targets: Target[]): Key[] {
  const wanted = (['namespace', 'workload', 'node'] as const).filter((key) => targets.some((target) => target[key] != null));
  const policies = new Set(targets.flatMap(({ rules }) => rules.map((rule) => `${rule.policyNamespace}/${rule.policy}/${rule.rule}`)));
  return ['urgency', 'name', ...wanted, ...(policies.size > 1 ? (['policy'] as const) : []), ...ALWAYS];
}
