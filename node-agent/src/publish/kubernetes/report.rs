//! The node report: what the agent reports of itself, and what in it has changed.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use netprecursor_core::source::RttFrom;
use netprecursor_crds::{
    condition,
    diagnosis::reasons::{Reason, ReportDegraded, ReportReady, ReportWarmingUp},
    policy::SkillPercent,
    report::{
        ClusterNetworks, Counters, MAX_ENTRIES, MAX_SHOWN_NETWORKS, ModelStatus, Need, NetworksFrom, Overhead,
        PrecursorNodeReport, PrecursorNodeReportStatus, Queue, RttFromCounts, RttSource, RuleCount, Sensor,
        SensorState,
    },
};
use netprecursor_kit::{Networks, networks::Origin};
use serde_json::{Value, json};

use super::{alerts::time, schedule::Change};
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
/// The window of every target is empty for this long after a start, in seconds.
const WARM_UP: u64 = netprecursor_core::gate::WARM_UP_TICKS;

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
    let conditions = [ready(data), warming_up(own, unix), degraded(data, own)];
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

/// A reason, and its message.
type Verdict = (&'static Reason, String);

fn ready(data: &ReportData) -> Verdict {
    let is_missing = |status: &&status::Status| {
        status.need == status::Need::Required && matches!(status.state, status::State::Unavailable(_))
    };
    let missing: Vec<&str> = data.sensors.iter().filter(is_missing).map(|status| status.name).collect();
    if data.sensors.is_empty() {
        (ReportReady::Starting.row(), "The sensors have not started yet.".to_owned())
    } else if missing.is_empty() {
        (ReportReady::SensorsWork.row(), "All required sensors work.".to_owned())
    } else {
        let message = format!("No forecasts: {} unavailable; see `status.sensors` for the reason.", missing.join(", "));
        (ReportReady::SensorsMissing.row(), message)
    }
}

fn warming_up(own: &Own, unix: u64) -> Verdict {
    if unix < own.started + WARM_UP {
        let message = format!("The agent started less than {WARM_UP} s ago: nothing fires yet.");
        (ReportWarmingUp::WindowsFill.row(), message)
    } else {
        (ReportWarmingUp::WindowsFilled.row(), format!("The agent has been running for more than {WARM_UP} s."))
    }
}

fn degraded(data: &ReportData, own: &Own) -> Verdict {
    let lesser = |status: &status::Status| match status.state {
        status::State::Active => None,
        status::State::Degraded(_) => Some(format!("sensor {} is degraded", status.name)),
        status::State::Unavailable(_) => Some(format!("sensor {} is unavailable", status.name)),
    };
    let mut reasons: Vec<String> = data.sensors.iter().filter_map(lesser).collect();
    if own.is_unsaved {
        reasons.push(
            "alerts cannot be kept on disk: the agent's state directory (`agent.stateDir`) is full or not writable"
                .to_owned(),
        );
    }
    if let Some(problem) = &own.share_problem {
        reasons.push(format!("alerts are published at one write each 20 s: {problem}"));
    }
    if let Some(problem) = &data.networks.problem {
        let what = if data.networks.known.is_some() { "may be outdated" } else { "are not known" };
        reasons.push(format!("the networks of the cluster {what}: {problem}"));
    }
    if own.dropped > 0 || data.transitions_lost > 0 {
        reasons.push("alerts were dropped unpublished because the queue was full".to_owned());
    }
    if own.throttled > 0 {
        reasons.push("some alerts have no object because they exceeded the caps".to_owned());
    }
    if data.over_capacity > 0 {
        reasons.push("some selected pods are not watched because no slot is free".to_owned());
    }
    let fall_back = data.models.iter().filter(|model| !model.ready).count();
    if fall_back > 0 {
        reasons.push(format!("{fall_back} rules fall back to another model"));
    }
    if data.rules.len().max(data.models.len()) > MAX_ENTRIES {
        reasons.push("some rules did not fit into this report".to_owned());
    }
    if reasons.is_empty() {
        (ReportDegraded::Complete.row(), "Nothing is degraded.".to_owned())
    } else {
        (ReportDegraded::Incomplete.row(), words::cut(&reasons.join("; "), MAX_REASON))
    }
}

/// What is new in `now` against what was written `before`; gauges do not count.
pub(super) fn change(before: Option<&PrecursorNodeReportStatus>, now: &PrecursorNodeReportStatus) -> Change {
    let Some(before) = before else { return Change { state: true, counts: true } };
    // That many alerts wait is a state until none does. A few are a count: most are gone a moment later.
    let (then, now_pending) = (before.queue.pending, now.queue.pending);
    let backlog = if then >= BACKLOG { now_pending == 0 } else { now_pending >= BACKLOG };
    let is_drained = then > 0 && now_pending == 0;
    Change { state: backlog || states(before) != states(now), counts: is_drained || counts(before) != counts(now) }
}

/// As many alerts that wait are a backlog, which readers of the report are to know of.
const BACKLOG: u64 = 20;

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

/// A report without its gauges, counters and times.
fn states(status: &PrecursorNodeReportStatus) -> PrecursorNodeReportStatus {
    let mut states = status.clone();
    states.rtt_from = None;
    states.socket_coverage_percent = None;
    states.overhead = None;
    states.targets = 0;
    states.targets_over_capacity = 0;
    states.queue = Queue::default();
    // A node that comes or goes is no news of all others.
    if let Some(networks) = &mut states.cluster_networks {
        (networks.reason, networks.networks, networks.count) = (None, Vec::new(), 0);
    }
    states.heartbeat = None;
    for rule in &mut states.rules {
        rule.targets = 0;
        (rule.throttled, rule.waiting) = (0, 0);
        (rule.needed_percent, rule.reachable_percent) = (None, None);
        (rule.skill_percent, rule.leading_expert) = (None, None);
        rule.counters = Counters::default();
    }
    states
}

/// The counts of alerts, incidents and dropped transitions.
fn counts(status: &PrecursorNodeReportStatus) -> Vec<(&str, &str, u64, Counters)> {
    let of = |rule: &'_ RuleCount| Counters { target_seconds: 0, ..rule.counters.clone() };
    let dropped = Counters { alerts: status.queue.dropped, ..Counters::default() };
    let rules =
        status.rules.iter().map(|rule| (rule.policy_uid.as_str(), rule.rule.as_str(), rule.throttled, of(rule)));
    rules.chain([("", "", 0, dropped)]).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use netprecursor_core::score::Scorecard;

    use super::*;
    use crate::desired;
    use netprecursor_core::{alert::PolicyRef, policy::Kind as PolicyKind};

    fn data() -> ReportData {
        let policy = PolicyRef {
            kind: PolicyKind::Namespaced,
            namespace: Some("shop".to_owned()),
            name: "checkout".to_owned(),
            uid: "p-1".to_owned(),
        };
        let sensor = |name, need, state| status::Status::new(name, need, state);
        ReportData {
            unix: 1_700_000_000,
            sensors: vec![
                sensor("tcp", status::Need::Required, status::State::Active),
                sensor("sched", status::Need::Optional, status::State::Unavailable("no tracefs".to_owned())),
            ],
            rtt_source: report::RttSource::Measured,
            rtt_from: vec![RttFrom::Clean, RttFrom::LowQuantile, RttFrom::Clean],
            sockets: Some((200, 194)),
            targets: 3,
            models: vec![ModelData {
                policy: policy.clone(),
                rule: "rtt".to_owned(),
                name: "rtt-xgboost".to_owned(),
                ready: true,
                reason: None,
            }],
            rules: vec![RuleData {
                policy,
                rule: "rtt".to_owned(),
                hash: "h".to_owned(),
                since: 1_700_000_000,
                targets: 3,
                needed: 0.622,
                reachable: 0.31,
                merit: Some(([Some(0.256), Some(-1e9), None], "hour")),
                scorecard: Scorecard { alerts: 4, ..Scorecard::default() },
            }],
            ..ReportData::default()
        }
    }

    fn own() -> Own {
        Own { kernel: "6.18.4".to_owned(), started: 1_699_999_000, ..Own::default() }
    }

    fn first_status(data: &ReportData, own: &Own) -> PrecursorNodeReportStatus {
        status(data, own, 1_700_000_000, None)
    }

    #[test]
    fn a_report_says_what_works_and_what_was_counted() {
        let report = json!(first_status(&data(), &own()));
        assert_eq!((&report["kernel"], &report["rttSource"]), (&json!("6.18.4"), &json!("Measured")));
        assert_eq!(report["rttFrom"], json!({"clean": 2, "lowQuantile": 1, "smoothed": 0, "handshake": 0}));
        assert_eq!(report["socketCoveragePercent"], 97);
        assert_eq!(report["sensors"][1]["reason"], "no tracefs");
        assert_eq!((&report["rules"][0]["policyUID"], &report["rules"][0]["alerts"]), (&json!("p-1"), &json!(4)));
        let rule = &report["rules"][0];
        assert_eq!((&rule["neededPercent"], &rule["reachablePercent"]), (&json!(62), &json!(31)));
        assert_eq!(rule["skillPercent"], json!({"q50": 26, "q90": -999}));
        assert_eq!(rule["leadingExpert"], "hour");
        let conditions: Vec<_> = report["conditions"].as_array().unwrap().iter().map(|c| c["status"].clone()).collect();
        assert_eq!(conditions, ["True", "False", "True"]);
    }

    #[test]
    fn gauges_and_passing_time_are_no_change() {
        let before = first_status(&data(), &own());
        let mut later = data();
        (later.sockets, later.targets, later.unix) = (Some((10, 1)), 9, later.unix + 60);
        later.rules[0].targets = 9;
        (later.rules[0].needed, later.rules[0].reachable) = (0.7, 0.1);
        later.rules[0].merit = Some(([Some(0.1); 3], "last"));
        later.rules[0].scorecard.target_seconds = 180;
        let overhead = Some(Overhead { cpu: "4m".to_owned(), memory: "31Mi".to_owned() });
        let now = status(&later, &Own { overhead, pending: 7, ..own() }, 1_700_000_060, Some(&before));
        assert_eq!(change(Some(&before), &now), Change::default());
        assert_ne!(before, now);
    }

    #[test]
    fn a_sensor_that_fails_is_a_change_of_state_and_an_alert_one_of_counts() {
        let before = first_status(&data(), &own());
        let mut failed = data();
        failed.sensors[0].state = status::State::Unavailable("detached".to_owned());
        let now = status(&failed, &own(), 1_700_000_060, Some(&before));
        assert_eq!(change(Some(&before), &now), Change { state: true, counts: false });
        assert_eq!(now.conditions[0].status, "False");
        let mut alerted = data();
        alerted.rules[0].scorecard.alerts += 1;
        let now = status(&alerted, &own(), 1_700_000_060, Some(&before));
        assert_eq!(change(Some(&before), &now), Change { state: false, counts: true });
    }

    #[test]
    fn a_backlog_of_alerts_is_a_change_of_state_when_it_comes_and_when_it_is_gone() {
        let of = |pending| status(&data(), &Own { pending, ..own() }, 1_700_000_060, None);
        let change = |before, now| change(Some(&of(before)), &of(now));
        let states = [(0, BACKLOG - 1), (0, BACKLOG), (BACKLOG, 500), (500, 3), (500, 0), (3, 0)];
        assert_eq!(states.map(|(before, now)| change(before, now).state), [false, true, false, false, true, false]);
        // Nobody goes on reading that three wait.
        assert!(change(3, 0).counts && !change(0, 3).counts);
    }

    #[test]
    fn what_waits_is_counted_by_rule() {
        let waiting_rules = BTreeMap::from([(("p-1".to_owned(), "rtt".to_owned()), 7)]);
        let report = first_status(&data(), &Own { pending: 9, waiting_rules, ..own() });
        assert_eq!((report.queue.pending, report.rules[0].waiting), (9, 7));
    }

    #[test]
    fn an_agent_without_a_share_says_why_it_is_slow() {
        let own = Own { share_problem: Some("no share of the writes: got a riddle".to_owned()), ..own() };
        let degraded = &first_status(&data(), &own).conditions[2];
        assert!(degraded.message.contains("one write each 20 s: no share of the writes: got a riddle"), "{degraded:?}");
    }

    fn known(from: Origin, reason: Option<&str>, count: u8) -> Arc<desired::ClusterNetworks> {
        let networks = (0..count).map(|number| format!("10.{number}.0.0/16").parse().unwrap()).collect();
        let known = Some(Networks { from, reason: reason.map(str::to_owned), networks });
        Arc::new(desired::ClusterNetworks { known, problem: None })
    }

    #[test]
    fn the_networks_of_the_cluster_are_shown_with_their_number() {
        let shown =
            |networks| json!(first_status(&ReportData { networks, ..data() }, &own()))["clusterNetworks"].clone();
        let few = json!({"from": "Nodes", "networks": ["10.0.0.0/16", "10.1.0.0/16"], "count": 2});
        assert_eq!(shown(known(Origin::Nodes, None, 2)), few);
        let many = shown(known(Origin::PrivateRanges, Some("there are no nodes"), 200));
        assert_eq!((&many["reason"], &many["count"]), (&json!("there are no nodes"), &json!(200)));
        assert_eq!(many["networks"].as_array().unwrap().len(), MAX_SHOWN_NETWORKS);
        assert_eq!(shown(Arc::default()), Value::Null);
    }

    #[test]
    fn networks_that_come_from_elsewhere_are_news_and_one_more_is_none() {
        let of = |from, count| status(&ReportData { networks: known(from, None, count), ..data() }, &own(), 9, None);
        let change = |before, now| change(Some(&before), &now).state;
        assert!(!change(of(Origin::Nodes, 2), of(Origin::Nodes, 3)));
        assert!(change(of(Origin::Nodes, 2), of(Origin::PrivateRanges, 2)));
    }

    #[test]
    fn networks_that_cannot_be_read_are_a_degradation_with_its_reason() {
        let degraded = |known| {
            let problem = Some("/share/networks.json: No such file".to_owned());
            let networks = Arc::new(desired::ClusterNetworks { known, problem });
            first_status(&ReportData { networks, ..data() }, &own()).conditions[2].message.clone()
        };
        assert!(degraded(None).contains("the networks of the cluster are not known: /share/networks.json"));
        let former = known(Origin::Nodes, None, 1).known.clone();
        assert!(degraded(former).contains("the networks of the cluster may be outdated: /share/networks.json"));
    }

    #[test]
    fn a_condition_keeps_its_time_until_its_status_changes() {
        let before = first_status(&data(), &own());
        let now = status(&data(), &own(), 1_700_000_999, Some(&before));
        assert_eq!(now.conditions, before.conditions);
        let degraded = status(&data(), &Own { started: 1_700_000_990, ..own() }, 1_700_000_999, Some(&before));
        assert_eq!(degraded.conditions[1].last_transition_time, time(1_700_000_999));
        assert_eq!(degraded.conditions[0], before.conditions[0]);
    }

    #[test]
    fn more_rules_than_a_report_holds_are_counted() {
        let mut many = data();
        many.rules = (0..MAX_ENTRIES + 5).map(|_| many.rules[0].clone()).collect();
        let report = first_status(&many, &own());
        assert_eq!((report.rules.len(), report.omitted), (MAX_ENTRIES, 5));
    }
}
