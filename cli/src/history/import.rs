//! Recordings into a history: what was measured, by the second and by ten seconds. Recordings hold no forecasts.

use std::{collections::BTreeMap, path::Path};

use anyhow::bail;
use netprecursor_core::signal::{Signal, Signals};
use serde_json::json;

use super::{file::File, pending::Pending, point::Point, size::HistorySize, table::Origin};
use crate::recording::{Recording, Row};

/// Rows that are read before they are written.
const TOGETHER: usize = 20_000;

/// What RTT is measured by.
const SIGNALS: [Signal; 2] = [Signal::RttMax, Signal::Stall];

/// What was imported.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Imported {
    /// Seconds of targets with an RTT, and without.
    pub(super) seconds: u64,
    pub(super) silent: u64,
    /// The first second and the last, Unix s.
    pub(super) span: Option<(u64, u64)>,
    /// Seconds of targets that had to go to make room.
    pub(super) evicted: u64,
    /// Targets, by their identifiers.
    pub(super) targets: BTreeMap<String, String>,
}

impl Imported {
    fn count(&mut self, unix: u64, point: &Point) {
        if point.is_absent() {
            self.silent += 1;
            return;
        }
        self.seconds += 1;
        let (first, last) = self.span.unwrap_or((unix, unix));
        self.span = Some((first.min(unix), last.max(unix)));
    }
}

/// Imports a recording. Doing it twice is the same as doing it once.
pub(super) fn import(recording: &Path, store: &Path, size: HistorySize) -> anyhow::Result<Imported> {
    let shown = recording.display();
    let recording = Recording::open(recording)?;
    let columns = columns(&recording, &shown.to_string())?;
    let taken = store.metadata().map_or(0, |found| found.len());
    if taken > size.bytes() {
        bail!(
            "got --history-size {size} for {}, which takes {taken} bytes, expected no less: give more; 'netprecursor history \
             serve' makes a history smaller",
            store.display()
        );
    }
    let mut file = File::open(store, size.bytes())?;
    let (mut imported, mut pending, mut rows) = (Imported::default(), Pending::default(), 0_usize);
    for row in recording.rows() {
        let row = row?;
        if row.unix_ms == 0 {
            bail!(
                "got {shown} without the times of its seconds, expected a recording with them: record with 'netprecursor record', \
                 or import series that have a clock"
            );
        }
        let (unix, point) = (row.unix_ms / 1_000, measured(&row, columns));
        imported.count(unix, &point);
        pending.record(&row.uid, unix, point);
        imported.targets.entry(row.uid).or_insert_with_key(|uid| {
            pending.about(uid.clone(), about(uid, &row.target));
            row.target
        });
        rows += 1;
        if rows.is_multiple_of(TOGETHER) {
            file.put(&pending.take(), Origin::Recording)?;
        }
    }
    file.put(&pending.take(), Origin::Recording)?;
    file.finish()?;
    imported.evicted = file.gone()?.seconds - file.evicted;
    Ok(imported)
}

fn columns(recording: &Recording, shown: &str) -> anyhow::Result<[usize; 2]> {
    let mut columns = [0; SIGNALS.len()];
    for (column, signal) in columns.iter_mut().zip(SIGNALS) {
        let name = signal.name();
        let Some(position) = recording.floats().iter().position(|found| found == name) else {
            bail!("got {shown} without column '{name}', expected a file as 'netprecursor record' writes it");
        };
        *column = position;
    }
    Ok(columns)
}

fn measured(row: &Row, columns: [usize; 2]) -> Point {
    let mut signals = Signals::ABSENT;
    for (column, signal) in columns.into_iter().zip(SIGNALS) {
        signals.set(signal, row.floats.get(column).copied().unwrap_or(f32::NAN));
    }
    Point { measured_us: signals.measured_rtt_us().unwrap_or(f32::NAN), ..Point::ABSENT }
}

/// Who the target is, as the dashboard describes one: `Target` in `dashboard/src/api.ts`.
fn about(uid: &str, target: &str) -> String {
    let about = json!({
        "uid": uid, "name": target, "namespace": null, "workload": null, "node": null, "aliases": [], "labels": {}, "rules": []
    });
    about.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        history::{keeper::Keeper, query::RangeAsked},
        recording::{Writer, columns, tests::origin},
    };

    const SIZE: &str = "8MiB";

    fn record(path: &Path, seconds: impl IntoIterator<Item = (u64, f32)>) {
        let mut writer = Writer::create(path, &origin(), &columns(false)).unwrap();
        for (tick, (unix, us)) in (0..).zip(seconds) {
            let mut signals = Signals::ABSENT;
            signals.set(Signal::RttMax, us);
            let (target, uid, floats) = ("web1".to_owned(), "u-web1".to_owned(), signals.as_slice().to_vec());
            writer.push(&Row { tick, unix_ms: 1_000 * unix, monotonic_ns: 0, target, uid, floats }).unwrap();
        }
        writer.finish().unwrap();
    }

    #[test]
    fn a_recording_is_found_again_by_the_second_and_in_steps_however_old_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let (recording, store) = (directory.path().join("a.parquet"), directory.path().join("a.db"));
        record(&recording, (0..7_200).map(|i| (1_000_000_200 + i, if i == 3_000 { 900_000.0 } else { 10_000.0 })));
        for _ in 0..2 {
            let imported = import(&recording, &store, SIZE.parse().unwrap()).unwrap();
            let expected = Imported {
                seconds: 7_200,
                span: Some((1_000_000_200, 1_000_007_399)),
                targets: BTreeMap::from([("u-web1".to_owned(), "web1".to_owned())]),
                ..Imported::default()
            };
            assert_eq!(imported, expected);
        }
        let keeper = Keeper::open(&store, SIZE.parse().unwrap()).unwrap();
        let answer = |query: &str| {
            let asked = RangeAsked::parse(query).unwrap();
            serde_json::to_value(keeper.range(&asked, 2_000_000_000).unwrap().unwrap()).unwrap()
        };
        let seconds = answer("uid=u-web1&from=1000003190&until=1000003209&step=1");
        assert!((seconds["measuredUs"][10].as_f64().unwrap() - 900_000.0).abs() < 300.0, "{seconds}");
        let steps = answer("uid=u-web1&from=1000000200&until=1000007399&step=3600");
        let peaks: Vec<bool> =
            steps["measuredUs"].as_array().unwrap().iter().map(|us| us.as_f64().unwrap() > 800_000.0).collect();
        assert_eq!((peaks, &steps["target"]["name"]), (vec![false, true, false], &json!("web1")));
    }

    #[test]
    fn a_recording_without_times_is_refused_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let recording = directory.path().join("a.parquet");
        record(&recording, [(0, 1.0)]);
        let error = import(&recording, &directory.path().join("a.db"), SIZE.parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("a.parquet") && error.contains("'netprecursor record'"), "{error}");
    }
}
