//! The queue of alerts under everything that a disk, a crash and a server can do to it.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod sinks;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use fastrand::Rng;
use netprecursor_agent::publish::queue::{
    EventKey, Limits, Op, Outcome, Pick, Queue,
    disk::{Directory, Disk as _},
    entry::{Entry, MAX_EVENTS},
};
use netprecursor_core::{
    alert::{Alert, AlertState},
    policy::Severity,
};
use proptest::prelude::*;
use sinks::{disk::MemoryDisk, subject};

const PLENTY: u32 = 100;
const DAY: u64 = 1_700_000_000;

/// State and count: what an alert is, as far as anybody is warned.
type State = (u64, AlertState);

fn fired(alert: usize, times: u64) -> Alert {
    Alert { count: times, fired_unix: DAY + 100 * times, ..sinks::alert(alert) }
}

fn over(alert: usize, times: u64) -> Alert {
    Alert { state: AlertState::Resolved, resolved_unix: Some(DAY + 100 * times + 50), ..fired(alert, times) }
}

fn state(record: &Alert) -> State {
    (record.count, record.state)
}

fn open(disk: &MemoryDisk) -> Queue<MemoryDisk> {
    Queue::open(disk.clone(), Limits::default())
}

/// Alerts fire, are over, fire again; some are published.
fn life(queue: &mut Queue<MemoryDisk>, mut kept: impl FnMut(&Alert)) {
    let mut accept = |queue: &mut Queue<MemoryDisk>, record: Alert| {
        queue.accept(record.clone());
        kept(&record);
    };
    accept(queue, fired(0, 1));
    accept(queue, fired(1, 1));
    publish(queue, &mut Rng::with_seed(1));
    accept(queue, over(0, 1));
    publish(queue, &mut Rng::with_seed(1));
    accept(queue, fired(0, 2));
    accept(queue, over(1, 1));
}

/// Does what is picked until nothing is left; what was done.
fn publish(queue: &mut Queue<MemoryDisk>, rng: &mut Rng) -> Vec<Op> {
    let mut done = Vec::new();
    while let Pick::Do(op) = queue.pick(Duration::ZERO, DAY, PLENTY) {
        queue.settle(&op, &Outcome::Done { uid: Some("u".to_owned()) }, Duration::ZERO, rng);
        done.push(op);
        assert!(done.len() < 1000, "it goes on for ever: {done:?}");
    }
    done
}

#[test]
fn a_crash_at_any_step_leaves_the_old_state_or_the_new() {
    let whole = MemoryDisk::default();
    life(&mut open(&whole), |_| {});
    let steps = whole.steps();
    assert!(steps > 30, "{steps}");
    for step in 0..=steps {
        for seed in 0..16 {
            let disk = MemoryDisk::default();
            disk.die_at(step);
            let mut latest: BTreeMap<String, (Vec<State>, usize)> = BTreeMap::new();
            life(&mut open(&disk), |record| {
                let (states, kept) = latest.entry(record.name.clone()).or_default();
                states.push(state(record));
                // What was accepted by a living process is safe.
                if disk.is_alive() {
                    *kept = states.len();
                }
            });
            disk.crash(&mut Rng::with_seed(seed));
            let queue = open(&disk);
            assert_eq!(queue.counters().set_aside, 0, "step {step}, seed {seed}: a torn file is in force");
            for (name, (states, kept)) in latest {
                let found = queue.entry(&name).map(|entry| state(&entry.alert));
                let allowed = &states[kept.saturating_sub(1)..];
                let is_fine = found.map_or(kept == 0, |found| allowed.contains(&found));
                assert!(is_fine, "step {step}, seed {seed}: {name} is {found:?}, expected one of {allowed:?}");
            }
        }
    }
}

#[test]
fn a_disk_that_forgets_what_was_not_synced_is_noticed_by_these_tests() {
    // The model has teeth: without its syncs the same crash loses or tears an entry.
    let lost = (0..200).any(|seed| {
        let disk = MemoryDisk::default();
        disk.ignore_syncs();
        life(&mut open(&disk), |_| {});
        disk.crash(&mut Rng::with_seed(seed));
        let queue = open(&disk);
        queue.counters().set_aside > 0
            || queue.entry(&sinks::alert(0).name).map(|entry| state(&entry.alert)) != Some((2, AlertState::Firing))
    });
    assert!(lost);
}

