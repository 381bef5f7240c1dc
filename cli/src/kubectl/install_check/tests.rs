//! Clusters before, in the middle of and after an installation, and what is reported of them.

use netprecursor_crds::installation::Claim;
use serde_json::{Value, json};

use super::{facts::tests::policy, *};
use crate::kubectl::{
    installed::{
        Installed,
        tests::{self as scenes, at, object},
    },
    style::Style,
};

fn version(minor: &str) -> Info {
    object(
        json!({"major": "1", "minor": minor, "gitVersion": format!("v1.{minor}"), "gitCommit": "", "gitTreeState": "",
        "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
    )
}

fn claim(namespace: &str) -> Claim {
    Claim { namespace: namespace.to_owned(), release: "np".to_owned() }
}

/// A cluster on which everything works.
fn installed() -> Facts {
    let there = || Definition::There { serves: true, is_established: Some(true) };
    Facts {
        installed: scenes::installed(&["node1", "node2", "node3"]),
        claim: Answer::Found(Some(claim("net"))),
        operators: Answer::Found(vec!["net".to_owned()]),
        user_namespace: "shop".to_owned(),
        version: version("34"),
        definitions: vec![("precursorpolicies.netprecursor.io".to_owned(), there())],
        policies: Some(vec![policy(&[("Ready", "True", "Watching", "the policy is in effect")])]),
        serves_admission: true,
        admission_policies: Answer::Found(3),
        place: Answer::Found(object(json!({"metadata": {"labels": {ENFORCE: "privileged"}}}))),
        dry_run: DryRun::Unknown(String::new()),
        may_create: Answer::Found((true, String::new())),
        external_metrics: Answer::Absent,
    }
}

fn bad(facts: &Facts) -> Vec<&'static str> {
    let report = report(facts, at(0));
    assert_eq!(report.is_well, report.checks.iter().all(|check| check.verdict != Verdict::Bad));
    report.checks.iter().filter(|check| check.verdict == Verdict::Bad).map(|check| check.name).collect()
}

#[test]
fn what_works_is_good_in_every_line() {
    let report = report(&installed(), at(0));
    assert!(report.is_installed && report.checks.iter().all(|check| check.verdict == Verdict::Good), "{report:#?}");
    let text = text(&report, Style::PLAIN);
    assert_eq!(text.matches('✓').count(), report.checks.len(), "{text}");
}

#[test]
fn a_fit_cluster_with_nothing_on_it_is_well() {
    let nothing = Facts {
        definitions: vec![("precursorpolicies.netprecursor.io".to_owned(), Definition::Absent)],
        installed: Installed {
            operator: Answer::Absent,
            lease: Known::Hidden,
            agents: Answer::Absent,
            pods: Known::There(Vec::new()),
            reports: Known::Absent,
            ..scenes::installed(&["node1"])
        },
        policies: Some(Vec::new()),
        claim: Answer::Absent,
        operators: Answer::Found(Vec::new()),
        place: Answer::Absent,
        ..installed()
    };
    assert_eq!(bad(&nothing), Vec::<&str>::new());
    let text = text(&report(&nothing, at(0)), Style::PLAIN);
    assert!(text.contains("helm install") && text.contains("pod-security.kubernetes.io/enforce=privileged"), "{text}");
}

#[test]
fn a_second_release_is_bad_and_named_with_the_command_that_removes_it() {
    let both = || Answer::Found(vec!["elsewhere".to_owned(), "net".to_owned()]);
    let second = Facts { operators: both(), ..installed() };
    assert_eq!(bad(&second), ["one release"]);
    let shown = text(&report(&second, at(0)), Style::PLAIN);
    assert!(
        shown.contains("the operator in elsewhere does not work") && shown.contains("--namespace elsewhere"),
        "{shown}"
    );
    // Without the mark nobody keeps the second from working.
    assert_eq!(bad(&Facts { operators: both(), claim: Answer::Absent, ..installed() }), ["one release"]);
    assert_eq!(bad(&Facts { claim: Answer::Absent, ..installed() }), Vec::<&str>::new());
    let moved = Facts { claim: Answer::Found(Some(claim("elsewhere"))), ..installed() };
    assert_eq!(bad(&moved), ["one release"]);
}

#[test]
fn half_an_installation_is_bad() {
    let mut without_operator = installed();
    without_operator.installed.operator = Answer::Absent;
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
    let report = report(&installed(), at(60));
    let leader = report.checks.iter().find(|check| check.name == "leader").unwrap();
    assert_eq!((leader.verdict, leader.says.as_str()), (Verdict::Bad, "operator-a no longer renews its lease"));
}

#[test]
fn agents_may_be_absent_only_without_a_policy() {
    let absent = |policies| {
        let installed =
            Installed { agents: Answer::Absent, pods: Known::There(Vec::new()), ..scenes::installed(&["node1"]) };
        Facts { installed, policies: Some(policies), ..self::installed() }
    };
    assert_eq!(bad(&absent(Vec::new())), Vec::<&str>::new());
    assert_eq!(bad(&absent(vec![policy(&[("Ready", "True", "Watching", "")])])), ["agents"]);
}

#[test]
fn pod_security_is_reported_with_the_command_that_allows_agents() {
    let place = |labels: Value| Answer::Found(object(json!({"metadata": {"labels": labels}})));
    let refused = DryRun::Refused("violates PodSecurity \"baseline:latest\"".to_owned());
    for (place, dry_run, is_good) in [
        (place(json!({ENFORCE: "baseline"})), DryRun::Admitted, false),
        (place(json!({})), refused, false),
        (place(json!({})), DryRun::Admitted, true),
        (place(json!({})), DryRun::Unknown("not permitted to create pods".to_owned()), true),
    ] {
        let report = report(&Facts { place, dry_run, ..installed() }, at(0));
        let check = report.checks.iter().find(|check| check.name == "Pod Security").unwrap();
        assert_eq!(check.verdict != Verdict::Bad, is_good, "{check:?}");
        let command = "kubectl label namespace net pod-security.kubernetes.io/enforce=privileged --overwrite";
        assert!(is_good || check.fix.as_deref() == Some(command), "{check:?}");
    }
}

#[test]
fn who_may_not_create_policies_learns_whom_to_ask() {
    let reader = Facts { may_create: Answer::Found((false, "no rule".to_owned())), ..installed() };
    assert_eq!(bad(&reader), ["your rights"]);
    let text = text(&report(&reader, at(0)), Style::PLAIN);
    assert!(
        text.contains("you may not create policies in shop: no rule") && text.contains("ClusterRole edit"),
        "{text}"
    );
}

#[test]
fn what_one_may_not_know_is_no_fault() {
    let no = || "deployments.apps is forbidden".to_owned();
    let blind = Facts {
        installed: Installed {
            operator: Answer::Forbidden(no()),
            lease: Known::Hidden,
            agents: Answer::Forbidden(no()),
            failures: Known::Hidden,
            pods: Known::Hidden,
            nodes: Known::Hidden,
            reports: Known::Hidden,
            ..scenes::installed(&["node1"])
        },
        policies: None,
        place: Answer::Forbidden(no()),
        admission_policies: Answer::Forbidden(no()),
        may_create: Answer::Forbidden(no()),
        ..installed()
    };
    assert_eq!(bad(&blind), Vec::<&str>::new());
    let text = text(&report(&blind, at(0)), Style::PLAIN);
    assert!(text.contains("– operator") && text.contains("not permitted to check"), "{text}");
}

#[test]
fn the_reason_is_there_without_another_command() {
    let message = "the chart's ConfigMap net/netprecursor-anchor, which owns the agents, is missing";
    let says = |facts: &Facts| text(&report(facts, at(0)), Style::PLAIN);
    let mut facts = installed();
    facts.policies = Some(vec![policy(&[
        ("Ready", "False", "AgentsNotReady", message),
        ("AgentsReady", "False", "AnchorMissing", message),
    ])]);
    assert_eq!(bad(&facts), ["agents", "policies"]);
    let shown = says(&facts);
    assert!(
        shown.contains(message) && shown.contains("→ run `helm upgrade np charts/netprecursor --namespace net"),
        "{shown}"
    );
    assert!(!shown.contains("netprecursor doctor"), "{shown}");
    let mut refused = installed();
    refused.installed.agents = scenes::daemon_set(0, 3, 0);
    refused.installed.pods = Known::There(Vec::new());
    refused.installed.failures = Known::There(vec![object(json!({
        "metadata": {}, "involvedObject": {"kind": "DaemonSet", "name": "netprecursor-agent"},
        "message": "pods \"a-\" is forbidden: violates PodSecurity \"baseline:latest\"", "lastTimestamp": at(-5).to_string(),
    }))]);
    let text = says(&refused);
    assert!(text.contains("0 of 3 agents work: Pod Security of namespace net refuses agents"), "{text}");
    assert!(
        text.contains("→ run `kubectl label namespace net pod-security.kubernetes.io/enforce=privileged"),
        "{text}"
    );
}

#[test]
fn all_is_not_well_while_a_policy_loses_alerts() {
    let ready = ("Ready", "True", "Watching", "");
    let throttled = ("Throttled", "True", "TooManyAlerts", "17 alerts have no object");
    let facts = Facts { policies: Some(vec![policy(&[ready, throttled])]), ..installed() };
    assert_eq!(bad(&facts), ["policies"]);
    let no_pods = ("TargetsResolved", "False", "NoPods", "no running pod has these labels");
    let facts = Facts { policies: Some(vec![policy(&[ready, no_pods])]), ..installed() };
    assert_eq!(bad(&facts), Vec::<&str>::new());
    assert!(text(&report(&facts, at(0)), Style::PLAIN).contains("– policies"));
}
