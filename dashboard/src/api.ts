/**
 * What the page and its backend say to each other, under /api/v1. The Rust side is `cli/src/dashboard/views.rs`; the
 * stand-in for development (`dev/backend.mjs`) is checked against this file.
 *
 * Times are Unix seconds, round trips µs, chances 0 to 1. What was not measured is null.
 */

/** How the backend stands with what it reads: an agent, or the API server of a cluster. */
export type SourceState = 'Connecting' | 'Live' | 'Stale';

export interface Source {
  state: SourceState;
  /** Where the agent is. */
  url: string;
  /** Since when it is in this state. */
  since: number;
  /** Why the agent is not read; null while it is. */
  reason: string | null;
  agentVersion: string | null;
  kernel: string | null;
  /** Ticks that did not arrive because this backend was too slow for the agent. */
  lostTicks: number;
}

/** Where a target stands. Trouble is now, a warning is ahead of it. */
export type Standing = 'Trouble' | 'Warning' | 'Pending' | 'Recovering' | 'Calm' | 'Waiting' | 'Unselected' | 'Stale';

export interface PolicyIdentity {
  policyKind: 'PrecursorPolicy' | 'ClusterPrecursorPolicy';
  policyNamespace?: string;
  policy: string;
  rule: string;
}

export interface Model {
  name: string;
  sha256?: string;
  fallback?: string;
}

/** A rule that selects a target. */
export interface Rule extends PolicyIdentity {
  /** What it means by RTT, in words. */
  rtt: string;
  thresholdUs: number;
  /** The chance that a warning needs. */
  needed: number | null;
  model: Model;
}

/** Who a target is: changes rarely. */
export interface Target {
  uid: string;
  name: string;
  namespace: string | null;
  workload: string | null;
  node: string | null;
  aliases: string[];
  labels: Record<string, string>;
  rules: Rule[];
}

/** The last second of every target, in the order of the roster. */
export interface Latest {
  measuredUs: (number | null)[];
  /** Median of the highest RTT of the next ten seconds. */
  forecastUs: (number | null)[];
  chance: (number | null)[];
  standing: Standing[];
}

export interface Counts {
  trouble: number;
  warning: number;
  calm: number;
  waiting: number;
}

/** GET /api/v1/overview */
export interface Overview {
  unix: number;
  source: Source;
  counts: Counts;
  /** Which `targets` these are: the stream names it, so that the page asks again when they change. */
  roster: number;
  targets: Target[];
  latest: Latest;
  /** Targets beyond what the history holds. */
  notKept: number;
  /** Null where one agent is read. */
  cluster: ClusterBrief | null;
}

/** Every node of a cluster. */
export interface ClusterBrief {
  nodes: NodeBrief[];
}

export interface NodeBrief {
  name: string;
  targets: number | null;
  firing: number | null;
  /** The state of its agent. */
  standing: string | null;
}

/** What is streamed of a cluster now. */
export interface ClusterStreams {
  /** Streams at once. */
  most: number;
  /** Nodes whose agent could be streamed. */
  able: number;
  streams: StreamView[];
  /** Rights that are missing, and what works without them. */
  notes: string[];
}

/** How an agent is read. */
export interface StreamView {
  node: string;
  state: SourceState;
  since: number;
  reason: string | null;
  lostTicks: number;
  /** Targets that are shown live. */
  targets: number;
}

/** A series of buckets: bucket `i` covers the `step` seconds from `start + i × step`. Each holds its highest value. */
export interface Spark {
  uid: string;
  start: number;
  step: number;
  measuredUs: (number | null)[];
  forecastUs: (number | null)[];
  chance: (number | null)[];
}

/** GET /api/v1/sparks?uid=…&uid=… */
export interface Sparks {
  sparks: Spark[];
}

/** GET /api/v1/target?uid=… : one target and all that is kept of it. */
export interface TargetHistory {
  unix: number;
  target: Target;
  start: number;
  step: number;
  measuredUs: (number | null)[];
  q50Us: (number | null)[];
  q90Us: (number | null)[];
  q99Us: (number | null)[];
  chance: (number | null)[];
  thresholdUs: (number | null)[];
  firing: boolean[];
}

/**
 * GET /api/v1/range?uid=…[&from=…][&until=…][&step=…] : points of a target from what is kept on disk, or by a Prometheus. Point
 * `i` covers the `step` seconds from `start + i × step`, and holds the highest of them.
 */
