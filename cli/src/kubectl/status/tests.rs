//! Policies, alerts and agents in all states, and what the screen says of them.

use netprecursor_crds::diagnosis::Known;
use serde_json::{Value, json};

use super::*;
use crate::kubectl::{
    connect::Answer,
    installed::tests::{self as scenes, at, daemon_set, deployment, installed},
    style::Style,
};

fn now() -> Timestamp {
    at(0)
}

fn objects(policies: Vec<PrecursorPolicy>) -> Objects {
    Objects {
        policies,
        cluster_policies: Vec::new(),
        has_all_policies: true,
        hides_policies: false,
        alerts: Some(Vec::new()),
        installed: installed(&["node1", "node2", "node3"]),
        notes: Vec::new(),
    }
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2023-11-14T22:13:20Z"})
}

fn policy(name: &str, conditions: &[Value]) -> PrecursorPolicy {
    let rule = json!({"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}});
    let score = json!({"name": "rtt", "window": "24h", "alerts": 9, "precisionPercent": 78, "recallPercent": 87, "leadMedian": "6s",
        "neededPercent": 62, "reachablePercent": 93});
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
        "status": {"state": "Firing", "severity": severity, "threshold": "200ms", "predicted": "231ms", "chancePercent": 74, "count": 1,
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
        condition("AgentsReady", "False", "PodSecurity", "Pod Security refuses agents"),
        condition("Ready", "False", "AgentsNotReady", "Pod Security refuses agents"),
        condition("ModelReady", "False", "NotFound", "there is no ConfigMap rtt-models"),
    ];
    let objects =
        objects(vec![policy("cart", &[condition("Ready", "True", "Watching", "")]), policy("checkout", &down)]);
    let status = report(&objects, now());
    let names: Vec<_> = status.policies.iter().map(|policy| (policy.name.as_str(), policy.ready)).collect();
    assert_eq!(names, [("checkout", false), ("cart", true)]);
    let conditions: Vec<_> = status.policies[0].troubles.iter().map(|trouble| trouble.condition.as_str()).collect();
    // AgentsReady has nothing to add to Ready.
    assert_eq!(conditions, ["Ready", "ModelReady"]);
    let screen = screen(&objects);
    assert!(screen.find("checkout").unwrap() < screen.find("cart").unwrap(), "{screen}");
    assert!(
        screen.contains("AgentsNotReady: PodSecurity: Pod Security refuses agents; run `kubectl label namespace net "),
        "{screen}"
    );
    assert!(screen.contains("78%") && screen.contains("87%") && screen.contains("6s"), "{screen}");
    assert!(screen.contains("LEAD   NEEDED   REACHABLE") && screen.contains("6s     62%      93%"), "{screen}");
}

#[test]
fn a_policy_that_the_operator_has_not_seen_is_not_ready() {
    let ready = [condition("Ready", "True", "Watching", "")];
    let mut changed = policy("checkout", &ready);
    changed.metadata.generation = Some(4);
    let new = PrecursorPolicy { status: None, ..policy("cart", &ready) };
    let mut objects = objects(vec![changed, new]);
    let status = report(&objects, now());
    for policy in &status.policies {
        assert!(!policy.ready && policy.reason == "NotObserved", "{status:#?}");
        assert!(policy.troubles[0].advice.contains("logs deployment/netprecursor-operator"), "{status:#?}");
    }
    objects.installed.operator = deployment(0);
    let screen = screen(&objects);
    assert!(screen.starts_with("OPERATOR\n  the operator is not available: 0 of 2 ready"), "{screen}");
    assert!(screen.contains("see the operator: it is not available"), "{screen}");
}

#[test]
fn what_an_older_operator_does_not_say_is_not_known() {
    let mut older = policy("cart", &[condition("Ready", "True", "Watching", "")]);
    for rule in &mut older.status.as_mut().unwrap().rules {
        (rule.needed_percent, rule.reachable_percent) = (None, None);
    }
    let screen = screen(&objects(vec![older]));
    assert!(screen.contains("6s     -        -"), "{screen}");
}

#[test]
fn the_most_urgent_alert_comes_first() {
    let objects = Objects { alerts: Some(vec![firing("a", "Info"), firing("b", "Critical")]), ..objects(Vec::new()) };
    let names: Vec<_> = report(&objects, now()).alerts.into_iter().flatten().map(|alert| alert.name).collect();
    assert_eq!(names, ["b", "a"]);
    let screen = screen(&objects);
    assert!(screen.contains("PREDICTED   CHANCE") && screen.contains("231ms       74%"), "{screen}");
}

#[test]
fn agents_are_counted_against_those_that_there_should_be() {
    let mut objects = objects(vec![policy("cart", &[condition("Ready", "True", "Watching", "")])]);
    let reports = vec![scenes::report("node1", 10, |_| {}), scenes::report("node2", 2_000, |_| {})];
    objects.installed = Installed { reports: Known::There(reports), ..objects.installed };
    objects.installed.pods = Known::There(vec![scenes::running("node1"), scenes::running("node2")]);
    objects.installed.agents = daemon_set(2, 3, 2);
    let screen = screen(&objects);
    assert!(
        screen.contains("1 of 3 ready: NotReady") && screen.contains("node2: the agent last reported 33m ago"),
        "{screen}"
    );
    let json = serde_json::to_value(report(&objects, now())).unwrap();
    assert_eq!((&json["agents"]["ready"], &json["agents"]["troubles"][0]["standing"]), (&json!(1), &json!("Missing")));
}

#[test]
fn the_agents_are_not_all_ready_below_a_policy_that_says_they_are_not() {
    let what =
        "the chart's ConfigMap net/netprecursor-anchor, which owns the agents, is missing; 3 earlier agents still run";
    let down =
        [condition("AgentsReady", "False", "AnchorMissing", what), condition("Ready", "False", "AgentsNotReady", what)];
    let mut objects = objects(vec![policy("checkout", &down)]);
    let screen = screen(&objects);
    assert!(screen.contains("3 of 3 ready: AnchorMissing"), "{screen}");
    assert_eq!(screen.matches("helm upgrade np").count(), 1, "what a policy says is not said twice\n{screen}");
    // The agents that were owned by it are gone, and their reports are young.
    objects.installed.agents = Answer::Absent;
    objects.installed.pods = Known::There(Vec::new());
    let status = report(&objects, now());
    assert_eq!((status.agents.ready, status.agents.troubles.len()), (0, 3), "{status:#?}");
}

#[test]
fn what_may_not_be_seen_is_not_reported_as_missing() {
    let mut objects = Objects { hides_policies: true, has_all_policies: false, alerts: None, ..objects(Vec::new()) };
    objects.installed.reports = Known::Hidden;
    let shown = screen(&objects);
    assert!(shown.contains("none that you may see") && !shown.contains("kubectl apply"), "{shown}");
    assert!(shown.contains("not permitted: see the notes") && shown.contains("3 of 3 ready"), "{shown}");
    objects.installed.agents = Answer::Forbidden("no".to_owned());
    assert!(screen(&objects).contains("-: not permitted"), "{}", screen(&objects));
}

#[test]
fn a_policy_in_the_shadow_makes_no_alerts_and_that_is_shown() {
    let mut shadow = policy("cart", &[condition("Ready", "True", "Watching", "")]);
    shadow.spec.mode = Mode::Shadow;
    let screen = screen(&objects(vec![shadow]));
    assert!(screen.contains("none; policies in mode Shadow count alerts but publish none"), "{screen}");
}

#[test]
fn an_empty_cluster_says_what_to_do() {
    let mut objects = objects(Vec::new());
    objects.installed.agents = Answer::Absent;
    (objects.installed.pods, objects.installed.reports) = (Known::There(Vec::new()), Known::There(Vec::new()));
    let screen = screen(&objects);
    assert!(screen.contains("no policy") && screen.contains("kubectl apply"), "{screen}");
    assert!(screen.contains("none: they start with the first policy"), "{screen}");
}
