//! `doctor`: the state of each node's agent, the nodes where an agent is missing, and what else is wrong.

#[cfg(test)]
mod tests;
mod words;

use jiff::Timestamp;
use kube::{
    Api,
    api::{ListParams, ObjectMeta},
};
use netprecursor_crds::{
    ClusterPrecursorPolicy, PrecursorAlert, PrecursorPolicy,
    diagnosis::{self, Diagnosis, Finding, Severity, Standing, diagnose, node::Stand},
    policy::PrecursorPolicyStatus,
    report::{ClusterNetworks, Overhead, PrecursorNodeReportStatus, Queue, RttSource, Sensor, SensorState},
};
use serde::Serialize;

use super::{
    connect::{Answer, Cluster, ClusterError},
    installed::Installed,
};

pub(super) use words::text;

/// Alerts that are counted one by one.
const COUNTED: u32 = 1_000;

/// What the report is made of.
#[derive(Debug)]
pub(super) struct Objects {
    installed: Installed,
    policies: Vec<PrecursorPolicy>,
    cluster_policies: Vec<ClusterPrecursorPolicy>,
    /// Whether some policies may not be seen.
    hides_policies: bool,
    /// Firing alerts; `None` if the user may not list them.
    firing: Option<usize>,
    notes: Vec<String>,
}

/// How the agents are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Doctor {
    /// Whether everything that is wanted happens.
    pub(super) is_well: bool,
    /// What is worst first.
    nodes: Vec<NodeLine>,
    /// The networks of the cluster, as the agent has them that reported last.
    cluster_networks: Option<ClusterNetworks>,
    /// What is wrong and concerns no single node.
    problems: Vec<String>,
    /// What somebody should look at, and concerns no single node.
    remarks: Vec<String>,
    /// How many things are wrong, and how many want a look.
    counts: Counts,
    /// What could not be found out.
    notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    faults: usize,
    warnings: usize,
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
    let all = ListParams::default();
    let (policies, cluster_policies) = (cluster.scoped(true), cluster.global());
    let alerts: Api<PrecursorAlert> = Api::all(cluster.client.clone());
    let firing = ListParams::default().fields("status.state=Firing").limit(COUNTED);
    let (installed, policies, cluster_policies, alerts) = tokio::try_join!(
        Installed::ask(cluster),
        cluster.list(&policies, &all),
        cluster.list(&cluster_policies, &all),
        async { cluster.judge("list precursoralerts", alerts.list_metadata(&firing).await) },
    )?;
    let installed = installed.or_not_installed()?;
    let mut notes = [installed.notes.as_slice(), &installed.details].concat();
    let hides_policies = policies.is_hidden || cluster_policies.is_hidden;
    let (policies, cluster_policies) = (policies.into_items(&mut notes), cluster_policies.into_items(&mut notes));
    let firing = match alerts {
        Answer::Found(list) => Some(list.items.len()),
        Answer::Absent => return Err(ClusterError::NotInstalled { what: "list precursoralerts".to_owned() }),
        Answer::Forbidden(message) => {
            notes.push(format!("not permitted to list precursoralerts: {message}"));
            None
        }
    };
    Ok(Objects { installed, policies, cluster_policies, hides_policies, firing, notes })
}

/// How the agents are, by the objects.
pub(super) fn report(objects: &Objects, now: Timestamp) -> Doctor {
    let policies = policies(objects);
    let has_policy = match (policies.is_empty(), objects.hides_policies) {
        (false, _) => Some(true),
        (true, true) => None,
        (true, false) => Some(false),
    };
    let facts = policies.iter().map(|(_, policy)| *policy).collect();
    let diagnosis = diagnose(&objects.installed.facts(facts, has_policy, objects.firing), now);
    let mut nodes: Vec<NodeLine> = diagnosis.nodes.iter().map(|stand| line(stand, objects)).collect();
    nodes.sort_by_key(|line| (line.problems.is_empty(), line.standing, line.remarks.is_empty(), line.node.clone()));
    let (problems, remarks) = at_large(&diagnosis, policies.iter().map(|(name, _)| name.as_str()));
    let with_problems = nodes.iter().filter(|line| !line.problems.is_empty()).count();
    let warnings = diagnosis.all().filter(|finding| finding.severity == Severity::Warning).count();
    let counts = Counts { faults: problems.len() + with_problems, warnings };
    let (cluster_networks, notes) = (cluster_networks(objects), objects.notes.clone());
    Doctor { is_well: counts.faults == 0, nodes, cluster_networks, problems, remarks, counts, notes }
}

fn cluster_networks(objects: &Objects) -> Option<ClusterNetworks> {
    let reports = objects.installed.reports.there().into_iter().flatten();
    let statuses = reports.filter_map(|report| report.status.as_ref());
    let known = statuses.filter(|status| status.cluster_networks.is_some());
    known.max_by_key(|status| status.heartbeat.as_ref().map(|time| time.0))?.cluster_networks.clone()
}

/// Every policy with its name.
fn policies(objects: &Objects) -> Vec<(String, diagnosis::Policy<'_>)> {
    let own = objects.policies.iter().map(|object| named(&object.metadata, object.status.as_ref()));
    own.chain(objects.cluster_policies.iter().map(|object| named(&object.metadata, object.status.as_ref()))).collect()
}

fn named<'a>(metadata: &ObjectMeta, status: Option<&'a PrecursorPolicyStatus>) -> (String, diagnosis::Policy<'a>) {
    let name = metadata.name.as_deref().unwrap_or_default();
    let name = metadata.namespace.as_ref().map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
    (name, diagnosis::Policy { generation: metadata.generation, status })
}

/// What concerns no single node: the whole first, then policies, and nothing twice.
pub(super) fn at_large<'a>(diagnosis: &Diagnosis, names: impl Iterator<Item = &'a str>) -> (Vec<String>, Vec<String>) {
    let whole = diagnosis.findings.iter().map(|finding| (finding, format!("{}: {finding}", finding.reason)));
    let is_new = |finding: &&Finding| diagnosis.findings.iter().all(|known| !finding.message.ends_with(&known.message));
    let of_policies = diagnosis.policies.iter().zip(names).flat_map(|(findings, name)| {
        let new = findings.iter().filter(is_new);
        new.map(move |finding| (finding, format!("policy {name}: {}: {finding}", finding.reason)))
    });
    let mut findings: Vec<_> = whole.chain(of_policies).collect();
    findings.sort_by_key(|(finding, _)| finding.severity);
    let (faults, others): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|(finding, _)| finding.severity == Severity::Fault);
    let texts = |findings: Vec<(&Finding, String)>| findings.into_iter().map(|(_, text)| text).collect();
    (texts(faults), texts(others))
}

fn line(stand: &Stand, objects: &Objects) -> NodeLine {
    let of = |is_fault: bool| {
        let some = stand.findings.iter().filter(|finding| (finding.severity == Severity::Fault) == is_fault);
        some.map(ToString::to_string).collect()
    };
    let mut reports = objects.installed.reports.there().into_iter().flatten();
    let report = reports.find(|report| report.metadata.name.as_ref() == Some(&stand.node));
    NodeLine {
        node: stand.node.clone(),
        standing: stand.standing,
        problems: of(true),
        remarks: of(false),
        heartbeat_age_seconds: stand.silence,
        report: report.map(|report| reported(report.status.clone().unwrap_or_default())),
    }
}

fn reported(status: PrecursorNodeReportStatus) -> Reported {
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
    Reported { agent_version, kernel, rtt_source, socket_coverage_percent, targets, queue, overhead, sensors }
}
