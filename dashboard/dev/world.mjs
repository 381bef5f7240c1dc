// @ts-check
/**
 * An imagined node for development and tests of the page: every value is a pure function of target and second, so that any
 * moment can be asked for and each run shows the same. Surges come every few minutes; what is queued moves before RTT does.
 */

import { readFileSync } from 'node:fs';

/** @import { Alert, Latest, ModelCard, NodeView, Point, PolicyView, Score, SignalMeta, Standing, StreamView, Target, Trend } from '../src/api' */

const SOURCE = readFileSync(new URL('../../core/src/signal.rs', import.meta.url), 'utf8');

/** The signals as the table in core has them. @type {SignalMeta[]} */
export const SIGNALS = [...SOURCE.matchAll(/\/\/\/ (.+)\n    \w+, "(\w+)", "([^"]+)", \w+;/g)].map(([, doc = '', name = '', unit = '']) => ({ name, unit, doc }));

export const HOSTILE = '<img src=x onerror="document.title=\'owned\'"><script>document.title=\'owned\'</script>';
export const LONG = `a-name-of-253-characters-${'x'.repeat(228)}`;
export const THRESHOLD_US = 200_000;
const NEEDED = 0.5;
const PERIOD = 270;
const SURGE = 40;

/** Noise between 0 and 1. @param {number} a @param {number} b */
function noise(a, b) {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b ^ 0x7f4a7c15, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 4294967296;
}

/** How far into a surge a target is, 0 to 1; every third target has them. @param {number} i @param {number} t */
function load(i, t) {
  if (i % 3 !== 0) return 0;
  const at = (t + i * 37) % PERIOD;
  return at < SURGE ? Math.sin((Math.PI * at) / SURGE) ** 1.5 : 0;
}

/** @param {number} i @param {number} t */
export function measured(i, t) {
  if (i % 41 === 7 && t % 3 !== 0) return null;
  const base = 14_000 + 9_000 * noise(i, 1);
  const jitter = 1 + 0.35 * noise(i, t) ** 3;
  return Math.round(base * jitter + 265_000 * load(i, t) * (0.9 + 0.2 * noise(i + 7, t)));
}

/** @param {number} i @param {number} t @returns {[number, number, number] | null} */
export function quantiles(i, t) {
  if (i % 53 === 11) return null;
  const ahead = Math.max(...[-3, -2, -1, 0, 3, 6].map((s) => measured(i, t + s) ?? 0));
  const q50 = ahead * (0.92 + 0.16 * noise(i + 3, t));
  return [Math.round(q50), Math.round(q50 * 1.22 + 3_000), Math.round(q50 * 1.6 + 12_000)];
}

/** @param {number} i @param {number} t */
function chance(i, t) {
  const forecast = quantiles(i, t);
  return forecast && 1 / (1 + Math.exp(-7 * (forecast[0] / THRESHOLD_US - 0.92)));
}

/** @param {number} i @param {number} t */
function firing(i, t) {
  for (let s = 0; s < 10; s += 1) if ((chance(i, t - s) ?? 0) > NEEDED) return true;
  return false;
}

/** @param {number} i @param {number} t @returns {Standing} */
function standing(i, t) {
  if (quantiles(i, t) == null) return 'Waiting';
  const breached = (measured(i, t) ?? 0) > THRESHOLD_US;
  if (breached) return 'Trouble';
  if (firing(i, t)) return (chance(i, t) ?? 0) > NEEDED ? 'Warning' : 'Recovering';
  return (chance(i, t) ?? 0) > 0.4 ? 'Pending' : 'Calm';
}

