//! How policies are doing, written at most once a minute unless a condition changes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use netprecursor_crds::{
    ConditionStatus,
    diagnosis::{
        Place, condition,
        reasons::{Degraded, Ready, Reason, TargetsResolved, Throttled, WarmingUp},
        some_of,
    },
    policy::PrecursorPolicyStatus,
};

use super::{Due, Write, agents, condition::Verdict, models, scores, targets::Targets};
use crate::{
    config::Settings,
    observe::{Key, Observed, Policy, Seen},
};

/// Between two words about figures.
const FIGURES_SECONDS: i64 = 60;

/// What the whole cluster says, by policy.
struct Survey<'a> {
    /// Whether agents work, for who did not think so before and for who did.
    agents: [Verdict; 2],
    targets: Targets<'a>,
    fallbacks: models::Fallbacks<'a>,
    /// How sure rules have to be, and were.
    bars: scores::Bars<'a>,
    merits: scores::Merits<'a>,
    /// Pods that agents watch.
    watched: BTreeMap<&'a str, u32>,
    /// Firing alerts.
    firing: BTreeMap<&'a str, u32>,
    /// Alerts without an object.
    throttled: BTreeMap<&'a str, u64>,
    /// Alerts that wait to be written.
    waiting: BTreeMap<&'a str, u32>,
    /// Nodes that watch its pods and do it with less than they could.
    degraded: BTreeMap<&'a str, Vec<String>>,
    /// Nodes that watch its pods and have not seen enough.
    warming: BTreeMap<&'a str, Vec<&'a str>>,
}

pub(super) fn plan(observed: &Observed, settings: &Settings, due: &mut Due, writes: &mut Vec<Write>) {
    let survey = Survey::make(observed, settings, due);
    for (key, policy) in observed.all_policies() {
        let status = status(observed, settings, &survey, key, policy, due.now);
        let before = &policy.value.status;
        if is_same(&status, before) {
            continue;
        }
        let is_news = is_news(before, &status);
        if is_news || policy.value.written.is_none_or(|written| due.passed(written, FIGURES_SECONDS)) {
            let (kind, uid) = (policy.value.kind, policy.uid.clone());
            writes.push(Write::PolicyStatus { kind, key: key.clone(), uid, status: Box::new(status) });
        }
    }
}

/// Whether more than figures and words changed.
fn is_news(before: &PrecursorPolicyStatus, now: &PrecursorPolicyStatus) -> bool {
    let essence = |conditions: &[Condition]| {
        let essence = conditions.iter().map(|condition| {
            (condition.type_.clone(), condition.status.clone(), condition.reason.clone(), condition.observed_generation)
        });
        essence.collect::<BTreeSet<_>>()
    };
    // That alerts wait is no figure: who waits for them reads it now or never.
    let waits = |status: &PrecursorPolicyStatus| status.waiting.is_some_and(|waiting| waiting > 0);
    before.observed_generation != now.observed_generation
        || waits(before) != waits(now)
        || essence(&before.conditions) != essence(&now.conditions)
}

fn status(
    observed: &Observed,
    settings: &Settings,
    survey: &Survey<'_>,
    key: &Key,
    policy: &Seen<Policy>,
    now: Timestamp,
) -> PrecursorPolicyStatus {
    let before = &policy.value.status.conditions;
    let was_true = condition(before, "AgentsReady").is_some_and(|condition| condition.status == ConditionStatus::True);
    let agents = survey.agents[usize::from(was_true)].clone();
    let targets = match &policy.value.spec {
        Ok(_) => survey.targets.verdict(policy),
        Err(_) => Verdict::new(TargetsResolved::Invalid, "the policy is invalid"),
    };
    let place = Place::new(&settings.namespace);
    let model = models::verdict(observed, settings, policy, &survey.fallbacks);
    let advised = |verdict: Option<Verdict>| verdict.map(|verdict| verdict.advised(&place));
    let verdicts = [
        Some(model),
        advised(Some(targets)),
        Some(agents.clone()),
        advised(survey.warming_up(policy)),
        advised(survey.throttled(policy)),
        survey.degraded(policy),
        advised(scores::unannounced(observed, policy, &survey.bars, now)),
        survey.targets.overlap(key, policy),
    ];
    let verdicts: Vec<Verdict> = verdicts.into_iter().flatten().collect();
    let ready = match &policy.value.spec {
        Err(problems) => Verdict::new(Ready::Invalid, problems.as_str()),
        Ok(_) if agents.is_true() => Verdict::new(Ready::Watching, followed(&verdicts)),
        Ok(_) => Verdict::new(Ready::AgentsNotReady, agents.message.as_str()),
    };
    let generation = Some(policy.value.generation);
    let verdicts = [&ready].into_iter().chain(&verdicts);
    let conditions = verdicts.map(|verdict| verdict.condition(before, generation, now)).collect();
    let figure = |figures: &BTreeMap<&str, u32>| Some(figures.get(policy.uid.as_str()).copied().unwrap_or(0));
    PrecursorPolicyStatus {
        observed_generation: generation,
        targets: figure(&survey.watched),
        firing: figure(&survey.firing),
        waiting: figure(&survey.waiting),
        rules: scores::rules(observed, policy, &survey.bars, &survey.merits, now),
        conditions,
    }
}

