use std::sync::Arc;

use super::*;
use crate::{
    alert::{Model, PodRef, PolicyRef},
    policy::{Identity, Kind, Name, Severity},
    score::Verdict,
};

const FIRED: u64 = 1_700_000_000;
const GROUP: &str = "checkout-web";

/// The alert on pod `number` of the Deployment `web` as it fires, `after` seconds after the first.
fn pod(number: usize, after: u64, predicted_ms: f32) -> Alert {
    let uid = format!("uid-{number}");
    let reference = PodRef {
        namespace: "shop".to_owned(),
        name: format!("web-{number}"),
        uid: uid.clone(),
        workload: Some(Workload { kind: "Deployment".to_owned(), name: "web".to_owned() }),
        controller: None,
    };
    let policy = PolicyRef {
        kind: Kind::Namespaced,
        namespace: Some("shop".to_owned()),
        name: "checkout".to_owned(),
        uid: "p".to_owned(),
    };
    Alert {
        name: format!("checkout-{number}"),
        policy: Identity {
            kind: Kind::Namespaced,
            namespace: Some(Name::label("shop").unwrap()),
            name: Name::subdomain("checkout").unwrap(),
        },
        rule: "rtt".to_owned(),
        target: format!("shop/web-{number}"),
        target_uid: uid,
        severity: Severity::Warning,
        state: AlertState::Firing,
        trigger: Trigger::Forecast,
        rtt: "RTT".to_owned(),
        rtt_from: Default::default(),
        threshold_us: 200_000,
        resolve_us: 160_000,
        predicted_us: Some(predicted_ms * 1e3),
        chance: Some(0.7),
        measured_us: Some(90_000.0),
        lead_seconds: None,
        confirmed: Confirmed::Unknown,
        judged_unix: None,
        count: 1,
        fired_unix: FIRED + after,
        resolved_unix: None,
        resolution: None,
        causes: Vec::new(),
        model: Model { name: format!("model-{number}"), sha256: None, fallback: None },
        subject: Some(Arc::new(Subject { policy, pod: Arc::new(reference) })),
        part_of: Some(GROUP.to_owned()),
        affected: None,
    }
}

fn over(mut alert: Alert, after: u64) -> Transition {
    alert.resolve(Resolution::Recovered, FIRED + after);
    Transition::Resolved(alert)
}

fn judged(mut alert: Alert, verdict: Verdict, after: u64) -> Transition {
    alert.judge(verdict, FIRED + after);
    Transition::Judged(alert)
}

fn words(transitions: &[Transition]) -> Vec<&'static str> {
    transitions.iter().map(Transition::word).collect()
}

#[track_caller]
fn one(transitions: Vec<Transition>, word: &str) -> Alert {
    assert_eq!(words(&transitions), [word]);
    transitions[0].alert().clone()
}

#[test]
fn a_hundred_pods_that_fire_in_one_second_are_one_alert_that_leads_with_the_worst() {
    let mut groups = Groups::default();
    let fired = (0..100).map(|number| Transition::Fired(pod(number, 0, 250.0 + (number * 37 % 100) as f32)));
    let alert = one(groups.fold(fired.collect()), "fired");
    assert_eq!((alert.name.as_str(), alert.count, alert.is_firing()), (GROUP, 1, true));
    let affected = alert.affected.unwrap();
    assert_eq!((affected.count, affected.firing, affected.worst.len()), (100, 100, MAX_LISTED));
    assert_eq!(alert.predicted_us, Some(349_000.0));
    assert_eq!((&affected.worst[0].uid, &affected.worst[0].predicted_us), (&alert.target_uid, &alert.predicted_us));
    assert_eq!(alert.model.name, alert.target.replace("shop/web", "model"));
    assert!(affected.worst.is_sorted_by(|a, b| a.predicted_us >= b.predicted_us), "{affected:?}");
    assert_eq!(affected.workload.name, "web");
}

