import type { Alert, Latest, Point, Target } from '../../api';

export function alert(part: Partial<Alert> = {}): Alert {
  return {
    policyKind: 'PrecursorPolicy', policy: 'p', rule: 'rtt', name: 'p-1', target: 'web1', targetUid: 'u1', severity: 'Warning', state: 'Resolved',
    trigger: 'Forecast', rtt: 'RTT', thresholdUs: 200_000, resolveUs: 160_000, predictedUs: 210_000, chance: 0.7, measuredUs: 150_000, leadSeconds: null,
    confirmed: 'Unknown', judgedUnix: null, count: 1, firedUnix: 1000, resolvedUnix: null, resolution: null, causes: [], model: { name: 'adaptive' }, ...part,
  };
}

export function target(name: string, part: Partial<Target> = {}): Target {
  const rule = { policyKind: 'PrecursorPolicy', policy: 'p', rule: 'rtt', rtt: 'RTT', thresholdUs: 200_000, needed: 0.5, model: { name: 'adaptive' } } as const;
  return { uid: `u-${name}`, name, namespace: null, workload: null, node: null, aliases: [], labels: {}, rules: [rule], ...part };
}

export function latest(columns: Partial<Latest>, length: number): Latest {
  const nothing = Array.from({ length }, () => null);
  return { measuredUs: nothing, forecastUs: nothing, chance: nothing, standing: Array.from({ length }, () => 'Calm' as const), ...columns };
}

export function point(unix: number, part: Partial<Point> = {}): Point {
  return {
    uid: 'u1', unix, measuredUs: 1, q50Us: 2, q90Us: 3, q99Us: 4, chance: 0.1, thresholdUs: 200_000, firing: false, standing: 'Calm', note: null, signals: [], ...part,
  };
}