/// The message of `Ready` for a policy in effect. It contradicts no other condition. `Throttled` is no contradiction: alerts
/// without an object are still counted and sent.
fn followed(verdicts: &[Verdict]) -> String {
    let adverse = |Verdict { reason: Reason { condition, status, name, .. }, .. }: &Verdict| {
        let bad = if *condition == "WarmingUp" { ConditionStatus::True } else { ConditionStatus::False };
        (*status == bad).then(|| format!("{condition}={status} ({name})"))
    };
    let adverse: Vec<String> = verdicts.iter().filter_map(adverse).collect();
    match adverse.as_slice() {
        [] => "the policy is in effect".to_owned(),
        adverse => format!("the policy is in effect; see {}", adverse.join(", ")),
    }
}

/// Whether two say the same, in whatever order: the API server merges lists by key.
fn is_same(one: &PrecursorPolicyStatus, other: &PrecursorPolicyStatus) -> bool {
    let sorted = |status: &PrecursorPolicyStatus| {
        let mut status = status.clone();
        status.conditions.sort_by(|one, other| one.type_.cmp(&other.type_));
        status.rules.sort_by(|one, other| (&one.name, one.window).cmp(&(&other.name, other.window)));
        status
    };
    sorted(one) == sorted(other)
}

impl<'a> Survey<'a> {
    fn make(observed: &'a Observed, settings: &Settings, due: &mut Due) -> Self {
        let mut survey = Survey {
            agents: agents::verdicts(observed, settings, due),
            targets: Targets::find(observed),
            fallbacks: models::fallbacks(observed),
            bars: scores::bars(observed),
            merits: scores::merits(observed),
            watched: BTreeMap::new(),
            firing: BTreeMap::new(),
            throttled: BTreeMap::new(),
            waiting: BTreeMap::new(),
            degraded: BTreeMap::new(),
            warming: BTreeMap::new(),
        };
        for (node, report) in observed.reports.iter() {
            survey.add(&node.name, &report.value);
        }
        for (_, alert) in observed.alerts.iter().filter(|(_, alert)| alert.value.is_firing()) {
            *survey.firing.entry(&alert.value.policy).or_default() += 1;
        }
        for (policy, count) in &observed.over_cap {
            *survey.throttled.entry(policy).or_default() += count;
        }
        survey
    }

    fn add(&mut self, node: &'a str, report: &'a crate::observe::Report) {
        let mut here: BTreeMap<&str, u32> = BTreeMap::new();
        for (rule, targets) in &report.targets {
            // Rules of a policy watch the same pods.
            let most = here.entry(&rule.policy).or_default();
            *most = (*most).max(*targets);
        }
        for (policy, targets) in here.into_iter().filter(|(_, targets)| *targets > 0) {
            *self.watched.entry(policy).or_default() += targets;
            self.degraded.entry(policy).or_default().extend(report.degraded.iter().map(|why| format!("{node}: {why}")));
            if report.is_warming_up {
                self.warming.entry(policy).or_default().push(node);
            }
        }
        for (policy, count) in &report.throttled {
            *self.throttled.entry(policy).or_default() += count;
        }
        for (policy, count) in &report.waiting {
            let sum = self.waiting.entry(policy).or_default();
            *sum = sum.saturating_add(u32::try_from(*count).unwrap_or(u32::MAX));
        }
    }

    fn warming_up(&self, policy: &Seen<Policy>) -> Option<Verdict> {
        policy.value.spec.as_ref().ok()?;
        let uid = policy.uid.as_str();
        if self.targets.count(policy) > 0 && !self.watched.contains_key(uid) {
            return Some(Verdict::new(
                WarmingUp::NotWatchedYet,
                "no agent has reported yet that it watches these pods",
            ));
        }
        let nodes = self.warming.get(uid)?;
        let some = some_of(nodes.iter().map(|node| (*node).to_owned()), 5);
        Some(Verdict::new(WarmingUp::WarmingUp, format!("there is too little data yet for forecasts on {some}")))
    }

    fn throttled(&self, policy: &Seen<Policy>) -> Option<Verdict> {
        let count = self.throttled.get(policy.uid.as_str()).copied().filter(|count| *count > 0)?;
        let message = format!("{count} alerts have no object because they exceeded the caps");
        Some(Verdict::new(Throttled::TooManyAlerts, message))
    }

    fn degraded(&self, policy: &Seen<Policy>) -> Option<Verdict> {
        let nodes = self.degraded.get(policy.uid.as_str()).filter(|nodes| !nodes.is_empty())?;
        Some(Verdict::new(Degraded::AgentsDegraded, some_of(nodes.iter().cloned(), 3)))
    }
}