#[test]
fn it_fires_with_the_first_pod_and_resolves_with_the_last() {
    let mut groups = Groups::default();
    let (a, b) = (pod(1, 0, 250.0), pod(2, 3, 300.0));
    one(groups.fold(vec![Transition::Fired(a.clone())]), "fired");
    let joined = one(groups.fold(vec![Transition::Fired(b.clone())]), "updated");
    assert_eq!(
        (joined.fired_unix, joined.target.as_str(), joined.predicted_us),
        (FIRED, "shop/web-2", Some(300_000.0))
    );
    let left = one(groups.fold(vec![over(b, 20)]), "updated");
    assert_eq!((left.is_firing(), left.affected.as_ref().unwrap().firing), (true, 1));
    assert_eq!((left.target.as_str(), left.predicted_us), ("shop/web-1", Some(300_000.0)));
    let end = one(groups.fold(vec![over(a, 30)]), "resolved");
    assert_eq!((end.resolution, end.resolved_unix), (Some(Resolution::Recovered), Some(FIRED + 30)));
    assert_eq!((end.affected.as_ref().unwrap().count, end.affected.as_ref().unwrap().firing), (2, 0));
}

#[test]
fn a_pod_with_a_new_owner_resolves_with_the_old_one_and_fires_next_with_the_new_one() {
    let mut groups = Groups::default();
    let a = pod(1, 0, 250.0);
    groups.fold(vec![Transition::Fired(a.clone())]);
    let old = one(groups.fold(vec![over(a, 10)]), "resolved");
    assert_eq!((&*old.name, &*old.affected.unwrap().workload.name), (GROUP, "web"));
    let mut adopted = pod(1, 20, 260.0);
    adopted.part_of = Some("checkout-api".to_owned());
    let subject = Arc::make_mut(adopted.subject.as_mut().unwrap());
    Arc::make_mut(&mut subject.pod).workload = Some(Workload { kind: "Deployment".to_owned(), name: "api".to_owned() });
    let new = one(groups.fold(vec![Transition::Fired(adopted)]), "fired");
    assert_eq!((&*new.name, new.count, &*new.affected.unwrap().workload.name), ("checkout-api", 1, "api"));
}

#[test]
fn it_counts_times_that_it_fired_and_not_pods_that_did() {
    let mut groups = Groups::default();
    let (a, b) = (pod(1, 0, 250.0), pod(2, 1, 300.0));
    groups.fold(vec![Transition::Fired(a.clone())]);
    groups.fold(vec![Transition::Fired(b.clone())]);
    // One recovers and fires again meanwhile.
    groups.fold(vec![over(b.clone(), 10)]);
    let again = pod(2, 12, 260.0);
    assert_eq!(one(groups.fold(vec![Transition::Fired(again.clone())]), "updated").count, 1);
    groups.fold(vec![over(a, 20)]);
    groups.fold(vec![over(again, 21)]);
    let second = one(groups.fold(vec![Transition::Fired(pod(3, 60, 210.0))]), "fired");
    assert_eq!((second.count, second.fired_unix, second.resolved_unix), (2, FIRED + 60, None));
    let affected = second.affected.unwrap();
    assert_eq!((affected.count, affected.worst[0].name.as_str()), (1, "web-3"), "earlier pods are no part of it");
}

#[test]
fn one_pod_that_takes_over_from_another_in_the_same_second_keeps_it_firing() {
    let mut groups = Groups::default();
    let (a, b) = (pod(1, 0, 250.0), pod(2, 30, 220.0));
    groups.fold(vec![Transition::Fired(a.clone())]);
    let alert = one(groups.fold(vec![over(a, 30), Transition::Fired(b)]), "updated");
    assert_eq!((alert.is_firing(), alert.count), (true, 1));
}

#[test]
fn a_warning_comes_true_with_the_first_breach_of_any_pod() {
    let mut groups = Groups::default();
    let (a, b) = (pod(1, 0, 250.0), pod(2, 1, 250.0));
    groups.fold(vec![Transition::Fired(a.clone()), Transition::Fired(b.clone())]);
    let came = one(groups.fold(vec![judged(b, Verdict::Confirmed { lead: 7 }, 8)]), "judged");
    assert_eq!((came.confirmed, came.judged_unix), (Confirmed::True, Some(FIRED + 8)));
    assert_eq!(came.lead_seconds, Some(8), "from the first warning of any pod");
    assert!(groups.fold(vec![judged(a, Verdict::Unconfirmed, 11)]).is_empty(), "it is judged once");

    // A pod of which nothing was forecast.
    let mut groups = Groups::default();
    groups.fold(vec![Transition::Fired(pod(1, 0, 250.0))]);
    let measured = Alert { trigger: Trigger::Measured, ..pod(2, 5, 250.0) };
    let came = one(groups.fold(vec![Transition::Fired(measured)]), "judged");
    assert_eq!((came.confirmed, came.lead_seconds), (Confirmed::True, Some(5)));
}

