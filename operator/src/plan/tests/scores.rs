//! What policies say of how well their rules do.

use netprecursor_crds::policy::{RuleStatus, ScoreWindow};
use serde_json::{Value, json};

use super::super::{Plan, Write};
use super::{
    cluster::{Cluster, at},
    condition, is, message, status,
};

#[test]
fn scores_hold_in_shadow_mode_and_after_alerts_expired() {
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({"mode": "Shadow"}));
    cluster.report("n1", json!({"targets": 1, "alerts": 4, "confirmed": 3, "unconfirmed": 1}));
    cluster.report("n2", json!({"targets": 2, "alerts": 1, "confirmed": 1}));
    let plan = cluster.plan(at(0));
    let status = status(&plan);
    let day = status.rules.iter().find(|rule| rule.window == ScoreWindow::Day).unwrap();
    assert_eq!((day.alerts, day.precision_percent, status.targets), (5, Some(80), Some(3)));
    assert!(plan.writes.iter().any(|write| matches!(write, Write::KeepScores { .. })));
}

/// A rule of which a node says that nothing was as likely as a warning needs, and that two incidents came without one.
fn unannounced(changes: Value) -> Value {
    let mut counts = json!({
        "targets": 1, "targetSeconds": 3_600, "incidents": 2, "missed": 2, "neededPercent": 62, "reachablePercent": 31,
    });
    counts.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    counts
}

fn day(plan: &Plan) -> RuleStatus {
    let is_day = |rule: &&RuleStatus| rule.window == ScoreWindow::Day;
    status(plan).rules.iter().find(is_day).unwrap().clone()
}

#[test]
fn a_rule_whose_confidence_nothing_reaches_says_so_and_is_followed() {
    let mut cluster = Cluster::with_policy();
    cluster.report("n1", unannounced(json!({})));
    let plan = cluster.plan(at(0));
    assert_eq!(condition(&plan, "Unannounced"), is("True", "ConfidenceNotReached"));
    let text = message(&plan, "Unannounced");
    let expected = "rule rtt: the highest recent chance is 31 %, but a warning needs 62 %; 2 incidents of the last 24 hours \
                    came without a warning; lower `minConfidencePercent`, or rely on alerts on measured breaches";
    assert!(text.starts_with(expected), "{text}");
    assert!(!message(&plan, "Ready").contains("Unannounced"), "{}", message(&plan, "Ready"));
}

#[test]
fn nothing_is_reported_of_a_confidence_too_early_in_calm_or_where_it_is_reached_or_not_known() {
    for (changes, why) in [
        (json!({"targetSeconds": 3_599}), "less than an hour"),
        (json!({"incidents": 0, "missed": 0}), "nothing to warn of"),
        (json!({"alerts": 1, "confirmed": 1}), "a warning"),
        (json!({"reachablePercent": 62}), "reached"),
        (json!({"reachablePercent": null}), "an agent of before"),
        (json!({"neededPercent": null}), "an agent of before"),
        (json!({"targets": 0}), "not watched any more"),
    ] {
        let mut cluster = Cluster::with_policy();
        cluster.report("n1", unannounced(changes));
        assert_eq!(condition(&cluster.plan(at(0)), "Unannounced"), None, "{why}");
    }
    let mut late = Cluster::with_policy();
    late.report("n1", unannounced(json!({"alerts": 2, "late": 2})));
    assert_eq!(condition(&late.plan(at(0)), "Unannounced"), is("True", "ConfidenceNotReached"));
}

#[test]
fn a_confidence_that_one_node_reaches_is_reached() {
    let mut cluster = Cluster::with_policy();
    cluster.report("n1", unannounced(json!({"neededPercent": 95, "reachablePercent": 70})));
    let plan = cluster.plan(at(0));
    assert_eq!((day(&plan).needed_percent, day(&plan).reachable_percent), (Some(95), Some(70)));
    // A chance that is lower, where less is needed.
    cluster.report("n2", unannounced(json!({"neededPercent": 50, "reachablePercent": 55})));
    let plan = cluster.plan(at(0));
    assert_eq!((day(&plan).needed_percent, day(&plan).reachable_percent), (Some(50), Some(55)));
    assert_eq!(condition(&plan, "Unannounced"), None);
}

#[test]
fn skill_is_the_mean_over_pods_and_the_expert_that_leads_on_most_of_them_is_named() {
    let mut cluster = Cluster::with_policy();
    let says = |targets: u32, skill: Value, leading: &str| {
        unannounced(json!({"targets": targets, "skillPercent": skill, "leadingExpert": leading}))
    };
    cluster.report("n1", says(3, json!({"q50": 20, "q90": -8}), "hour"));
    cluster.report("n2", says(1, json!({"q50": 60, "q90": 4, "q99": 7}), "max-10"));
    let day = day(&cluster.plan(at(0)));
    let skill = day.skill_percent.unwrap();
    assert_eq!((skill.q50, skill.q90, skill.q99), (Some(30), Some(-5), Some(7)));
    assert_eq!(day.leading_expert.as_deref(), Some("hour"));
}

#[test]
fn what_a_node_says_of_a_rule_that_changed_since_is_not_shown() {
    let mut cluster = Cluster::with_policy();
    cluster.report("n1", unannounced(json!({"neededPercent": 50, "reachablePercent": 55})));
    let since = at(100).to_string();
    cluster.report("n2", unannounced(json!({"ruleHash": "new", "since": since})));
    let score = day(&cluster.plan(at(100)));
    assert_eq!((score.needed_percent, score.reachable_percent), (Some(62), Some(31)));
    let since_change = |plan: &Plan| status(plan).rules.iter().filter(|rule| rule.needed_percent.is_some()).count();
    assert_eq!(since_change(&cluster.plan(at(100))), 1, "in the entry of 24h alone");
}
