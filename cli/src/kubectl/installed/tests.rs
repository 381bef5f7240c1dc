//! An installation as the API server shows it, and what is made of it.

use netprecursor_crds::diagnosis::{Severity, Standing, diagnose, node::Pod as PodFacts};
use serde_json::{Value, json};

use super::*;

pub(in crate::kubectl) const NOW: i64 = 1_700_000_000;

pub(in crate::kubectl) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(NOW + second).unwrap()
}

pub(in crate::kubectl) fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

/// The report of an agent that wrote `ago` seconds before [`NOW`].
pub(in crate::kubectl) fn report(node: &str, ago: i64, change: impl FnOnce(&mut Value)) -> PrecursorNodeReport {
    let condition = |type_: &str, status: &str, reason: &str, message: &str| json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": at(-900).to_string()});
    let mut value = json!({
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorNodeReport", "metadata": {"name": node},
        "status": {
            "agentVersion": "0.1.0", "kernel": "6.18.4", "rttSource": "Measured", "socketCoveragePercent": 97,
            "overhead": {"cpu": "4m", "memory": "31Mi"}, "targets": 12, "queue": {"pending": 0, "dropped": 0},
            "sensors": [{"name": "tcp", "need": "Required", "state": "Active"},
                {"name": "sched", "need": "Optional", "state": "Active"}],
            "conditions": [condition("Ready", "True", "SensorsWork", "forecasts are made")],
            "heartbeat": at(-ago).to_string(),
        },
    });
    change(&mut value);
    object(value)
}

/// The pod of a node's agent, ready when `state` is that it runs.
pub(in crate::kubectl) fn pod(node: &str, state: Value) -> Pod {
    let is_ready = if state["running"].is_object() { "True" } else { "False" };
    let containers =
        json!([{"name": "agent", "image": "a", "imageID": "", "ready": false, "restartCount": 0, "state": state}]);
    let ready = json!([{"type": "Ready", "status": is_ready, "lastTransitionTime": at(-600).to_string()}]);
    object(json!({
        "metadata": {"name": format!("agent-{node}")},
        "spec": {"nodeName": node, "containers": []},
        "status": {"phase": "Running", "conditions": ready, "containerStatuses": containers},
    }))
}

pub(in crate::kubectl) fn running(node: &str) -> Pod {
    pod(node, json!({"running": {}}))
}

pub(in crate::kubectl) fn daemon_set(made: i32, wanted: i32, ready: i32) -> Answer<DaemonSet> {
    let status = json!({"currentNumberScheduled": made, "desiredNumberScheduled": wanted, "numberMisscheduled": 0,
        "updatedNumberScheduled": made, "numberReady": ready, "observedGeneration": 1});
    Answer::Found(object(json!({"metadata": {"name": "netprecursor-agent", "generation": 1}, "status": status})))
}

pub(in crate::kubectl) fn named(names: &[&str]) -> Known<Vec<Node>> {
    Known::There(names.iter().map(|name| object(json!({"metadata": {"name": name}}))).collect())
}

/// The operator's Deployment, of which so many copies of two are ready.
pub(in crate::kubectl) fn deployment(ready: i32) -> Answer<Deployment> {
    let available = if ready > 0 { "True" } else { "False" };
    Answer::Found(object(json!({
        "metadata": {"name": "netprecursor-operator", "annotations": {"meta.helm.sh/release-name": "np"}},
        "spec": {"replicas": 2, "selector": {}, "template": {}},
        "status": {"readyReplicas": ready, "conditions": [{"type": "Available", "status": available}]},
    })))
}

/// A Lease that was renewed so many seconds ago.
pub(in crate::kubectl) fn held(ago: i64) -> Known<Lease> {
    Known::There(object(json!({"metadata": {}, "spec": {"holderIdentity": "operator-a", "leaseDurationSeconds": 15,
        "renewTime": format!("{:.6}", at(-ago))}})))
}

/// An installation on `nodes` on which everything works.
pub(in crate::kubectl) fn installed(nodes: &[&str]) -> Installed {
    let count = nodes.len().try_into().unwrap();
    Installed {
        namespace: "net".to_owned(),
        operator: deployment(2),
        lease: held(3),
        agents: daemon_set(count, count, count),
        failures: Known::There(Vec::new()),
        pods: Known::There(nodes.iter().map(|node| running(node)).collect()),
        nodes: named(nodes),
        reports: Known::There(nodes.iter().map(|node| report(node, 10, |_| {})).collect()),
        notes: Vec::new(),
        details: Vec::new(),
    }
}

fn standings(installed: &Installed) -> Vec<Standing> {
    let diagnosis = diagnose(&installed.facts(Vec::new(), Some(true), None), at(0));
    diagnosis.nodes.iter().map(|stand| stand.standing).collect()
}

