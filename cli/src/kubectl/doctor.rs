//! `doctor`: how each node's agent is, and on which nodes there should be one and is none.

#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{Node, Pod},
};
use kube::{Api, api::ListParams};
use netprecursor_crds::{
    ClusterPrecursorPolicy, PrecursorNodeReport, PrecursorPolicy,
    report::{Need, Overhead, PrecursorNodeReportStatus, Queue, RttSource, Sensor, SensorState},
};
use serde::Serialize;

use super::{
    connect::{AGENTS, Answer, Cluster, ClusterError},
    node::{Standing, silence, standing},
};

pub(super) use words::text;

/// What the report is made of.
#[derive(Debug, Default)]
pub(super) struct Objects {
    reports: Vec<PrecursorNodeReport>,
    nodes: Vec<Node>,
    pods: Vec<Pod>,
    agents: Option<DaemonSet>,
    /// Whether there is a policy; without one there are no agents.
    has_policy: bool,
    notes: Vec<String>,
}

/// How the agents are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Doctor {
    /// Whether nothing is wrong.
    pub(super) is_well: bool,
    /// What is worst first.
    nodes: Vec<NodeLine>,
    /// What concerns no single node.
    problems: Vec<String>,
    /// What could not be found out.
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeLine {
    node: String,
    standing: Standing,
    /// What is wrong.
    problems: Vec<String>,
    /// What could be better.
    remarks: Vec<String>,
    heartbeat_age_seconds: Option<i64>,
    #[serde(flatten)]
    report: Option<Reported>,
}

/// What the agent itself says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reported {
    agent_version: String,
    kernel: String,
    rtt_source: RttSource,
    socket_coverage_percent: Option<u8>,
    targets: u32,
    queue: Queue,
    overhead: Option<Overhead>,
    /// Sensors that are not Active.
    sensors: Vec<Sensor>,
}

/// Asks for all of it at once.
pub(super) async fn ask(cluster: &Cluster) -> Result<Objects, ClusterError> {
    let namespace = cluster.installation().await?.namespace;
    let client = &cluster.client;
    let (all, agents) = (ListParams::default(), ListParams::default().labels(AGENTS));
    // One is enough to know that there is one.
    let one = ListParams::default().limit(1);
    let own: Api<PrecursorPolicy> = Api::all(client.clone());
    let whole: Api<ClusterPrecursorPolicy> = Api::all(client.clone());
    let (reports, nodes, pods) = (cluster.global(), cluster.global(), Api::namespaced(client.clone(), &namespace));
    let (reports, nodes, pods, agents, own, whole) = tokio::try_join!(
        cluster.list(&reports, &all),
        cluster.list(&nodes, &all),
        cluster.list(&pods, &agents),
        cluster.daemon_set(&namespace),
        async { cluster.judge("list precursorpolicies", own.list_metadata(&one).await) },
        async { cluster.judge("list clusterprecursorpolicies", whole.list_metadata(&one).await) },
    )?;
    let mut notes = Vec::new();
    let mut has_policy = false;
    for (kind, answer) in [
        ("precursorpolicies", own.map(|list| list.items.len())),
        ("clusterprecursorpolicies", whole.map(|list| list.items.len())),
    ] {
        match answer {
            Answer::Found(count) => has_policy |= count > 0,
            Answer::Absent => return Err(ClusterError::NotInstalled { what: format!("list {kind}") }),
            // Whoever may not see policies has agents to look after all the same.
            Answer::Forbidden(message) => {
                has_policy = true;
                notes.push(format!("not permitted to list {kind} of all namespaces: {message}"));
            }
        }
    }
    if let Answer::Forbidden(message) = &agents {
        notes.push(format!("not permitted to list daemonsets in {namespace}: {message}"));
    }
    Ok(Objects {
        reports: reports.into_items(&mut notes),
        nodes: nodes.into_items(&mut notes),
        pods: pods.into_items(&mut notes),
        agents: agents.found(),
        has_policy,
        notes,
    })
}

/// How the agents are, by the objects.
pub(super) fn report(objects: &Objects, now: Timestamp) -> Doctor {
    let pods = pods_by_node(&objects.pods);
    let (problems, all_made) = daemon_set(objects);
    let mut nodes: Vec<NodeLine> = Vec::new();
    for report in &objects.reports {
        let node = report.metadata.name.clone().unwrap_or_default();
        let has_agent = pods.contains_key(node.as_str());
        nodes.push(line(node, report, now, objects.has_policy && (has_agent || !all_made)));
    }
    let reported: BTreeSet<String> = nodes.iter().map(|line| line.node.clone()).collect();
    for node in
        objects.nodes.iter().filter_map(|node| node.metadata.name.as_ref()).filter(|name| !reported.contains(*name))
    {
        let (standing, problems) = match pods.get(node.as_str()) {
            Some(pod) => (Standing::Missing, vec![format!("its agent has not reported: {}", trouble(pod))]),
            None if objects.has_policy && !all_made => {
                (Standing::Missing, vec!["no agent runs here: see the DaemonSet's Events".to_owned()])
            }
            None => (Standing::Unwanted, Vec::new()),
        };
        let (remarks, heartbeat_age_seconds, report) = (Vec::new(), None, None);
        nodes.push(NodeLine { node: node.clone(), standing, problems, remarks, heartbeat_age_seconds, report });
    }
    nodes.sort_by_key(|line| (line.problems.is_empty(), line.standing, line.remarks.is_empty(), line.node.clone()));
    let is_well = problems.is_empty() && nodes.iter().all(|line| line.problems.is_empty());
    Doctor { is_well, nodes, problems, notes: objects.notes.clone() }
}

