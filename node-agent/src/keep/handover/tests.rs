use std::fs;

use netprecursor_agent_common::MAX_SLOTS;
use netprecursor_core::{
    features::COUNT,
    gate::Start,
    policy::Policy,
    signal::{Signal, Signals},
    source::Source,
    watch::{Ledger, Watch},
    window,
};

use super::*;
use crate::tick::handover::{HandedRule, HandedTarget, HandedView, RuleKey};

const BOOT: &str = "5f3c1b2a-1111-4222-8333-444455556666";

fn policy() -> Policy {
    let yaml = "apiVersion: netprecursor.io/v1alpha1\nkind: PrecursorPolicy\nmetadata: {name: web}\n\
                spec: {target: {podSelector: {}}, rules: [{name: rtt, signal: RttForecast, rttForecast: {threshold: 200ms}}]}\n";
    netprecursor_crds::policies_from_yaml("test", yaml).unwrap().remove(0)
}

/// A handover at tick 100, with so many targets that were in breach.
fn handover(targets: usize) -> Handover {
    let policy = policy();
    let rule = policy.rules.iter().next().unwrap();
    let (mut watch, mut ledger) = (Watch::new(Start::Fresh, Tick(0)), Ledger::default());
    for tick in 0..=100 {
        watch.step(Tick(tick), Some(300_000.5 + tick as f32), None, rule, &mut ledger).unwrap();
    }
    assert!(!watch.is_settled());
    let mut signals = Signals::ABSENT;
    signals.set(Signal::RttMax, 300_100.5);
    let view = |rules| HandedView {
        rules,
        last: Tick(100),
        source: Source::default(),
        signals: (0..window::LENGTH).map(|tick| if tick % 7 == 3 { Signals::ABSENT } else { signals }).collect(),
        usual: Some(Box::new([0.25; COUNT])),
    };
    let target = HandedTarget {
        uid: "netns:web:7".to_owned(),
        since: Tick(0),
        // As a rule on another quantity would have it, for all that is read here.
        views: [vec![], vec![0]].map(view).into(),
        watches: vec![(0, watch.keep().unwrap())],
    };
    Handover {
        tick: Tick(100),
        monotonic_ns: 50_000_000_000,
        rules: vec![HandedRule { key: RuleKey::of(&policy, rule), scorecard: ledger.scorecard }],
        targets: vec![target; targets],
        alerts: Vec::new(),
        groups: Vec::new(),
    }
}

/// So many seconds after the handover.
fn later(seconds: u64) -> Moment {
    Moment { monotonic_ns: (50 + seconds) * 1_000_000_000, now: Tick(100 + seconds) }
}

fn encoded(handover: &Handover) -> Vec<u8> {
    match content::encode(handover, BOOT).unwrap() {
        Encoded::Fits(bytes) => bytes,
        Encoded::TooLarge(got) => panic!("{got} bytes"),
    }
}

/// As it is compared: NaN is a number here.
fn described(handover: &Handover) -> String {
    format!("{handover:?}")
}

fn files(directory: &tempfile::TempDir) -> HandoverFiles {
    HandoverFiles::new(directory.path(), BOOT.to_owned())
}

#[test]
fn the_latest_of_two_files_is_found_and_the_other_is_written_next() {
    let directory = tempfile::tempdir().unwrap();
    let mut writing = files(&directory);
    assert!(writing.read(later(1)).handover.is_none());
    for tick in 100..=102 {
        writing.write(&Handover { tick: Tick(tick), ..handover(2) }).unwrap();
        let mut reading = files(&directory);
        let found = reading.read(later(3));
        assert_eq!((found.refused, reading.next), (0, writing.next));
        assert_eq!(described(&found.handover.unwrap()), described(&Handover { tick: Tick(tick), ..handover(2) }));
    }
}

#[test]
fn after_a_write_that_was_cut_short_the_one_before_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let mut writing = files(&directory);
    writing.write(&handover(3)).unwrap();
    writing.write(&Handover { tick: Tick(101), ..handover(3) }).unwrap();
    // Half of the next one is written over the older: its beginning, or anything but that.
    let whole = encoded(&Handover { tick: Tick(102), ..handover(2) });
    let path = directory.path().join(NAMES[0]);
    for kept in [20, 40, 60, whole.len() - 1] {
        let old = encoded(&handover(3));
        fs::write(&path, [&whole[..kept], &old[kept..]].concat()).unwrap();
        let found = files(&directory).read(later(2));
        assert_eq!((found.refused, found.handover.unwrap().tick), (1, Tick(101)), "{kept}");
    }
}