#[test]
fn what_is_on_disk_survives_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/on/demand");
    let mut queue = Queue::open(Directory::new(&path), Limits::default());
    queue.accept(fired(0, 1));
    queue.accept(fired(1, 1));
    queue.accept(over(1, 1));
    let before: Vec<Entry> = queue.entries().cloned().collect();
    drop(queue);
    let queue = Queue::open(Directory::new(&path), Limits::default());
    assert_eq!(queue.entries().cloned().collect::<Vec<_>>(), before);
    assert_eq!(queue.pending(), 2);
}

#[test]
fn a_file_that_cannot_be_read_is_set_aside_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut disk = Directory::new(directory.path());
    let mut queue = Queue::open(disk.clone(), Limits::default());
    for alert in 0..5 {
        queue.accept(fired(alert, 1));
    }
    let name = |alert: usize| format!("{}.json", sinks::alert(alert).name);
    let whole = disk.read(&name(0)).unwrap();
    disk.write(&name(0), &whole[..whole.len() / 2]).unwrap();
    disk.write(&name(1), b"").unwrap();
    disk.write(&name(2), &vec![b' '; 70_000]).unwrap();
    let newer = String::from_utf8(whole.clone()).unwrap().replace("\"version\":1", "\"version\":2");
    disk.write(&name(3), newer.as_bytes()).unwrap();
    disk.write("left-over.new", b"torn").unwrap();
    let queue = Queue::open(disk.clone(), Limits::default());
    assert_eq!((queue.counters().set_aside, queue.entries().count()), (4, 1));
    // The next start does not count them again, and nothing piles up.
    let queue = Queue::open(disk.clone(), Limits::default());
    assert_eq!((queue.counters().set_aside, queue.entries().count()), (0, 1));
    assert_eq!(disk.list().unwrap().len(), 5, "{:?}", disk.list());
}

#[test]
fn a_full_disk_is_survived_and_counted_and_made_good_later() {
    let disk = MemoryDisk::default();
    let mut queue = open(&disk);
    queue.accept(fired(0, 1));
    disk.fill_up(true);
    queue.accept(over(0, 1));
    queue.accept(fired(1, 1));
    assert_eq!(queue.counters().unsaved, 2);
    assert!(queue.has_unsaved());
    // It is published all the same.
    let events = |ops: Vec<Op>| ops.iter().filter(|op| matches!(op, Op::Event { .. })).count();
    assert_eq!(events(publish(&mut queue, &mut Rng::with_seed(1))), 3);
    disk.fill_up(false);
    queue.save_unsaved();
    assert!(!queue.has_unsaved());
    disk.crash(&mut Rng::with_seed(1));
    assert_eq!(
        open(&disk).entry(&sinks::alert(0).name).map(|entry| state(&entry.alert)),
        Some((1, AlertState::Resolved))
    );
}

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
            .any(|op| matches!(op, Op::Status { delivered, .. } if delivered.state == AlertState::Resolved))
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
    let expected =
        [(2, "object"), (2, "status"), (1, "status"), (1, "event"), (1, "event"), (2, "event"), (0, "status")];
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
    (0..20).for_each(|_| drop(next(&mut queue)));
    queue.accept(fired_in("calm", 99));
    let order: Vec<_> = (0..4).map(|_| next(&mut queue)).collect();
    assert!(order.contains(&(99, "object")) && order.contains(&(99, "status")), "{order:?}");
    queue.accept(Alert { subject: subject("calm", 99), ..over(99, 1) });
    let order: Vec<_> = (0..4).map(|_| next(&mut queue)).collect();
    assert!(order.contains(&(99, "status")), "{order:?}");
}

#[test]
fn within_a_namespace_the_severe_alert_goes_first_and_rules_take_turns() {
    let mut queue = open(&MemoryDisk::default());
    let of_rule = |number: usize, rule: &str, severity| {
        Alert { rule: rule.to_owned(), severity, ..fired_in("shop", number) }
    };
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
    assert_eq!(queue.pick(Duration::ZERO, DAY, 10), Pick::Afford(10));
    assert!(matches!(queue.pick(Duration::ZERO, DAY, 11), Pick::Do(Op::Status { .. })));
    queue.accept(fired(1, 1));
    assert!(matches!(queue.pick(Duration::ZERO, DAY, 1), Pick::Do(Op::Object { .. })));
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
    assert_eq!(made(publish(&mut queue, &mut Rng::with_seed(1))), [0, 1, 3]);
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
    queue.settle(&op, &Outcome::Missing, Duration::ZERO, &mut rng);
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
    assert_eq!(
        publish(&mut queue, &mut rng).iter().map(word).collect::<Vec<_>>(),
        [(0, "object"), (0, "status"), (0, "event")]
    );
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
        Op::Status { .. } => "status",
        Op::Event { .. } => "event",
    };
    (alert, word)
}

