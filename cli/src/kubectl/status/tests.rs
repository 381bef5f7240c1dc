//! Policies, alerts and agents in all states, and what the screen says of them.

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
        assert!(!policy.ready && policy.reason == "NotSeenYet" && policy.troubles[0].message.contains("is it running"));
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
    assert_eq!((&json["agents"]["ready"], &json["agents"]["troubles"][0]["standing"]), (&json!(1), &json!("Stale")));
}

#[test]
fn an_empty_cluster_says_what_to_do() {
    let screen = screen(&Objects::default());
    assert!(screen.contains("no policy") && screen.contains("kubectl apply"), "{screen}");
}
