//! `status`: policies, alerts that are out and agents on one screen, what is not well first.

mod words;

use std::cmp::Reverse;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use kube::api::ListParams;
use netprecursor_crds::{
    ClusterPrecursorPolicy, Duration, PrecursorAlert, PrecursorNodeReport, PrecursorPolicy,
    alert::{AlertState, PolicyKind},
    policy::{Mode, PrecursorPolicyStatus, ScoreWindow, Severity},
};
use serde::Serialize;

use super::{
    connect::{Answer, Cluster, ClusterError},
    node::{Standing, condition, standing},
};

pub(super) use words::text;

/// Conditions that a policy has when all is well; others are there only while they say something.
const GOOD: [&str; 4] = ["Ready", "ModelReady", "TargetsResolved", "AgentsReady"];

/// What the report is made of.
#[derive(Debug, Default)]
pub(super) struct Objects {
    policies: Vec<PrecursorPolicy>,
    cluster_policies: Vec<ClusterPrecursorPolicy>,
    alerts: Vec<PrecursorAlert>,
    reports: Vec<PrecursorNodeReport>,
    /// Nodes that shall have an agent, where that may be known.
    wanted: Option<i32>,
    notes: Vec<String>,
}

/// The screen.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    /// What is not ready first.
    policies: Vec<Policy>,
    /// Those that are out, the most urgent first.
    alerts: Vec<Alert>,
    agents: Agents,
    /// What could not be found out.
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    kind: PolicyKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    mode: Mode,
    ready: bool,
    reason: String,
    targets: Option<u32>,
    firing: Option<u32>,
    /// How each rule did in the last 24 hours.
    rules: Vec<Rule>,
    troubles: Vec<Trouble>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    name: String,
    precision_percent: Option<u8>,
    recall_percent: Option<u8>,
    lead_median: Option<Duration>,
}

