/**
 * What the page and its backend say to each other when a policy is tried: GET and POST /api/v1/try. The Rust side is
 * `cli/src/dashboard/trial/{asked,answer,lines}.rs`.
 *
 * Times are those of the axis: Unix seconds, or seconds of a recording that has no clock. Round trips are µs.
 */

export type Measure = 'Rtt' | 'Inflation';
export type Statistic = 'Max' | 'P99' | 'P90' | 'P50';

export interface RecordingChoice {
  name: string;
  bytes: number;
}

/** GET */
export interface Choices {
  models: string[];
  defaultModel: string;
  /** Null without --recordings. */
  recordings: RecordingChoice[] | null;
  moreRecordings: number;
  /** Seconds of all targets together that one trial plays at most. */
  mostTargetSeconds: number;
}

export interface RuleRequest {
  name: string;
  thresholdUs: number;
  confidencePercent: number;
  model: string;
  measure: Measure;
  statistic: Statistic;
  holdSeconds: number;
  keepFiringSeconds: number;
}

export interface PolicyRequest {
  kind: 'PrecursorPolicy' | 'ClusterPrecursorPolicy';
  name: string;
  namespace: string | null;
  mode: 'Active' | 'Shadow';
  /** Of the pods that it selects; none for all. */
  labels: Record<string, string>;
}

/** POST */
export interface Request {
  /** A name of this page: its next request ends the one before. */
  page: string;
  /** Null: what the dashboard keeps. */
  recording: string | null;
  /** Null: all targets. */
  uids: string[] | null;
  rule: RuleRequest;
  policy: PolicyRequest;
}

export interface Figures {
  alerts: number;
  confirmed: number;
  /** Alerts without an incident. */
  unconfirmed: number;
  late: number;
  unjudged: number;
  incidents: number;
  warned: number;
  missed: number;
  ongoing: number;
  gated: number;
  targetSeconds: number;
  precision: number | null;
  recall: number | null;
  leadMedianSeconds: number | null;
  /** Extrapolated from the seconds that were played. */
  falseAlarmsPerTargetDay: number | null;
}

export interface AtConfidence {
  confidencePercent: number;
  figures: Figures;
}

export interface AtThreshold {
  thresholdUs: number;
  figures: Figures;
}

/** `count` steps of `step` seconds from `start` on. */
export interface Axis {
  isUnix: boolean;
  start: number;
  step: number;
  count: number;
}

export interface TargetLine {
  uid: string;
  name: string;
  seconds: number;
  alerts: number;
  falseAlarms: number;
  incidents: number;
  missed: number;
  /** The highest of each step; empty for a target without a line. */
  measuredUs: (number | null)[];
  chance: (number | null)[];
}

export type Outcome = 'Open' | 'Confirmed' | 'Late' | 'False' | 'Unjudged';

export interface AlertMark {
  /** Position of the target. */
  target: number;
  fired: number;
  resolved: number | null;
  trigger: 'Forecast' | 'Measured';
  chance: number | null;
  outcome: Outcome;
  leadSeconds: number | null;
}

export interface IncidentMark {
  target: number;
  start: number;
  last: number;
  warned: 'InTime' | 'Missed' | 'Ongoing' | 'Gated';
}

export interface Lines {
  axis: Axis;
  /** Those with the most alerts and incidents first. */
  targets: TargetLine[];
  alerts: AlertMark[];
  incidents: IncidentMark[];
  /** What had no room. */
  moreTargets: number;
  moreMarks: number;
}

/** What came of a trial. */
export interface Answer {
  targets: number;
  /** Of the target that has the most. */
  seconds: number;
  /** What of the source was not played. */
  cut: string | null;
  /** Why figures are not to be had yet. */
  missing: string | null;
  figures: Figures;
  /** Lowest first. */
  confidences: AtConfidence[];
  thresholds: AtThreshold[];
  lines: Lines;
  /** The policy, whose only rule is the one that was tried. */
  yaml: string;
}
