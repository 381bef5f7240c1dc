//! Alerts that nobody else ends, that are over, or that are too many.

use std::time::Duration;

use netprecursor_crds::alert::Resolution;
use serde_json::json;

use super::super::{Deletion, Write};
use super::{
    cluster::{Cluster, at},
    condition, is, status,
};

#[test]
fn alerts_that_wait_are_summed_over_nodes_and_shown_at_once() {
    let mut cluster = Cluster::with_policy();
    cluster.staffed_node("n1");
    cluster.staffed_node("n2");
    cluster.report("n1", json!({"targets": 1}));
    cluster.settled(at(0));
    assert_eq!(cluster.statuses(at(1)), 0);
    for (second, of_first, of_second, written) in [(2, 30, 0, 1), (3, 30, 12, 0), (62, 30, 12, 1), (63, 0, 0, 1)] {
        cluster.report("n1", json!({"targets": 1, "waiting": of_first}));
        cluster.report("n2", json!({"targets": 1, "waiting": of_second}));
        let plan = cluster.plan(at(second));
        assert_eq!(cluster.statuses(at(second)), written, "second {second}");
        if written > 0 {
            assert_eq!(status(&plan).waiting, Some(of_first + of_second), "second {second}");
            cluster.settled(at(second));
        }
    }
}

#[test]
fn alerts_without_an_object_are_counted_in_the_policy() {
    let mut cluster = Cluster::with_policy();
    cluster.report("n1", json!({"targets": 1, "throttled": 17}));
    let plan = cluster.plan(at(0));
    assert_eq!(condition(&plan, "Throttled"), is("True", "TooManyAlerts"));
    assert!(status(&plan).conditions.iter().any(|condition| condition.message.starts_with("17 alerts")));
}

#[test]
fn an_alert_is_resolved_when_nobody_else_can_and_not_sooner() {
    let mut cluster = Cluster::with_policy();
    cluster.staffed_node("n1");
    cluster.pod("shop", "web-1", json!({}));
    cluster.alert("shop", "a", "web-1", "n1", "Firing", at(0));
    cluster.settled(at(0));
    let resolution = |cluster: &mut Cluster, second| {
        cluster.plan(at(second)).writes.into_iter().find_map(|write| match write {
            Write::ResolveAlert { resolution, .. } => Some(resolution),
            _ => None,
        })
    };
    assert_eq!(resolution(&mut cluster, 10_000), None);
    cluster.remove_pod("shop", "web-1");
    assert_eq!(resolution(&mut cluster, 10_000), None);
    assert_eq!(resolution(&mut cluster, 10_060), Some(Resolution::TargetGone));
    cluster.pod("shop", "web-1", json!({}));
    cluster.plan(at(19_900));
    cluster.report("n1", json!({}));
    cluster.remove_agent("n1");
    assert_eq!(resolution(&mut cluster, 20_000), None);
    assert_eq!(resolution(&mut cluster, 20_119), None);
    assert_eq!(resolution(&mut cluster, 20_120), Some(Resolution::AgentLost));
}

#[test]
fn an_agent_on_a_node_that_is_cut_off_is_lost_when_it_was_silent_for_a_quarter_of_an_hour() {
    let mut cluster = Cluster::with_policy();
    cluster.staffed_node("n1");
    cluster.pod("shop", "web-1", json!({}));
    cluster.alert("shop", "a", "web-1", "n1", "Firing", at(0));
    cluster.settled(at(0));
    cluster.agent("n1", false);
    let lost = |cluster: &mut Cluster, second| {
        cluster.plan(at(second)).writes.iter().any(|write| matches!(write, Write::ResolveAlert { .. }))
    };
    assert_eq!((lost(&mut cluster, 899), lost(&mut cluster, 900)), (false, true));
}

#[test]
fn what_is_applied_to_a_lost_alert_says_that_it_is_over_and_leaves_open_whether_it_came_true() {
    let mut cluster = Cluster::with_policy();
    cluster.alert("shop", "a", "web-1", "n1", "Firing", at(0));
    cluster.plan(at(0));
    let plan = cluster.plan(at(120));
    let applied = plan.writes.iter().find_map(|write| match write {
        Write::ResolveAlert { status, .. } => Some(status["status"].clone()),
        _ => None,
    });
    let applied = applied.unwrap();
    assert_eq!((&applied["state"], &applied["resolution"]), (&json!("Resolved"), &json!("TargetGone")));
    let conditions: Vec<_> =
        applied["conditions"].as_array().unwrap().iter().map(|one| (&one["type"], &one["status"])).collect();
    assert_eq!(conditions, [(&json!("Firing"), &json!("False")), (&json!("Confirmed"), &json!("Unknown"))]);
}

#[test]
fn alerts_that_are_over_expire() {
    let mut cluster = Cluster::new();
    cluster.alert("shop", "a", "web-1", "n1", "Resolved", at(0));
    let waiting = cluster.plan(at(3_590));
    assert_eq!((waiting.writes.as_slice(), waiting.again), ([].as_slice(), Duration::from_secs(10)));
    let plan = cluster.plan(at(3_600));
    assert!(matches!(&plan.writes[..], [Write::DeleteAlert { reason: Deletion::Expired, .. }]));
}

#[test]
fn beyond_a_cap_what_is_over_goes_first_and_then_the_newest() {
    let mut cluster = Cluster::new();
    cluster.settings.config.caps.alerts_per_namespace = 2;
    cluster.staffed_node("n1");
    for (name, state, second) in
        [("old", "Firing", 0), ("new", "Firing", 50), ("newer", "Firing", 60), ("over", "Resolved", 100)]
    {
        cluster.pod("shop", name, json!({}));
        cluster.alert("shop", name, name, "n1", state, at(second));
    }
    let gone: Vec<String> = cluster
        .plan(at(200))
        .writes
        .iter()
        .filter_map(|write| match write {
            Write::DeleteAlert { key, reason: Deletion::OverCap { .. }, .. } => Some(key.name.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(gone, ["newer", "over"]);
}
