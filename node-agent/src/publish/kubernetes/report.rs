//! The node report: what the agent reports of itself, its conditions, and what in it is news.

mod change;
mod conditions;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use netprecursor_core::source::RttFrom;
use netprecursor_crds::{
    condition,
    policy::SkillPercent,
    report::{
        ClusterNetworks, Counters, MAX_ENTRIES, MAX_SHOWN_NETWORKS, ModelStatus, Need, NetworksFrom, Overhead,
        PrecursorNodeReport, PrecursorNodeReportStatus, Queue, RttFromCounts, RttSource, RuleCount, Sensor,
        SensorState,
    },
};
use netprecursor_kit::{Networks, networks::Origin};
use serde_json::{Value, json};

pub(super) use change::change;
#[cfg(test)]
pub(super) use change::is_backlog;

use super::alerts::time;
use crate::{
    publish::words,
    status,
    tick::report::{self, ModelData, ReportData, RuleData},
};

/// Longest reason, in bytes.
const MAX_REASON: usize = 1024;
/// Longest name of a model, in bytes.
const MAX_MODEL: usize = 511;
/// Sensors listed at most, as the API bounds them.
const MAX_SENSORS: usize = 32;

/// What the sinks themselves add to the report.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Own {
    /// Release of the kernel.
    pub kernel: String,
    /// When the agent started, unix s.
    pub started: u64,
    /// The agent's use of CPU and memory.
    pub overhead: Option<Overhead>,
    /// Alerts that are not yet published in full.
    pub pending: u64,
    /// Alerts whose object does not show their state yet, by UID of the policy and rule.
    pub waiting_rules: BTreeMap<(String, String), u64>,
    /// Alerts dropped unpublished, in the queue and before it.
    pub dropped: u64,
    /// Alerts of which no object was made because of a cap, since the start.
    pub throttled: u64,
    /// The same by UID of the policy and rule.
    pub throttled_rules: BTreeMap<(String, String), u64>,
    /// Whether alerts cannot be kept on disk.
    pub is_unsaved: bool,
    /// Why the agent does not know its share of the writes to the API server.
    pub share_problem: Option<String>,
}

/// The object without its status, for server-side apply.
pub(super) fn object(node: &str, node_uid: &str) -> Value {
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: node.to_owned(),
        uid: node_uid.to_owned(),
        ..OwnerReference::default()
    };
    json!({
        "apiVersion": PrecursorNodeReport::api_version(&()),
        "kind": PrecursorNodeReport::kind(&()),
        "metadata": {"name": node, "ownerReferences": [owner], "labels": super::labels()},
    })
}

/// The status alone, for server-side apply to the subresource.
pub(super) fn with_status(node: &str, status: &PrecursorNodeReportStatus) -> Value {
    json!({
        "apiVersion": PrecursorNodeReport::api_version(&()),
        "kind": PrecursorNodeReport::kind(&()),
        "metadata": {"name": node},
        "status": status,
    })
}

/// The status of the report at `unix`. Conditions of `before` that still hold keep their time.
pub(super) fn status(
    data: &ReportData,
    own: &Own,
    unix: u64,
    before: Option<&PrecursorNodeReportStatus>,
) -> PrecursorNodeReportStatus {
    let beyond = |entries: usize| entries.saturating_sub(MAX_ENTRIES) as u32;
    let known = before.map_or(&[][..], |before| &before.conditions);
    let conditions = [conditions::ready(data), conditions::warming_up(own, unix), conditions::degraded(data, own)];
    let conditions = conditions.map(|(reason, message)| condition::of(reason, &message, Some(1), known, time(unix).0));
    PrecursorNodeReportStatus {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: words::cut(&own.kernel, 127),
        rtt_source: match data.rtt_source {
            report::RttSource::Measured => RttSource::Measured,
            report::RttSource::Smoothed => RttSource::Smoothed,
            report::RttSource::Unavailable => RttSource::Unavailable,
        },
        rtt_from: Some(rtt_from(&data.rtt_from)),
        socket_coverage_percent: data.sockets.and_then(|(all, seen)| percent(seen, all)),
        overhead: own.overhead.clone(),
        sensors: data.sensors.iter().take(MAX_SENSORS).map(sensor).collect(),
        targets: data.targets,
        targets_over_capacity: data.over_capacity,
        cluster_networks: data.networks.known.as_ref().map(cluster_networks),
        queue: Queue { pending: own.pending, dropped: own.dropped.saturating_add(data.transitions_lost) },
        models: data.models.iter().take(MAX_ENTRIES).map(model).collect(),
        rules: data.rules.iter().take(MAX_ENTRIES).map(|data| rule(data, own)).collect(),
        omitted: beyond(data.rules.len()).max(beyond(data.models.len())),
        conditions: conditions.into(),
        heartbeat: Some(time(unix)),
    }
}

