//! Recordings: Parquet files with one row per tick and target.
//!
//! Columns: `tick`, `unix_ms`, `monotonic_ns`, `target`, `uid`, then floats by name, null where nothing was measured.
//! The file's key-value metadata says what the floats mean (`netprecursor.schema_hash`) and where they were recorded.

mod read;
mod write;

use std::{
    error::Error as _,
    io,
    path::{Path, PathBuf},
};

use netprecursor_core::{features, signal::Signal};
use parquet::errors::ParquetError;
use thiserror::Error;

pub(crate) use read::Recording;
pub(crate) use write::Writer;

/// Rows of a row group: bounds the memory of the writer and the reader.
const ROW_GROUP: usize = 4_096;

/// Where a recording comes from, as its metadata has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Hash of the feature schema.
    pub(crate) schema_hash: String,
    /// Kernel release of the recorded host.
    pub(crate) kernel: String,
    /// Release of the agent.
    pub(crate) agent_version: String,
}

/// One tick of one target.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) tick: u64,
    pub(crate) unix_ms: u64,
    pub(crate) monotonic_ns: u64,
    pub(crate) target: String,
    pub(crate) uid: String,
    /// In the order of the file's float columns; NaN for null.
    pub(crate) floats: Vec<f32>,
}

/// Why a recording could not be written or read.
#[derive(Debug, Error)]
pub(crate) enum RecordingError {
    #[error("{}: {reason}{}", path.display(), advice(reason))]
    File { path: PathBuf, reason: io::Error },
    #[error("{}: {reason}; expected a Parquet file as 'netprecursor record' writes it", path.display())]
    Parquet { path: PathBuf, reason: ParquetError },
    #[error("{}: got no column '{column}' of type {expected}, expected a file as 'netprecursor record' writes it", path.display())]
    Column { path: PathBuf, column: String, expected: &'static str },
    #[error("{}: got no metadata '{key}', expected a file as 'netprecursor record' writes it", path.display())]
    Metadata { path: PathBuf, key: &'static str },
}

/// Keys of the file's metadata.
const KEYS: [&str; 3] = ["netprecursor.schema_hash", "netprecursor.kernel", "netprecursor.agent_version"];

/// For `map_err` on Parquet operations. An error of the disk is reported as such, not as one of the format.
fn failed(path: &Path) -> impl Fn(ParquetError) -> RecordingError {
    move |error| {
        let path = path.to_owned();
        match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
            // An io::Error is not Clone; its kind and text suffice.
            Some(reason) => RecordingError::File { path, reason: io::Error::new(reason.kind(), reason.to_string()) },
            None => RecordingError::Parquet { path, reason: error },
        }
    }
}

/// For `map_err` on file operations.
fn file(path: &Path) -> impl FnOnce(io::Error) -> RecordingError {
    move |reason| RecordingError::File { path: path.to_owned(), reason }
}

fn advice(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; expected free space: delete something or write elsewhere"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; expected to be allowed to use it: choose another path, or change its permissions"
        }
        io::ErrorKind::NotFound => "; expected an existing path",
        io::ErrorKind::IsADirectory => "; expected a file: name one in this directory",
        _ => "",
    }
}

/// Names of the float columns: the signals and, if wanted, the features.
pub(crate) fn columns(with_features: bool) -> Vec<&'static str> {
    let features = (0..features::COUNT).filter(|_| with_features).map(features::name);
    Signal::ALL.iter().map(|signal| signal.name()).chain(features).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use netprecursor_core::signal::Signals;

    use super::*;

    pub(crate) fn origin() -> Origin {
        Origin { schema_hash: "abc".into(), kernel: "6.18".into(), agent_version: "0.1.0".into() }
    }

    /// Writes a recording that has only the RTT of each target and second.
    pub(crate) fn record_rtt<'a>(path: &Path, seconds: impl IntoIterator<Item = (u64, &'a str, Option<f32>)>) {
        let mut writer = Writer::create(path, &origin(), &columns(false)).unwrap();
        for (tick, target, rtt) in seconds {
            let mut signals = Signals::ABSENT;
            signals.set(Signal::RttMax, rtt.unwrap_or(f32::NAN));
            let (target, uid, floats) = (target.to_owned(), format!("uid-{target}"), signals.as_slice().to_vec());
            writer.push(&Row { tick, unix_ms: 0, monotonic_ns: 0, target, uid, floats }).unwrap();
        }
        writer.finish().unwrap();
    }

    fn rows(count: u64) -> Vec<Row> {
        (0..count)
            .map(|tick| Row {
                tick,
                unix_ms: 1_000 * tick,
                monotonic_ns: u64::from(u32::MAX) * tick,
                target: format!("web{}", tick % 3),
                uid: format!("u{}", tick % 3),
                floats: vec![tick as f32, if tick % 2 == 0 { f32::NAN } else { -0.5 }],
            })
            .collect()
    }

    fn same(a: &Row, b: &Row) -> bool {
        let bits = |row: &Row| row.floats.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        (a.tick, a.unix_ms, a.monotonic_ns, &a.target, &a.uid) == (b.tick, b.unix_ms, b.monotonic_ns, &b.target, &b.uid)
            && bits(a) == bits(b)
    }

    #[test]
    fn written_rows_are_read_back_over_several_row_groups() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.parquet");
        let rows = rows(2 * ROW_GROUP as u64 + 17);
        let mut writer = Writer::create(&path, &origin(), &["x", "y"]).unwrap();
        rows.iter().for_each(|row| writer.push(row).unwrap());
        assert!(!path.exists(), "half a file has no name");
        writer.finish().unwrap();

        let recording = Recording::open(&path).unwrap();
        assert_eq!((recording.origin(), recording.floats()), (&origin(), ["x".to_owned(), "y".to_owned()].as_slice()));
        let read: Vec<Row> = recording.rows().collect::<Result<_, _>>().unwrap();
        assert_eq!(read.len(), rows.len());
        assert!(read.iter().zip(&rows).all(|(a, b)| same(a, b)));
    }

    #[test]
    fn a_writer_that_is_dropped_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(&directory.path().join("a.parquet"), &origin(), &["x"]).unwrap();
        writer.push(&Row { floats: vec![1.0], ..rows(1).remove(0) }).unwrap();
        drop(writer);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_full_disk_is_an_error_that_says_what_to_do() {
        let full = ParquetError::External(Box::new(io::Error::from(io::ErrorKind::StorageFull)));
        let text = failed(Path::new("/out/a.parquet"))(full).to_string();
        assert!(text.contains("/out/a.parquet") && text.contains("free space"), "{text}");
    }

    #[test]
    fn a_file_that_is_no_recording_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.parquet");
        std::fs::write(&path, "not parquet at all").unwrap();
        let text = Recording::open(&path).map(drop).unwrap_err().to_string();
        assert!(text.contains("b.parquet") && text.contains("expected a Parquet file"), "{text}");
        let text = Recording::open(&directory.path().join("c.parquet")).map(drop).unwrap_err().to_string();
        assert!(text.contains("existing path"), "{text}");
    }
}
