//! `/api/v1/targets`: what is watched, and where its rules stand.

use std::{collections::BTreeMap, sync::Arc};

use netprecursor_core::{alert::Model, gate::Gate, policy::Identity, source::RttFrom};
use serde::Serialize;

use crate::tick::snapshot::{Snapshot, TargetState, WatchState};

/// A rule's standing with a target.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, schemars(rename = "TargetRule"))]
struct RuleView {
    #[serde(flatten)]
    policy: Identity,
    rule: String,
    /// What the rule means by RTT.
    rtt: String,
    threshold_us: u64,
    #[cfg_attr(test, schemars(extend("enum" = ["Idle", "Pending", "Firing", "Resolving"])))]
    state: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    gate: Option<Gate>,
    model: Arc<Model>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, schemars(rename = "Target"))]
pub(in crate::serve) struct TargetView {
    target: String,
    /// Other names of the same network namespace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    uid: String,
    labels: BTreeMap<String, String>,
    /// What runs the pod, such as `Deployment/checkout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<String>,
    watched_seconds: u64,
    measured_us: Option<f32>,
    predicted_us: Option<f32>,
    chance: Option<f32>,
    firing: bool,
    established: Option<u32>,
    coverage_percent: Option<u8>,
    /// Of the sockets that are older than the agent, and whose RTT is smoothed.
    smoothed_percent: Option<u8>,
    rtt_from: RttFrom,
    rules: Vec<RuleView>,
}

fn rule_view(snapshot: &Snapshot, watch: &WatchState) -> Option<RuleView> {
    let (policy, rule) = snapshot.rule(watch.rule)?;
    Some(RuleView {
        policy: policy.policy.identity(),
        rule: rule.rule.name.to_string(),
        rtt: rule.rule.view.to_string(),
        threshold_us: rule.rule.thresholds.breach_us(),
        state: match watch.state {
            netprecursor_core::decide::State::Idle => "Idle",
            netprecursor_core::decide::State::Pending { .. } => "Pending",
            netprecursor_core::decide::State::Firing(_) => "Firing",
            netprecursor_core::decide::State::Resolving { .. } => "Resolving",
        },
        gate: watch.gate,
        model: Arc::clone(&rule.model),
    })
}

/// Every target, in the order of their admission.
pub(in crate::serve) fn targets(snapshot: &Snapshot) -> Vec<TargetView> {
    let view = |target: &TargetState| {
        let about = &target.about;
        let point = snapshot.latest(&about.uid).unwrap_or_default();
        let workload = about.pod().and_then(|pod| pod.workload.as_ref());
        TargetView {
            target: about.name.clone(),
            aliases: about.aliases.clone(),
            uid: about.uid.clone(),
            labels: about.labels.clone(),
            workload: workload.map(|workload| format!("{}/{}", workload.kind, workload.name)),
            watched_seconds: snapshot.tick.since(about.since),
            measured_us: point.measured_us,
            predicted_us: point.predicted_us,
            chance: point.chance,
            firing: target.is_firing(),
            established: target.coverage.map(|coverage| coverage.established),
            coverage_percent: target.coverage.map(|coverage| (coverage.ratio() * 100.0).round() as u8),
            smoothed_percent: target.coverage.map(|coverage| (coverage.smoothed_ratio() * 100.0).round() as u8),
            rtt_from: target.rtt_from,
            rules: target.watches.iter().filter_map(|watch| rule_view(snapshot, watch)).collect(),
        }
    };
    snapshot.targets.iter().map(view).collect()
}
