//! The plan by example and by property, on clusters made of the objects that the API server would show.

mod cluster;
mod properties;

use netprecursor_crds::alert::Resolution;
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
fn agents_come_with_the_first_policy_and_go_a_while_after_the_last() {
    let mut cluster = Cluster::new();
    assert_eq!(cluster.plan(at(0)).writes, []);
    cluster.policy("shop", "checkout", json!({}));
    assert!(matches!(cluster.settled(at(0))[0], Write::ApplyAgents { .. }));
    cluster.remove_policy("shop", "checkout");
    // The first plan without a policy notes since when there is none.
    assert!(matches!(cluster.settled(at(10))[..], [Write::ApplyAgents { .. }]));
    assert_eq!(cluster.plan(at(11)).writes, []);
    assert_eq!(cluster.plan(at(309)).again, Duration::from_secs(1));
    assert!(matches!(cluster.plan(at(310)).writes[..], [Write::DeleteAgents { .. }]));
}

#[test]
fn a_policy_that_comes_back_in_time_keeps_the_agents() {
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
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
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
    cluster.settled(at(0));
    cluster.agents(3, 3, 3);
    cluster.with_agents(|agents| agents.is_current = false);
    let plan = cluster.plan(at(61));
    assert_eq!(condition(&plan, "AgentsReady"), is("False", "NotReady"));
    assert!(message(&plan, "Ready").starts_with("3 of 3 agents work with the previous settings"));
}

