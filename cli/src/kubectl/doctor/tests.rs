//! Nodes with agents in all states, and what is said of them.

use serde_json::{Value, json};

use super::*;
use crate::kubectl::{node::tests as nodes, style::Style};

fn now() -> Timestamp {
    Timestamp::from_second(nodes::NOW).unwrap()
}

fn named(names: &[&str]) -> Vec<Node> {
    let node = |name: &&str| serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    names.iter().map(node).collect()
}

fn agent_on(node: &str, state: Value) -> Pod {
    let containers =
        json!([{"name": "agent", "image": "a", "imageID": "", "ready": false, "restartCount": 0, "state": state}]);
    serde_json::from_value(json!({
        "metadata": {"name": format!("agent-{node}")},
        "spec": {"nodeName": node, "containers": []},
        "status": {"phase": "Running", "containerStatuses": containers},
    }))
    .unwrap()
}

fn agents(made: i32, wanted: i32) -> Option<DaemonSet> {
    let status = json!({"currentNumberScheduled": made, "desiredNumberScheduled": wanted, "numberMisscheduled": 0,
        "numberReady": made});
    Some(serde_json::from_value(json!({"metadata": {"name": "netprecursor-agent"}, "status": status})).unwrap())
}

fn objects() -> Objects {
    Objects {
        reports: vec![nodes::report("node1", 10, |_| {})],
        nodes: named(&["node1"]),
        pods: vec![agent_on("node1", json!({"running": {}}))],
        agents: agents(1, 1),
        has_policy: true,
        notes: Vec::new(),
    }
}

#[test]
fn agents_that_work_are_well() {
    let report = report(&objects(), now());
    assert!(report.is_well, "{report:#?}");
    let text = text(&report, Style::PLAIN);
    for part in ["node1", "Ready", "0.1.0", "6.18.4", "Measured", "97%", "4m", "31Mi", "10s", "Nothing is wrong"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn a_node_whose_agent_does_not_start_is_told_with_what_its_pod_waits_for() {
    let waiting = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
    let mut objects = Objects { nodes: named(&["node1", "node2"]), agents: agents(2, 2), ..objects() };
    objects.pods.push(agent_on("node2", waiting));
    let report = report(&objects, now());
    assert!(!report.is_well);
    assert_eq!((report.nodes[0].node.as_str(), report.nodes[0].standing), ("node2", Standing::Missing));
    assert!(report.nodes[0].problems[0].contains("ImagePullBackOff: no such image"), "{report:#?}");
}

#[test]
fn a_node_that_the_selectors_leave_out_is_no_trouble_but_one_that_was_refused_is() {
    let two = || named(&["node1", "node2"]);
    let left_out = report(&Objects { nodes: two(), ..objects() }, now());
    assert!(left_out.is_well, "{left_out:#?}");
    let refused = report(&Objects { nodes: two(), agents: agents(1, 2), ..objects() }, now());
    assert!(!refused.is_well && refused.problems[0].contains("1 of 2 agents"), "{refused:#?}");
    assert_eq!(refused.nodes[0].standing, Standing::Missing);
}

#[test]
fn silence_is_trouble_only_where_an_agent_is_wanted() {
    let stale = || vec![nodes::report("node1", 10_000, |_| {})];
    let silent = report(&Objects { reports: stale(), ..objects() }, now());
    assert!(!silent.is_well && silent.nodes[0].standing == Standing::Stale);
    let none = Objects { reports: stale(), pods: Vec::new(), agents: None, has_policy: false, ..objects() };
    let after = report(&none, now());
    assert!(after.is_well && after.nodes[0].standing == Standing::Unwanted, "{after:#?}");
    let lost = report(&Objects { has_policy: true, ..none }, now());
    assert!(lost.problems[0].contains("is the operator running"), "{lost:#?}");
}

#[test]
fn what_is_lost_is_wrong_and_what_is_less_is_a_remark() {
    let with = |change: fn(&mut Value)| {
        let reports = vec![nodes::report("node1", 10, change)];
        report(&Objects { reports, ..objects() }, now())
    };
    let dropped = with(|report| report["status"]["queue"]["dropped"] = 3.into());
    assert!(!dropped.is_well && dropped.nodes[0].problems[0].starts_with("3 messages"), "{dropped:#?}");
    let less = with(|report| {
        report["status"]["sensors"][1]["state"] = "Unavailable".into();
        report["status"]["sensors"][1]["reason"] = "tracefs is not mounted".into();
    });
    assert!(less.is_well && text(&less, Style::PLAIN).contains("sensor sched is unavailable: tracefs is not mounted"));
    assert_eq!(serde_json::to_value(&less).unwrap()["nodes"][0]["sensors"][0]["name"], "sched");
    let blind = with(|report| report["status"]["sensors"][0]["state"] = "Unavailable".into());
    assert!(!blind.is_well, "{blind:#?}");
}