#[test]
fn a_shorter_handover_leaves_nothing_of_a_longer_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut writing = files(&directory);
    for targets in [5, 5, 1] {
        writing.write(&handover(targets)).unwrap();
    }
    assert_eq!(fs::metadata(directory.path().join(NAMES[0])).unwrap().len(), encoded(&handover(1)).len() as u64);
}

#[test]
fn what_is_of_no_use_is_refused_and_says_why() {
    let decode = |handover: &Handover, boot: &str, moment| {
        content::decode(&encoded(handover), boot, moment).map(|_| ()).unwrap_err().to_string()
    };
    assert!(content::decode(&encoded(&handover(1)), BOOT, later(MAX_AGE.as_secs())).is_ok());
    assert!(decode(&handover(1), "another", later(1)).contains("expected another: the machine has rebooted"));
    let old = decode(&handover(1), BOOT, later(MAX_AGE.as_secs() + 1));
    assert!(old.contains("got a handover that is 181 s old, expected at most 180 s"), "{old}");
    for now in [95, 104] {
        let set = decode(&handover(1), BOOT, Moment { now: Tick(now), ..later(1) });
        assert!(set.contains("expected 101: the clock was set"), "{set}");
    }
    let with_view = |change: fn(&mut HandedView)| {
        let mut handover = handover(1);
        change(&mut handover.targets[0].views[1]);
        decode(&handover, BOOT, later(1))
    };
    let changes: [fn(&mut HandedView); 2] = [|view| view.last = Tick(101), |view| view.rules = vec![0, 1]];
    for unsound in changes.map(with_view) {
        assert!(unsound.contains("ticks or rules out of range"), "{unsound}");
    }
    let elsewhere = Handover { rules: Vec::new(), ..handover(1) };
    assert!(decode(&elsewhere, BOOT, later(1)).contains("out of range"));
    let infinite = with_view(|view| view.usual = Some(Box::new([f32::NAN; COUNT])));
    assert!(infinite.contains("no numbers"), "{infinite}");
}

#[test]
fn a_file_of_another_release_or_of_nobody_is_refused() {
    let refused = |bytes: &[u8]| content::decode(bytes, BOOT, later(1)).map(|_| ()).unwrap_err().to_string();
    let bytes = encoded(&handover(1));
    assert!(refused(b"").contains("expected a file as the agent writes it"));
    assert!(refused(&bytes[..20]).contains("expected a file as the agent writes it"));
    assert!(refused(&vec![0; content::MAX_BYTES + 1]).contains("expected fewer"));
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(refused(&flipped).contains("checksum"));
    for (from, to) in [("\"version\":3", "\"version\":4"), ("\"schema\":\"", "\"schema\":\"x")] {
        let refused = refused(&content::reworded(&bytes, from, to));
        assert!(refused.contains("another release wrote it"), "{refused}");
    }
    let unknown = refused(&content::reworded(&bytes, "\"boot\":", "\"more\":1,\"boot\":"));
    assert!(unknown.contains("unknown field `more`"), "{unknown}");
}

#[test]
fn as_many_targets_as_there_may_be_fit() {
    let bytes = encoded(&handover(MAX_SLOTS as usize));
    let found = content::decode(&bytes, BOOT, later(1)).unwrap();
    assert_eq!(found.targets.len(), MAX_SLOTS as usize);
    let more = content::encode(&handover(8 * MAX_SLOTS as usize), BOOT).unwrap();
    assert!(matches!(more, Encoded::TooLarge(_)));
}

#[test]
fn every_attempt_on_a_disk_without_room_is_counted() {
    // A device without room simulates a full disk.
    let directory = tempfile::tempdir().unwrap();
    for name in NAMES {
        std::os::unix::fs::symlink("/dev/full", directory.path().join(name)).unwrap();
    }
    let error = files(&directory).write(&handover(1)).unwrap_err();
    assert!(error.to_string().contains("--state-dir"), "{error}");
    let unwritten = Arc::default();
    let writer = start(files(&directory), Arc::clone(&unwritten)).unwrap();
    while writer.try_keep(handover(1)).is_err() {}
    writer.finish(handover(1));
    assert_eq!(unwritten.load(Ordering::Relaxed), 2);
}