#[test]
fn a_pod_that_waits_for_its_node_is_that_node_s() {
    let term = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node2"]}]});
    let affinity =
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}});
    let why =
        json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient memory"});
    let waits: Pod = object(json!({"metadata": {"name": "agent-x"}, "spec": {"containers": [], "affinity": affinity},
        "status": {"phase": "Pending", "conditions": [why]}}));
    let mut installed =
        Installed { agents: daemon_set(2, 2, 1), nodes: named(&["node1", "node2"]), ..installed(&["node1"]) };
    installed.pods = Known::There(vec![running("node1"), waits]);
    assert_eq!(standings(&installed), [Standing::Ready, Standing::Missing]);
    let diagnosis = diagnose(&installed.facts(Vec::new(), Some(true), None), at(0));
    assert!(diagnosis.findings[0].message.contains("1 of 2 agents work; failing on node2"), "{diagnosis:#?}");
    assert!(diagnosis.findings[0].message.contains("Insufficient memory"), "{diagnosis:#?}");
}

#[test]
fn a_node_without_an_agent_is_not_ready_however_young_its_report_is() {
    let both = installed(&["node1", "node2"]);
    let evicted = Installed { pods: Known::There(vec![running("node1")]), ..both };
    // Its node was tainted, and the agents do not tolerate it: the controller wants one less.
    let left_out = Installed { agents: daemon_set(1, 1, 1), ..evicted };
    assert_eq!(standings(&left_out), [Standing::Ready, Standing::Unwanted]);
    let refused = Installed { agents: daemon_set(1, 2, 1), ..left_out };
    assert_eq!(standings(&refused), [Standing::Ready, Standing::Missing]);
    let unseen = Installed { agents: Answer::Forbidden("no".to_owned()), ..refused };
    assert_eq!(standings(&unseen), [Standing::Ready, Standing::Missing]);
}

#[test]
fn what_may_not_be_seen_is_not_missing() {
    let no = || Answer::Forbidden("no".to_owned());
    let nothing = Installed {
        operator: no_operator(),
        lease: Known::Hidden,
        agents: no(),
        failures: Known::Hidden,
        pods: Known::Hidden,
        nodes: Known::Hidden,
        reports: Known::Hidden,
        ..installed(&["node1"])
    };
    let diagnosis = diagnose(&nothing.facts(Vec::new(), None, None), at(0));
    assert_eq!((diagnosis.worst(), diagnosis.nodes.len()), (None, 0), "{diagnosis:#?}");
    let reports = Installed { reports: Known::There(vec![report("node1", 10, |_| {})]), ..nothing };
    assert_eq!(standings(&reports), [Standing::Ready]);
    let pods = Installed { reports: Known::Hidden, pods: Known::There(vec![running("node1")]), ..reports };
    assert_eq!(standings(&pods), [Standing::Ready]);
}

fn no_operator() -> Answer<Deployment> {
    Answer::Forbidden("no".to_owned())
}

#[test]
fn an_agent_of_before_the_upgrade_is_pointed_out() {
    let mut two = installed(&["node1", "node2"]);
    let newer = report("node2", 10, |report| report["status"]["agentVersion"] = "0.10.0".into());
    two.reports = Known::There(vec![report("node1", 10, |_| {}), newer]);
    let diagnosis = diagnose(&two.facts(Vec::new(), Some(true), None), at(0));
    let findings: Vec<_> = diagnosis.all().map(|finding| (finding.reason.as_str(), finding.severity)).collect();
    assert_eq!(findings, [("VersionSkew", Severity::Warning)]);
    assert!(diagnosis.nodes[0].findings[0].message.contains("0.1.0, others run 0.10.0"), "{diagnosis:#?}");
}

#[test]
fn names_in_advice_are_those_of_the_release() {
    let status = json!({"conditions": [{"type": "AgentsReady", "status": "False", "reason": "AnchorMissing",
        "message": "ConfigMap net/np-anchor is missing", "lastTransitionTime": at(0).to_string()}]});
    let status = object(status);
    let policy = Policy { generation: None, status: Some(&status) };
    let diagnosis = diagnose(&installed(&["node1"]).facts(vec![policy], Some(true), None), at(0));
    let text = diagnosis.findings[0].to_string();
    assert!(text.starts_with("ConfigMap net/np-anchor is missing; run `helm upgrade np "), "{text}");
}

#[test]
fn a_container_that_waits_is_reported_as_waiting() {
    let waiting = pod("node1", json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}));
    let PodFacts { is_ready, state, .. } = of_pod(&waiting);
    assert_eq!((is_ready, state.as_str()), (Some(false), "ImagePullBackOff: no such image"));
    // Before the kubelet says anything.
    let new: Pod = object(
        json!({"metadata": {}, "spec": {"nodeName": "node1", "containers": []}, "status": {"phase": "Pending"}}),
    );
    assert_eq!(of_pod(&new).is_ready, Some(false));
}
