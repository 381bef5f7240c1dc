//! What stays and what goes, with time and for want of room.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::history::{pending::Pending, query::AlertsAsked, table::Origin};

const SIZE: u64 = 8 << 20;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
/// Where a row of coarse points begins.
const BEGUN: u64 = 1_764_309_600;

fn file(size: u64) -> (TempDir, PathBuf, File) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let file = File::open(&path, size).unwrap();
    (directory, path, file)
}

fn measured(us: f32) -> Point {
    Point { measured_us: us, ..Point::ABSENT }
}

fn put(file: &mut File, seconds: impl IntoIterator<Item = (u64, f32)>) {
    let mut pending = Pending::default();
    seconds.into_iter().for_each(|(unix, us)| pending.record("a", unix, measured(us)));
    file.put(&pending.take(), Origin::Agent).unwrap();
}

/// Steps that are there, with what they hold, rounded.
fn steps(file: &File, tier: Tier, from: u64, until: u64) -> Vec<(u64, u64)> {
    let (target, _) = file.target("a").unwrap().unwrap();
    let mut steps = Vec::new();
    file.read(tier, target, (from, until), &mut |unix, point| {
        if !point.is_absent() {
            steps.push((unix, point.measured_us.round() as u64));
        }
    })
    .unwrap();
    steps
}

/// Upkeep as often as commits come in `seconds` after `now`.
fn pass(file: &mut File, now: u64, seconds: u64) -> u64 {
    (0..=seconds).step_by(5).for_each(|after| file.upkeep(now + after).unwrap());
    now + seconds
}

#[test]
fn of_a_target_that_is_followed_what_was_imported_stays_and_the_rest_ages() {
    let (_directory, _path, mut file) = file(SIZE);
    put(&mut file, [(BEGUN + DAY, 1.0)]);
    let mut pending = Pending::default();
    (0..20).for_each(|i| pending.record("a", BEGUN + i, measured(2.0)));
    file.put(&pending.take(), Origin::Recording).unwrap();
    put(&mut file, (0..20).map(|i| (BEGUN + DAY + i, 3.0)));
    pass(&mut file, BEGUN + 3 * DAY, HOUR);
    let kept = steps(&file, Tier::Fine, BEGUN, BEGUN + 2 * DAY);
    assert_eq!((kept.len(), kept[19]), (20, (BEGUN + 19, 2)));
}

#[test]
fn seconds_become_steps_that_hold_the_highest_and_go_after_an_hour() {
    let (_directory, _path, mut file) = file(SIZE);
    put(&mut file, (0..600).map(|i| (BEGUN + i, if i == 317 { 900.0 } else { 10.0 })));
    file.upkeep(BEGUN + 600).unwrap();
    assert!(steps(&file, Tier::Coarse, BEGUN, BEGUN + 600).is_empty(), "seconds may still come");
    assert_eq!(file.behind(BEGUN, BEGUN + 600).unwrap(), [BEGUN]);
    file.upkeep(BEGUN + 660).unwrap();
    let coarse = steps(&file, Tier::Coarse, BEGUN, BEGUN + 600);
    assert_eq!((coarse.len(), coarse[31], coarse[32]), (60, (BEGUN + 310, 900), (BEGUN + 320, 10)));
    assert_eq!(steps(&file, Tier::Fine, BEGUN, BEGUN + 600).len(), 600);
    assert!(file.behind(BEGUN, BEGUN + 600).unwrap().is_empty());
    pass(&mut file, BEGUN + HOUR + 20, 600);
    assert!(steps(&file, Tier::Fine, BEGUN, BEGUN + 600).is_empty());
    assert_eq!(steps(&file, Tier::Coarse, BEGUN, BEGUN + 600).len(), 60);
    pass(&mut file, BEGUN + 7 * DAY + 1_200, 10);
    assert!(steps(&file, Tier::Coarse, BEGUN, BEGUN + 600).is_empty());
}

#[test]
fn seconds_are_never_deleted_before_they_are_steps() {
    let (_directory, _path, mut file) = file(SIZE);
    // Six hours without upkeep, as after a long import into memory.
    put(&mut file, (0..6 * HOUR).step_by(10).map(|i| (BEGUN + i, 10.0)));
    pass(&mut file, BEGUN + 6 * HOUR + 660, 2 * HOUR);
    assert_eq!(steps(&file, Tier::Coarse, BEGUN, BEGUN + 6 * HOUR).len(), 2_160);
}

#[test]
fn what_comes_late_is_merged_into_what_is_there() {
    let (_directory, _path, mut file) = file(SIZE);
    put(&mut file, [(BEGUN + 5, 10.0)]);
    file.upkeep(BEGUN + 700).unwrap();
    put(&mut file, [(BEGUN + 5, 4.0), (BEGUN + 7, 99.0), (BEGUN + 25, 20.0)]);
    file.upkeep(BEGUN + 700).unwrap();
    assert_eq!(steps(&file, Tier::Fine, BEGUN, BEGUN + 99), [(BEGUN + 5, 10), (BEGUN + 7, 99), (BEGUN + 25, 20)]);
    assert_eq!(steps(&file, Tier::Coarse, BEGUN, BEGUN + 99), [(BEGUN, 99), (BEGUN + 20, 20)]);
}

