//! What is sent, in which order, and what becomes of what cannot be.

use std::time::Duration;

use fastrand::Rng;
use netprecursor_agent::publish::queue::{Limits, Op, Outcome, Pick, Purse, Queue, disk::Disk as _};
use netprecursor_core::{
    alert::{Alert, AlertState},
    policy::Severity,
};

use super::{
    DAY, PLENTY, fired, open, over, publish,
    sinks::{self, disk::MemoryDisk, subject},
    state,
};

#[test]
fn a_full_queue_gives_up_what_is_over_longest_and_counts_what_was_untold() {
    let disk = MemoryDisk::default();
    let mut queue = Queue::open(disk.clone(), Limits { capacity: 3, ..Limits::default() });
    queue.accept(fired(0, 1));
    queue.accept(fired(1, 1));
    queue.accept(over(1, 1));
    queue.accept(fired(2, 1));
    queue.accept(over(2, 2));
    queue.accept(fired(3, 1));
    let names = |queue: &Queue<MemoryDisk>| queue.entries().map(|entry| entry.alert.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&queue), [0, 2, 3].map(|alert| sinks::alert(alert).name));
    assert_eq!(queue.counters().dropped, 1);
    // What was published goes without being missed.
    publish(&mut queue, &mut Rng::with_seed(1));
    queue.accept(fired(4, 1));
    assert_eq!(names(&queue), [0, 3, 4].map(|alert| sinks::alert(alert).name));
    assert_eq!(queue.counters().dropped, 1);
    assert_eq!(disk.list().unwrap().len(), 3);
}

#[test]
fn a_repeat_counts_on_after_the_agent_was_started_anew() {
    let disk = MemoryDisk::default();
    let mut queue = open(&disk);
    queue.accept(fired(0, 1));
    queue.accept(over(0, 1));
    queue.accept(fired(0, 2));
    let count = |queue: &Queue<MemoryDisk>| queue.entry(&sinks::alert(0).name).map(|entry| entry.alert.count);
    assert_eq!(count(&queue), Some(2));
    drop(queue);
    // The new process counts from one.
    let mut queue = open(&disk);
    queue.accept(Alert { fired_unix: DAY + 900, ..fired(0, 1) });
    assert_eq!(count(&queue), Some(3));
    queue.accept(Alert { fired_unix: DAY + 900, ..over(0, 1) });
    assert_eq!(count(&queue), Some(3));
    queue.accept(Alert { fired_unix: DAY + 999, ..fired(0, 2) });
    assert_eq!(count(&queue), Some(4));
}

#[test]
fn an_alert_that_the_agent_goes_on_with_after_a_restart_is_neither_counted_again_nor_ended() {
    let disk = MemoryDisk::default();
    let mut queue = open(&disk);
    queue.accept(fired(0, 1));
    queue.accept(over(0, 1));
    queue.accept(fired(0, 2));
    publish(&mut queue, &mut Rng::with_seed(1));
    drop(queue);
    // Twice: what is continued once may be continued again.
    for _ in 0..2 {
        let mut queue = open(&disk);
        queue.accept(Alert { measured_us: Some(9e5), ..fired(0, 2) });
        queue.end_orphans(DAY + 1000);
        assert_eq!(queue.entry(&sinks::alert(0).name).map(|entry| state(&entry.alert)), Some((2, AlertState::Firing)));
        let events =
            publish(&mut queue, &mut Rng::with_seed(1)).iter().filter(|op| matches!(op, Op::Event { .. })).count();
        assert_eq!(events, 0);
    }
    let mut queue = open(&disk);
    queue.accept(Alert { measured_us: Some(9e5), ..fired(0, 2) });
    queue.accept(Alert { fired_unix: DAY + 999, ..fired(0, 3) });
    assert_eq!(queue.entry(&sinks::alert(0).name).map(|entry| entry.alert.count), Some(3));
}

#[test]
fn an_alert_that_does_not_fire_again_after_a_restart_is_over() {
    let disk = MemoryDisk::default();
    let mut queue = open(&disk);
    queue.accept(fired(0, 1));
    queue.accept(fired(1, 1));
    publish(&mut queue, &mut Rng::with_seed(1));
    drop(queue);
    let mut queue = open(&disk);
    queue.accept(Alert { fired_unix: DAY + 900, ..fired(1, 1) });
    queue.end_orphans(DAY + 1000);
    let state = |queue: &Queue<MemoryDisk>, alert| state(&queue.entry(&sinks::alert(alert).name).unwrap().alert);
    assert_eq!(state(&queue, 0), (1, AlertState::Resolved));
    assert_eq!(state(&queue, 1), (2, AlertState::Firing));
    assert!(
        publish(&mut queue, &mut Rng::with_seed(1))
            .iter()
            .any(|op| matches!(op, Op::Object { delivered, .. } if delivered.state == AlertState::Resolved))
    );
}