/** @param {number} i @param {number} t @returns {(number | null)[]} */
export function signals(i, t) {
  const rtt = measured(i, t) ?? null;
  /** @type {Record<string, number>} */
  const shifted = {
    established: 20 + Math.round(60 * load(i, t + 11)) + Math.round(2 * noise(i, t + 5)),
    opens: Math.round(6 * noise(i, t + 9) + 45 * load(i, t + 10)),
    qdisc_backlog_bytes: Math.round(240_000 * load(i, t + 6)),
    standing_queue_bytes: Math.round(9_000 + 3_000 * noise(i, t) + 180_000 * load(i, t + 3)),
    run_queue_p99_us: Math.round(300 + 200 * noise(i, t + 3) + 9_000 * load(i, t + 6)),
    retransmits: Math.round(14 * load(i, t - 4)),
    tx_bytes: Math.round(4e6 + 6e5 * noise(i, t + 4) + 9e6 * load(i, t + 9)),
    rx_bytes: Math.round(2e5 + 3e4 * noise(i, t + 8) + 3e5 * load(i, t + 9)),
    pressure_cpu_ratio: 0.04 + 0.02 * noise(1, t),
    delivery_rate_bytes_per_second: Math.round(1.2e6 + 2e5 * noise(i, t + 6) - 8e5 * load(i, t + 1)),
    rtt_count: Math.round(30 + 12 * noise(i, t + 2)),
  };
  return SIGNALS.map(({ name }) => {
    if (name in shifted) return shifted[name] ?? null;
    if (name.startsWith('rtt_') && name.endsWith('_us')) return rtt == null ? null : Math.round(rtt * (0.5 + 0.5 * noise(i, name.length)));
    return name.endsWith('_us') ? null : 0;
  });
}

/** @param {number} i @param {number} t @returns {Point} */
export function point(i, t) {
  const [q50Us = null, q90Us = null, q99Us = null] = quantiles(i, t) ?? [];
  return {
    uid: `uid-${i}`, unix: t, measuredUs: measured(i, t), q50Us, q90Us, q99Us, chance: chance(i, t), thresholdUs: THRESHOLD_US,
    firing: firing(i, t), standing: standing(i, t), note: q50Us == null ? 'warming up: 24 of 60 s, 3 of 10 seconds with RTT' : null,
    signals: signals(i, t),
  };
}

const WORKLOADS = ['checkout', 'cart', 'payments', 'search', 'catalogue', 'gateway'];
const RULE = /** @type {const} */ ({ policyKind: 'PrecursorPolicy', policyNamespace: 'shop', policy: 'checkout', rule: 'rtt' });
const MODEL = { name: 'adaptive' };

/** With two names that a page has to bear, unless they are `plain`. @param {number} count @param {boolean} cluster @param {boolean} plain @returns {Target[]} */
export function targets(count, cluster, plain = false) {
  return Array.from({ length: count }, (_, i) => {
    const workload = WORKLOADS[i % WORKLOADS.length] ?? '';
    const name = i === 4 && !plain ? HOSTILE : i === 5 && !plain ? LONG : cluster ? `shop/${workload}-7d9f4-${i}` : `web${i}`;
    return {
      uid: `uid-${i}`, name, namespace: cluster ? 'shop' : null, workload: cluster ? workload : null,
      node: cluster ? `node${i % 5}` : null, aliases: [], labels: { app: workload },
      rules: [{ ...RULE, rtt: 'RTT', thresholdUs: THRESHOLD_US, needed: NEEDED, model: MODEL }],
    };
  });
}

/** @param {number} count @param {number} t @returns {Latest} */
export function latest(count, t) {
  const all = Array.from({ length: count }, (_, i) => i);
  return {
    measuredUs: all.map((i) => measured(i, t)), forecastUs: all.map((i) => quantiles(i, t)?.[0] ?? null),
    chance: all.map((i) => chance(i, t)), standing: all.map((i) => standing(i, t)),
  };
}