#[test]
fn a_warning_does_not_come_true_where_that_of_its_first_pod_does_not() {
    let mut groups = Groups::default();
    let (a, b) = (pod(1, 0, 250.0), pod(2, 9, 250.0));
    groups.fold(vec![Transition::Fired(a.clone()), Transition::Fired(b.clone())]);
    let not = one(groups.fold(vec![judged(a, Verdict::Unconfirmed, 11)]), "judged");
    assert_eq!((not.confirmed, not.judged_unix), (Confirmed::False, Some(FIRED + 11)));
    assert!(groups.fold(vec![judged(b, Verdict::Confirmed { lead: 3 }, 12)]).is_empty(), "it was too late");
}

#[test]
fn an_alert_that_fired_on_a_breach_has_nothing_to_come_true() {
    let mut groups = Groups::default();
    let late = Alert { trigger: Trigger::Measured, judged_unix: Some(FIRED), ..pod(1, 0, 250.0) };
    let turns = groups.fold(vec![Transition::Fired(late)]);
    assert_eq!(words(&turns), ["fired", "judged"]);
    let b = pod(2, 1, 250.0);
    groups.fold(vec![Transition::Fired(b.clone())]);
    let joined = groups.fold(vec![judged(b, Verdict::Confirmed { lead: 4 }, 5)]);
    assert!(joined.is_empty(), "{joined:?}");
}

#[test]
fn the_verdict_comes_before_the_end_where_both_are_of_one_second() {
    let mut groups = Groups::default();
    let a = pod(1, 0, 250.0);
    groups.fold(vec![Transition::Fired(a.clone())]);
    let mut last = a.clone();
    last.judge(Verdict::Unconfirmed, FIRED + 11);
    let turns = groups.fold(vec![judged(a, Verdict::Unconfirmed, 11), over(last, 11)]);
    assert_eq!(words(&turns), ["judged", "resolved"]);
    assert_eq!(turns[1].alert().confirmed, Confirmed::False);
}

#[test]
fn a_pod_that_is_gone_is_waited_for_by_nobody() {
    let mut groups = Groups::default();
    let (mut a, b) = (pod(1, 0, 250.0), pod(2, 0, 240.0));
    groups.fold(vec![Transition::Fired(a.clone()), Transition::Fired(b.clone())]);
    a.resolve(Resolution::Gone, FIRED + 5);
    let left = one(groups.fold(vec![Transition::Resolved(a)]), "judged");
    assert_eq!((left.is_firing(), left.confirmed, left.judged_unix), (true, Confirmed::Unknown, Some(FIRED + 5)));
    assert!(groups.fold(vec![judged(b, Verdict::Unconfirmed, 11)]).is_empty(), "nobody knows of the first");
}

#[test]
fn the_worst_of_those_that_are_left_leads_once_the_worst_of_all_is_over() {
    let mut groups = Groups::default();
    let (a, b, c) = (pod(1, 0, 400.0), pod(2, 0, 300.0), pod(3, 0, 250.0));
    groups.fold([&a, &b, &c].map(|part| Transition::Fired(part.clone())).into());
    let left = one(groups.fold(vec![over(a, 5)]), "updated");
    assert_eq!((left.target.as_str(), left.predicted_us), ("shop/web-2", Some(400_000.0)));
    assert_eq!(left.affected.unwrap().worst[0].name, "web-2");
}

#[test]
fn a_pod_that_fires_again_keeps_its_worst_figures() {
    let mut groups = Groups::default();
    let (a, b) = (pod(1, 0, 220.0), pod(2, 0, 300.0));
    groups.fold(vec![Transition::Fired(a), Transition::Fired(b.clone())]);
    groups.fold(vec![over(b, 5)]);
    let again = one(groups.fold(vec![Transition::Fired(pod(2, 9, 210.0))]), "updated");
    let affected = again.affected.unwrap();
    let of = |name: &str| affected.worst.iter().find(|pod| pod.name == name).unwrap().predicted_us;
    assert_eq!((of("web-2"), affected.count), (Some(300_000.0), 2));
}