#[test]
fn alerts_that_fire_go_first_then_those_that_are_over_then_events_then_details() {
    let mut queue = open(&MemoryDisk::default());
    queue.accept(fired(0, 1));
    publish(&mut queue, &mut Rng::with_seed(1));
    queue.accept(Alert { predicted_us: Some(999_000.0), ..fired(0, 1) });
    queue.accept(fired(1, 1));
    publish_until(&mut queue, |op| matches!(op, Op::Event { .. }));
    queue.accept(over(1, 1));
    queue.accept(fired(2, 1));
    let order: Vec<(usize, &str)> = publish(&mut queue, &mut Rng::with_seed(1)).iter().map(word).collect();
    let expected = [(2, "object"), (1, "object"), (1, "event"), (1, "event"), (2, "event"), (0, "object")];
    assert_eq!(order, expected);
}

/// Alert `number` in a namespace of its own choice.
fn fired_in(namespace: &str, number: usize) -> Alert {
    Alert { subject: subject(namespace, number), ..fired(number, 1) }
}

#[test]
fn in_a_storm_of_one_namespace_the_alert_of_another_is_next_and_so_is_its_end() {
    let mut queue = open(&MemoryDisk::default());
    (0..90).for_each(|number| queue.accept(fired_in("storm", number)));
    let mut rng = Rng::with_seed(1);
    let mut next = |queue: &mut Queue<MemoryDisk>| {
        let Pick::Do(op) = queue.pick(Duration::ZERO, DAY, PLENTY) else { panic!("nothing to do") };
        queue.settle(&op, &Outcome::Done { uid: None }, Duration::ZERO, &mut rng);
        word(&op)
    };
    for _ in 0..20 {
        next(&mut queue);
    }
    queue.accept(fired_in("calm", 99));
    let order: Vec<_> = (0..2).map(|_| next(&mut queue)).collect();
    assert!(order.contains(&(99, "object")), "{order:?}");
    queue.accept(Alert { subject: subject("calm", 99), ..over(99, 1) });
    let order: Vec<_> = (0..3).map(|_| next(&mut queue)).collect();
    assert!(order.contains(&(99, "object")), "{order:?}");
}

#[test]
fn within_a_namespace_the_severe_alert_goes_first_and_rules_take_turns() {
    let mut queue = open(&MemoryDisk::default());
    let of_rule =
        |number: usize, rule: &str, severity| Alert { rule: rule.to_owned(), severity, ..fired_in("shop", number) };
    for number in 0..4 {
        queue.accept(of_rule(number, "storm", Severity::Warning));
    }
    queue.accept(of_rule(4, "other", Severity::Warning));
    queue.accept(of_rule(5, "third", Severity::Info));
    queue.accept(of_rule(6, "storm", Severity::Critical));
    let done = publish(&mut queue, &mut Rng::with_seed(1));
    let order: Vec<usize> =
        done.iter().map(word).filter(|(_, word)| *word == "object").map(|(number, _)| number).collect();
    assert_eq!(order, [6, 4, 0, 1, 2, 3, 5]);
}

#[test]
fn details_leave_writes_for_what_matters_more() {
    let mut queue = open(&MemoryDisk::default());
    queue.accept(fired(0, 1));
    publish(&mut queue, &mut Rng::with_seed(1));
    queue.accept(Alert { predicted_us: Some(999_000.0), ..fired(0, 1) });
    assert_eq!(queue.pick(Duration::ZERO, DAY, of(10, 30)), Pick::Afford(10));
    // A bucket that holds no more than ten keeps less back, or this would wait for ever.
    assert_eq!(queue.pick(Duration::ZERO, DAY, of(3, 10)), Pick::Afford(3));
    assert!(matches!(queue.pick(Duration::ZERO, DAY, of(4, 10)), Pick::Do(Op::Object { .. })));
    assert!(matches!(queue.pick(Duration::ZERO, DAY, of(11, 30)), Pick::Do(Op::Object { .. })));
    queue.accept(fired(1, 1));
    let Pick::Do(op) = queue.pick(Duration::ZERO, DAY, of(1, 30)) else { panic!("nothing to do") };
    assert_eq!(word(&op), (1, "object"));
}

