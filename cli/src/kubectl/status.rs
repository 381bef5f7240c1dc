//! `status`: policies, alerts that are out and agents on one screen, what is not well first.

#[cfg(test)]
mod tests;
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
    policy_kind: PolicyKind,
    policy: String,
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
        policy_kind: alert.spec.policy_ref.kind,
        policy: alert.spec.policy_ref.name.clone(),
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
