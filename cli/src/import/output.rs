//! Writes series as recordings: a file each, all of them or none.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use anyhow::Context as _;
use netprecursor_core::{schema, signal::Signals, window};

use super::{error::Reason, second::Second, series::Whole};
use crate::recording::{Origin, Recording, Row, Writer, columns};

/// Silent seconds kept of a gap. After a window of silence nothing changes any more: alerts are judged and resolved, and the
/// target warms up again. The rest of the gap is dropped.
const SILENT: u64 = window::LENGTH as u64;

/// The agent version of an imported recording begins with this.
const AGENT: &str = "import";

/// Writes every series into a directory and replaces the files of older imports. Nothing changes there before all files are
/// complete and are renamed.
pub(super) fn write(directory: &Path, series: &[Whole], stop: &AtomicBool) -> anyhow::Result<()> {
    for whole in series {
        is_free(&path(directory, whole))?;
    }
    let stage = Stage::make(directory)?;
    let origin = Origin {
        schema_hash: schema::hash().to_owned(),
        kernel: "unknown".to_owned(),
        agent_version: format!("{AGENT} {}", env!("CARGO_PKG_VERSION")),
    };
    for whole in series {
        anyhow::ensure!(!stop.load(Relaxed), "stopped; nothing was written");
        let mut writer = Writer::create(&path(&stage.path, whole), &origin, &columns(false))?;
        rows(whole).try_for_each(|row| writer.push(&row))?;
        writer.finish()?;
    }
    for whole in series {
        let path = path(directory, whole);
        fs::rename(self::path(&stage.path, whole), &path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// The file of a series.
fn path(directory: &Path, whole: &Whole) -> PathBuf {
    directory.join(format!("{}.parquet", whole.name))
}

/// Refuses to replace a file that no import wrote.
fn is_free(path: &Path) -> anyhow::Result<()> {
    let is_import = |path| Recording::open(path).is_ok_and(|found| found.origin().agent_version.starts_with(AGENT));
    if path.symlink_metadata().is_ok() && !is_import(path) {
        return Err(Reason::Occupied.at(path, None).into());
    }
    Ok(())
}

/// The rows of a recording: a tick for every second of the series and for the seconds of its gaps.
fn rows(whole: &Whole) -> impl Iterator<Item = Row> + '_ {
    let nexts = whole.seconds.iter().skip(1).map(Some).chain([None]);
    whole.seconds.iter().zip(nexts).flat_map(move |(second, next)| {
        let until = next.map_or(second.tick + 1, |next| next.tick.min(second.tick + 1 + SILENT));
        let gap = (second.tick + 1..until).map(Second::silent);
        std::iter::once(*second).chain(gap).map(|second| row(whole, second.tick, &second.signals()))
    })
}

fn row(whole: &Whole, tick: u64, signals: &Signals) -> Row {
    Row {
        tick,
        unix_ms: if whole.is_wall { tick.saturating_mul(1_000) } else { 0 },
        monotonic_ns: tick.saturating_mul(1_000_000_000),
        target: whole.name.clone(),
        uid: whole.name.clone(),
        floats: signals.as_slice().to_vec(),
    }
}

/// A directory inside the other, on the same disk and out of the way of `*.parquet`; gone when it is dropped.
struct Stage {
    path: PathBuf,
    /// The outermost directory that was made for it.
    made: Option<PathBuf>,
}

impl Stage {
    fn make(directory: &Path) -> anyhow::Result<Self> {
        let failed =
            || format!("{}: expected a directory that can be written to: give another --out", directory.display());
        let made =
            directory.ancestors().filter(|path| !path.as_os_str().is_empty()).take_while(|path| !path.exists()).last();
        let made = made.map(Path::to_owned);
        let path = directory.join(format!(".import-{}.partial", std::process::id()));
        // A process of the same number that was killed may have left it.
        let _ = fs::remove_dir_all(&path);
        let stage = Self { path, made };
        fs::create_dir_all(directory).with_context(failed)?;
        fs::create_dir(&stage.path).with_context(failed)?;
        Ok(stage)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        // Directories that hold nothing were made for nothing.
        let mut empty = self.path.parent().filter(|_| self.made.is_some());
        while let Some(path) = empty.filter(|path| fs::remove_dir(path).is_ok()) {
            empty = path.parent().filter(|_| self.made.as_deref() != Some(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use netprecursor_core::signal::Signal;

    use super::*;
    use crate::import::{
        moment::{Moment, TimeUnit},
        series::{Series, SeriesBy},
    };

    fn whole(times: &[u64]) -> Whole {
        let mut series = Series::new("web".into(), SeriesBy::File);
        for time in times {
            let mut second = Second::silent(0);
            second.set(Signal::RttMax, 9_000.0);
            series.second(Moment::parse(&time.to_string(), TimeUnit::S, false).unwrap(), 1, second).unwrap();
        }
        series.close().unwrap()
    }

    fn ticks(times: &[u64]) -> Vec<(u64, bool)> {
        rows(&whole(times)).map(|row| (row.tick, !row.floats[Signal::RttMax as usize].is_nan())).collect()
    }

    #[test]
    fn a_gap_is_silence_and_nothing_is_made_up_in_it() {
        assert_eq!(ticks(&[3, 4, 7]), [(3, true), (4, true), (5, false), (6, false), (7, true)]);
        let row = rows(&whole(&[3, 5])).nth(1).unwrap();
        assert_eq!((row.tick, row.unix_ms, row.monotonic_ns), (4, 0, 4_000_000_000));
        assert_eq!(
            row.floats.iter().map(|value| value.to_bits()).collect::<Vec<_>>(),
            Signals::ABSENT.as_slice().iter().map(|value| value.to_bits()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_gap_longer_than_a_window_is_left_out_after_a_window_of_silence() {
        let gap = |until: u64| ticks(&[0, until]).len() as u64 - 2;
        assert_eq!((gap(60), gap(61), gap(62), gap(5_000)), (59, 60, 60, 60));
        let ticks = ticks(&[0, 5_000]);
        assert_eq!((ticks[60], ticks[61]), ((60, false), (5_000, true)));
    }

    #[test]
    fn unix_seconds_become_wall_clock_times() {
        let row = rows(&whole(&[1_700_000_000])).next().unwrap();
        assert_eq!((row.tick, row.unix_ms), (1_700_000_000, 1_700_000_000_000));
    }

    #[test]
    fn an_import_replaces_an_import_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("a/b");
        let stop = AtomicBool::new(false);
        write(&out, &[whole(&[1])], &stop).unwrap();
        write(&out, &[whole(&[1, 2])], &stop).unwrap();
        let path = out.join("web.parquet");
        assert_eq!(Recording::open(&path).unwrap().rows().count(), 2);
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "the stage is gone");

        fs::write(&path, "mine").unwrap();
        let error = write(&out, &[whole(&[1])], &stop).unwrap_err().to_string();
        assert!(error.contains("web.parquet") && error.contains("not of 'netprecursor import'"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn what_is_stopped_or_fails_leaves_no_directory() {
        let directory = tempfile::tempdir().unwrap();
        let stop = AtomicBool::new(true);
        assert!(write(&directory.path().join("a/b"), &[whole(&[1])], &stop).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        fs::write(directory.path().join("file"), "").unwrap();
        let error = write(&directory.path().join("file/b"), &[whole(&[1])], &stop).unwrap_err();
        assert!(format!("{error:#}").contains("give another --out"), "{error:#}");
    }
}
