//! The plan by example and by property, on clusters made of the objects that the API server would show.

mod agents;
mod alerts;
mod cluster;
mod models;
mod networks;
mod properties;
mod retire;
mod scores;
mod shares;
mod targets;

use serde_json::json;

use super::*;
use cluster::{Cluster, at};

fn status(plan: &Plan) -> &PrecursorPolicyStatus {
    let found = plan.writes.iter().find_map(|write| match write {
        Write::PolicyStatus { status, .. } => Some(status),
        _ => None,
    });
    found.expect("a status")
}

fn condition(plan: &Plan, type_: &str) -> Option<(String, String)> {
    let conditions = &status(plan).conditions;
    let found = conditions.iter().find(|condition| condition.type_ == type_)?;
    Some((found.status.clone(), found.reason.clone()))
}

fn message<'a>(plan: &'a Plan, type_: &str) -> &'a str {
    let found = status(plan).conditions.iter().find(|condition| condition.type_ == type_);
    &found.expect("the condition").message
}

fn is(status: &str, reason: &str) -> Option<(String, String)> {
    Some((status.to_owned(), reason.to_owned()))
}

#[test]
fn before_everything_was_listed_nothing_is_done() {
    let plan = plan(&Observed::default(), &crate::config::tests::settings(), at(0));
    assert_eq!((plan.writes, plan.looks), (vec![], vec![]));
}

#[test]
fn ready_does_not_say_more_than_the_conditions_beside_it() {
    let mut cluster = Cluster::with_policy();
    cluster.settled(at(0));
    cluster.agents(1, 1, 1);
    cluster.fallback("n1", "no such file");
    let plan = cluster.plan(at(1));
    assert_eq!(condition(&plan, "Ready"), is("True", "Watching"));
    let expected = "the policy is in effect; see ModelReady=False (NotLoaded), TargetsResolved=False (NoPods)";
    assert_eq!(message(&plan, "Ready"), expected);
}

#[test]
fn a_policy_that_makes_no_sense_says_why_and_does_not_stop_the_others() {
    let mut cluster = Cluster::new();
    cluster.policy("shop", "broken", json!({"rules": [{"name": "rtt", "signal": "RttForecast"}]}));
    let plan = cluster.plan(at(0));
    assert_eq!(condition(&plan, "Ready"), is("False", "Invalid"));
    let ready = &status(&plan).conditions[0];
    assert!(ready.message.contains("rttForecast") && ready.message.contains("expected"), "{}", ready.message);
    cluster.policy("shop", "strange", json!({"rules": "none"}));
    cluster.policy("shop", "sound", json!({}));
    let statuses =
        cluster.plan(at(0)).writes.iter().filter(|write| matches!(write, Write::PolicyStatus { .. })).count();
    assert_eq!(statuses, 3);
}

#[test]
fn figures_are_written_once_a_minute_and_news_at_once() {
    let mut cluster = Cluster::with_policy();
    cluster.settled(at(0));
    cluster.report("n1", json!({"targets": 1, "alerts": 1, "confirmed": 1}));
    assert_eq!(cluster.statuses(at(30)), 0);
    assert_eq!(cluster.statuses(at(60)), 1);
    cluster.settled(at(60));
    assert_eq!(cluster.statuses(at(61)), 0);
    cluster.pod("shop", "web-1", json!({"app": "checkout"}));
    assert_eq!(cluster.statuses(at(61)), 1);
}