/// A condition that is not as one would like it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Trouble {
    condition: String,
    reason: String,
    message: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    namespace: String,
    name: String,
    severity: Severity,
    pod: String,
    rule: String,
    threshold: Duration,
    predicted: Option<Duration>,
    measured: Option<Duration>,
    lead: Option<Duration>,
    fired_at: Time,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Agents {
    ready: usize,
    reports: usize,
    /// Nodes that shall have one; absent when there is no DaemonSet, or none to be seen.
    wanted: Option<i32>,
    troubles: Vec<AgentTrouble>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AgentTrouble {
    node: String,
    standing: Standing,
    message: String,
}

/// Asks for all of it at once.
pub(super) async fn ask(cluster: &Cluster, all_namespaces: bool) -> Result<Objects, ClusterError> {
    let all = ListParams::default();
    let firing = ListParams::default().fields("status.state=Firing");
    let (policies, cluster_policies, alerts, reports) =
        (cluster.scoped(all_namespaces), cluster.global(), cluster.scoped(all_namespaces), cluster.global());
    let (policies, cluster_policies, alerts, reports, agents) = tokio::try_join!(
        cluster.list(&policies, &all),
        cluster.list(&cluster_policies, &all),
        cluster.list(&alerts, &firing),
        cluster.list(&reports, &all),
        async { cluster.daemon_set(&cluster.installation().await?.namespace).await },
    )?;
    let mut notes = Vec::new();
    let wanted = match agents {
        Answer::Found(agents) => agents.status.map(|status| status.desired_number_scheduled),
        Answer::Absent => None,
        Answer::Forbidden(message) => {
            notes.push(format!("not permitted to see how many agents there should be: {message}"));
            None
        }
    };
    Ok(Objects {
        policies: policies.into_items(&mut notes),
        cluster_policies: cluster_policies.into_items(&mut notes),
        alerts: alerts.into_items(&mut notes),
        reports: reports.into_items(&mut notes),
        wanted,
        notes,
    })
}

/// The screen, of the objects.
pub(super) fn report(objects: &Objects, now: Timestamp) -> Status {
    let own = objects.policies.iter().map(|policy| {
        self::policy(PolicyKind::PrecursorPolicy, &policy.metadata, policy.spec.mode, policy.status.as_ref())
    });
    let whole = objects.cluster_policies.iter().map(|policy| {
        self::policy(PolicyKind::ClusterPrecursorPolicy, &policy.metadata, policy.spec.mode, policy.status.as_ref())
    });
    let mut policies: Vec<Policy> = own.chain(whole).collect();
    policies.sort_by_key(|policy| {
        (policy.ready, policy.troubles.is_empty(), policy.namespace.clone(), policy.name.clone())
    });
    let mut alerts: Vec<Alert> = objects.alerts.iter().filter_map(alert).collect();
    alerts.sort_by_key(|alert| (urgency(alert.severity), Reverse(alert.fired_at.0), alert.name.clone()));
    Status { policies, alerts, agents: agents(objects, now), notes: objects.notes.clone() }
}

fn policy(kind: PolicyKind, metadata: &ObjectMeta, mode: Mode, status: Option<&PrecursorPolicyStatus>) -> Policy {
    let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
    let is_current = status.is_some_and(|status| status.observed_generation == metadata.generation);
    let ready = condition(conditions, "Ready");
    let mut troubles = troubles(conditions);
    let unread =
        |message: &str| Trouble { condition: "Ready".into(), reason: "NotSeenYet".into(), message: message.into() };
    if ready.is_none() {
        troubles.insert(0, unread("the operator has not said anything about it yet: is it running?"));
    } else if !is_current {
        troubles.insert(0, unread("the operator has not seen its last change yet: is it running?"));
    }
    let rules = status.map(|status| status.rules.as_slice()).unwrap_or_default().iter();
    Policy {
        kind,
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone().unwrap_or_default(),
        mode,
        ready: is_current && ready.is_some_and(|ready| ready.status == "True"),
        reason: ready.filter(|_| is_current).map_or_else(|| "NotSeenYet".to_owned(), |ready| ready.reason.clone()),
        targets: status.and_then(|status| status.targets),
        firing: status.and_then(|status| status.firing),
        rules: rules
            .filter(|rule| rule.window == ScoreWindow::Day)
            .map(|rule| Rule {
                name: rule.name.clone(),
                precision_percent: rule.precision_percent,
                recall_percent: rule.recall_percent,
                lead_median: rule.lead_median.clone(),
            })
            .collect(),
        troubles,
    }
}

/// `Ready` first, in whatever order the conditions come; what says the same again is left out.
fn troubles(conditions: &[Condition]) -> Vec<Trouble> {
    let is_trouble = |condition: &&Condition| match GOOD.contains(&condition.type_.as_str()) {
        true => condition.status != "True",
        false => condition.status == "True",
    };
    let mut found: Vec<&Condition> = conditions.iter().filter(is_trouble).collect();
    found.sort_by_key(|condition| (condition.type_ != "Ready", condition.type_.clone()));
    let mut troubles: Vec<Trouble> = Vec::new();
    for Condition { type_, reason, message, .. } in found {
        if troubles.iter().all(|told| told.message != *message) {
            troubles.push(Trouble { condition: type_.clone(), reason: reason.clone(), message: message.clone() });
        }
    }
    troubles
}

fn alert(alert: &PrecursorAlert) -> Option<Alert> {
    let status = alert.status.as_ref().filter(|status| status.state == AlertState::Firing)?;
    Some(Alert {
        namespace: alert.metadata.namespace.clone().unwrap_or_default(),
        name: alert.metadata.name.clone().unwrap_or_default(),
        severity: status.severity,
        pod: alert.spec.pod_ref.name.clone(),
        rule: alert.spec.rule.clone(),
        threshold: status.threshold.clone(),
        predicted: status.predicted.clone(),
        measured: status.measured.clone(),
        lead: status.lead.clone(),
        fired_at: status.fired_at.clone(),
    })
}

const fn urgency(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 0,
        Severity::Warning => 1,
        Severity::Info => 2,
    }
}