#[test]
fn an_agent_that_is_ready_and_silent_does_not_work() {
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
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
fn ready_does_not_say_more_than_the_conditions_beside_it() {
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
    cluster.settled(at(0));
    cluster.agents(1, 1, 1);
    cluster.fallback("n1", "no such file");
    let plan = cluster.plan(at(1));
    assert_eq!(condition(&plan, "Ready"), is("True", "Watching"));
    let expected = "the policy is in effect; see ModelReady=False (NotLoaded), TargetsResolved=False (NoPods)";
    assert_eq!(message(&plan, "Ready"), expected);
}

#[test]
fn what_others_change_in_the_daemon_set_is_put_right_but_not_all_the_time() {
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
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
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
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
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
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
fn policies_that_select_the_same_pods_say_so() {
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
    cluster.pod("shop", "web-1", json!({"app": "checkout"}));
    cluster.pod("shop", "web-2", json!({"app": "other"}));
    let alone = cluster.plan(at(0));
    assert_eq!(
        (condition(&alone, "TargetsResolved"), condition(&alone, "Overlapping")),
        (is("True", "Selected"), None)
    );
    cluster.policy("shop", "everything", json!({"target": {"podSelector": {}}}));
    let plan = cluster.plan(at(0));
    let messages: Vec<String> = plan
        .writes
        .iter()
        .filter_map(|write| match write {
            Write::PolicyStatus { status, .. } => status.conditions.iter().find(|one| one.type_ == "Overlapping"),
            _ => None,
        })
        .map(|condition| condition.message.clone())
        .collect();
    assert!(messages[0].contains("1 of 1 pods") && messages[0].contains("shop/everything"), "{messages:?}");
    assert!(messages[1].contains("1 of 2 pods") && messages[1].contains("shop/checkout"), "{messages:?}");
}

#[test]
fn a_policy_of_the_cluster_selects_in_the_namespaces_that_it_names() {
    let mut cluster = Cluster::new();
    cluster.namespace("shop", json!({"team": "a"}));
    cluster.namespace("bank", json!({"team": "b"}));
    for namespace in ["shop", "bank"] {
        cluster.pod(namespace, "web", json!({"app": "checkout"}));
    }
    let target = json!({"podSelector": {}, "namespaceSelector": {"matchLabels": {"team": "a"}}});
    cluster.cluster_policy("all", json!({"target": target}));
    let plan = cluster.plan(at(0));
    let resolved = status(&plan).conditions.iter().find(|one| one.type_ == "TargetsResolved").unwrap();
    assert_eq!((resolved.status.as_str(), resolved.message.as_str()), ("True", "1 pod"));
}

#[test]
fn a_policy_that_selects_nothing_names_what_comes_near() {
    let message = |build: &dyn Fn(&mut Cluster)| {
        let mut cluster = Cluster::new();
        build(&mut cluster);
        let plan = cluster.plan(at(0));
        let resolved = status(&plan).conditions.iter().find(|one| one.type_ == "TargetsResolved").unwrap();
        assert_eq!((resolved.status.as_str(), resolved.reason.as_str()), ("False", "NoPods"));
        resolved.message.clone()
    };
    let in_shop = |labels: Value| {
        message(&|cluster: &mut Cluster| {
            cluster.policy("shop", "checkout", json!({}));
            cluster.pod("shop", "web", labels.clone());
            cluster.pod("bank", "web", json!({"app": "checkout"}));
        })
    };
    // Of other namespaces a policy of one says nothing: who reads it may not see them.
    let near = in_shop(json!({"app": "check-out", "pod-template-hash": "x"}));
    assert!(near.contains("; pods there have app=check-out; compare `target`"), "{near}");
    assert!(in_shop(json!({"tier": "web"})).contains("; no pod there has a label with that key; compare `target`"));
    let empty = message(&|cluster| cluster.policy("shop", "checkout", json!({})));
    assert!(empty.contains("no pod is running in the policy's namespace"), "{empty}");

    let everywhere = message(&|cluster| {
        cluster.namespace("shop", json!({"team": "b"}));
        cluster.pod("shop", "web", json!({"app": "checkout"}));
        let namespaces = json!({"matchLabels": {"team": "a"}});
        let pods = json!({"matchLabels": {"app": "checkout"}});
        cluster.cluster_policy("all", json!({"target": {"podSelector": pods, "namespaceSelector": namespaces}}));
    });
    assert!(everywhere.contains("are in shop, which `target.namespaceSelector` does not select"), "{everywhere}");
}

#[test]
fn figures_are_written_once_a_minute_and_news_at_once() {
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
    cluster.settled(at(0));
    cluster.report("n1", json!({"targets": 1, "alerts": 1, "confirmed": 1}));
    assert_eq!(cluster.statuses(at(30)), 0);
    assert_eq!(cluster.statuses(at(60)), 1);
    cluster.settled(at(60));
    assert_eq!(cluster.statuses(at(61)), 0);
    cluster.pod("shop", "web-1", json!({"app": "checkout"}));
    assert_eq!(cluster.statuses(at(61)), 1);
}

#[test]
fn scores_hold_in_shadow_mode_and_after_alerts_expired() {
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({"mode": "Shadow"}));
    cluster.report("n1", json!({"targets": 1, "alerts": 4, "confirmed": 3, "unconfirmed": 1}));
    cluster.report("n2", json!({"targets": 2, "alerts": 1, "confirmed": 1}));
    let plan = cluster.plan(at(0));
    let status = status(&plan);
    let day = status.rules.iter().find(|rule| rule.window == netprecursor_crds::policy::ScoreWindow::Day).unwrap();
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

fn day(plan: &Plan) -> netprecursor_crds::policy::RuleStatus {
    let is_day =
        |rule: &&netprecursor_crds::policy::RuleStatus| rule.window == netprecursor_crds::policy::ScoreWindow::Day;
    status(plan).rules.iter().find(is_day).unwrap().clone()
}

#[test]
fn a_rule_whose_confidence_nothing_reaches_says_so_and_is_followed() {
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
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
        let mut cluster = Cluster::new();
        cluster.policy("shop", "checkout", json!({}));
        cluster.report("n1", unannounced(changes));
        assert_eq!(condition(&cluster.plan(at(0)), "Unannounced"), None, "{why}");
    }
    let mut late = Cluster::new();
    late.policy("shop", "checkout", json!({}));
    late.report("n1", unannounced(json!({"alerts": 2, "late": 2})));
    assert_eq!(condition(&late.plan(at(0)), "Unannounced"), is("True", "ConfidenceNotReached"));
}

#[test]
fn a_confidence_that_one_node_reaches_is_reached() {
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
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
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
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
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
    cluster.report("n1", unannounced(json!({"neededPercent": 50, "reachablePercent": 55})));
    let since = at(100).to_string();
    cluster.report("n2", unannounced(json!({"ruleHash": "new", "since": since})));
    let score = day(&cluster.plan(at(100)));
    assert_eq!((score.needed_percent, score.reachable_percent), (Some(62), Some(31)));
    let since_change = |plan: &Plan| status(plan).rules.iter().filter(|rule| rule.needed_percent.is_some()).count();
    assert_eq!(since_change(&cluster.plan(at(100))), 1, "in the entry of 24h alone");
}

#[test]
fn the_forecaster_that_learns_in_place_is_a_builtin() {
    let mut cluster = Cluster::new();
    let of = |builtin: &str| {
        let threshold = json!({"threshold": "200ms"});
        json!([{"name": "rtt", "signal": "RttForecast", "rttForecast": threshold, "model": {"builtin": builtin}}])
    };
    cluster.policy("shop", "checkout", json!({"rules": of("adaptive")}));
    assert_eq!(condition(&cluster.plan(at(0)), "ModelReady"), is("True", "Builtin"));
    cluster.policy("shop", "checkout", json!({"rules": of("adaptiv")}));
    let plan = cluster.plan(at(0));
    assert_eq!(condition(&plan, "ModelReady"), is("False", "UnknownBuiltin"));
    assert!(message(&plan, "ModelReady").contains("expected one of adaptive, "), "{}", message(&plan, "ModelReady"));
}

#[test]
fn alerts_without_an_object_are_counted_in_the_policy() {
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
    cluster.report("n1", json!({"targets": 1, "throttled": 17}));
    let plan = cluster.plan(at(0));
    assert_eq!(condition(&plan, "Throttled"), is("True", "TooManyAlerts"));
    assert!(status(&plan).conditions.iter().any(|condition| condition.message.starts_with("17 alerts")));
}

#[test]
fn an_alert_is_resolved_when_nobody_else_can_and_not_sooner() {
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
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
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
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
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
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

#[test]
fn a_model_is_looked_at_published_and_swept_when_nobody_wants_it() {
    let mut cluster = Cluster::new();
    let sha256 = "ab".repeat(32);
    let model = json!({"configMapKeyRef": {"name": "models", "key": "m.onnx", "sha256": sha256}});
    let rule = json!({"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}, "model": model});
    cluster.policy("shop", "checkout", json!({"rules": [rule]}));
    let first = cluster.plan(at(0));
    assert_eq!((first.looks.len(), condition(&first, "ModelReady")), (1, is("Unknown", "Checking")));
    let (source, generation) = first.looks[0].clone();
    let trouble = crate::models::Trouble::NotFound(source.clone());
    cluster.looked(&source, generation, at(0), Err(trouble));
    let refused = cluster.plan(at(1));
    assert_eq!((refused.looks.len(), condition(&refused, "ModelReady")), (0, is("False", "NotFound")));
    assert_eq!(cluster.plan(at(300)).looks.len(), 1);
    let payload = Arc::new(Payload { stored: vec![1], is_gzip: false });
    cluster.looked(&source, generation, at(300), Ok(payload));
    assert!(matches!(cluster.settled(at(300))[0], Write::PublishModel { .. }));
    assert!(cluster.observed.models.is_empty(), "the bytes are kept");
    cluster.remove_policy("shop", "checkout");
    cluster.settled(at(400));
    assert!(!cluster.plan(at(999)).writes.iter().any(|write| matches!(write, Write::DeleteModel { .. })));
    assert!(cluster.plan(at(1_000)).writes.iter().any(|write| matches!(write, Write::DeleteModel { .. })));
}

#[test]
fn a_rule_that_falls_back_on_some_node_says_so() {
    let mut cluster = Cluster::new();
    cluster.policy("shop", "checkout", json!({}));
    cluster.staffed_node("n1");
    cluster.fallback("n1", "no such file");
    let plan = cluster.plan(at(0));
    assert_eq!(condition(&plan, "ModelReady"), is("False", "NotLoaded"));
}
