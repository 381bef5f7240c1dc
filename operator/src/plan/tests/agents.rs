//! The agents' DaemonSet, and what policies say of it.

use std::time::Duration;

use serde_json::json;

use super::super::Write;
use super::{
    cluster::{Cluster, at},
    condition, is, message, status,
};

#[test]
fn agents_come_with_the_first_policy_and_go_a_while_after_the_last() {
    let mut cluster = Cluster::new();
    assert_eq!(cluster.plan(at(0)).writes, []);
    cluster.policy("shop", "checkout", json!({}));
    assert!(matches!(cluster.settled(at(0))[..2], [Write::DealShare { .. }, Write::ApplyAgents { .. }]));
    cluster.remove_policy("shop", "checkout");
    // The first plan without a policy notes since when there is none.
    assert!(matches!(cluster.settled(at(10))[..], [Write::ApplyAgents { .. }]));
    assert_eq!(cluster.plan(at(11)).writes, []);
    assert_eq!(cluster.plan(at(309)).again, Duration::from_secs(1));
    assert!(matches!(cluster.plan(at(310)).writes[..], [Write::DeleteAgents { .. }]));
}

#[test]
fn a_policy_that_comes_back_in_time_keeps_the_agents() {
    let mut cluster = Cluster::with_policy();
    cluster.settled(at(0));
    cluster.remove_policy("shop", "checkout");
    cluster.settled(at(10));
    cluster.policy("shop", "checkout", json!({}));
    cluster.settled(at(20));
    cluster.remove_policy("shop", "checkout");
    cluster.settled(at(400));
    assert_eq!(cluster.plan(at(401)).writes, []);
}

#[test]
fn without_the_anchor_nothing_is_made_and_the_policy_says_so() {
    let mut cluster = Cluster::new();
    cluster.remove_anchor();
    cluster.policy("shop", "checkout", json!({}));
    let plan = cluster.plan(at(0));
    assert!(matches!(plan.writes[..], [Write::PolicyStatus { .. }]));
    assert_eq!(condition(&plan, "AgentsReady"), is("False", "AnchorMissing"));
    for type_ in ["Ready", "AgentsReady"] {
        let message = message(&plan, type_);
        // `helm install` refuses a name that is in use.
        assert!(message.contains("`helm upgrade ") && !message.contains("install the chart"), "{message}");
    }
}

#[test]
fn agents_that_all_work_by_the_settings_of_before_are_reported() {
    let mut cluster = Cluster::with_policy();
    cluster.settled(at(0));
    cluster.agents(3, 3, 3);
    cluster.with_agents(|agents| agents.is_current = false);
    let plan = cluster.plan(at(61));
    assert_eq!(condition(&plan, "AgentsReady"), is("False", "NotReady"));
    assert!(message(&plan, "Ready").starts_with("3 of 3 agents work with the previous settings"));
}

#[test]
fn an_agent_that_is_ready_and_silent_does_not_work() {
    let mut cluster = Cluster::with_policy();
    cluster.settled(at(0));
    cluster.staffed_node("n1");
    cluster.agents(1, 1, 1);
    // It has time for its first report, and then for the next ones.
    assert_eq!(condition(&cluster.plan(at(119)), "AgentsReady"), is("True", "AllReady"));
    assert_eq!(condition(&cluster.plan(at(120)), "AgentsReady"), is("False", "Silent"));
    cluster.report("n1", json!({"targets": 1}));
    assert_eq!(condition(&cluster.plan(at(1_020)), "AgentsReady"), is("True", "AllReady"));
    let late = cluster.plan(at(1_021));
    assert_eq!(condition(&late, "AgentsReady"), is("False", "Silent"));
    let text = message(&late, "AgentsReady");
    assert!(text.starts_with("0 of 1 agents work; failing on n1: the agent last reported 15m ago"), "{text}");
    assert!(text.contains("logs -l app.kubernetes.io/name=netprecursor-agent"), "{text}");
}

#[test]
fn what_others_change_in_the_daemon_set_is_put_right_but_not_all_the_time() {
    let mut cluster = Cluster::with_policy();
    cluster.settled(at(0));
    cluster.change_agents(|object| object["spec"]["template"]["spec"]["hostPID"] = false.into());
    assert_eq!(cluster.plan(at(30)).writes, []);
    assert!(matches!(cluster.plan(at(60)).writes[0], Write::ApplyAgents { .. }));
    // What a new configuration wants does not wait.
    cluster.settings.config.agent.image = "netprecursor/agent:0.2.0".to_owned();
    assert!(matches!(cluster.plan(at(30)).writes[..], [Write::ApplyAgents { .. }]));
}

#[test]
fn agents_that_are_being_replaced_do_not_unsettle_the_policies() {
    let mut cluster = Cluster::with_policy();
    cluster.settled(at(0));
    cluster.agents(3, 3, 3);
    assert_eq!(condition(&cluster.plan(at(1)), "AgentsReady"), is("True", "AllReady"));
    cluster.settled(at(1));
    cluster.agents(3, 3, 2);
    assert_eq!(condition(&cluster.plan(at(100)), "AgentsReady"), is("True", "Replacing"));
    cluster.settled(at(100));
    assert_eq!(condition(&cluster.plan(at(161)), "AgentsReady"), is("False", "NotReady"));
    assert_eq!(condition(&cluster.plan(at(161)), "Ready"), is("False", "AgentsNotReady"));
}

