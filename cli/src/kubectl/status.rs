//! `status`: policies, firing alerts and agents on one screen, problems first.

#[cfg(test)]
mod tests;
mod words;

use std::cmp::Reverse;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::ListParams;
use netprecursor_crds::{
    ClusterPrecursorPolicy, Duration, PrecursorAlert, PrecursorPolicy,
    alert::{AlertState, PolicyKind},
    diagnosis::{self, Finding, Severity, Standing, diagnose, node::Stand},
    policy::{Mode, ScoreWindow, Severity as Urgency},
};
use serde::Serialize;

use super::{
    connect::{Cluster, ClusterError},
    installed::Installed,
};

pub(super) use words::text;

/// What the report is made of.
#[derive(Debug)]
pub(super) struct Objects {
    policies: Vec<PrecursorPolicy>,
    cluster_policies: Vec<ClusterPrecursorPolicy>,
    /// Whether all policies of the cluster were looked for, and could be seen.
    has_all_policies: bool,
    /// Whether some of the policies that were looked for may not be seen.
    hides_policies: bool,
    /// `None` where alerts may not be seen.
    alerts: Option<Vec<PrecursorAlert>>,
    installed: Installed,
    notes: Vec<String>,
}

/// The screen.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    /// What is wrong with the operator: then what policies say is of before.
    operator: Vec<Finding>,
    /// What is not ready first.
    policies: Vec<Policy>,
    /// Whether some may not be seen.
    hides_policies: bool,
    /// The firing ones, most urgent first; absent if the user may not list them.
    alerts: Option<Vec<Alert>>,
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
    troubles: Vec<Finding>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    name: String,
    precision_percent: Option<u8>,
    recall_percent: Option<u8>,
    lead_median: Option<Duration>,
    /// The chance that a warning needs, and the highest recent one.
    needed_percent: Option<u8>,
    reachable_percent: Option<u8>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    namespace: String,
    name: String,
    severity: Urgency,
    /// The pod, or the worst one of the workload.
    pod: String,
    /// How many of the workload's pods have fired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_count: Option<u32>,
    policy_kind: PolicyKind,
    policy: String,
    rule: String,
    threshold: Duration,
    predicted: Option<Duration>,
    chance_percent: Option<u8>,
    measured: Option<Duration>,
    lead: Option<Duration>,
    fired_at: Time,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Agents {
    /// Nodes whose agent works.
    ready: usize,
    /// Nodes that have reported; absent where reports may not be seen.
    reports: Option<usize>,
    /// Nodes that shall have one; absent when there is no DaemonSet, or none to be seen.
    wanted: Option<usize>,
    /// What is wrong with them as a whole.
    finding: Option<Finding>,
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
    let (policies, cluster_policies, alerts) =
        (cluster.scoped(all_namespaces), cluster.global(), cluster.scoped(all_namespaces));
    let (policies, cluster_policies, alerts, installed) = tokio::try_join!(
        cluster.list(&policies, &all),
        cluster.list(&cluster_policies, &all),
        cluster.list(&alerts, &firing),
        Installed::ask(cluster),
    )?;
    let installed = installed.or_not_installed()?;
    let hides_policies = policies.is_hidden || cluster_policies.is_hidden;
    let hides_alerts = alerts.is_hidden;
    let mut notes = Vec::new();
    let (policies, cluster_policies) = (policies.into_items(&mut notes), cluster_policies.into_items(&mut notes));
    let alerts = alerts.into_items(&mut notes);
    notes.extend(installed.notes.iter().cloned());
    Ok(Objects {
        policies,
        cluster_policies,
        has_all_policies: all_namespaces && !hides_policies,
        hides_policies,
        alerts: (!hides_alerts).then_some(alerts),
        installed,
        notes,
    })
}