fn agents(objects: &Objects, now: Timestamp) -> Agents {
    let mut troubles = Vec::new();
    let mut ready = 0;
    for report in &objects.reports {
        match standing(report, now) {
            (Standing::Ready, _) => ready += 1,
            (standing, why) => {
                let node = report.metadata.name.clone().unwrap_or_default();
                troubles.push(AgentTrouble { node, standing, message: why.unwrap_or_default() });
            }
        }
    }
    troubles.sort_by_key(|trouble| (trouble.standing, trouble.node.clone()));
    Agents { ready, reports: objects.reports.len(), wanted: objects.wanted, troubles }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kubectl::{node::tests as nodes, style::Style};

    fn now() -> Timestamp {
        Timestamp::from_second(nodes::NOW).unwrap()
    }

    fn says(type_: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({"type": type_, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2023-11-14T22:13:20Z"})
    }

    fn policy(name: &str, conditions: &[Value]) -> PrecursorPolicy {
        let rule = json!({"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}});
        let score = json!({"name": "rtt", "window": "24h", "alerts": 9, "precisionPercent": 78, "recallPercent": 87, "leadMedian": "6s"});
        serde_json::from_value(json!({
            "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorPolicy",
            "metadata": {"name": name, "namespace": "shop", "generation": 3},
            "spec": {"target": {"podSelector": {}}, "rules": [rule]},
            "status": {"observedGeneration": 3, "targets": 12, "firing": 1, "rules": [score], "conditions": conditions},
        }))
        .unwrap()
    }

    fn firing(name: &str, severity: &str) -> PrecursorAlert {
        serde_json::from_value(json!({
            "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorAlert",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "p-1"}, "rule": "rtt",
                "podRef": {"name": "checkout-x2", "uid": "u-1"}, "nodeName": "node1"},
            "status": {"state": "Firing", "severity": severity, "threshold": "200ms", "predicted": "231ms", "count": 1,
                "firedAt": "2023-11-14T22:12:20Z", "trigger": "Forecast", "model": {"name": "damped-holt"}},
        }))
        .unwrap()
    }

    fn screen(objects: &Objects) -> String {
        text(&report(objects, now()), Style::PLAIN, now())
    }

    #[test]
    fn what_is_not_ready_comes_first_with_its_message() {
        let down = [
            says("AgentsReady", "False", "PodSecurity", "Pod Security refuses agents"),
            says("Ready", "False", "AgentsNotReady", "Pod Security refuses agents"),
            says("ModelReady", "False", "NotFound", "there is no ConfigMap rtt-models"),
        ];
        let objects = Objects {
            policies: vec![policy("cart", &[says("Ready", "True", "Watching", "")]), policy("checkout", &down)],
            ..Objects::default()
        };
        let told = report(&objects, now());
        let names: Vec<_> = told.policies.iter().map(|policy| (policy.name.as_str(), policy.ready)).collect();
        assert_eq!(names, [("checkout", false), ("cart", true)]);
        let conditions: Vec<_> = told.policies[0].troubles.iter().map(|trouble| trouble.condition.as_str()).collect();
        // AgentsReady has nothing to add to Ready.
        assert_eq!(conditions, ["Ready", "ModelReady"]);
        let screen = screen(&objects);
        assert!(screen.find("checkout").unwrap() < screen.find("cart").unwrap(), "{screen}");
        assert!(screen.contains("AgentsNotReady: Pod Security refuses agents"), "{screen}");
        assert!(screen.contains("78%") && screen.contains("87%") && screen.contains("6s"), "{screen}");
    }

    #[test]
    fn a_policy_that_the_operator_has_not_seen_is_not_ready() {
        let ready = [says("Ready", "True", "Watching", "")];
        let mut changed = policy("checkout", &ready);
        changed.metadata.generation = Some(4);
        let new = PrecursorPolicy { status: None, ..policy("cart", &ready) };
        let told = report(&Objects { policies: vec![changed, new], ..Objects::default() }, now());
        for policy in &told.policies {
            assert!(
                !policy.ready && policy.reason == "NotSeenYet" && policy.troubles[0].message.contains("is it running")
            );
        }
    }

    #[test]
    fn the_most_urgent_alert_comes_first() {
        let objects = Objects { alerts: vec![firing("a", "Info"), firing("b", "Critical")], ..Objects::default() };
        let names: Vec<_> = report(&objects, now()).alerts.into_iter().map(|alert| alert.name).collect();
        assert_eq!(names, ["b", "a"]);
        assert!(screen(&objects).contains("231ms"), "{}", screen(&objects));
    }

    #[test]
    fn agents_are_counted_against_those_that_there_should_be() {
        let reports = vec![nodes::report("node1", 10, |_| {}), nodes::report("node2", 2_000, |_| {})];
        let objects = Objects { reports, wanted: Some(3), ..Objects::default() };
        let screen = screen(&objects);
        assert!(screen.contains("1 of 3 ready") && screen.contains("node2: the agent last wrote 33m ago"), "{screen}");
        let json = serde_json::to_value(report(&objects, now())).unwrap();
        assert_eq!(
            (&json["agents"]["ready"], &json["agents"]["troubles"][0]["standing"]),
            (&json!(1), &json!("Stale"))
        );
    }

    #[test]
    fn an_empty_cluster_says_what_to_do() {
        let screen = screen(&Objects::default());
        assert!(screen.contains("no policy") && screen.contains("kubectl apply"), "{screen}");
    }
}
