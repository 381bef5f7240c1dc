//! Installations in every combination of states, and what no two answers about one of them may disagree on.

use std::sync::LazyLock;

use super::{
    agents::{Phase, Set},
    operator::Lease,
    policy::Word,
    *,
};
use crate::{policy::PrecursorPolicyStatus, report::PrecursorNodeReportStatus};

const NOW: i64 = 1_700_000_000;

fn now() -> Timestamp {
    at(0)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(NOW + second).unwrap()
}

fn place() -> Place {
    Place { release: Some("net".to_owned()), operator: Some("net-operator".to_owned()), ..Place::new("nets") }
}

fn policy_status(conditions: &[(&str, &str, &str, &str)]) -> PrecursorPolicyStatus {
    let conditions = conditions.iter().map(|(type_, status, reason, message)| {
        serde_json::json!({"type": type_, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": at(-60).to_string()})
    });
    let conditions: Vec<_> = conditions.collect();
    serde_json::from_value(serde_json::json!({"observedGeneration": 1, "conditions": conditions})).unwrap()
}

/// A policy that is followed.
fn watching() -> PrecursorPolicyStatus {
    policy_status(&[("Ready", "True", "Watching", "the policy is in effect"), ("AgentsReady", "True", "AllReady", "")])
}

fn agent(state: &str, is_ready: Option<bool>) -> Known<node::Pod> {
    Known::There(node::Pod { name: "agent".to_owned(), is_ready, since: Some(at(-600)), state: state.to_owned() })
}

fn report(ago: i64, is_well: bool) -> node::Report {
    let (reason, message) = if is_well { ("SensorsWork", "") } else { ("SensorsMissing", "tcp cannot be used") };
    let ready = Some(Word { is_well, reason: reason.to_owned(), message: message.to_owned() });
    node::Report { heartbeat: Some(at(-ago)), ready, findings: Vec::new() }
}

fn works(name: &str) -> Node {
    let (pod, report) = (agent("Running", Some(true)), Known::There(report(10, true)));
    Node { name: name.to_owned(), is_ready: Some(true), pod, report }
}

fn leads(second: i64) -> Known<Lease> {
    Known::There(Lease { holder: Some("operator-a".to_owned()), until: Some(at(second)) })
}

/// An installation that works.
fn facts() -> Facts<'static> {
    static WATCHING: LazyLock<PrecursorPolicyStatus> = LazyLock::new(watching);
    Facts {
        place: place(),
        operator: Known::There(Operator { wanted: 2, ready: 2, trouble: None, lease: leads(5) }),
        agents: Agents {
            anchor: Known::There(()),
            anchor_name: "net-anchor".to_owned(),
            set: Known::There(Set { wanted: 2, scheduled: 2, updated: 2, ready: 2, is_current: true }),
            nodes: vec![works("n1"), works("n2")],
            has_policy: Some(true),
            ..Agents::default()
        },
        policies: vec![Policy { generation: Some(1), status: Some(&WATCHING) }],
        firing: Some(0),
    }
}

#[test]
fn where_everything_works_nothing_is_found() {
    let diagnosis = diagnose(&facts(), now());
    assert_eq!(diagnosis.all().collect::<Vec<_>>(), Vec::<&Finding>::new());
    assert_eq!(diagnosis.tally, agents::Tally { working: 2, wanted: Some(2) });
}

/// Changes of a part of an installation that works, each with whether all that is wanted then still happens.
type Changes = Vec<(bool, fn(&mut Facts<'_>))>;

fn operators() -> Changes {
    fn with(facts: &mut Facts<'_>, change: fn(&mut Operator)) {
        if let Known::There(operator) = &mut facts.operator {
            change(operator);
        }
    }
    vec![
        (true, |_| {}),
        (true, |facts| facts.operator = Known::Hidden),
        (false, |facts| facts.operator = Known::Absent),
        (false, |facts| with(facts, |operator| (operator.wanted, operator.ready) = (0, 0))),
        (false, |facts| with(facts, |operator| operator.trouble = Some("no minimum availability".to_owned()))),
        (false, |facts| with(facts, |operator| operator.lease = leads(-60))),
        (false, |facts| with(facts, |operator| operator.lease = Known::Absent)),
    ]
}

fn sets() -> Changes {
    fn set(facts: &mut Facts<'_>, scheduled: i64, ready: i64, is_current: bool) {
        facts.agents.set = Known::There(Set { wanted: 2, scheduled, updated: scheduled, ready, is_current });
    }
    vec![
        (true, |_| {}),
        (true, |facts| facts.agents.set = Known::Hidden),
        (false, |facts| facts.agents.set = Known::Absent),
        (false, |facts| set(facts, 2, 1, true)),
        (false, |facts| set(facts, 1, 1, true)),
        (false, |facts| set(facts, 2, 2, false)),
        (false, |facts| facts.agents.anchor = Known::Absent),
        (false, |facts| facts.agents.refused = Some("spec.affinity: no".to_owned())),
        (false, |facts| {
            set(facts, 0, 0, true);
            facts.agents.failure = Some("is forbidden: violates PodSecurity \"baseline:latest\"".to_owned());
        }),
        (false, |facts| {
            facts.agents.set = Known::There(Set { wanted: 0, scheduled: 0, updated: 0, ready: 0, is_current: true });
        }),
    ]
}

fn nodes() -> Changes {
    fn one(facts: &mut Facts<'_>, change: fn(&mut Node)) {
        facts.agents.nodes.first_mut().into_iter().for_each(change);
    }
    vec![
        (true, |_| {}),
        (true, |facts| facts.agents.nodes.iter_mut().for_each(|node| node.pod = Known::Hidden)),
        (true, |facts| facts.agents.nodes.iter_mut().for_each(|node| node.report = Known::Hidden)),
        (false, |facts| one(facts, |node| node.report = Known::There(report(1_000, true)))),
        (false, |facts| one(facts, |node| node.report = Known::There(report(10, false)))),
        (false, |facts| one(facts, |node| node.report = Known::Absent)),
        (false, |facts| one(facts, |node| node.pod = agent("CrashLoopBackOff", Some(false)))),
        (false, |facts| one(facts, |node| (node.pod, node.report) = (agent("Pending", Some(false)), Known::Absent))),
        (false, |facts| {
            facts.agents.set = Known::There(Set { wanted: 2, scheduled: 1, updated: 1, ready: 1, is_current: true });
            one(facts, |node| node.pod = Known::Absent);
        }),
        // An agent that is left out from now on, and whose report is still young.
        (true, |facts| {
            facts.agents.set = Known::There(Set { wanted: 1, scheduled: 1, updated: 1, ready: 1, is_current: true });
            one(facts, |node| node.pod = Known::Absent);
        }),
        (false, |facts| {
            let status = serde_json::json!({"agentVersion": "0.1.0", "kernel": "6.1", "rttSource": "Measured",
                "queue": {"pending": 4, "dropped": 3}});
            let status: PrecursorNodeReportStatus = serde_json::from_value(status).unwrap();
            let findings = report::findings(&status, &facts.place);
            facts.agents.nodes[0].report = Known::There(node::Report { findings, ..report(10, true) });
        }),
    ]
}

fn policies() -> Changes {
    fn set_conditions(facts: &mut Facts<'_>, conditions: &[(&str, &str, &str, &str)]) {
        let status = Box::leak(Box::new(policy_status(conditions)));
        facts.policies = vec![Policy { generation: Some(1), status: Some(status) }];
    }
    const WATCHING: (&str, &str, &str, &str) = ("Ready", "True", "Watching", "");
    const ALL: (&str, &str, &str, &str) = ("AgentsReady", "True", "AllReady", "2 of 2 agents work");
    vec![
        (true, |_| {}),
        (true, |facts| facts.policies.clear()),
        (false, |facts| facts.policies[0].generation = Some(2)),
        (false, |facts| facts.policies[0].status = None),
        (false, |facts| {
            let what = "the chart's ConfigMap nets/net-anchor, which owns the agents, is missing";
            set_conditions(
                facts,
                &[("Ready", "False", "AgentsNotReady", what), ("AgentsReady", "False", "AnchorMissing", what)],
            );
        }),
        (false, |facts| {
            let what = "1 of 2 agents work; failing on n1: starting";
            set_conditions(
                facts,
                &[("Ready", "False", "AgentsNotReady", what), ("AgentsReady", "False", "NotReady", what)],
            );
        }),
        (false, |facts| {
            set_conditions(facts, &[WATCHING, ALL, ("ModelReady", "False", "NotFound", "no such ConfigMap")]);
        }),
        (false, |facts| set_conditions(facts, &[WATCHING, ALL, ("TargetsResolved", "False", "NoPods", "no pod")])),
        (false, |facts| {
            set_conditions(facts, &[WATCHING, ALL, ("Throttled", "True", "TooManyAlerts", "17 alerts have no object")]);
        }),
        (false, |facts| {
            set_conditions(facts, &[WATCHING, ALL, ("NotHeardOf", "True", "Later", "a later release says so")]);
        }),
        (false, |facts| facts.firing = Some(40)),
    ]
}

#[test]
fn in_no_combination_of_states_do_two_answers_contradict_each_other() {
    let mut seen = 0;
    for (operator_is_well, operator) in operators() {
        for (set_is_well, set) in sets() {
            for (nodes_are_well, nodes) in nodes() {
                for (policies_are_well, policies) in policies() {
                    let mut facts = facts();
                    for change in [operator, set] {
                        change(&mut facts);
                    }
                    let before = facts.agents.set.clone();
                    for change in [nodes, policies] {
                        change(&mut facts);
                    }
                    // Two changes of the same part are not one combination.
                    if facts.agents.set != before && before != self::facts().agents.set {
                        continue;
                    }
                    let is_well = operator_is_well && set_is_well && nodes_are_well && policies_are_well;
                    let diagnosis = diagnose(&facts, now());
                    check(&facts, &diagnosis);
                    let worst = diagnosis.worst();
                    // What nobody may see is nobody's fault; what is seen to be wrong is reported.
                    assert!(
                        is_well || worst.is_some_and(|worst| worst < Severity::Remark),
                        "{facts:#?} {diagnosis:#?}"
                    );
                    assert!(
                        !is_well || worst.is_none_or(|worst| worst == Severity::Remark),
                        "{facts:#?} {diagnosis:#?}"
                    );
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 5_000, "{seen} combinations");
}

fn check(facts: &Facts<'_>, diagnosis: &Diagnosis) {
    let show = || format!("{facts:#?}\n{diagnosis:#?}");
    let agents = diagnosis.findings.iter().find(|finding| finding.condition == "AgentsReady");
    let agents::Tally { working, wanted } = diagnosis.tally;
    // A count that looks well stands beside a reason that says why it is not, and the other way round.
    match (wanted, agents) {
        (Some(wanted), None) => assert!(working >= wanted, "{}", show()),
        (Some(wanted), Some(finding)) if working >= wanted => {
            let (reason, message) = (finding.reason.as_str(), &finding.message);
            let is_settings = message.contains("the previous settings") || message.contains("every agent works now");
            assert!(is_settings || !matches!(reason, "NotReady" | "Silent"), "{}", show());
        }
        _ => {}
    }
    let ready = diagnosis.nodes.iter().filter(|stand| stand.standing == Standing::Ready).count();
    assert!(working <= ready, "{}", show());
    for (stand, node) in diagnosis.nodes.iter().zip(&facts.agents.nodes) {
        let is_ready = stand.standing == Standing::Ready;
        assert!(!(is_ready && node.pod.is_absent()), "ready without an agent: {}", show());
        assert!(!(is_ready && stand.silence.is_some_and(|seconds| seconds > node::STALE_SECONDS)), "{}", show());
        let is_quiet = stand.findings.iter().all(|finding| finding.severity > Severity::Fault);
        assert!(
            is_ready || stand.standing == Standing::Unwanted || !is_quiet,
            "not ready without a reason: {}",
            show()
        );
    }
    for finding in diagnosis.all() {
        assert!(!finding.message.is_empty() && !finding.reason.is_empty(), "{}", show());
        let says_it = finding.reason == "Later" || finding.condition == "ModelReady";
        assert!(says_it || !finding.advice.is_empty(), "no advice: {}", show());
        assert!(!finding.to_string().contains('{'), "a name is missing: {finding:?}");
        // Nothing sends to another command of the plugin without having reported what is wrong.
        assert!(!finding.message.contains("kubectl netprecursor"), "{finding:?}");
    }
}

#[test]
fn a_missing_anchor_is_brought_back_by_what_helm_does_not_refuse() {
    let mut facts = facts();
    facts.agents.anchor = Known::Absent;
    let seen = diagnose(&facts, now());
    let finding = &seen.findings[0];
    assert_eq!((finding.reason.as_str(), finding.severity), ("AnchorMissing", Severity::Fault));
    assert!(finding.advice.contains("helm upgrade net charts/netprecursor --namespace nets"), "{finding}");
    assert!(!finding.to_string().contains("install the chart again"), "{finding}");
    // Who may not see the ConfigMap still gets the operator's finding about it.
    let message = Finding { advice: Place::new("nets").fill(&finding.advice), ..finding.clone() }.to_string();
    let status = policy_status(&[
        ("Ready", "False", "AgentsNotReady", &message),
        ("AgentsReady", "False", "AnchorMissing", &message),
    ]);
    facts.agents.anchor = Known::Hidden;
    facts.policies = vec![Policy { generation: Some(1), status: Some(&status) }];
    let diagnosis = diagnose(&facts, now());
    assert_eq!(
        (diagnosis.findings[0].reason.as_str(), diagnosis.policies[0].len()),
        ("AnchorMissing", 1),
        "{diagnosis:#?}"
    );
}

#[test]
fn what_an_operator_said_before_it_went_is_not_taken_for_news() {
    let status = policy_status(&[("Ready", "True", "Watching", ""), ("AgentsReady", "False", "AnchorMissing", "gone")]);
    let policies = vec![Policy { generation: Some(1), status: Some(&status) }];
    let facts = Facts { operator: Known::Absent, policies, ..facts() };
    let reasons: Vec<_> = diagnose(&facts, now()).findings.into_iter().map(|finding| finding.reason).collect();
    assert_eq!(reasons, ["OperatorMissing"]);
}

#[test]
fn agents_that_are_being_replaced_are_no_fault_for_who_hears_the_operator() {
    let status = policy_status(&[
        ("Ready", "True", "Watching", ""),
        ("AgentsReady", "True", "Replacing", "1 of 2 agents work; the others are being replaced"),
    ]);
    let mut facts = Facts { policies: vec![Policy { generation: Some(1), status: Some(&status) }], ..facts() };
    facts.agents.set = Known::There(Set { wanted: 2, scheduled: 2, updated: 2, ready: 1, is_current: true });
    let finding = diagnose(&facts, now()).findings.remove(0);
    assert_eq!((finding.reason.as_str(), finding.severity), ("Replacing", Severity::Warning));
    facts.agents.phase = Phase::Replacing;
    facts.policies.clear();
    assert_eq!(diagnose(&facts, now()).findings[0].reason, "Replacing");
}

#[test]
fn an_agent_that_has_just_started_has_time_to_report() {
    let mut facts = facts();
    facts.agents.nodes[0].report = Known::Absent;
    let young = |ago: i64| {
        Known::There(node::Pod { since: Some(at(-ago)), ..agent("Running", Some(true)).there().unwrap().clone() })
    };
    for (ago, standing, worst) in [
        (node::FIRST_REPORT_SECONDS - 1, Standing::Starting, Severity::Warning),
        (node::FIRST_REPORT_SECONDS, Standing::Missing, Severity::Fault),
    ] {
        facts.agents.nodes[0].pod = young(ago);
        let diagnosis = diagnose(&facts, now());
        assert_eq!((diagnosis.nodes[0].standing, diagnosis.worst()), (standing, Some(worst)), "{ago}");
    }
}

#[test]
fn advice_in_a_conditions_message_is_shown_once() {
    let pods = "no running pod matches `target`; pods there have app=x";
    let reason = reasons::find(reasons::POLICY, "TargetsResolved", "NoPods").unwrap();
    // As the operator writes it, which knows the namespace alone.
    let message = advised(pods, &Place::new("nets").fill(reason.advice));
    let status = policy_status(&[
        ("Ready", "True", "Watching", "the policy is in effect"),
        ("TargetsResolved", "False", "NoPods", &message),
    ]);
    let findings = policy::findings(&Policy { generation: Some(1), status: Some(&status) }, true, &place());
    assert_eq!((findings.len(), findings[0].message.as_str()), (1, pods));
    assert_eq!(findings[0].to_string(), message);
}

#[test]
fn every_reason_stands_once_and_says_what_to_do() {
    for table in [reasons::POLICY, reasons::REPORT, reasons::ALERT, reasons::FOUND] {
        let all: Vec<_> = reasons::all(table).collect();
        for (index, reason) in all.iter().enumerate() {
            let is_same = |other: &&Reason| (other.condition, other.name) == (reason.condition, reason.name);
            assert!(!all[..index].iter().any(is_same), "{reason:?} twice");
            assert!(!reason.advice.is_empty() && !reason.advice.ends_with('.'), "{reason:?}");
            assert!(!reason.name.is_empty() && reason.name.chars().all(char::is_alphanumeric), "{reason:?}");
        }
    }
}
