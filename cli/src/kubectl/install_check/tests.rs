//! Clusters before, in the middle of and after an installation, and what is said of them.

use serde_json::{Value, json};

use super::*;
use crate::kubectl::style::Style;

const NOW: i64 = 1_700_000_000;

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn version(minor: &str) -> Info {
    object(
        json!({"major": "1", "minor": minor, "gitVersion": format!("v1.{minor}"), "gitCommit": "", "gitTreeState": "",
        "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
    )
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A cluster on which everything works.
fn installed() -> Facts {
    let there = || Definition::There { serves: true, is_established: Some(true) };
    let deployment = json!({
        "metadata": {"name": "netprecursor-operator"},
        "spec": {"replicas": 2, "selector": {}, "template": {}},
        "status": {"readyReplicas": 2, "conditions": [{"type": "Available", "status": "True"}]},
    });
    let lease = json!({"metadata": {}, "spec": {"holderIdentity": "operator-a", "leaseDurationSeconds": 15,
        "renewTime": format!("{:.6}", at(NOW - 3))}});
    let status =
        json!({"currentNumberScheduled": 3, "desiredNumberScheduled": 3, "numberMisscheduled": 0, "numberReady": 3});
    Facts {
        namespace: "net".to_owned(),
        user_namespace: "shop".to_owned(),
        version: version("34"),
        definitions: vec![("precursorpolicies.netprecursor.io".to_owned(), there())],
        operator: Answer::Found(object(deployment)),
        lease: Answer::Found(object(lease)),
        agents: Answer::Found(object(json!({"metadata": {}, "status": status}))),
        has_policy: Answer::Found(true),
        serves_admission: true,
        admission_policies: Answer::Found(3),
        place: Answer::Found(object(json!({"metadata": {"labels": {ENFORCE: "privileged"}}}))),
        dry_run: DryRun::Unknown(String::new()),
        may_create: Answer::Found((true, String::new())),
    }
}

fn bad(facts: &Facts) -> Vec<&'static str> {
    let report = report(facts, at(NOW));
    assert_eq!(report.is_well, report.checks.iter().all(|check| check.verdict != Verdict::Bad));
    report.checks.iter().filter(|check| check.verdict == Verdict::Bad).map(|check| check.name).collect()
}

#[test]
fn what_works_is_good_in_every_line() {
    let report = report(&installed(), at(NOW));
    assert!(report.is_installed && report.checks.iter().all(|check| check.verdict == Verdict::Good), "{report:#?}");
    let text = text(&report, Style::PLAIN);
    assert_eq!(text.matches('✓').count(), report.checks.len(), "{text}");
}

#[test]
fn a_fit_cluster_with_nothing_on_it_is_well() {
    let nothing = Facts {
        definitions: vec![("precursorpolicies.netprecursor.io".to_owned(), Definition::Absent)],
        operator: Answer::Absent,
        lease: Answer::Absent,
        agents: Answer::Absent,
        has_policy: Answer::Absent,
        place: Answer::Absent,
        ..installed()
    };
    assert_eq!(bad(&nothing), Vec::<&str>::new());
    let text = text(&report(&nothing, at(NOW)), Style::PLAIN);
    assert!(text.contains("helm install") && text.contains("pod-security.kubernetes.io/enforce=privileged"), "{text}");
}

#[test]
fn half_an_installation_is_bad() {
    let without_operator = Facts { operator: Answer::Absent, ..installed() };
    assert_eq!(bad(&without_operator), ["operator"]);
    let without_definitions =
        Facts { definitions: vec![("precursoralerts.netprecursor.io".to_owned(), Definition::Absent)], ..installed() };
    assert_eq!(bad(&without_definitions), ["definitions"]);
    for definition in [
        Definition::There { serves: false, is_established: Some(true) },
        Definition::There { serves: true, is_established: Some(false) },
    ] {
        let definitions = vec![("precursoralerts.netprecursor.io".to_owned(), definition)];
        assert_eq!(bad(&Facts { definitions, ..installed() }), ["definitions"]);
    }
}

#[test]
fn the_oldest_version_is_good_and_the_one_before_is_not() {
    for (minor, is_good) in [("31", false), ("32", true), ("34+", true), ("9", false)] {
        assert_eq!(bad(&Facts { version: version(minor), ..installed() }).is_empty(), is_good, "{minor}");
    }
}

#[test]
fn a_lease_that_nobody_renews_is_held_by_nobody() {
    let report = report(&installed(), at(NOW + 60));
    let leader = report.checks.iter().find(|check| check.name == "leader").unwrap();
    assert_eq!((leader.verdict, leader.says.as_str()), (Verdict::Bad, "operator-a no longer renews its lease"));
}

#[test]
fn agents_may_be_absent_only_without_a_policy() {
    let absent = |has_policy| Facts { agents: Answer::Absent, has_policy: Answer::Found(has_policy), ..installed() };
    assert_eq!(bad(&absent(false)), Vec::<&str>::new());
    assert_eq!(bad(&absent(true)), ["agents"]);
}

#[test]
fn pod_security_is_told_with_the_command_that_allows_agents() {
    let place = |labels: Value| Answer::Found(object(json!({"metadata": {"labels": labels}})));
    let refused = DryRun::Refused("violates PodSecurity \"baseline:latest\"".to_owned());
    for (place, dry_run, is_good) in [
        (place(json!({ENFORCE: "baseline"})), DryRun::Admitted, false),
        (place(json!({})), refused, false),
        (place(json!({})), DryRun::Admitted, true),
        (place(json!({})), DryRun::Unknown("not permitted to create pods".to_owned()), true),
    ] {
        let report = report(&Facts { place, dry_run, ..installed() }, at(NOW));
        let check = report.checks.iter().find(|check| check.name == "Pod Security").unwrap();
        assert_eq!(check.verdict != Verdict::Bad, is_good, "{check:?}");
        let command = "kubectl label namespace net pod-security.kubernetes.io/enforce=privileged --overwrite";
        assert!(is_good || check.fix.as_deref() == Some(command), "{check:?}");
    }
}

#[test]
fn who_may_not_create_policies_is_told_whom_to_ask() {
    let reader = Facts { may_create: Answer::Found((false, "no rule".to_owned())), ..installed() };
    assert_eq!(bad(&reader), ["your rights"]);
    let text = text(&report(&reader, at(NOW)), Style::PLAIN);
    assert!(
        text.contains("you may not create policies in shop: no rule") && text.contains("ClusterRole edit"),
        "{text}"
    );
}

#[test]
fn what_one_may_not_know_is_no_fault() {
    let no = || "deployments.apps is forbidden".to_owned();
    let blind = Facts {
        operator: Answer::Forbidden(no()),
        agents: Answer::Forbidden(no()),
        place: Answer::Forbidden(no()),
        admission_policies: Answer::Forbidden(no()),
        may_create: Answer::Forbidden(no()),
        ..installed()
    };
    assert_eq!(bad(&blind), Vec::<&str>::new());
    let text = text(&report(&blind, at(NOW)), Style::PLAIN);
    assert!(text.contains("– operator") && text.contains("not permitted to know"), "{text}");
}
