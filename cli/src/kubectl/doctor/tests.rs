//! Nodes with agents in all states, and what is reported of them.

use netprecursor_crds::diagnosis::Known;
use serde_json::{Value, json};

use super::*;
use crate::kubectl::{
    installed::tests::{self as scenes, at, daemon_set, installed, named, object, pod, running},
    style::Style,
};

fn policy(conditions: &[(&str, &str, &str, &str)]) -> PrecursorPolicy {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(type_, status, reason, message)| {
            json!({"type": type_, "status": status, "reason": reason, "message": message,
                "lastTransitionTime": at(-60).to_string()})
        })
        .collect();
    let rule = json!({"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}});
    object(json!({
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorPolicy",
        "metadata": {"name": "checkout", "namespace": "shop", "generation": 1},
        "spec": {"target": {"podSelector": {}}, "rules": [rule]},
        "status": {"observedGeneration": 1, "conditions": conditions},
    }))
}

const READY: (&str, &str, &str, &str) = ("Ready", "True", "Watching", "the policy is in effect");

fn on(installed: Installed) -> Objects {
    let (policies, cluster_policies, notes) = (vec![policy(&[READY])], Vec::new(), Vec::new());
    Objects { installed, policies, cluster_policies, hides_policies: false, firing: Some(0), notes }
}

fn objects() -> Objects {
    on(installed(&["node1"]))
}

fn shown(objects: &Objects) -> (Doctor, String) {
    let report = report(objects, at(0));
    let text = text(&report, Style::PLAIN);
    (report, text)
}

#[test]
fn agents_that_work_are_well() {
    let (report, text) = shown(&objects());
    assert!(report.is_well, "{report:#?}");
    for part in ["node1", "Ready", "0.1.0", "6.18.4", "Measured", "97%", "4m", "31Mi", "10s", "Nothing is wrong"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn a_node_whose_agent_does_not_start_is_shown_with_what_its_pod_waits_for() {
    let waiting = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
    let pods = Known::There(vec![running("node1"), pod("node2", waiting)]);
    let (agents, nodes) = (daemon_set(2, 2, 1), named(&["node1", "node2"]));
    let (report, _) = shown(&on(Installed { agents, nodes, pods, ..installed(&["node1"]) }));
    assert!(!report.is_well);
    assert_eq!((report.nodes[0].node.as_str(), report.nodes[0].standing), ("node2", Standing::Missing));
    assert!(report.nodes[0].problems[0].contains("ImagePullBackOff: no such image"), "{report:#?}");
}

#[test]
fn a_node_that_the_selectors_leave_out_is_no_trouble_but_one_that_was_refused_is() {
    let two = || Installed { nodes: named(&["node1", "node2"]), ..installed(&["node1"]) };
    let (left_out, text) = shown(&on(two()));
    assert!(left_out.is_well && text.contains("exclude the node"), "{left_out:#?}");
    let (refused, _) = shown(&on(Installed { agents: daemon_set(1, 2, 1), ..two() }));
    assert!(!refused.is_well && refused.problems[0].contains("1 of 2 agents"), "{refused:#?}");
    assert_eq!(refused.nodes[0].standing, Standing::Missing);
}

#[test]
fn silence_is_trouble_only_where_an_agent_is_wanted() {
    let stale = || Known::There(vec![scenes::report("node1", 10_000, |_| {})]);
    let (silent, _) = shown(&on(Installed { reports: stale(), ..installed(&["node1"]) }));
    assert!(!silent.is_well && silent.nodes[0].standing == Standing::Stale);
    let (agents, pods) = (Answer::Absent, Known::There(Vec::new()));
    let none = Installed { reports: stale(), agents, pods, ..installed(&["node1"]) };
    let mut objects = on(none);
    let (lost, _) = shown(&objects);
    assert!(lost.problems[0].contains("there are policies, but the agents' DaemonSet does not exist"), "{lost:#?}");
    objects.policies.clear();
    let (after, text) = shown(&objects);
    assert!(after.is_well && after.nodes[0].standing == Standing::Unwanted, "{after:#?}");
    assert!(text.contains("there is no policy, so no agent runs; the last report is 2h old"), "{text}");
}

#[test]
fn what_is_lost_is_wrong_and_what_is_less_is_a_remark() {
    let with = |change: fn(&mut Value)| {
        let reports = Known::There(vec![scenes::report("node1", 10, change)]);
        shown(&on(Installed { reports, ..installed(&["node1"]) }))
    };
    let (dropped, _) = with(|report| report["status"]["queue"]["dropped"] = 3.into());
    assert!(!dropped.is_well && dropped.nodes[0].problems[0].starts_with("3 messages"), "{dropped:#?}");
    let (less, text) = with(|report| {
        report["status"]["sensors"][1]["state"] = "Unavailable".into();
        report["status"]["sensors"][1]["reason"] = "tracefs is not mounted".into();
    });
    assert!(less.is_well && text.contains("sensor sched is unavailable: tracefs is not mounted"));
    assert_eq!(serde_json::to_value(&less).unwrap()["nodes"][0]["sensors"][0]["name"], "sched");
    let (blind, _) = with(|report| report["status"]["sensors"][0]["state"] = "Unavailable".into());
    assert!(!blind.is_well, "{blind:#?}");
}

#[test]
fn the_networks_of_the_cluster_are_those_of_the_last_report() {
    let found = json!({"from": "Nodes", "networks": ["10.96.0.0/12", "10.244.0.0/16"], "count": 2});
    let private =
        json!({"from": "PrivateRanges", "reason": "node a has no podCIDR", "networks": ["10.0.0.0/8"], "count": 5});
    let report = |node, ago, networks: &Value| {
        scenes::report(node, ago, |report| report["status"]["clusterNetworks"] = networks.clone())
    };
    let with = |reports| shown(&on(Installed { reports: Known::There(reports), ..installed(&["node1", "node2"]) }));
    let (_, text) = with(vec![report("node1", 10, &found), report("node2", 90, &private)]);
    assert!(text.contains("\ncluster networks: from nodes: 10.96.0.0/12, 10.244.0.0/16 (2)\n"), "{text}");
    let (doctor, text) = with(vec![report("node1", 90, &found), report("node2", 10, &private)]);
    let expected = "\ncluster networks: private ranges: 10.0.0.0/8, … (5); node a has no podCIDR\n";
    assert!(text.contains(expected), "{text}");
    assert_eq!(serde_json::to_value(&doctor).unwrap()["clusterNetworks"], private);
    assert!(!shown(&objects()).1.contains("cluster networks"));
}

#[test]
fn in_a_storm_no_report_claims_that_nothing_is_wrong() {
    let says = |(report, text): (Doctor, String)| {
        assert!(!text.contains("Nothing is wrong"), "{text}");
        (report.is_well, text)
    };
    let (is_well, text) = says(shown(&Objects { firing: Some(40), ..objects() }));
    assert!(is_well && text.contains("40 alerts are firing"), "{text}");
    let throttled = ("Throttled", "True", "TooManyAlerts", "17 alerts have no object");
    let (is_well, text) = says(shown(&Objects { policies: vec![policy(&[READY, throttled])], ..objects() }));
    assert!(!is_well && text.contains("policy shop/checkout: TooManyAlerts: 17 alerts have no object"), "{text}");
    let counted = json!([{"policyUID": "p", "policyName": "checkout", "rule": "rtt", "ruleHash": "h",
        "since": at(-900).to_string(), "throttled": 17}]);
    let report = scenes::report("node1", 10, |report| report["status"]["rules"] = counted);
    let (is_well, text) = says(shown(&on(Installed { reports: Known::There(vec![report]), ..installed(&["node1"]) })));
    assert!(!is_well && text.contains("17 alerts have no object"), "{text}");
    let waits = scenes::report("node1", 10, |report| report["status"]["queue"]["pending"] = 300.into());
    let (is_well, text) = says(shown(&on(Installed { reports: Known::There(vec![waits]), ..installed(&["node1"]) })));
    assert!(is_well && text.contains("300 messages are waiting"), "{text}");
}

#[test]
fn the_reason_that_the_policy_has_is_there_without_another_command() {
    let what = "the chart's ConfigMap net/netprecursor-anchor, which owns the agents, is missing";
    let conditions = [("Ready", "False", "AgentsNotReady", what), ("AgentsReady", "False", "AnchorMissing", what)];
    let objects = Objects { policies: vec![policy(&conditions)], ..objects() };
    let (report, text) = shown(&objects);
    assert_eq!((report.is_well, report.problems.len()), (false, 1), "{text}");
    assert!(text.contains(&format!("AnchorMissing: {what}; run `helm upgrade np ")), "{text}");
    assert!(!text.contains("install-check"), "{text}");
}
