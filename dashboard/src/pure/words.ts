/** Names of the API in words. */

import type { Alert, PolicyIdentity, Standing } from '../api';

const GROUPS: Record<string, string> = {
  RttHistory: 'RTT history',
  Recurrence: 'recurring load',
  Queue: 'queue build-up',
  Rates: 'traffic',
  Retransmits: 'retransmissions',
  Connections: 'connections',
  Scheduling: 'waiting for CPU',
  Pressure: 'node pressure',
};

export function group(name: string): string {
  return GROUPS[name] ?? name;
}

/** A signal's or feature's name as people say it. */
export function feature(name: string): string {
  return name
    .replace(/^(rx|tx)_(bytes|packets)/, (_, way: string, what: string) => `${what} ${way === 'rx' ? 'received' : 'sent'}`)
    .replace(/^(open|clos)e?s(?=_|$)/, 'connections_$1ed')
    .replace(/^established/, 'established_connections')
    .replace(/_(us|bytes|per_second|ratio|ln|segments)(?=_|$)/g, '')
    .replace('rtt_measured', 'RTT')
    .replace('_max10', ', 10 s max')
    .replace(/_/g, ' ')
    .replace(/\brtt\b/, 'RTT')
    .replace(/\brtos\b/, 'retransmission timeouts')
    .replace(/\brun queue\b/, 'run-queue delay')
    .replace(/\bqdisc\b/, 'queueing discipline');
}

/** A policy's name is its own only in its kind and namespace. */
export function policyName({ policyKind, policyNamespace, policy }: Omit<PolicyIdentity, 'rule'>): string {
  const place = policyKind === 'ClusterPrecursorPolicy' ? 'cluster policy ' : policyNamespace ? `${policyNamespace}/` : '';
  return `${place}${policy}`;
}

export function ruleName(identity: PolicyIdentity): string {
  return `${policyName(identity)}/${identity.rule}`;
}

/** Colours of a standing: trouble is now, a warning is ahead of it. */
export type Mood = 'bad' | 'warn' | 'good' | 'none';

const STANDINGS: Record<Standing, [Mood, string]> = {
  Trouble: ['bad', 'in trouble'],
  Warning: ['warn', 'warning'],
  Pending: ['warn', 'pending'],
  Recovering: ['none', 'recovering'],
  Calm: ['good', 'calm'],
  Waiting: ['none', 'not forecast'],
  Unselected: ['none', 'no policy'],
  Stale: ['none', 'not heard'],
};

export function mood(standing: Standing): Mood {
  return STANDINGS[standing][0];
}

export function standingWords(standing: Standing): string {
  return STANDINGS[standing][1];
}

/** Whether an alert came true. */
export type Verdict = 'confirmed' | 'false' | 'late' | 'unwarned' | 'open' | 'none';

export function verdict(alert: Alert): Verdict {
  if (alert.confirmed === 'True') return 'confirmed';
  const breached = alert.measuredUs != null && alert.measuredUs > alert.thresholdUs;
  if (alert.confirmed === 'False') return breached ? 'late' : 'false';
  if (alert.trigger === 'Measured') return 'unwarned';
  return alert.state === 'Firing' && !breached ? 'open' : 'none';
}

export const VERDICTS: Record<Verdict, [Mood, string]> = {
  confirmed: ['good', 'came true'],
  false: ['warn', 'false alert'],
  late: ['warn', 'breach not in time'],
  unwarned: ['bad', 'no warning before'],
  open: ['none', 'no verdict yet'],
  none: ['none', 'no verdict'],
};

export function verdictWords(alert: Alert): string {
  const words = VERDICTS[verdict(alert)][1];
  return alert.confirmed === 'True' && alert.leadSeconds != null ? `${words}, ${alert.leadSeconds} s ahead` : words;
}
