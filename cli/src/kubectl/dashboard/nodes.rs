//! Nodes as the page shows them: the diagnosis of `doctor`, with what each agent reports. Pure.

use std::collections::{BTreeMap, HashMap};

use netprecursor_crds::{
    diagnosis::{Diagnosis, Severity, node::Stand},
    report::{PrecursorNodeReportStatus, Sensor},
};

use crate::{
    dashboard::{
        cluster::Placed,
        nodes::{ConditionView, Loss, NodeView, Nodes, SensorView},
    },
    kubectl::{doctor::at_large, installed::Installed},
};

/// Alerts that are firing, by node; none where they may not be listed.
pub(super) fn firing(alerts: Option<&[Placed]>) -> Option<BTreeMap<&str, u64>> {
    let mut firing = BTreeMap::new();
    for placed in alerts?.iter().filter(|placed| placed.alert.is_firing()) {
        *firing.entry(placed.node.as_str()).or_insert(0) += 1;
    }
    Some(firing)
}

/// All nodes, what is worst first. `policies` are the names of those that were diagnosed.
pub(super) fn nodes(
    diagnosis: &Diagnosis,
    policies: &[String],
    installed: &Installed,
    firing: Option<&BTreeMap<&str, u64>>,
) -> Nodes {
    let reports = installed.reports.there().into_iter().flatten();
    let reports: HashMap<&str, &PrecursorNodeReportStatus> =
        reports.filter_map(|report| Some((report.metadata.name.as_deref()?, report.status.as_ref()?))).collect();
    let view = |stand: &Stand| {
        let node = view(stand, reports.get(stand.node.as_str()).copied());
        let count = firing.map(|firing| firing.get(stand.node.as_str()).copied().unwrap_or(0));
        (stand.standing, NodeView { firing: count, ..node })
    };
    let mut all: Vec<_> = diagnosis.nodes.iter().map(view).collect();
    all.sort_by(|(one_stands, one), (other_stands, other)| {
        let key = |node: &NodeView| (node.problems.is_empty(), node.remarks.is_empty());
        let worst = (key(one).0, one_stands, key(one).1).cmp(&(key(other).0, other_stands, key(other).1));
        worst.then_with(|| one.name.cmp(&other.name))
    });
    let (problems, remarks) = at_large(diagnosis, policies.iter().map(String::as_str));
    Nodes {
        nodes: all.into_iter().map(|(_, node)| node).collect(),
        problems,
        remarks,
        notes: installed.details.clone(),
    }
}

fn view(stand: &Stand, report: Option<&PrecursorNodeReportStatus>) -> NodeView {
    let of = |is_fault: bool| {
        let some = stand.findings.iter().filter(|finding| (finding.severity == Severity::Fault) == is_fault);
        some.map(ToString::to_string).collect()
    };
    let node = NodeView {
        name: stand.node.clone(),
        standing: Some(format!("{:?}", stand.standing)),
        problems: of(true),
        remarks: of(false),
        heartbeat_age_seconds: stand.silence,
        ..NodeView::default()
    };
    match report {
        Some(report) => reported(node, report),
        None => node,
    }
}

fn reported(node: NodeView, report: &PrecursorNodeReportStatus) -> NodeView {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let conditions = report.conditions.iter().map(|condition| ConditionView {
        type_: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
    });
    NodeView {
        agent_version: some(&report.agent_version),
        kernel: some(&report.kernel),
        rtt_source: Some(format!("{:?}", report.rtt_source)),
        coverage_percent: report.socket_coverage_percent,
        targets: Some(report.targets.into()),
        pending: Some(report.queue.pending),
        cpu: report.overhead.as_ref().map(|overhead| overhead.cpu.clone()),
        memory: report.overhead.as_ref().map(|overhead| overhead.memory.clone()),
        losses: Loss::some([
            ("messages dropped", report.queue.dropped),
            ("selected pods without a slot", report.targets_over_capacity),
            ("alerts without an object, over a cap", report.rules.iter().map(|rule| rule.throttled).sum()),
            ("rules left out of the report", report.omitted.into()),
        ]),
        sensors: report.sensors.iter().map(sensor).collect(),
        conditions: conditions.collect(),
        ..node
    }
}

fn sensor(sensor: &Sensor) -> SensorView {
    let Sensor { name, need, state, reason, limits } = sensor.clone();
    SensorView { name, need, state, reason, limits }
}
