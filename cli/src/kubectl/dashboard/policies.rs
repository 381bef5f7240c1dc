//! Policies as the page shows them: what is wrong in the words of `status`, and how each rule did. Pure.

use kube::core::ObjectMeta;
use netprecursor_core::policy::{Identity, Kind, Name};
use netprecursor_crds::{
    diagnosis::{self, Diagnosis, Finding},
    policy::{Mode, ModelReference, PrecursorPolicyStatus, Rule, RuleStatus, ScoreWindow},
};

use super::mirrors::Mirrors;
use crate::dashboard::{
    cluster::{PolicyRule, PolicyView},
    nodes::ConditionView,
};

/// A policy of either kind.
struct Policy<'a> {
    kind: Kind,
    metadata: &'a ObjectMeta,
    mode: Mode,
    rules: &'a [Rule],
    status: Option<&'a PrecursorPolicyStatus>,
}

/// `shop/checkout`.
pub(super) fn whole_name(metadata: &ObjectMeta) -> String {
    let name = metadata.name.as_deref().unwrap_or_default();
    metadata.namespace.as_ref().map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

/// All policies, those that are not in effect first. The diagnosis has them in the order of the mirrors, one kind after the other.
pub(super) fn policies(mirrors: &Mirrors, diagnosis: &Diagnosis) -> Vec<PolicyView> {
    let own = mirrors.policies.objects().into_iter().flatten().map(|policy| Policy {
        kind: Kind::Namespaced,
        metadata: &policy.metadata,
        mode: policy.spec.mode,
        rules: &policy.spec.rules,
        status: policy.status.as_ref(),
    });
    let whole = mirrors.cluster_policies.objects().into_iter().flatten().map(|policy| Policy {
        kind: Kind::Cluster,
        metadata: &policy.metadata,
        mode: policy.spec.mode,
        rules: &policy.spec.rules,
        status: policy.status.as_ref(),
    });
    let views = own.chain(whole).zip(&diagnosis.policies).filter_map(|(policy, findings)| view(&policy, findings));
    let mut views: Vec<PolicyView> = views.collect();
    views.sort_by_key(|view| (view.ready, view.findings.is_empty()));
    views
}

fn view(policy: &Policy<'_>, findings: &[Finding]) -> Option<PolicyView> {
    let Policy { kind, metadata, mode, rules, status } = policy;
    let facts = diagnosis::Policy { generation: metadata.generation, status: *status };
    let (ready, reason) = facts.standing();
    let conditions = facts.conditions().iter().map(|condition| ConditionView {
        type_: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
    });
    Some(PolicyView {
        // The API server lets no other names be.
        policy: Identity {
            kind: *kind,
            namespace: metadata.namespace.as_deref().and_then(|namespace| Name::label(namespace).ok()),
            name: Name::subdomain(metadata.name.as_deref()?).ok()?,
        },
        mode: format!("{mode:?}"),
        ready,
        reason: reason.to_owned(),
        targets: status.and_then(|status| status.targets),
        firing: status.and_then(|status| status.firing),
        waiting: status.and_then(|status| status.waiting),
        findings: findings.to_vec(),
        conditions: conditions.collect(),
        rules: rules.iter().map(|rule| view_rule(rule, *status)).collect(),
    })
}

fn view_rule(rule: &Rule, status: Option<&PrecursorPolicyStatus>) -> PolicyRule {
    let is_of = |score: &&RuleStatus| score.name == rule.name && score.window == ScoreWindow::Day;
    let score = status.and_then(|status| status.rules.iter().find(is_of));
    let count = |of: fn(&RuleStatus) -> u64| score.map_or(0, of);
    let (model, sha256) = model(rule.model.as_ref());
    PolicyRule {
        name: rule.name.clone(),
        threshold: rule.rtt_forecast.as_ref().map(|forecast| forecast.threshold.to_string()),
        model,
        sha256,
        alerts: count(|score| score.alerts),
        confirmed: count(|score| score.confirmed),
        missed: count(|score| score.missed),
        precision_percent: score.and_then(|score| score.precision_percent),
        recall_percent: score.and_then(|score| score.recall_percent),
        lead_median: score.and_then(|score| score.lead_median.as_ref()).map(ToString::to_string),
        needed_percent: score.and_then(|score| score.needed_percent),
        reachable_percent: score.and_then(|score| score.reachable_percent),
        leading_expert: score.and_then(|score| score.leading_expert.clone()),
    }
}

/// The model that a rule names, and the digest that it has to have.
fn model(reference: Option<&ModelReference>) -> (String, Option<String>) {
    let default = || netprecursor_models::builtin::DEFAULT.to_owned();
    let Some(reference) = reference else { return (default(), None) };
    if let Some(file) = &reference.config_map_key_ref {
        return (format!("{}/{}", file.name, file.key), Some(file.sha256.clone()));
    }
    (reference.builtin.clone().unwrap_or_else(default), None)
}
