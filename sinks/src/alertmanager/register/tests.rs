use netprecursor_core::policy::Severity;

use super::*;
use crate::notice::tests::{FIRED, notice, resolved};

const SCHEDULE: Schedule = Schedule { resend: Duration::from_secs(60), capacity: 3 };

/// The longest interval that there may be.
const RARELY: Schedule = Schedule { resend: Duration::from_secs(3600), ..SCHEDULE };

fn register() -> Register {
    Register::new(SCHEDULE, None)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So long after the worker began, which is when the alert fired.
fn at(since: u64) -> Moment {
    Moment { since: seconds(since), unix: FIRED + since }
}

/// About another workload.
fn other(name: &str) -> Notice {
    let mut other = notice();
    other.about.policy = name.to_owned();
    Notice { id: format!("shop/{name}-0"), ..other }
}

fn take(register: &mut Register, notice: Notice, now: u64) {
    register.take(Arc::new(notice), at(now));
}

/// Sends what is due, and says what that was.
fn send(register: &mut Register, now: u64) -> Vec<Arc<Notice>> {
    register.expire(seconds(now));
    let batch = register.batch(seconds(now));
    register.settle(&batch, false, seconds(now));
    batch.into_iter().map(|due| due.notice).collect()
}

/// At which seconds, up to `until`, something was sent, and whether it was firing.
fn sent(register: &mut Register, until: u64) -> Vec<(u64, bool)> {
    let mut sent = Vec::new();
    while let Some(next) = register.next().map(|next| next.as_secs()).filter(|next| *next <= until) {
        sent.extend(send(register, next).iter().map(|notice| (next, notice.is_firing())));
    }
    sent
}

#[test]
fn an_alert_is_sent_at_once_and_again_each_interval() {
    let mut register = register();
    take(&mut register, notice(), 5);
    assert_eq!(register.news(), 1);
    assert_eq!(sent(&mut register, 130), [(5, true), (65, true), (125, true)]);
    assert_eq!((register.news(), register.dropped()), (0, 0));
}

#[test]
fn one_that_resolved_is_sent_for_five_minutes_and_then_forgotten() {
    let mut register = register();
    take(&mut register, notice(), 0);
    assert_eq!(sent(&mut register, 20), [(0, true)]);
    take(&mut register, resolved(), 30);
    let expected = [(30, false), (90, false), (150, false), (210, false), (270, false)];
    assert_eq!(sent(&mut register, 3600), expected);
    assert_eq!((register.next(), register.entries.len(), register.named.len()), (None, 0, 0));
}

/// Otherwise it would stay firing for hours when Alertmanager misses these five minutes.
#[test]
fn one_that_lasts_for_hours_is_sent_as_resolved_for_as_long() {
    let mut register = Register::new(RARELY, None);
    take(&mut register, notice(), 0);
    assert_eq!(sent(&mut register, 20), [(0, true)]);
    take(&mut register, resolved(), 30);
    let expected = [(30, false), (3630, false), (7230, false), (10_830, false)];
    assert_eq!(sent(&mut register, 100_000), expected);
    assert!(register.entries.is_empty());
    // Whoever leads next says so as well, for Alertmanager may have heard of it from who led before.
    for (later, is_sent) in [(14_399, true), (14_400, false)] {
        let mut next = Register::new(RARELY, None);
        next.take(Arc::new(resolved()), Moment { since: seconds(0), unix: FIRED + 30 + later });
        assert_eq!(next.news() == 1, is_sent, "{later}");
    }
}

#[test]
fn one_that_resolved_before_it_could_be_sent_is_sent_all_the_same() {
    let mut register = register();
    take(&mut register, notice(), 0);
    take(&mut register, resolved(), 30);
    assert_eq!(sent(&mut register, 30), [(30, false)]);
}

#[test]
fn one_that_resolved_long_ago_and_was_not_known_is_not_sent() {
    let mut register = register();
    register.take(Arc::new(resolved()), Moment { since: seconds(0), unix: FIRED + 330 });
    assert_eq!(register.next(), None);
    register.take(Arc::new(resolved()), Moment { since: seconds(0), unix: FIRED + 329 });
    assert_eq!(sent(&mut register, 0), [(0, false)]);
}

#[test]
fn details_are_sent_soon_but_not_each_second() {
    let mut register = register();
    take(&mut register, notice(), 0);
    assert_eq!(sent(&mut register, 0).len(), 1);
    for second in 1..=12 {
        take(&mut register, Notice { predicted: Some(format!("{second}s")), ..notice() }, second);
        let expected: &[(u64, bool)] = if second == 10 { &[(10, true)] } else { &[] };
        assert_eq!(sent(&mut register, second), expected, "{second}");
    }
    // The same again is no news.
    take(&mut register, Notice { predicted: Some("12s".to_owned()), ..notice() }, 13);
    assert_eq!(sent(&mut register, 79), [(20, true)]);
}

#[test]
fn an_alert_that_fires_again_is_news() {
    let mut register = register();
    take(&mut register, notice(), 0);
    take(&mut register, resolved(), 30);
    assert_eq!(sent(&mut register, 40), [(30, false)]);
    take(&mut register, Notice { count: 2, fired_unix: FIRED + 50, ..notice() }, 50);
    assert_eq!(sent(&mut register, 120), [(50, true), (110, true)]);
}

#[test]
fn what_was_not_taken_stays_due_and_what_came_meanwhile_too() {
    let mut register = register();
    take(&mut register, notice(), 0);
    let batch = register.batch(seconds(0));
    // Nothing is settled: the attempt failed.
    assert_eq!(register.batch(seconds(1)), batch);
    take(&mut register, resolved(), 2);
    register.settle(&batch, false, seconds(3));
    assert_eq!(register.news(), 1);
    assert_eq!(sent(&mut register, 3), [(2, false)]);
}

#[test]
fn what_is_refused_has_its_turn_again_and_is_counted_once() {
    let mut register = register();
    take(&mut register, notice(), 0);
    for now in [0, 60] {
        let batch = register.batch(seconds(now));
        assert_eq!(batch.len(), 1, "{now}");
        register.settle(&batch, true, seconds(now));
    }
    assert_eq!((register.dropped(), register.news()), (1, 0));
}

#[test]
fn another_severity_ends_the_alert_of_the_former_one() {
    let mut register = register();
    take(&mut register, notice(), 0);
    assert_eq!(sent(&mut register, 0).len(), 1);
    take(&mut register, Notice { severity: Severity::Critical, ..notice() }, 10);
    let mut both: Vec<_> = send(&mut register, 10).iter().map(|notice| (notice.severity, notice.is_firing())).collect();
    both.sort();
    assert_eq!(both, [(Severity::Warning, false), (Severity::Critical, true)]);
    take(&mut register, Notice { severity: Severity::Critical, ..resolved() }, 20);
    assert_eq!(sent(&mut register, 20), [(20, false)]);
}

#[test]
fn a_pod_that_came_back_under_its_name_is_not_silenced_by_the_end_of_the_one_before() {
    let mut register = register();
    take(&mut register, notice(), 0);
    take(&mut register, resolved(), 10);
    let again = Notice { id: "shop/checkout-another".to_owned(), fired_unix: FIRED + 20, ..notice() };
    take(&mut register, again, 20);
    take(&mut register, resolved(), 21);
    let firing: Vec<bool> = sent(&mut register, 21).into_iter().map(|(_, is_firing)| is_firing).collect();
    assert_eq!(firing, [true]);
}

#[test]
fn when_there_is_no_room_what_is_over_goes_first_and_losses_are_counted() {
    let mut register = register();
    take(&mut register, notice(), 0);
    take(&mut register, resolved(), 0);
    assert_eq!(sent(&mut register, 0).len(), 1);
    for name in ["a", "b", "c"] {
        take(&mut register, other(name), 1);
    }
    assert_eq!((register.entries.len(), register.dropped()), (3, 0));
    take(&mut register, other("d"), 2);
    assert_eq!((register.entries.len(), register.dropped()), (3, 1));
    assert!(register.entries.values().all(|entry| entry.notice.is_firing()));
}

#[test]
fn what_fires_goes_before_what_resolves_and_that_before_what_is_known() {
    let mut register = register();
    take(&mut register, other("known"), 0);
    assert_eq!(sent(&mut register, 0).len(), 1);
    take(&mut register, resolved(), 59);
    take(&mut register, other("new"), 60);
    let order: Vec<_> = send(&mut register, 60).iter().map(|notice| notice.about.policy.clone()).collect();
    assert_eq!(order, ["new", "checkout", "known"]);
}

#[test]
fn an_alert_outlasts_three_lost_attempts() {
    assert_eq!(SCHEDULE.lasts(), seconds(240));
}
