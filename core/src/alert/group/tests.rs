use std::sync::Arc;

use super::*;
use crate::{
    alert::{Model, PodRef, PolicyRef, Subject},
    decide::Trigger,
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
    assert_eq!(left.target, "shop/web-2", "the worst since it fired");
    let end = one(groups.fold(vec![over(a, 30)]), "resolved");
    assert_eq!((end.resolution, end.resolved_unix), (Some(Resolution::Recovered), Some(FIRED + 30)));
    assert_eq!((end.affected.as_ref().unwrap().count, end.affected.as_ref().unwrap().firing), (2, 0));
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
fn a_warning_came_true_with_the_first_pod_and_did_not_once_that_is_known_of_all() {
    let mut groups = Groups::default();
    let (a, b) = (pod(1, 0, 250.0), pod(2, 1, 250.0));
    groups.fold(vec![Transition::Fired(a.clone()), Transition::Fired(b.clone())]);
    let open = one(groups.fold(vec![judged(a.clone(), Verdict::Unconfirmed, 11)]), "updated");
    assert_eq!(open.confirmed, Confirmed::Unknown, "the other pod may still breach");
    let came = one(groups.fold(vec![judged(b, Verdict::Confirmed { lead: 7 }, 8)]), "judged");
    assert_eq!((came.confirmed, came.lead_seconds, came.judged_unix), (Confirmed::True, Some(7), Some(FIRED + 8)));

    let mut groups = Groups::default();
    let b = pod(2, 1, 250.0);
    groups.fold(vec![Transition::Fired(a.clone()), Transition::Fired(b.clone())]);
    groups.fold(vec![judged(a, Verdict::Unconfirmed, 11)]);
    let none = one(groups.fold(vec![judged(b, Verdict::Unconfirmed, 12)]), "judged");
    assert_eq!((none.confirmed, none.judged_unix), (Confirmed::False, Some(FIRED + 12)));
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
    assert!(one(groups.fold(vec![Transition::Resolved(a)]), "updated").is_firing());
    let none = one(groups.fold(vec![judged(b, Verdict::Unconfirmed, 11)]), "judged");
    assert_eq!(none.confirmed, Confirmed::False);
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
    assert_eq!((end.fired_unix, end.target.as_str(), end.affected.unwrap().count), (FIRED, "shop/web-2", 2));
}

#[test]
fn groups_are_bounded_and_those_that_are_over_go_first() {
    let mut groups = Groups::default();
    let of = |number: usize| Alert { part_of: Some(format!("group-{number}")), ..pod(number, number as u64, 250.0) };
    for number in 0..Groups::CAPACITY {
        groups.fold(vec![Transition::Fired(of(number))]);
    }
    groups.fold(vec![over(of(7), 10_000)]);
    groups.fold(vec![Transition::Fired(of(9_999))]);
    assert_eq!(groups.groups.len(), Groups::CAPACITY);
    assert!(!groups.groups.contains_key("group-7") && groups.groups.contains_key("group-0"));
}
