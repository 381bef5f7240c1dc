/** A policy that is tried, before it is sent. */

import type { Rule, Target } from '../api';
import type { Answer, Measure, PolicyRequest, Request, RuleRequest, Statistic } from '../trial';
import { number, span } from './format';
import { ruleName } from './words';

/** What the page holds. */
export interface Draft {
  /** Null: what the dashboard keeps. */
  recording: string | null;
  rule: RuleRequest;
  policy: Omit<PolicyRequest, 'labels'>;
  /** Whether the policy selects pods by the labels that the targets have in common. */
  byLabels: boolean;
}

/** Thresholds that the slider reaches, µs; the field takes others, too. */
const LEAST_US = 100;
const MOST_US = 10_000_000;

/** Places of the slider: a decade has 200. */
export const PLACES = 1_000;
const DECADES = Math.log10(MOST_US / LEAST_US);

/** The most that a rule takes, µs: a quarter of an hour. */
export const MOST_THRESHOLD_US = 900_000_000;

/** Targets of what is kept that one trial plays: `MOST_TARGETS` in `cli/src/dashboard/trial.rs`. */
export const MOST_UIDS = 100;

/** Where a threshold is on the slider, whose scale is that of decades. */
export function place(us: number): number {
  const at = (PLACES * Math.log10(Math.max(us, LEAST_US) / LEAST_US)) / DECADES;
  return Math.round(Math.min(PLACES, at));
}

/** The threshold at a place of the slider, in three digits: as few as leave every place one of its own. */
export function thresholdAt(at: number): number {
  const us = LEAST_US * 10 ** ((DECADES * at) / PLACES);
  return Math.round(Number(us.toPrecision(3)));
}

/** What a rule means by RTT, from the words that the agent has for it: `P90 of the RTT inflation to external peers`. */
export function meaning(words: string): { measure: Measure; statistic: Statistic; peers: string | null } {
  const [, statistic, inflation, peers] = /^(?:(P\d+) of the )?RTT( inflation)?(?: to (.+))?$/.exec(words) ?? [];
  return {
    measure: inflation ? 'Inflation' : 'Rtt',
    statistic: statistic === 'P99' || statistic === 'P90' || statistic === 'P50' ? statistic : 'Max',
    peers: peers ?? null,
  };
}

/** The rules that select targets, each once. */
export function rulesOf(targets: readonly Target[]): Rule[] {
  const found = new Map<string, Rule>();
  for (const { rules } of targets) for (const rule of rules) if (!found.has(ruleName(rule))) found.set(ruleName(rule), rule);
  return [...found.values()];
}

const FRESH: Draft = {
  recording: null,
  rule: { name: 'rtt', thresholdUs: 200_000, confidencePercent: 50, model: 'adaptive', measure: 'Rtt', statistic: 'Max', holdSeconds: 0, keepFiringSeconds: 0 },
  policy: { kind: 'PrecursorPolicy', name: 'tried', namespace: null, mode: 'Active' },
  byLabels: false,
};

/** Kubernetes' bound of a policy's name. */
const LONGEST_NAME = 253;
const SUFFIX = '-tried';

/**
 * A draft to start with: an existing rule as far as it is known here, or a new one. Its policy gets a name of its own: applying
 * it must not replace the policy it came from, of which selector and other rules are not known here.
 */
export function draftOf(rule: Rule | null, models: readonly string[], defaultModel: string): Draft {
  if (!rule) return { ...FRESH, rule: { ...FRESH.rule, model: defaultModel } };
  const { measure, statistic } = meaning(rule.rtt);
  return {
    ...FRESH,
    rule: {
      ...FRESH.rule, name: rule.rule, thresholdUs: rule.thresholdUs, measure, statistic,
      confidencePercent: FRESH.rule.confidencePercent,
      model: models.includes(rule.model.name) ? rule.model.name : defaultModel,
    },
    policy: { ...FRESH.policy, kind: rule.policyKind, name: rule.policy.slice(0, LONGEST_NAME - SUFFIX.length) + SUFFIX, namespace: rule.policyNamespace ?? null },
  };
}

/** Labels that all of these targets have. */
export function commonLabels(targets: readonly Target[]): Record<string, string> {
  const [first, ...rest] = targets;
  const pairs = Object.entries(first?.labels ?? {}).filter(([key, value]) => rest.every(({ labels }) => labels[key] === value));
  return Object.fromEntries(pairs);
}

/** What is sent; `uids` null for all targets. */
export function requestOf(draft: Draft, page: string, uids: string[] | null, labels: Record<string, string>): Request {
  const { recording, rule, policy, byLabels } = draft;
  return {
    page, recording, rule,
    uids: recording == null ? (uids?.slice(0, MOST_UIDS) ?? null) : null,
    policy: { ...policy, namespace: policy.kind === 'PrecursorPolicy' ? policy.namespace || null : null, labels: byLabels ? labels : {} },
  };
}

const DAY = 86_400;

/** What the figures rest on. */
export function reach({ targets, seconds, figures: { targetSeconds } }: Answer): string {
  if (!targets) return 'Nothing was played.';
  const over = `Over ${span(seconds)} of ${targets === 1 ? 'one target' : `${number(targets, 0)} targets`}`;
  if (targetSeconds >= DAY) return `${over}: ${number(targetSeconds / DAY, 1)} target-days.`;
  return `${over}. False alarms per day are extrapolated from that: one false alarm here counts as ${number(DAY / Math.max(1, targetSeconds), 1)} per target-day.`;
}

/** Seconds of a recording without a clock: 1:02:03. */
export function elapsed(seconds: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), (seconds % 3600) / 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${Math.floor(minutes)}:${two(seconds % 60)}`;
}
