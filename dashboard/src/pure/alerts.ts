/** Which alerts are shown. */

import type { Alert } from '../api';
import { feature, group, ruleName, verdict, type Verdict } from './words';

export interface AlertFilter {
  text: string;
  state: 'all' | 'Firing' | 'Resolved';
  verdict: 'all' | Verdict;
}

function haystack(alert: Alert): string {
  const causes = alert.causes.map((cause) => `${group(cause.group)} ${feature(cause.feature)}`);
  return [alert.target, ruleName(alert), alert.severity, alert.model.name, ...causes].join('\n').toLowerCase();
}

/** The newest ones and older ones that were read from disk, each once, as it is known last. */
export function joined(newest: Alert[], older: Alert[]): Alert[] {
  const key = ({ name, firedUnix }: Alert) => `${firedUnix} ${name}`;
  const known = new Set(newest.map(key));
  return [...newest, ...older.filter((alert) => !known.has(key(alert)))];
}

/** Those that pass; firing ones first, then the newest. */
export function chosen(alerts: Alert[], filter: AlertFilter): Alert[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const passes = (alert: Alert) =>
    (filter.state === 'all' || alert.state === filter.state) &&
    (filter.verdict === 'all' || verdict(alert) === filter.verdict) &&
    (words.length === 0 || words.every((word) => haystack(alert).includes(word)));
  return alerts
    .filter(passes)
    .sort((a, b) => Number(a.state !== 'Firing') - Number(b.state !== 'Firing') || b.firedUnix - a.firedUnix);
}