fn publish_until(queue: &mut Queue<MemoryDisk>, is_end: impl Fn(&Op) -> bool) {
    while let Pick::Do(op) = queue.pick(Duration::ZERO, DAY, PLENTY) {
        if is_end(&op) {
            return;
        }
        queue.settle(&op, &Outcome::Done { uid: None }, Duration::ZERO, &mut Rng::with_seed(1));
    }
}

/// What may happen, in any order.
#[derive(Debug, Clone)]
enum Happening {
    /// The alert changes: fires, gets worse, or is over.
    Transition { alert: usize, is_update: bool },
    /// The agent does one thing. `fate`: what becomes of it.
    Send { fate: Fate },
    /// The process dies and is restarted; `seed` decides what of the disk survives.
    Crash { seed: u64 },
    /// The disk is full, or no longer.
    DiskFull { is_full: bool },
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Works,
    AnswerLost,
    NeverArrives,
    ObjectDeleted,
    Forbidden,
}

fn happening() -> impl Strategy<Value = Happening> {
    let fate = prop_oneof![
        6 => Just(Fate::Works),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::NeverArrives),
        1 => Just(Fate::ObjectDeleted),
        1 => Just(Fate::Forbidden),
    ];
    prop_oneof![
        6 => (0..4_usize, any::<bool>()).prop_map(|(alert, is_update)| Happening::Transition { alert, is_update }),
        6 => fate.prop_map(|fate| Happening::Send { fate }),
        1 => any::<u64>().prop_map(|seed| Happening::Crash { seed }),
        1 => any::<bool>().prop_map(|is_full| Happening::DiskFull { is_full }),
    ]
}

/// The server's side, as far as it matters.
#[derive(Debug, Default)]
struct Server {
    objects: BTreeMap<String, Option<State>>,
    history: BTreeMap<String, Vec<State>>,
    events: BTreeMap<String, Vec<EventKey>>,
}

impl Server {
    fn take(&mut self, op: &Op) -> Outcome {
        let name = op.alert().to_owned();
        let uid = Some(format!("uid of {name}"));
        match op {
            Op::Object { .. } => {
                self.objects.entry(name).or_default();
            }
            Op::Status { delivered, .. } => match self.objects.get_mut(&name) {
                None => return Outcome::Missing,
                Some(status) => {
                    *status = Some((delivered.count, delivered.state));
                    self.history.entry(name).or_default().push((delivered.count, delivered.state));
                }
            },
            Op::Event { key, .. } => {
                let events = self.events.entry(name).or_default();
                if !events.contains(key) {
                    events.push(*key);
                }
            }
        }
        Outcome::Done { uid }
    }
}

/// The tick thread's side: it counts from one when the process starts, and then knows nothing of before.
#[derive(Debug, Default)]
struct Agent {
    alerts: BTreeMap<usize, Alert>,
    /// Never the same twice.
    clock: u64,
}

