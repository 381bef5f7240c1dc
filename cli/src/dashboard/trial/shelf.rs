//! The directory of recordings. A request names one of those that are listed, so no path of a request is ever opened.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use thiserror::Error;

/// Recordings that are listed.
const MOST: usize = 200;

const EXTENSION: &str = "parquet";

/// A directory with recordings.
#[derive(Debug)]
pub(crate) struct Shelf {
    directory: PathBuf,
}

/// A recording that can be tried on.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct RecordingChoice {
    pub(super) name: String,
    bytes: u64,
}

/// A directory that cannot be read.
#[derive(Debug, Error)]
#[error(
    "got --recordings {directory} ({source}), expected a directory with files as 'netprecursor record' writes them"
)]
pub(in crate::dashboard) struct Unreadable {
    directory: String,
    source: io::Error,
}

impl Shelf {
    /// A directory that can be read now.
    pub(in crate::dashboard) fn open(directory: &Path) -> Result<Self, Unreadable> {
        let shelf = Self { directory: directory.to_owned() };
        shelf.list()?;
        Ok(shelf)
    }

    /// The first recordings by name, and how many there are besides.
    pub(super) fn list(&self) -> Result<(Vec<RecordingChoice>, usize), Unreadable> {
        let mut found = self.scan().map_err(|source| self.unreadable(source))?;
        found.sort_by(|one, other| one.name.cmp(&other.name));
        let more = found.len().saturating_sub(MOST);
        found.truncate(MOST);
        Ok((found, more))
    }

    /// The file of a recording that is listed; none without one of this name.
    pub(super) fn path(&self, name: &str) -> Result<Option<PathBuf>, Unreadable> {
        let (listed, _) = self.list()?;
        let is_listed = listed.iter().any(|choice| choice.name == name);
        Ok(is_listed.then(|| self.directory.join(format!("{name}.{EXTENSION}"))))
    }

    fn scan(&self) -> io::Result<Vec<RecordingChoice>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            // A file that went meanwhile, or whose name is no text, is none to choose.
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            let is_recording = path.extension().is_some_and(|extension| extension == EXTENSION);
            if let Ok(metadata) = fs::metadata(&path)
                && is_recording
                && metadata.is_file()
            {
                found.push(RecordingChoice { name: name.to_owned(), bytes: metadata.len() });
            }
        }
        Ok(found)
    }

    fn unreadable(&self, source: io::Error) -> Unreadable {
        Unreadable { directory: self.directory.display().to_string(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_listed_by_name_and_nothing_else_can_be_named() {
        let directory = tempfile::tempdir().unwrap();
        for file in ["b.parquet", "a.parquet", "notes.txt", ".parquet"] {
            fs::write(directory.path().join(file), "x").unwrap();
        }
        fs::create_dir(directory.path().join("deep.parquet")).unwrap();
        fs::write(directory.path().join("deep.parquet/c.parquet"), "x").unwrap();
        let shelf = Shelf::open(directory.path()).unwrap();
        let (listed, more) = shelf.list().unwrap();
        assert_eq!((listed.iter().map(|each| each.name.as_str()).collect::<Vec<_>>(), more), (vec!["a", "b"], 0));
        assert_eq!(shelf.path("a").unwrap(), Some(directory.path().join("a.parquet")));
        for name in ["c", "../a", "deep.parquet/c", "/etc/passwd", "", "notes"] {
            assert_eq!(shelf.path(name).unwrap(), None, "{name}");
        }
    }

    #[test]
    fn a_directory_that_is_none_is_refused_with_the_flag() {
        let directory = tempfile::tempdir().unwrap();
        let error = Shelf::open(&directory.path().join("nowhere")).unwrap_err().to_string();
        assert!(error.contains("got --recordings") && error.contains("expected a directory"), "{error}");
    }

    #[test]
    fn more_recordings_than_are_listed_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        for at in 0..MOST + 3 {
            fs::write(directory.path().join(format!("r{at:04}.parquet")), "x").unwrap();
        }
        let (listed, more) = Shelf::open(directory.path()).unwrap().list().unwrap();
        assert_eq!((listed.len(), more), (MOST, 3));
    }
}