/** @param {Target[]} roster @param {number} t @returns {Alert[]} */
export function alerts(roster, t) {
  /** @type {Alert[]} */
  const found = [];
  for (let i = 0; i < Math.min(roster.length, 110); i += 3) {
    const target = roster[i];
    if (!target) continue;
    for (let back = 0; back < 12; back += 1) {
      const began = t - ((t + i * 37) % PERIOD) - back * PERIOD;
      let fired = began;
      while (fired < began + SURGE && (chance(i, fired) ?? 0) <= NEEDED) fired += 1;
      if (fired >= began + SURGE || fired > t) continue;
      const breach = Array.from({ length: 14 }, (_, s) => fired + s).find((s) => (measured(i, s) ?? 0) > THRESHOLD_US);
      const over = fired + 34;
      const isOver = over <= t;
      const kind = noise(i, back);
      const judged = fired + 10 <= t;
      const confirmed = !judged ? 'Unknown' : kind < 0.2 ? 'False' : breach ? 'True' : 'False';
      found.push({
        ...RULE, name: `checkout-${i.toString(16)}${back}`, target: target.name, targetUid: target.uid, severity: 'Warning',
        state: isOver ? 'Resolved' : 'Firing', trigger: kind > 0.92 ? 'Measured' : 'Forecast', rtt: 'RTT', thresholdUs: THRESHOLD_US, resolveUs: 160_000,
        predictedUs: 231_000 + 40_000 * kind, chance: 0.55 + 0.4 * kind, measuredUs: confirmed === 'True' ? 244_000 : 120_000,
        leadSeconds: confirmed === 'True' && breach ? breach - fired : null, confirmed, judgedUnix: judged ? fired + 10 : null,
        count: 1 + back, firedUnix: fired, resolvedUnix: isOver ? over : null, resolution: isOver ? 'Recovered' : null,
        causes: [
          { group: 'Queue', feature: 'qdisc_backlog_bytes', unit: 'bytes', value: 182_000, baseline: 900, sharePercent: 61 },
          { group: 'Rates', feature: 'tx_bytes', unit: 'bytes', value: 11_400_000, baseline: 4_200_000, sharePercent: 27 },
          { group: 'Connections', feature: 'opens', unit: '1', value: 41, baseline: 5, sharePercent: 12 },
        ],
        model: kind < 0.1 ? { name: 'damped-holt', fallback: 'model rtt-lstm was refused: got schema 3, expected 4' } : MODEL,
      });
    }
  }
  return found.sort((a, b) => b.firedUnix - a.firedUnix);
}

/** @returns {Score[]} */
export function scores() {
  const experts = ['persistence', 'max-of-10', 'damped-holt', 'rtt-xgboost', 'quantiles-of-the-hour', 'recurrence', 'regression'];
  return [
    {
      ...RULE, model: MODEL, neededPercent: 50, reachablePercent: 96, precisionPercent: 78, recallPercent: 87, leadMedianSeconds: 6,
      coverage: [0.51, 0.9, 0.985], skillPercent: [18, 24, 31], bestRule: ['max-of-10', 'damped-holt', 'max-of-10'], skillSeconds: 3210,
      leadingExpert: 'regression',
      reliability: Array.from({ length: 10 }, (_, b) => {
        const forecasts = b === 0 ? 60_000 : Math.round(900 / b);
        const share = Math.min(1, (b + 0.5) / 10 + 0.04 * (noise(b, 3) - 0.5));
        return { forecasts, cameTrue: Math.round(forecasts * share), sum: forecasts * ((b + 0.5) / 10) };
      }),
      experts: experts.map((name, e) => ({ name, weights: [0.05 + 0.1 * noise(e, 1), 0.05 + 0.1 * noise(e, 2), e === 6 ? 0.4 : 0.1], skillPercent: [e * 3 - 6, e * 4 - 8, e * 5 - 12], correctedSkillPercent: e === 6 ? [null, null, null] : [e * 3 - 4, e * 4 - 5, e * 5 - 9] })),
      sources: { here: 0.62, elsewhere: 0.3, lab: 0.08 },
      scorecard: { alerts: 41, confirmed: 28, late: 3, unconfirmed: 8, unjudged: 2, incidents: 36, warned: 28, missed: 4, ongoing: 3, gated: 1, leadSeconds: [1, 0, 2, 3, 4, 5, 6, 4, 2, 1, 0], targetSeconds: 396_000 },
    },
    {
      policyKind: 'ClusterPrecursorPolicy', policy: 'everything', rule: 'inflation-external', model: { name: 'damped-holt', fallback: 'model rtt-lstm was refused: got schema 3, expected 4' },
      neededPercent: 62.2, reachablePercent: 41, precisionPercent: null, recallPercent: null, leadMedianSeconds: null, coverage: null,
      reliability: Array.from({ length: 10 }, () => ({ forecasts: 0, cameTrue: 0, sum: 0 })),
      scorecard: { alerts: 0, confirmed: 0, late: 0, unconfirmed: 0, unjudged: 0, incidents: 0, warned: 0, missed: 0, ongoing: 0, gated: 0, leadSeconds: [], targetSeconds: 800 },
    },
  ];
}