#[test]
fn pods_that_join_under_an_edited_rule_bring_its_thresholds() {
    let mut groups = Groups::default();
    groups.fold(vec![Transition::Fired(pod(1, 0, 250.0))]);
    let edited = Alert { severity: Severity::Critical, threshold_us: 100_000, resolve_us: 80_000, ..pod(2, 5, 120.0) };
    let joined = one(groups.fold(vec![Transition::Fired(edited)]), "updated");
    assert_eq!((joined.severity, joined.threshold_us, joined.resolve_us), (Severity::Critical, 100_000, 80_000));
}

#[test]
fn pods_that_came_and_went_are_counted_and_no_longer_kept() {
    let mut groups = Groups::default();
    groups.fold(vec![Transition::Fired(pod(0, 0, 250.0))]);
    for number in 1..=2 * MAX_MEMBERS {
        groups.fold(vec![Transition::Fired(pod(number, 1, 220.0))]);
        groups.fold(vec![over(pod(number, 1, 220.0), 2)]);
    }
    let group = &groups.groups[GROUP];
    assert_eq!((group.members.len(), group.alert.is_firing()), (MAX_MEMBERS, true));
    let affected = group.alert.affected.as_ref().unwrap();
    assert_eq!((affected.count as usize, affected.firing), (2 * MAX_MEMBERS + 1, 1));
}

#[test]
fn what_is_no_part_of_another_alert_stays_as_it_is() {
    let alone = Alert { part_of: None, ..pod(1, 0, 250.0) };
    let passed = Groups::default().fold(vec![Transition::Fired(alone.clone())]);
    assert_eq!(one(passed, "fired"), alone);
}

#[test]
fn a_late_verdict_on_a_pod_of_an_earlier_time_changes_nothing() {
    let mut groups = Groups::default();
    let (a, b) = (pod(1, 0, 250.0), pod(2, 5, 250.0));
    groups.fold(vec![Transition::Fired(a.clone())]);
    groups.fold(vec![over(a.clone(), 4)]);
    groups.fold(vec![Transition::Fired(b)]);
    let mut late = a;
    late.resolve(Resolution::Recovered, FIRED + 4);
    assert!(groups.fold(vec![judged(late, Verdict::Confirmed { lead: 9 }, 9)]).is_empty());
}

#[test]
fn what_is_handed_over_goes_on_where_it_was() {
    let mut groups = Groups::default();
    let (a, b) = (pod(1, 0, 250.0), pod(2, 1, 300.0));
    groups.fold(vec![Transition::Fired(a.clone()), Transition::Fired(b.clone())]);
    groups.fold(vec![over(b, 3)]);
    let handed: Vec<Group> = groups.with(|name| name == "checkout-1").cloned().collect();
    let json = serde_json::to_string(&handed).unwrap();
    let mut next = Groups::default();
    serde_json::from_str::<Vec<Group>>(&json).unwrap().into_iter().for_each(|group| next.restore(group));
    let heard = one(next.fold(vec![Transition::Updated(a.clone())]), "updated");
    assert_eq!(heard.fired_unix, FIRED, "publishers hear of it after a restart");
    let end = one(next.fold(vec![over(a, 9)]), "resolved");
    assert_eq!((end.fired_unix, end.target.as_str(), end.affected.unwrap().count), (FIRED, "shop/web-1", 2));
}

#[test]
fn groups_are_bounded_and_those_that_are_over_go_first() {
    let mut groups = Groups::default();
    let of = |number: usize| Alert { part_of: Some(format!("group-{number}")), ..pod(number, number as u64, 250.0) };
    for number in 0..CAPACITY {
        groups.fold(vec![Transition::Fired(of(number))]);
    }
    groups.fold(vec![over(of(7), 10_000)]);
    one(groups.fold(vec![Transition::Fired(of(9_999))]), "fired");
    assert_eq!(groups.groups.len(), CAPACITY);
    assert!(!groups.groups.contains_key("group-7") && groups.groups.contains_key("group-0"));
    // Of those that are firing the oldest is ended, so that publishers do not show it for ever.
    let turns = groups.fold(vec![Transition::Fired(of(10_000))]);
    assert_eq!(words(&turns), ["resolved", "fired"]);
    assert_eq!(turns[0].alert().name, "group-0");
}
