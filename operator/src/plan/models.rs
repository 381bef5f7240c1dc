//! Users' models: which to check, which to publish, and which copies are no longer used.

use std::collections::{BTreeMap, BTreeSet};

use netprecursor_core::policy::ModelRef;
use netprecursor_crds::{
    diagnosis::{reasons::ModelReady, some_of},
    model_copy,
};
use netprecursor_models::builtin;

use super::{Due, Plan, Write, condition::Verdict};
use crate::{
    config::Settings,
    ledger::RuleKey,
    models::Source,
    observe::{Absent, Key, Observed, Policy, Seen},
};

/// How long unused copies are kept, so that a policy that is replaced finds its model again.
const UNUSED_SECONDS: i64 = 600;

pub(super) fn plan(observed: &Observed, settings: &Settings, anchor: Option<&str>, due: &mut Due, plan: &mut Plan) {
    let mut wanted: BTreeMap<Source, i64> = BTreeMap::new();
    for (_, seen) in observed.all_policies() {
        for (_, source) in Observed::model_sources(&seen.value, settings) {
            *wanted.entry(source).or_default() += seen.value.generation;
        }
    }
    let mut published = BTreeSet::new();
    let missing = observed.models.values().filter(|looked| looked.is_missing()).count();
    for (source, generation) in wanted {
        if is_published(observed, settings, &source.sha256) {
            continue;
        }
        match observed.models.get(&source) {
            Some(looked) => {
                if let Ok(payload) = &looked.outcome {
                    if let Some(anchor) = anchor
                        && published.insert(source.sha256.clone())
                    {
                        plan.writes.push(Write::PublishModel {
                            sha256: source.sha256,
                            payload: payload.clone(),
                            anchor: anchor.to_owned(),
                        });
                    }
                } else if looked.generation != generation || looked.again(missing).is_some_and(|at| due.has_come(at)) {
                    plan.looks.push((source, generation));
                }
            }
            None => plan.looks.push((source, generation)),
        }
    }
    for (key, copy) in observed.copies.iter() {
        if observed.absent.since(&Absent::Use(key.name.clone())).is_some_and(|since| due.passed(since, UNUSED_SECONDS))
        {
            plan.writes.push(Write::DeleteModel { key: key.clone(), uid: copy.uid.clone() });
        }
    }
}

fn is_published(observed: &Observed, settings: &Settings, sha256: &str) -> bool {
    let copy = observed.copies.find(&Key::new(&settings.namespace, model_copy::name(sha256)));
    copy.is_some_and(|copy| copy.value.sha256 == sha256)
}

/// The nodes whose agents fell back to another model, with the reasons, by rule.
pub(super) type Fallbacks<'a> = BTreeMap<&'a RuleKey, Vec<(&'a str, &'a str)>>;

pub(super) fn fallbacks(observed: &Observed) -> Fallbacks<'_> {
    let mut fallbacks = Fallbacks::new();
    for (node, report) in observed.reports.iter() {
        for (rule, reason) in &report.value.fallbacks {
            fallbacks.entry(rule).or_default().push((&node.name, reason));
        }
    }
    fallbacks
}

/// Whether a policy's rules forecast with the models that they name.
pub(super) fn verdict(
    observed: &Observed,
    settings: &Settings,
    policy: &Seen<Policy>,
    fallbacks: &Fallbacks<'_>,
) -> Verdict {
    let Ok(spec) = &policy.value.spec else {
        return Verdict::new(ModelReady::Invalid, "the policy is invalid");
    };
    let (mut troubles, mut unknown): (Vec<(ModelReady, String)>, _) = (Vec::new(), None);
    let sources = Observed::model_sources(&policy.value, settings);
    for (rule, source) in &sources {
        if is_published(observed, settings, &source.sha256) {
            continue;
        }
        match observed.models.get(source).map(|looked| &looked.outcome) {
            Some(Err(trouble)) => troubles.push((trouble.reason(), format!("rule {rule}: {trouble}"))),
            Some(Ok(_)) => {
                unknown =
                    Some((ModelReady::Publishing, format!("rule {rule}: {source} is checked and is being published")));
            }
            None => unknown = Some((ModelReady::Checking, format!("rule {rule}: {source} is being checked"))),
        }
    }
    for rule in &spec.policy.rules {
        if let ModelRef::Builtin(name) = &rule.model
            && !builtin::names().any(|known| known == name)
        {
            let names = builtin::names().collect::<Vec<_>>().join(", ");
            troubles.push((
                ModelReady::UnknownBuiltin,
                format!("rule {}: got builtin {name}, expected one of {names}", rule.name.as_str()),
            ));
            continue;
        }
        let key = RuleKey { policy: policy.uid.clone(), rule: rule.name.as_str().to_owned() };
        // A model that is refused here is no news when agents report that they lack it.
        let is_known =
            troubles.iter().any(|(_, message)| message.starts_with(&format!("rule {}:", rule.name.as_str())));
        if let Some(nodes) = fallbacks.get(&key).filter(|_| !is_known && unknown.is_none()) {
            let some = nodes.iter().map(|(node, reason)| format!("{node}: {reason}"));
            troubles.push((ModelReady::NotLoaded, format!("rule {}: on {}", rule.name.as_str(), some_of(some, 3))));
        }
    }
    if let Some((reason, _)) = troubles.first() {
        let default = builtin::best_naive().name();
        let messages = troubles.iter().map(|(_, message)| message.as_str()).take(3).collect::<Vec<_>>().join("; ");
        return Verdict::new(*reason, format!("{messages}. {default} forecasts meanwhile"));
    }
    match unknown {
        Some((reason, message)) => Verdict::new(reason, message),
        None if sources.is_empty() => Verdict::new(ModelReady::Builtin, "every rule forecasts with a builtin model"),
        None => Verdict::new(ModelReady::Published, "every rule forecasts with the model that it asks for"),
    }
}
