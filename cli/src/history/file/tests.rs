//! What is opened and what is refused. What is refused is left as it is, byte by byte.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::*;
use crate::history::{pending::Pending, point::Point, table::Origin};

const SIZE: u64 = 8 << 20;

/// A history of an hour of a few targets.
fn kept() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let mut file = File::open(&path, SIZE).unwrap();
    let mut pending = Pending::default();
    for target in ["a", "b", "c"] {
        for unix in 6_000..9_600 {
            pending.record(target, unix, Point { measured_us: unix as f32, ..Point::ABSENT });
        }
    }
    pending.alert((6_500, "demo-1".to_owned()), r#"{"name": "demo-1"}"#.to_owned());
    file.put(&pending.take(), Origin::Agent).unwrap();
    file.finish().unwrap();
    (directory, path)
}

fn refused(path: &Path) -> String {
    let before = fs::read(path).unwrap();
    let error = File::open(path, SIZE).map(drop).unwrap_err().to_string();
    assert!(error.contains(&path.display().to_string()), "{error}");
    assert_eq!(fs::read(path).unwrap(), before, "{error}");
    error
}

fn highest(file: &File, tier: Tier) -> (usize, f32) {
    let (target, _) = file.target("b").unwrap().unwrap();
    let (mut count, mut highest) = (0, 0.0_f32);
    file.read(tier, target, (0, 20_000), &mut |_, point| {
        count += usize::from(!point.is_absent());
        highest = highest.max(point.measured_us);
    })
    .unwrap();
    (count, highest)
}

#[test]
fn what_was_kept_is_there_when_it_is_opened_again() {
    let (_directory, path) = kept();
    let file = File::open(&path, SIZE).unwrap();
    let (fine, coarse) = (highest(&file, Tier::Fine), highest(&file, Tier::Coarse));
    assert_eq!((fine.0, coarse.0), (3_600, 360));
    assert!(fine.1 == coarse.1 && (fine.1 - 9_599.0).abs() < 3.0, "{fine:?} {coarse:?}");
}

#[test]
fn an_empty_file_is_a_history_that_was_not_begun_yet() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    fs::write(&path, "").unwrap();
    assert!(File::open(&path, SIZE).is_ok() && File::open(&path, SIZE).is_ok());
}

#[test]
fn a_second_one_is_refused_while_the_first_has_it_open() {
    let (_directory, path) = kept();
    let first = File::open(&path, SIZE).unwrap();
    let words = File::open(&path, SIZE).map(drop).unwrap_err().to_string();
    assert!(words.contains("another process has open") && words.contains("--store"), "{words}");
    drop(first);
    assert!(File::open(&path, SIZE).is_ok());
}

#[test]
fn what_is_another_programs_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("text");
    fs::write(&text, "no database at all, and long enough to look like one".repeat(100)).unwrap();
    assert!(refused(&text).contains("holds something else"));
    let database = directory.path().join("database");
    Connection::open(&database).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(refused(&database).contains("holds something else"));
}

#[test]
fn a_history_of_another_version_is_refused() {
    let (_directory, path) = kept();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let words = refused(&path);
    assert!(words.contains("of version 7, expected version 1") && words.contains("release"), "{words}");
}

#[test]
fn a_history_that_is_damaged_anywhere_is_refused_or_reads_as_it_was() {
    let (_directory, path) = kept();
    let whole = fs::read(&path).unwrap();
    let mut refusals = 0;
    // One byte of each quarter of a page, but for the header, where SQLite keeps counters that nothing depends on.
    for at in (4_096 + 500..whole.len()).step_by(1_021) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        match File::open(&path, SIZE) {
            Ok(file) => {
                assert_eq!((highest(&file, Tier::Fine).0, highest(&file, Tier::Coarse).0), (3_600, 360), "{at}");
            }
            Err(error) => {
                assert!(error.is_damage() && error.to_string().contains(".recover"), "{at}: {error}");
                refusals += 1;
            }
        }
    }
    assert!(refusals > whole.len() / 4_096, "{refusals}");
}

#[test]
fn a_history_that_was_cut_off_is_refused() {
    let (_directory, path) = kept();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2 / 4_096 * 4_096]).unwrap();
    assert!(refused(&path).contains("damaged"));
}

#[test]
fn a_directory_that_is_not_there_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nowhere/history.db");
    let words = File::open(&path, SIZE).map(drop).unwrap_err().to_string();
    assert!(words.contains("nowhere") && words.contains("in a directory that is there"), "{words}");
}
