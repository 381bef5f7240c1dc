//! Why a history cannot be opened, read or written. Whatever it is, the file is left as it is.

use std::path::{Path, PathBuf};

use rusqlite::{Error as Sqlite, ErrorCode};
use thiserror::Error;

/// The reason.
#[derive(Debug, Error)]
pub(crate) enum HistoryError {
    #[error(
        "cannot use the history {} ({reason}), expected a file that can be read and written, in a directory that is there: give \
         another --store, or change its permissions",
        path.display()
    )]
    Unusable { path: PathBuf, reason: String },
    #[error(
        "got the history {}, which another process has open, expected a file of its own for each: stop the other process, or give \
         another --store",
        path.display()
    )]
    Busy { path: PathBuf },
    #[error(
        "got {}, which holds something else, expected a history of netprecursor, or no file: give another --store; this file is left \
         as it is",
        path.display()
    )]
    Foreign { path: PathBuf },
    #[error(
        "got the history {} of version {got}, expected version {expected}: use the release of netprecursor that wrote it, or give \
         another --store; this file is left as it is",
        path.display()
    )]
    Version { path: PathBuf, got: i64, expected: i64 },
    #[error(
        "got the history {file}, which is damaged ({what}), expected one that holds what was written: put a copy of it in its place, \
         or move it away to begin a new one (`mv {file} {file}.damaged`; `sqlite3 {file}.damaged .recover` shows what can still be \
         read); this file is left as it is",
        file = path.display()
    )]
    Damaged { path: PathBuf, what: String },
    #[error(
        "cannot read or write the history {} ({reason}), expected free space and a disk that works: what comes is kept in memory, as far as \
         that goes, and written when it can be",
        path.display()
    )]
    Unwritable { path: PathBuf, reason: String },
}

impl HistoryError {
    /// For `map_err` on what is done to open the file.
    pub(super) fn opening(path: &Path) -> impl Fn(Sqlite) -> Self + '_ {
        move |error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path: path.to_owned() },
            // Without a code it is a value of another type than was written.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => {
                Self::damaged(path, &error.to_string())
            }
            Some(_) => Self::Unusable { path: path.to_owned(), reason: error.to_string() },
        }
    }

    /// For `map_err` on what is done with the open file.
    pub(super) fn using(path: &Path) -> impl Fn(Sqlite) -> Self + '_ {
        move |error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => {
                Self::damaged(path, &error.to_string())
            }
            Some(_) => Self::Unwritable { path: path.to_owned(), reason: error.to_string() },
        }
    }

    /// The file holds what was not written there.
    pub(super) fn damaged(path: &Path, what: &str) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.chars().take(200).collect() }
    }

    /// Whether writing on would make it worse.
    pub(super) const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}
