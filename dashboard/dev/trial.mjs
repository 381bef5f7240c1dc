// @ts-check
/**
 * Trials of policies over the imagined node: plausible, and far simpler than the agent's fold, which `netprecursor dashboard`
 * runs. No part of the product.
 */

import * as world from './world.mjs';

/** @import { Target } from '../src/api' */
/** @import { AlertMark, Answer, Choices, Figures, IncidentMark, Outcome, Request } from '../src/trial' */

const SECONDS = 2580;
/** Targets that are imagined for a trial: each takes this one thread a while. */
const MOST = 40;
const HORIZON = 10;
const CONFIDENCES = [10, 20, 30, 40, 50, 60, 70, 80, 90];
const LINES = 24;
const MODELS = ['adaptive', 'rtt-xgboost', 'rtt-lstm', 'rtt-transformer', 'last', 'max-10', 'max-30', 'quantile-60', 'ewma', 'damped-holt'];

/** @returns {Choices} */
export function choices() {
  return { models: MODELS, defaultModel: 'adaptive', recordings: [{ name: 'friday-evening', bytes: 1_400_000 }, { name: 'load-test', bytes: 400_000 }], moreRecordings: 0, mostTargetSeconds: 100_000 };
}

/** Seconds of a target: what is measured, and what is forecast of the ten that follow. @param {number} i @param {number} start @param {number} seconds */
function play(i, start, seconds) {
  return Array.from({ length: seconds }, (_, s) => ({ measuredUs: world.measured(i, start + s), q50Us: world.quantiles(i, start + s)?.[0] ?? null }));
}

/** @param {number | null} q50Us @param {number} thresholdUs */
const chanceOf = (q50Us, thresholdUs) => (q50Us == null ? null : 1 / (1 + Math.exp(-7 * (q50Us / thresholdUs - 0.92))));

/**
 * @param {ReturnType<typeof play>} played @param {number} start @param {number} thresholdUs @param {number} confidence
 * @returns {{alerts: Omit<AlertMark, 'target'>[], incidents: Omit<IncidentMark, 'target'>[]}}
 */
function fold(played, start, thresholdUs, confidence) {
  /** @type {Omit<AlertMark, 'target'>[]} */
  const alerts = [];
  /** @type {Omit<IncidentMark, 'target'>[]} */
  const incidents = [];
  let isOut = false;
  played.forEach(({ measuredUs, q50Us }, s) => {
    if (s < 60) return;
    const t = start + s;
    const chance = chanceOf(q50Us, thresholdUs) ?? 0;
    const isBreach = (measuredUs ?? 0) > thresholdUs;
    const [alert, incident] = [alerts.at(-1), incidents.at(-1)];
    if (isBreach && incident && t - incident.last <= HORIZON) incident.last = t;
    else if (isBreach) {
      const inTime = isOut && alert?.outcome === 'Open' && t - alert.fired <= HORIZON;
      if (inTime && alert) Object.assign(alert, { outcome: /** @type {Outcome} */ ('Confirmed'), leadSeconds: t - alert.fired });
      incidents.push({ start: t, last: t, warned: inTime ? 'InTime' : isOut ? 'Ongoing' : 'Missed' });
    }
    if (alert?.outcome === 'Open' && t - alert.fired >= HORIZON) alert.outcome = 'False';
    if (!isOut && (isBreach || chance > confidence / 100)) {
      isOut = true;
      alerts.push({ fired: t, resolved: null, trigger: isBreach ? 'Measured' : 'Forecast', chance, outcome: isBreach ? 'Late' : 'Open', leadSeconds: null });
    } else if (isOut && alert && chance < confidence / 200 && (measuredUs ?? 0) < 0.8 * thresholdUs) {
      isOut = false;
      alert.resolved = t;
    }
  });
  return { alerts, incidents };
}

/** @param {ReturnType<typeof fold>[]} folds @param {number} seconds @returns {Figures} */
function figures(folds, seconds) {
  const [alerts, incidents] = [folds.flatMap((each) => each.alerts), folds.flatMap((each) => each.incidents)];
  const of = (/** @type {Outcome} */ outcome) => alerts.filter((alert) => alert.outcome === outcome).length;
  const warnedAs = (/** @type {IncidentMark['warned']} */ warned) => incidents.filter((incident) => incident.warned === warned).length;
  const [confirmed, unconfirmed, warned, missed] = [of('Confirmed'), of('False'), warnedAs('InTime'), warnedAs('Missed')];
  const leads = alerts.flatMap(({ leadSeconds }) => leadSeconds ?? []).sort((a, b) => a - b);
  const targetSeconds = folds.length * seconds;
  return {
    alerts: alerts.length, confirmed, unconfirmed, late: of('Late'), unjudged: 0, incidents: incidents.length, warned, missed, ongoing: warnedAs('Ongoing'), gated: 0,
    targetSeconds, precision: confirmed + unconfirmed ? confirmed / (confirmed + unconfirmed) : null, recall: warned + missed ? warned / (warned + missed) : null,
    leadMedianSeconds: leads[Math.floor((leads.length - 1) / 2)] ?? null, falseAlarmsPerTargetDay: targetSeconds ? (86_400 * unconfirmed) / targetSeconds : null,
  };
}