/** Three hours of samples of the first rule, one of the second. @param {number} t @returns {Trend[]} */
export function trends(t) {
  return scores().map(({ policyKind, policyNamespace, policy, rule, precisionPercent, recallPercent, neededPercent, reachablePercent }, r) => {
    const minutes = r === 0 ? 180 : 1;
    const start = (Math.floor(t / 60) - minutes + 1) * 60;
    const drift = (/** @type {number | null} */ last, /** @type {number} */ seed) =>
      Array.from({ length: minutes }, (_, m) => (last == null ? null : Math.max(0, Math.min(100, Math.round(last - (minutes - 1 - m) * 0.12 * (seed % 2 ? 1 : -0.4) + 3 * (noise(seed, Math.floor(m / 9)) - 0.5))))));
    return {
      policyKind, policy, rule, ...(policyNamespace && { policyNamespace }), start, step: 60, precisionPercent: drift(precisionPercent, 1),
      recallPercent: drift(recallPercent, 3), neededPercent: drift(neededPercent, 2), reachablePercent: drift(reachablePercent, 4),
    };
  });
}

/** The node of a cluster that is not heard. */
export const SILENT = 'node3';

/** What is streamed: a cluster's first nodes, of which one is not heard. @param {number} t @returns {StreamView[]} */
export function streams(t) {
  return [0, 1, 2, 3, 4].map((n) => ({
    node: `node${n}`, state: `node${n}` === SILENT ? 'Stale' : 'Live', since: t - 60, reason: `node${n}` === SILENT ? 'cannot connect to the agent on node3: error forwarding port 9470: connection refused' : null,
    lostTicks: n === 1 ? 2 : 0, targets: n === 3 ? 0 : 22,
  }));
}