export interface RangeAnswer {
  uid: string;
  /** Null where it is not known who that was. */
  target: Target | null;
  from: 'Store' | 'Prometheus';
  start: number;
  step: number;
  measuredUs: (number | null)[];
  q50Us: (number | null)[];
  q90Us: (number | null)[];
  q99Us: (number | null)[];
  chance: (number | null)[];
  thresholdUs: (number | null)[];
  firing: boolean[];
  /** `from` of what did not fit; null at the end. */
  next: number | null;
}

/** What is kept beyond the last hour, and how that is doing. */
export interface History {
  state: 'Good' | 'Failing' | 'Damaged';
  from: 'Store' | 'Prometheus';
  /** The file, or the address. */
  place: string;
  /** Since when it is in this state. */
  since: number;
  /** Why it is not good. */
  reason: string | null;
  /** On disk, and at most; null where it is kept elsewhere. */
  bytes: number | null;
  limit: number | null;
  /** The oldest second that is kept. */
  oldest: number | null;
  /** Seconds of targets, and alerts, that had to go to make room. */
  evictedSeconds: number;
  evictedAlerts: number;
  /** Behind the last second of which something had to go. */
  evictedUntil: number | null;
  /** Seconds of targets that were lost before they could be written. */
  lost: number;
}

/** GET /api/v1/signals?uid=…&until=…&seconds=… : seconds of step 1, oldest first, by signal in the order of `about`. */
export interface SignalHistory {
  uid: string;
  start: number;
  signals: (number | null)[][];
  /** The oldest second that is kept of any target. */
  oldest: number | null;
}

export interface SignalMeta {
  name: string;
  unit: string;
  doc: string;
}

/** GET /api/v1/about */
export interface About {
  version: string;
  /** Seconds that a forecast looks ahead. */
  horizonSeconds: number;
  signals: SignalMeta[];
}

export interface Cause {
  group: string;
  feature: string;
  unit: string;
  value: number | null;
  baseline: number | null;
  sharePercent: number;
}

export type Confirmed = 'True' | 'False' | 'Unknown';

/** An alert as the agent publishes it. */
export interface Alert extends PolicyIdentity {
  name: string;
  target: string;
  targetUid: string;
  severity: 'Info' | 'Warning' | 'Critical';
  state: 'Firing' | 'Resolved';
  trigger: 'Forecast' | 'Measured';
  rtt: string;
  thresholdUs: number;
  resolveUs: number;
  predictedUs: number | null;
  chance: number | null;
  measuredUs: number | null;
  leadSeconds: number | null;
  confirmed: Confirmed;
  judgedUnix: number | null;
  count: number;
  firedUnix: number;
  resolvedUnix: number | null;
  resolution: string | null;
  causes: Cause[];
  model: Model;
}

/** GET /api/v1/alerts[?from=…][&until=…][&after=…][&limit=…] : newest first; with parameters from what is kept on disk. */
export interface Alerts {
  version: number;
  alerts: Alert[];
  /** Alerts that were forgotten to make room. */
  forgotten: number;
  /** `after` of older ones; null where there are none. */
  next: string | null;
}

export interface Bin {
  forecasts: number;
  cameTrue: number;
  sum: number;
}

export interface Expert {
  name: string;
  weights: [number, number, number];
  skillPercent: [number | null, number | null, number | null];
  correctedSkillPercent: [number | null, number | null, number | null];
}

export interface Scorecard {
  alerts: number;
  confirmed: number;
  late: number;
  unconfirmed: number;
  unjudged: number;
  incidents: number;
  warned: number;
  missed: number;
  ongoing: number;
  gated: number;
  leadSeconds: number[];
  targetSeconds: number;
}

/** A rule's score, as the agent publishes it. */
export interface Score extends PolicyIdentity {
  /** Where, in a cluster. */
  node?: string;
  model: Model;
  neededPercent: number;
  reachablePercent: number;
  precisionPercent: number | null;
  recallPercent: number | null;
  leadMedianSeconds: number | null;
  coverage: [number, number, number] | null;
  reliability: Bin[];
  skillPercent?: [number | null, number | null, number | null];
  bestRule?: [string | null, string | null, string | null];
  skillSeconds?: number;
  leadingExpert?: string;
  experts?: Expert[];
  sources?: Record<string, number>;
  scorecard: Scorecard;
}