impl Agent {
    fn transition(&mut self, alert: usize, is_update: bool) -> Alert {
        self.clock += 1;
        let now = DAY + self.clock;
        let record = match self.alerts.remove(&alert) {
            Some(known) if known.is_firing() && is_update => Alert { predicted_us: Some(self.clock as f32), ..known },
            Some(known) if known.is_firing() => {
                Alert { state: AlertState::Resolved, resolved_unix: Some(now), ..known }
            }
            known => Alert { count: known.map_or(1, |known| known.count + 1), fired_unix: now, ..sinks::alert(alert) },
        };
        self.alerts.insert(alert, record.clone());
        record
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever happens: in the end the server holds the latest state of every alert, states reached it in order, and
    /// no transition that was accepted and kept is without its Event.
    #[test]
    fn the_latest_state_arrives_in_order_and_none_is_lost(happenings in prop::collection::vec(happening(), 1..120)) {
        let (disk, mut rng) = (MemoryDisk::default(), Rng::with_seed(7));
        let (mut queue, mut server, mut agent) = (open(&disk), Server::default(), Agent::default());
        let mut now = Duration::ZERO;
        let mut is_full = false;
        let mut dropped = 0;
        // Transitions in memory only die with the process: the one loss that a full disk may cause.
        let mut expected: BTreeMap<String, Vec<State>> = BTreeMap::new();
        for happening in happenings {
            now += Duration::from_secs(5);
            match happening {
                Happening::Transition { alert, is_update } => {
                    let record = agent.transition(alert, is_update);
                    let name = record.name.clone();
                    queue.accept(record);
                    let accepted = state(&queue.entry(&name).unwrap().alert);
                    let states = expected.entry(name).or_default();
                    if states.last() != Some(&accepted) {
                        prop_assert!(states.last().is_none_or(|last| order(*last) < order(accepted)), "{states:?} {accepted:?}");
                        states.push(accepted);
                    }
                }
                Happening::Send { fate } => if let Pick::Do(op) = queue.pick(now, DAY, PLENTY) {
                    let down = Outcome::Down { reason: "down".to_owned(), wait: None };
                    let outcome = match fate {
                        Fate::Works => server.take(&op),
                        Fate::AnswerLost => { server.take(&op); down }
                        Fate::NeverArrives => down,
                        Fate::ObjectDeleted => {
                                // What was published already and is deleted then stays deleted: somebody wanted it so.
                                if matches!(op, Op::Status { .. }) {
                                    server.objects.remove(op.alert());
                                }
                                server.take(&op)
                            }
                            Fate::Forbidden => Outcome::Failed { reason: "forbidden".to_owned() },
                    };
                    queue.settle(&op, &outcome, now, &mut rng);
                },
                Happening::Crash { seed } if !is_full => {
                    queue.save_unsaved();
                    dropped += queue.counters().events_dropped;
                    drop(queue);
                    disk.crash(&mut Rng::with_seed(seed));
                    agent.alerts.clear();
                    queue = open(&disk);
                    prop_assert_eq!(queue.counters().set_aside, 0);
                }
                Happening::Crash { .. } => {}
                Happening::DiskFull { is_full: full } => {
                    is_full = full;
                    disk.fill_up(full);
                }
            }
        }
        for _ in 0..1000 {
            now += Duration::from_secs(100);
            let Pick::Do(op) = queue.pick(now, DAY, PLENTY) else { break };
            let outcome = server.take(&op);
            queue.settle(&op, &outcome, now, &mut rng);
        }
        prop_assert_eq!(queue.pick(now, DAY, PLENTY), Pick::Nothing);
        prop_assert_eq!(queue.pending(), 0);
        prop_assert_eq!(queue.counters().dropped, 0);
        dropped += queue.counters().events_dropped;
        for (name, states) in &expected {
            prop_assert_eq!(server.objects.get(name).copied().flatten(), states.last().copied(), "{}", name);
            let history = server.history.get(name).cloned().unwrap_or_default();
            prop_assert!(history.is_sorted_by_key(|state| order(*state)), "{}: {:?}", name, history);
            let events = server.events.get(name).map_or(0, Vec::len);
            prop_assert!(events as u64 + dropped >= states.len() as u64, "{}: {} events, {:?}", name, events, states);
            prop_assert!(events <= states.len());
            if states.len() <= MAX_EVENTS {
                prop_assert_eq!(events, states.len());
            }
        }
    }
}

/// The order of an alert's life.
fn order(state: State) -> (u64, bool) {
    (state.0, state.1 == AlertState::Resolved)
}

/// Started by the test below: accepts for ever and says what is safe.
#[test]
#[ignore = "runs as the victim of another test"]
fn victim() {
    let Some(path) = std::env::var_os("NETPRECURSOR_TEST_QUEUE") else { return };
    let mut queue = Queue::open(Directory::new(path.as_ref()), Limits::default());
    for times in 1.. {
        for alert in 0..3 {
            queue.accept(fired(alert, times));
            println!("safe {alert} {times} firing");
            queue.accept(over(alert, times));
            println!("safe {alert} {times} resolved");
        }
    }
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_it_accepted() {
    for round in 0..8_usize {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--ignored", "--nocapture"])
            .env("NETPRECURSOR_TEST_QUEUE", directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut safe: BTreeMap<usize, (u64, bool)> = BTreeMap::new();
        let mut take = |line: String| {
            let mut words = line.split(' ');
            if let (Some("safe"), Some(alert), Some(times), Some(state)) =
                (words.next(), words.next(), words.next(), words.next())
            {
                safe.insert(alert.parse().unwrap(), (times.parse().unwrap(), state == "resolved"));
            }
        };
        // Kill it in the middle of its work, each time somewhere else.
        lines.by_ref().filter(|line| line.starts_with("safe")).take(20 + 7 * round).for_each(&mut take);
        child.kill().unwrap();
        lines.for_each(&mut take);
        child.wait().unwrap();
        let queue = Queue::open(Directory::new(directory.path()), Limits::default());
        assert_eq!(queue.counters().set_aside, 0);
        assert_eq!(safe.len(), 3);
        for (alert, safe) in safe {
            let found = order(state(&queue.entry(&sinks::alert(alert).name).unwrap().alert));
            assert!(found >= safe, "alert {alert}: {found:?} on disk, {safe:?} was safe");
        }
    }
}