#[test]
fn over_a_cap_no_object_is_made_and_the_rule_is_counted() {
    let limits = Limits { per_node: 3, per_namespace: 2, ..Limits::default() };
    let mut queue = Queue::open(MemoryDisk::default(), limits);
    for alert in 0..5 {
        queue.accept(Alert { subject: subject(if alert < 3 { "a" } else { "b" }, alert), ..fired(alert, 1) });
    }
    let made =
        |ops: Vec<Op>| ops.iter().filter(|op| matches!(op, Op::Object { .. })).map(|op| word(op).0).collect::<Vec<_>>();
    // Namespaces take turns.
    assert_eq!(made(publish(&mut queue, &mut Rng::with_seed(1))), [0, 3, 1]);
    assert_eq!(queue.counters().throttled, 2);
    assert_eq!(queue.throttled().values().sum::<u64>(), 2);
    assert_eq!(queue.pending(), 0);
    // One that is over before there was room has nothing to publish; a repeat on an object that is there has.
    queue.accept(Alert { subject: subject("a", 2), ..over(2, 1) });
    assert!(publish(&mut queue, &mut Rng::with_seed(1)).is_empty());
    assert!(queue.entry(&sinks::alert(2).name).is_none());
    queue.accept(Alert { subject: subject("a", 0), ..over(0, 1) });
    assert_eq!(publish(&mut queue, &mut Rng::with_seed(1)).len(), 2);
    // An hour later its object is gone, and there is room.
    let Pick::Do(op) = queue.pick(Duration::ZERO, DAY + 100 + 50 + 3600, PLENTY) else { panic!() };
    assert_eq!(word(&op), (4, "object"));
}

#[test]
fn what_is_gone_is_forgotten_and_what_was_deleted_is_made_again() {
    let disk = MemoryDisk::default();
    let (mut queue, mut rng) = (open(&disk), Rng::with_seed(1));
    queue.accept(fired(0, 1));
    publish(&mut queue, &mut rng);
    queue.accept(over(0, 1));
    let Pick::Do(op) = queue.pick(Duration::ZERO, DAY, PLENTY) else { panic!() };
    queue.settle(&op, &Outcome::Outdated { reason: "uid mismatch".to_owned() }, Duration::ZERO, &mut rng);
    let later = Duration::from_secs(10);
    let Pick::Do(op) = queue.pick(later, DAY, PLENTY) else { panic!() };
    assert_eq!(word(&op), (0, "object"));
    queue.settle(&op, &Outcome::Gone, later, &mut rng);
    assert!(queue.entry(&sinks::alert(0).name).is_none() && disk.list().unwrap().is_empty());
}

#[test]
fn what_the_server_refuses_is_not_sent_again_until_it_changes() {
    let (mut queue, mut rng) = (open(&MemoryDisk::default()), Rng::with_seed(1));
    queue.accept(fired(0, 1));
    let Pick::Do(op) = queue.pick(Duration::ZERO, DAY, PLENTY) else { panic!() };
    queue.settle(&op, &Outcome::Refused { reason: "no".to_owned() }, Duration::ZERO, &mut rng);
    // The Event needs no object.
    assert_eq!(publish(&mut queue, &mut rng).iter().map(word).collect::<Vec<_>>(), [(0, "event")]);
    assert_eq!(queue.counters().refused, 1);
    queue.accept(over(0, 1));
    assert_eq!(publish(&mut queue, &mut rng).iter().map(word).collect::<Vec<_>>(), [(0, "object"), (0, "event")]);
}

#[test]
fn one_alert_that_fails_does_not_hold_up_the_others() {
    let (mut queue, mut rng) = (open(&MemoryDisk::default()), Rng::with_seed(1));
    queue.accept(fired(0, 1));
    queue.accept(fired(1, 1));
    let Pick::Do(op) = queue.pick(Duration::ZERO, DAY, PLENTY) else { panic!() };
    assert_eq!(word(&op).0, 0);
    queue.settle(&op, &Outcome::Failed { reason: "forbidden".to_owned() }, Duration::ZERO, &mut rng);
    assert!(publish(&mut queue, &mut rng).iter().all(|op| word(op).0 == 1));
    let Pick::Until(again) = queue.pick(Duration::ZERO, DAY, PLENTY) else { panic!() };
    assert!(matches!(queue.pick(again, DAY, PLENTY), Pick::Do(_)));
}

fn word(op: &Op) -> (usize, &'static str) {
    let alert = op.alert().trim_start_matches("alert-").parse().unwrap();
    let word = match op {
        Op::Object { .. } => "object",
        Op::Event { .. } => "event",
    };
    (alert, word)
}

const fn of(tokens: u32, burst: u32) -> Purse {
    Purse { tokens, burst }
}

fn publish_until(queue: &mut Queue<MemoryDisk>, is_end: impl Fn(&Op) -> bool) {
    while let Pick::Do(op) = queue.pick(Duration::ZERO, DAY, PLENTY) {
        if is_end(&op) {
            return;
        }
        queue.settle(&op, &Outcome::Done { uid: None }, Duration::ZERO, &mut Rng::with_seed(1));
    }
}