/** One host, or a cluster whose nodes have one of each trouble. @param {number} t @param {boolean} cluster @returns {NodeView[]} */
export function nodes(t, cluster) {
  /** @param {number} n @param {Partial<NodeView>} [part] @returns {NodeView} */
  const node = (n, part) => ({
    name: cluster ? `node${n}` : 'http://127.0.0.1:9470', standing: 'Ready', problems: [], remarks: ['sensor sched is unavailable: tracefs is not mounted; see *Sensors* in docs/troubleshooting.md'],
    heartbeatAgeSeconds: cluster ? (t + 41 * n) % 300 : null, agentVersion: '0.1.0', kernel: '6.18.4', rttSource: 'Measured', coveragePercent: 97 - n, targets: 22, firing: n % 2, pending: 0,
    cpu: cluster ? '4m' : null, memory: cluster ? '31Mi' : null, losses: [],
    sensors: [
      { name: 'tcp', need: 'Required', state: 'Active', reason: null, limits: null },
      { name: 'traffic', need: 'Required', state: 'Active', reason: null, limits: null },
      { name: 'sched', need: 'Optional', state: 'Unavailable', reason: 'tracefs is not mounted', limits: null },
      { name: 'pressure', need: 'Required', state: 'Active', reason: null, limits: 'the pressure of single pods is not read on cgroup v1' },
    ],
    conditions: cluster ? [{ type: 'Ready', status: 'True', reason: 'SensorsWork', message: 'all required sensors work' }] : [],
    stream: cluster ? (streams(t)[n] ?? null) : { node: 'http://127.0.0.1:9470', state: 'Live', since: t - 60, reason: null, lostTicks: 0, targets: 110 }, ...part,
  });
  if (!cluster) return [node(0, { losses: [{ what: 'ticks skipped', count: 4 }] })];
  const missing = 'the agent has not reported: pod netprecursor-agent-node5 is Pending: Insufficient memory; run `kubectl -n netprecursor-system describe pods` and look at the Events';
  return [
    node(5, { standing: 'Missing', problems: [missing], remarks: [], heartbeatAgeSeconds: null, agentVersion: null, kernel: null, rttSource: null, coveragePercent: null, targets: null, pending: null, cpu: null, memory: null, sensors: [], conditions: [] }),
    node(3, { losses: [{ what: 'messages dropped', count: 12 }], problems: ['12 messages were dropped because the queue was full; check that the agent may write to the API server'] }),
    ...[0, 1, 2, 4].map((n) => node(n, n === 0 ? { name: `${HOSTILE}`, remarks: [] } : {})),
  ];
}

/** @param {boolean} cluster @returns {PolicyView[]} */
export function policies(cluster) {
  if (!cluster) return [];
  const { policyKind, policyNamespace, policy } = RULE;
  const rule = { threshold: '200ms', model: 'adaptive', sha256: null, alerts: 41, confirmed: 28, missed: 4, precisionPercent: 78, recallPercent: 87, leadMedian: '6s', neededPercent: 50, reachablePercent: 96, leadingExpert: 'regression' };
  return [
    {
      policyKind, policyNamespace, policy: 'search', mode: 'Shadow', ready: false, reason: 'Invalid', targets: null, firing: null, waiting: null,
      findings: [{ severity: 'Fault', condition: 'Ready', reason: 'Invalid', message: 'rules[0].rttForecast.threshold: got 0s, expected more than 0s', advice: 'correct the policy: the message lists every problem with the expected value' }],
      conditions: [{ type: 'Ready', status: 'False', reason: 'Invalid', message: 'rules[0].rttForecast.threshold: got 0s, expected more than 0s' }],
      rules: [{ ...rule, name: 'rtt', threshold: '0s', alerts: 0, confirmed: 0, missed: 0, precisionPercent: null, recallPercent: null, leadMedian: null, neededPercent: null, reachablePercent: null, leadingExpert: null }],
    },
    {
      policyKind, policyNamespace, policy, mode: 'Active', ready: true, reason: 'Watching', targets: 110, firing: 3, waiting: 0, findings: [],
      conditions: [{ type: 'Ready', status: 'True', reason: 'Watching', message: '110 pods on 5 nodes' }], rules: [{ ...rule, name: 'rtt' }],
    },
  ];
}

/** @returns {ModelCard[]} */
export function models() {
  return [
    { name: 'adaptive', words: 'Learns where it runs: weighs rules of thumb, a trained model and a regression by how well each has forecast here', sha256: null, bytes: null, inputs: 'RTT and the signals of the last hour', horizonSeconds: 10, size: null },
    { name: 'rtt-xgboost', words: 'Trained trees, the same everywhere', sha256: 'a'.repeat(64), bytes: 412_345, inputs: 'features (182 values a row)', horizonSeconds: 10, size: '300 trees' },
    { name: 'damped-holt', words: 'A rule of thumb: nothing to train', sha256: null, bytes: null, inputs: 'RTT and the signals of the last hour', horizonSeconds: 10, size: null },
  ];
}