#[test]
fn refused_agents_come_with_the_command_that_lets_them_in() {
    let mut cluster = Cluster::with_policy();
    cluster.settled(at(0));
    cluster.agents(3, 0, 0);
    cluster.failure("pods \"a-\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces");
    let plan = cluster.plan(at(5));
    assert_eq!(condition(&plan, "AgentsReady"), is("False", "PodSecurity"));
    let ready = status(&plan).conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
    let command = "kubectl label namespace netprecursor-system pod-security.kubernetes.io/enforce=privileged";
    assert!(ready.message.contains(command), "{}", ready.message);
    // Agents that were let in are not refused, whatever Events still say.
    cluster.agents(3, 3, 3);
    assert_eq!(condition(&cluster.plan(at(6)), "AgentsReady"), is("True", "AllReady"));
}

#[test]
fn a_rollout_that_is_held_up_is_reported_and_asked_for_again_though_the_earlier_agents_work() {
    let mut cluster = Cluster::with_policy();
    cluster.settled(at(0));
    cluster.agents(3, 3, 3);
    cluster.updated_agents(1);
    // As long as it goes on, however long.
    assert_eq!(condition(&cluster.plan(at(300)), "AgentsReady"), is("True", "AllReady"));
    cluster.failure("pods \"a-\" is forbidden: exceeded quota: pods");
    assert_eq!(condition(&cluster.plan(at(301)), "AgentsReady"), is("False", "NotCreated"));
    let nudged = |write: &Write| matches!(write, Write::ApplyAgents { reverts: None, .. });
    assert!(cluster.settled(at(330)).iter().any(nudged));
    cluster.agents(3, 3, 3);
    assert_eq!(condition(&cluster.plan(at(331)), "AgentsReady"), is("True", "AllReady"));
}

#[test]
fn an_edit_that_is_put_right_leaves_an_event_that_names_it() {
    let mut cluster = Cluster::with_policy();
    cluster.settled(at(0));
    cluster.change_agents(|object| object["spec"]["template"]["spec"]["hostPID"] = false.into());
    let writes = cluster.plan(at(60)).writes;
    let Write::ApplyAgents { reverts: Some(change), .. } = &writes[0] else { panic!("{writes:?}") };
    assert_eq!(change, "spec.template.spec.hostPID: got false, expected true");
    let (uid, change) = ("agents-uid".to_owned(), change.clone());
    cluster.observed.reverted = Some(crate::observe::Reverted { uid, version: 7, change });
    let plan = cluster.plan(at(61));
    let event = plan.writes.iter().find_map(|write| match write {
        Write::RecordEvent { event } => Some(event),
        _ => None,
    });
    let event = event.expect("an Event");
    assert_eq!((&event["reason"], &event["regarding"]["uid"]), (&json!("EditReverted"), &json!("agents-uid")));
    assert!(event["note"].as_str().unwrap().contains("hostPID: got false, expected true"), "{event}");
    // A change of the configuration is nobody's edit.
    cluster.settled(at(61));
    cluster.settings.config.agent.image = "netprecursor/agent:0.2.0".to_owned();
    assert!(matches!(cluster.plan(at(200)).writes[0], Write::ApplyAgents { reverts: None, .. }));
}

#[test]
fn agents_that_a_quota_held_back_are_asked_for_every_twenty_seconds_until_they_come() {
    let mut cluster = Cluster::with_policy();
    cluster.settled(at(0));
    cluster.agents(3, 1, 1);
    cluster.failure("pods \"a-\" is forbidden: exceeded quota: pods");
    let nudges = |cluster: &mut Cluster, second| {
        let writes = cluster.settled(at(second));
        let nudges = writes.iter().filter(|write| matches!(write, Write::ApplyAgents { reverts: None, .. })).count();
        cluster.agents(3, 1, 1);
        nudges
    };
    assert_eq!([5, 19, 20, 21, 39, 40, 60].map(|second| nudges(&mut cluster, second)), [0, 0, 1, 0, 0, 1, 1]);
    assert!(cluster.plan(at(61)).again <= Duration::from_secs(19), "nothing wakes the operator");
    // Nothing that replaces pods changes.
    let (_, agents) = cluster.observed.daemon_sets.iter().next().unwrap();
    assert_eq!(agents.value.object["metadata"]["annotations"][super::super::agents::RETRIED_AT], at(60).to_string());
    assert!(!agents.value.object["spec"].to_string().contains("retried-at"));
    cluster.agents(3, 3, 3);
    cluster.settled(at(80));
    assert_eq!(cluster.settled(at(200)).iter().filter(|write| matches!(write, Write::ApplyAgents { .. })).count(), 0);
}