#[test]
fn a_clock_that_is_set_back_keeps_both_times_and_their_order() {
    let (_directory, _path, mut file) = file(SIZE);
    put(&mut file, (0..50).map(|i| (BEGUN + 2 * HOUR + i, 2.0)));
    file.upkeep(BEGUN + 2 * HOUR + 50).unwrap();
    put(&mut file, (0..50).map(|i| (BEGUN + i, 1.0)));
    file.upkeep(BEGUN + 700).unwrap();
    let all = steps(&file, Tier::Fine, 0, u64::MAX >> 8);
    assert_eq!(all.len(), 100);
    assert!(all.is_sorted() && all[0] == (BEGUN, 1) && all[99] == (BEGUN + 2 * HOUR + 49, 2), "{all:?}");
    // What was said to be of a later time is kept until that has come and gone.
    pass(&mut file, BEGUN + 2 * HOUR, 100);
    assert_eq!(steps(&file, Tier::Fine, 0, u64::MAX >> 8).len(), 50);
}

#[test]
fn a_clock_that_is_years_ahead_for_a_minute_ages_little() {
    let (_directory, _path, mut file) = file(SIZE);
    put(&mut file, (0..DAY).step_by(10).map(|i| (BEGUN + i, 10.0)));
    pass(&mut file, BEGUN + DAY, DAY / 20);
    let before = steps(&file, Tier::Coarse, BEGUN, BEGUN + DAY).len();
    pass(&mut file, BEGUN + 3_650 * DAY, 60);
    let after = steps(&file, Tier::Coarse, BEGUN, BEGUN + DAY).len();
    assert_eq!((before, after), (8_640, 8_640 - 13 * 2 * 60));
}

/// Points of so many targets, a row of coarse points long, written as commits would.
fn flood(file: &mut File, begun: u64, targets: usize, rows: u64, mut look: impl FnMut(&File)) {
    let point = Point { quantiles_us: [5.0, 6.0, 7.0], chance: 0.5, threshold_us: 200.0, ..measured(4.0) };
    for row in 0..rows {
        let mut pending = Pending::default();
        for target in 0..targets {
            (0..10).for_each(|second| pending.record(&format!("t{target}"), begun + 10 * row + second, point));
        }
        file.put(&pending.take(), Origin::Agent).unwrap();
        file.upkeep(begun + 10 * row + 10).unwrap();
        look(file);
    }
}

fn on_disk(path: &Path) -> u64 {
    let journal = PathBuf::from(format!("{}-journal", path.display()));
    [path.to_owned(), journal].iter().map(|path| path.metadata().map_or(0, |found| found.len())).sum()
}

#[test]
fn the_file_with_its_journal_never_exceeds_its_bound_and_the_oldest_goes_and_is_counted() {
    let (_directory, path, mut file) = file(SIZE);
    let mut most = 0;
    flood(&mut file, BEGUN, 400, 240, |file| most = most.max(on_disk(&file.path)));
    assert!(most <= SIZE && most > SIZE / 2, "{most}");
    let gone = file.gone().unwrap();
    assert!(gone.seconds > 0 && gone.until > BEGUN && gone.until < BEGUN + 2_390, "{gone:?}");
    let (first, last) = file.ends(Tier::Fine).unwrap().unwrap();
    assert!(first > BEGUN && last == BEGUN + 2_390, "{first} {last}");
    drop(file);
    let file = File::open(&path, SIZE).unwrap();
    assert_eq!((file.gone().unwrap(), file.bytes()), (gone, on_disk(&path)));
}

#[test]
fn a_bound_that_is_lowered_makes_the_file_smaller_oldest_first() {
    let (_directory, path, mut file) = file(4 * SIZE);
    flood(&mut file, BEGUN, 400, 180, |_| {});
    drop(file);
    assert!(on_disk(&path) > SIZE);
    let file = File::open(&path, SIZE).unwrap();
    assert!(path.metadata().unwrap().len() <= SIZE - (1 << 20), "{}", path.metadata().unwrap().len());
    assert_eq!(file.ends(Tier::Fine).unwrap().unwrap().1, BEGUN + 1_790);
    assert!(file.gone().unwrap().seconds > 0);
}

#[test]
fn alerts_stay_when_points_go_and_are_held_to_their_share() {
    let (_directory, path, mut file) = file(SIZE);
    let json = format!("{{\"name\": \"{}\"}}", "x".repeat(1_000));
    let mut pending = Pending::default();
    (0..3_000).for_each(|fired| pending.alert((BEGUN + fired, "x".to_owned()), json.clone()));
    file.put(&pending.take(), Origin::Agent).unwrap();
    flood(&mut file, BEGUN, 400, 200, |_| {});
    put(&mut file, [(BEGUN + 10_000, 1.0)]);
    file.upkeep(BEGUN + 10_700).unwrap();
    let kept = file.alerts(&AlertsAsked::newest(5_000)).unwrap();
    let bytes = kept.len() as u64 * json.len() as u64;
    assert!(bytes <= SIZE / ALERT_SHARE && bytes > SIZE / ALERT_SHARE * 8 / 10, "{}", kept.len());
    assert_eq!(kept[0].0.0, BEGUN + 2_999);
    assert_eq!(file.gone().unwrap().alerts, 3_000 - kept.len() as u64);
    assert!(on_disk(&path) <= SIZE);
}

#[test]
fn a_target_of_which_nothing_is_left_is_forgotten() {
    let (_directory, _path, mut file) = file(SIZE);
    put(&mut file, [(BEGUN, 1.0)]);
    let mut pending = Pending::default();
    (0..2 * DAY).step_by(600).for_each(|i| pending.record("b", BEGUN + 7 * DAY + i, measured(1.0)));
    file.put(&pending.take(), Origin::Agent).unwrap();
    pass(&mut file, BEGUN + 9 * DAY, HOUR);
    assert!(file.target("a").unwrap().is_none() && file.target("b").unwrap().is_some());
    put(&mut file, [(BEGUN + 9 * DAY, 3.0)]);
    assert_eq!(steps(&file, Tier::Fine, BEGUN, BEGUN + 10 * DAY), [(BEGUN + 9 * DAY, 3)]);
}