/// What is wrong with all agents, and whether each node that shall have one has its pod. Then a node without one shall
/// have none: the DaemonSet's selectors and tolerations leave it out.
fn daemon_set(objects: &Objects) -> (Vec<String>, bool) {
    let is_hidden = objects.notes.iter().any(|note| note.contains("daemonsets"));
    let Some(status) = objects.agents.as_ref().and_then(|agents| agents.status.as_ref()) else {
        let is_wrong = objects.has_policy && !is_hidden && objects.agents.is_none();
        let problem = "there are policies, and no DaemonSet of agents: is the operator running?".to_owned();
        return (if is_wrong { vec![problem] } else { Vec::new() }, is_hidden);
    };
    let (made, wanted) = (status.current_number_scheduled, status.desired_number_scheduled);
    let problem = || format!("{made} of {wanted} agents could be made: `kubectl netprecursor install-check` says more");
    (if made < wanted { vec![problem()] } else { Vec::new() }, made >= wanted)
}

/// Pods that are to stay, by node.
fn pods_by_node(pods: &[Pod]) -> BTreeMap<&str, &Pod> {
    let stays = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    stays.filter_map(|pod| Some((pod.spec.as_ref()?.node_name.as_deref()?, pod))).collect()
}

/// What a pod waits for.
fn trouble(pod: &Pod) -> String {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let status = pod.status.as_ref();
    let containers = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let waiting = containers.iter().find_map(|container| container.state.as_ref()?.waiting.as_ref());
    let why = match waiting {
        Some(waiting) => {
            let parts = [waiting.reason.as_deref(), waiting.message.as_deref()];
            parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
        }
        None => status.and_then(|status| status.phase.clone()).unwrap_or_else(|| "no phase yet".to_owned()),
    };
    format!("pod {name} is {why}")
}

fn line(node: String, report: &PrecursorNodeReport, now: Timestamp, is_wanted: bool) -> NodeLine {
    let (stands, why) = standing(report, now);
    let heartbeat_age_seconds = silence(report, now);
    let status = report.status.clone().unwrap_or_default();
    let standing = if stands == Standing::Stale && !is_wanted { Standing::Unwanted } else { stands };
    let (mut problems, mut remarks) = (Vec::new(), Vec::new());
    if standing == Standing::Unwanted {
        remarks.push("no agent is wanted here any more; the report is the last one's".to_owned());
    } else {
        problems.extend(why);
        judge(&status, &mut problems, &mut remarks);
    }
    let PrecursorNodeReportStatus {
        agent_version,
        kernel,
        rtt_source,
        socket_coverage_percent,
        targets,
        queue,
        overhead,
        sensors,
        ..
    } = status;
    let sensors = sensors.into_iter().filter(|sensor| sensor.state != SensorState::Active).collect();
    let reported =
        Reported { agent_version, kernel, rtt_source, socket_coverage_percent, targets, queue, overhead, sensors };
    NodeLine { node, standing, problems, remarks, heartbeat_age_seconds, report: Some(reported) }
}

/// What a working agent says that is wrong, or could be better.
fn judge(status: &PrecursorNodeReportStatus, problems: &mut Vec<String>, remarks: &mut Vec<String>) {
    for sensor in &status.sensors {
        let reason = sensor.reason.as_deref().unwrap_or("no reason given");
        match (sensor.need, sensor.state) {
            (_, SensorState::Active) => {}
            (Need::Required, SensorState::Unavailable) => {
                problems.push(format!("sensor {} is unavailable: {reason}", sensor.name));
            }
            (_, state) => {
                remarks.push(format!("sensor {} is {}: {reason}", sensor.name, format!("{state:?}").to_lowercase()));
            }
        }
    }
    if status.queue.dropped > 0 {
        problems.push(format!("{} messages were given up because the queue was full", status.queue.dropped));
    }
    if status.targets_over_capacity > 0 {
        problems.push(format!(
            "{} pods are wanted and not watched: the agent has no room for more",
            status.targets_over_capacity
        ));
    }
    if status.queue.pending > 0 {
        remarks.push(format!("{} messages wait to be sent", status.queue.pending));
    }
    if status.rtt_source == RttSource::Smoothed {
        remarks.push("the kernel tells smoothed round trips only (6.10 and later tell each one)".to_owned());
    }
}
