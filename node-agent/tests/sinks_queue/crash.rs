//! What is on disk after a crash, a kill, and when the disk is full or torn.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use fastrand::Rng;
use netprecursor_agent::publish::queue::{
    Limits, Op, Queue,
    disk::{Directory, Disk as _},
    entry::Entry,
};
use netprecursor_core::alert::{Alert, AlertState};

use super::{
    State, fired, open, order, over, publish,
    sinks::{self, disk::MemoryDisk},
    state,
};

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
    let ours = String::from_utf8(disk.read(&name(3)).unwrap()).unwrap();
    let newer = ours.replace("\"version\":2", "\"version\":3");
    assert_ne!(newer, ours);
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
            .args(["--exact", "crash::victim", "--ignored", "--nocapture"])
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