/** GET /api/v1/policies */
export interface Policies {
  /** Of a cluster. */
  policies: PolicyView[];
  scores: Score[];
  trends: Trend[];
}

/** What a rule's scores were: a sample every `step` seconds from `start` on, in percent. */
export interface Trend extends PolicyIdentity {
  /** Where, in a cluster. */
  node?: string;
  start: number;
  step: number;
  precisionPercent: (number | null)[];
  recallPercent: (number | null)[];
  neededPercent: (number | null)[];
  reachablePercent: (number | null)[];
}

/** What an event of GET /api/v1/live?view=overview|target|alerts|policies|nodes[&uid=…][&node=…] holds; one comes each second. */
export interface Live {
  unix: number;
  source: Source;
  counts: Counts;
  roster: number;
  /** Changes whenever an alert does. */
  alerts: number;
  /** What is kept beyond the last hour, the one that charts are drawn from first; empty where nothing is. */
  history: History[];
  /** With view=overview. */
  latest?: Latest;
  /** With view=target; null once the target is gone. */
  point?: Point | null;
  /** Of a cluster. */
  cluster?: ClusterStreams;
}

/** The last second of one target. */
export interface Point {
  uid: string;
  unix: number;
  measuredUs: number | null;
  q50Us: number | null;
  q90Us: number | null;
  q99Us: number | null;
  chance: number | null;
  thresholdUs: number | null;
  firing: boolean;
  standing: Standing;
  /** Why nothing is forecast, in words. */
  note: string | null;
  /** In the order of `about`. */
  signals: (number | null)[];
}

/** Something that is wrong, and what to do. */
export interface Finding {
  severity: 'Fault' | 'Warning' | 'Remark';
  condition: string;
  reason: string;
  message: string;
  advice: string;
}

export interface ConditionView {
  type: string;
  status: string;
  reason: string;
  message: string;
}

/** A policy of a cluster with what is wrong with it. */
export interface PolicyView {
  policyKind: PolicyIdentity['policyKind'];
  policyNamespace?: string;
  policy: string;
  mode: string;
  ready: boolean;
  /** Why it is ready or not, in one word. */
  reason: string;
  /** Pods that it selects, on all nodes. */
  targets: number | null;
  firing: number | null;
  /** Alerts whose object is behind. */
  waiting: number | null;
  findings: Finding[];
  conditions: ConditionView[];
  rules: PolicyRule[];
}

/** A rule, and how it did on all nodes in the last 24 hours. */
export interface PolicyRule {
  name: string;
  threshold: string | null;
  /** The model that it names, and the digest that this has to have. */
  model: string;
  sha256: string | null;
  alerts: number;
  confirmed: number;
  missed: number;
  precisionPercent: number | null;
  recallPercent: number | null;
  leadMedian: string | null;
  neededPercent: number | null;
  reachablePercent: number | null;
  leadingExpert: string | null;
}

/** GET /api/v1/nodes : what is worst first. */
export interface Nodes {
  nodes: NodeView[];
  problems: string[];
  remarks: string[];
  /** What could not be found out. */
  notes: string[];
}

/** A node and its agent; what is not known is null. */
export interface NodeView {
  name: string;
  standing: string | null;
  problems: string[];
  remarks: string[];
  heartbeatAgeSeconds: number | null;
  agentVersion: string | null;
  kernel: string | null;
  rttSource: string | null;
  coveragePercent: number | null;
  targets: number | null;
  firing: number | null;
  /** Messages that wait to be published. */
  pending: number | null;
  cpu: string | null;
  memory: string | null;
  losses: Loss[];
  sensors: SensorView[];
  conditions: ConditionView[];
  /** Null where this dashboard does not read its agent. */
  stream: StreamView | null;
}

/** Something of which there should be none. */
export interface Loss {
  what: string;
  count: number;
}

export interface SensorView {
  name: string;
  need: 'Required' | 'Optional';
  state: 'Active' | 'Degraded' | 'Unavailable';
  reason: string | null;
  limits: string | null;
}

/** GET /api/v1/models : those that come with the release. */
export interface Models {
  models: ModelCard[];
}

export interface ModelCard {
  name: string;
  words: string;
  sha256: string | null;
  bytes: number | null;
  inputs: string;
  horizonSeconds: number;
  size: string | null;
}

/** The body of every answer that is not 200. */
export interface Refusal {
  error: string;
}