/// The screen, of the objects.
pub(super) fn report(objects: &Objects, now: Timestamp) -> Status {
    let own = objects
        .policies
        .iter()
        .map(|policy| (PolicyKind::Namespaced, &policy.metadata, policy.spec.mode, policy.status.as_ref()));
    let whole = objects
        .cluster_policies
        .iter()
        .map(|policy| (PolicyKind::Cluster, &policy.metadata, policy.spec.mode, policy.status.as_ref()));
    let rows: Vec<_> = own.chain(whole).collect();
    let facts = rows
        .iter()
        .map(|(_, metadata, _, status)| diagnosis::Policy { generation: metadata.generation, status: *status });
    let has_policy = if rows.is_empty() { objects.has_all_policies.then_some(false) } else { Some(true) };
    let diagnosis = diagnose(&objects.installed.facts(facts.clone().collect(), has_policy, None), now);
    let mut policies: Vec<Policy> = rows
        .iter()
        .zip(facts.zip(&diagnosis.policies))
        .map(|((kind, metadata, mode, _), (facts, troubles))| policy(*kind, metadata, *mode, &facts, troubles))
        .collect();
    policies.sort_by_key(|policy| {
        (policy.ready, policy.troubles.is_empty(), policy.namespace.clone(), policy.name.clone())
    });
    let alerts = objects.alerts.as_ref().map(|alerts| {
        let mut alerts: Vec<Alert> = alerts.iter().filter_map(alert).collect();
        alerts.sort_by_key(|alert| (urgency(alert.severity), Reverse(alert.fired_at.0), alert.name.clone()));
        alerts
    });
    let is_about_agents = |finding: &&Finding| finding.condition == "AgentsReady";
    Status {
        operator: diagnosis.findings.iter().filter(|finding| !is_about_agents(finding)).cloned().collect(),
        policies,
        hides_policies: objects.hides_policies,
        alerts,
        agents: Agents {
            ready: diagnosis.tally.working,
            reports: objects.installed.reports.there().map(Vec::len),
            wanted: diagnosis.tally.wanted,
            finding: diagnosis.findings.iter().find(is_about_agents).cloned(),
            troubles: troubles(&diagnosis.nodes),
        },
        notes: objects.notes.clone(),
    }
}

fn policy(
    kind: PolicyKind,
    metadata: &ObjectMeta,
    mode: Mode,
    facts: &diagnosis::Policy<'_>,
    troubles: &[Finding],
) -> Policy {
    let (ready, reason) = facts.standing();
    let rules = facts.status.map(|status| status.rules.as_slice()).unwrap_or_default().iter();
    Policy {
        kind,
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone().unwrap_or_default(),
        mode,
        ready,
        reason: reason.to_owned(),
        targets: facts.status.and_then(|status| status.targets),
        firing: facts.status.and_then(|status| status.firing),
        rules: rules
            .filter(|rule| rule.window == ScoreWindow::Day)
            .map(|rule| Rule {
                name: rule.name.clone(),
                precision_percent: rule.precision_percent,
                recall_percent: rule.recall_percent,
                lead_median: rule.lead_median.clone(),
                needed_percent: rule.needed_percent,
                reachable_percent: rule.reachable_percent,
            })
            .collect(),
        troubles: troubles.to_vec(),
    }
}

/// Nodes whose agent does not work, or loses something, and why first.
fn troubles(nodes: &[Stand]) -> Vec<AgentTrouble> {
    let trouble = |stand: &Stand| {
        let worst = stand.findings.first().filter(|finding| finding.severity < Severity::Remark)?;
        Some(AgentTrouble { node: stand.node.clone(), standing: stand.standing, message: worst.to_string() })
    };
    let mut troubles: Vec<AgentTrouble> = nodes.iter().filter_map(trouble).collect();
    troubles.sort_by_key(|trouble| (trouble.standing, trouble.node.clone()));
    troubles
}

fn alert(alert: &PrecursorAlert) -> Option<Alert> {
    let status = alert.status.as_ref().filter(|status| status.state == AlertState::Firing)?;
    Some(Alert {
        namespace: alert.metadata.namespace.clone().unwrap_or_default(),
        name: alert.metadata.name.clone().unwrap_or_default(),
        severity: status.severity,
        pod: alert.pod().map_or_else(String::new, |(name, _)| name.to_owned()),
        pod_count: status.pod_count,
        policy_kind: alert.spec.policy_ref.kind,
        policy: alert.spec.policy_ref.name.clone(),
        rule: alert.spec.rule.clone(),
        threshold: status.threshold.clone(),
        predicted: status.predicted.clone(),
        chance_percent: status.chance_percent,
        measured: status.measured.clone(),
        lead: status.lead.clone(),
        fired_at: status.fired_at.clone(),
    })
}

const fn urgency(severity: Urgency) -> u8 {
    match severity {
        Urgency::Critical => 0,
        Urgency::Warning => 1,
        Urgency::Info => 2,
    }
}