fn percent(part: u64, whole: u64) -> Option<u8> {
    (whole > 0).then(|| ((part.min(whole) * 100) / whole) as u8)
}

fn sensor(status: &status::Status) -> Sensor {
    Sensor {
        name: status.name.to_owned(),
        need: match status.need {
            status::Need::Required => Need::Required,
            status::Need::Optional => Need::Optional,
        },
        state: match status.state {
            status::State::Active => SensorState::Active,
            status::State::Degraded(_) => SensorState::Degraded,
            status::State::Unavailable(_) => SensorState::Unavailable,
        },
        reason: Some(status.state.reason())
            .filter(|reason| !reason.is_empty())
            .map(|text| words::cut(text, MAX_REASON)),
        limits: status.limits.map(|text| words::cut(text, MAX_REASON)),
    }
}

fn cluster_networks(known: &Networks) -> ClusterNetworks {
    ClusterNetworks {
        from: match known.from {
            Origin::Given => NetworksFrom::Given,
            Origin::Nodes => NetworksFrom::Nodes,
            Origin::PrivateRanges => NetworksFrom::PrivateRanges,
        },
        reason: known.reason.as_ref().map(|reason| words::cut(reason, MAX_REASON)),
        networks: known.networks.iter().take(MAX_SHOWN_NETWORKS).map(ToString::to_string).collect(),
        count: u32::try_from(known.networks.len()).unwrap_or(u32::MAX),
    }
}

fn model(data: &ModelData) -> ModelStatus {
    ModelStatus {
        policy_uid: data.policy.uid.clone(),
        rule: data.rule.clone(),
        name: words::cut(&data.name, MAX_MODEL),
        ready: data.ready,
        reason: data.reason.as_ref().map(|reason| words::cut(reason, MAX_REASON)),
    }
}

fn rule(data: &RuleData, own: &Own) -> RuleCount {
    let key = (data.policy.uid.clone(), data.rule.clone());
    let of = |counts: &BTreeMap<(String, String), u64>| counts.get(&key).copied().unwrap_or(0);
    RuleCount {
        policy_uid: data.policy.uid.clone(),
        policy_name: data.policy.name.clone(),
        policy_namespace: data.policy.namespace.clone(),
        rule: data.rule.clone(),
        rule_hash: data.hash.clone(),
        since: time(data.since),
        targets: data.targets,
        throttled: of(&own.throttled_rules),
        waiting: of(&own.waiting_rules),
        needed_percent: Some(words::percent(data.needed)),
        reachable_percent: Some(words::percent(data.reachable)),
        skill_percent: data.merit.map(|(skills, _)| skill(skills)),
        leading_expert: data.merit.map(|(_, leading)| leading.to_owned()),
        counters: Counters::from(&data.scorecard),
    }
}

fn skill(skills: [Option<f64>; 3]) -> SkillPercent {
    let [q50, q90, q99] = skills.map(|skill| skill.map(|skill| SkillPercent::whole(100.0 * skill)));
    SkillPercent { q50, q90, q99 }
}

/// How many pods' RTT comes from where.
fn rtt_from(pods: &[RttFrom]) -> RttFromCounts {
    let count = |wanted| u32::try_from(pods.iter().filter(|from| **from == wanted).count()).unwrap_or(u32::MAX);
    RttFromCounts {
        clean: count(RttFrom::Clean),
        low_quantile: count(RttFrom::LowQuantile),
        smoothed: count(RttFrom::Smoothed),
        handshake: count(RttFrom::Handshake),
    }
}

#[cfg(test)]
mod tests;