/** @param {Request} request @returns {string} */
function yaml({ rule, policy: { kind, name, namespace, mode, labels } }) {
  const [ms, us] = [Math.floor(rule.thresholdUs / 1000), rule.thresholdUs % 1000];
  const pairs = Object.entries(labels).map(([key, value]) => `\n        ${key}: ${value}`).join('');
  return [
    'apiVersion: netprecursor.io/v1alpha1', `kind: ${kind}`, 'metadata:', `  name: ${name}`, ...(namespace ? [`  namespace: ${namespace}`] : []),
    'spec:', `  mode: ${mode}`, '  target:', `    podSelector:${pairs ? `\n      matchLabels:${pairs}` : ' {}'}`,
    '  rules:', `  - name: ${rule.name}`, '    signal: RttForecast', '    rttForecast:', `      threshold: ${ms ? `${ms}ms` : ''}${us || !ms ? `${us}us` : ''}`,
    ...(rule.holdSeconds ? [`    holdFor: ${rule.holdSeconds}s`] : []), '    severity: Warning', '    alertPer: Workload', '    model:', `      builtin: ${rule.model}`,
    `    minConfidencePercent: ${rule.confidencePercent}`, '',
  ].join('\n');
}

/** @param {Request} request @param {Target[]} roster @param {number} now @returns {Answer} */
export function attempt(request, roster, now) {
  const { rule, recording, uids } = request;
  const seconds = recording === 'load-test' ? 300 : SECONDS;
  const [start, step] = [now - seconds + 1, Math.ceil(seconds / 720)];
  const chosen = roster.map((target, i) => ({ target, i })).filter(({ target }) => !uids || uids.includes(target.uid));
  const all = chosen.slice(0, MOST).map(({ target, i }) => ({ target, played: play(i, start, seconds) }));
  const at = (/** @type {number} */ thresholdUs, /** @type {number} */ confidence) => all.map(({ played }) => fold(played, start, thresholdUs, confidence));
  const own = at(rule.thresholdUs, rule.confidencePercent);
  const order = all.map(({ target, played }, k) => ({ target, played, fold: own[k] ?? { alerts: [], incidents: [] } }));
  order.sort((a, b) => b.fold.alerts.length + b.fold.incidents.length - a.fold.alerts.length - a.fold.incidents.length || a.target.name.localeCompare(b.target.name));
  const count = Math.ceil(seconds / step);
  // A recording without a clock counts from its first second.
  const shift = recording ? start : 0;
  const column = (/** @type {(number | null)[]} */ each) =>
    Array.from({ length: count }, (_, s) => {
      const values = each.slice(s * step, (s + 1) * step).filter((value) => value != null);
      return values.length ? Math.max(...values) : null;
    });
  const percents = [...new Set([...CONFIDENCES, rule.confidencePercent])].sort((a, b) => a - b);
  const thresholds = [0.5, 0.7, 1, 1.4, 2].map((factor) => Math.round(rule.thresholdUs * factor));
  const drawn = order.slice(0, LINES);
  return {
    targets: all.length, seconds, cut: all.length < chosen.length ? `${chosen.length - all.length} targets left out: choose some` : null, missing: null, figures: figures(own, seconds),
    confidences: percents.map((confidencePercent) => ({ confidencePercent, figures: figures(at(rule.thresholdUs, confidencePercent), seconds) })),
    thresholds: thresholds.map((thresholdUs) => ({ thresholdUs, figures: figures(at(thresholdUs, rule.confidencePercent), seconds) })),
    lines: {
      axis: { isUnix: !recording, start: start - shift, step, count },
      targets: order.map(({ target, played, fold: { alerts, incidents } }, k) => ({
        uid: target.uid, name: target.name, seconds, alerts: alerts.length, falseAlarms: alerts.filter(({ outcome }) => outcome === 'False').length, incidents: incidents.length,
        missed: incidents.filter(({ warned }) => warned === 'Missed').length, measuredUs: k < LINES ? column(played.map((each) => each.measuredUs)) : [],
        chance: k < LINES ? column(played.map((each) => chanceOf(each.q50Us, rule.thresholdUs))) : [],
      })),
      alerts: drawn.flatMap((each, target) => each.fold.alerts.map((alert) => ({ ...alert, target, fired: alert.fired - shift, resolved: alert.resolved == null ? null : alert.resolved - shift }))),
      incidents: drawn.flatMap((each, target) => each.fold.incidents.map((incident) => ({ ...incident, target, start: incident.start - shift, last: incident.last - shift }))),
      moreTargets: 0, moreMarks: 0,
    },
    yaml: yaml(request),
  };
}
