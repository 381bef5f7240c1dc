//! The file: how it is made, checked and locked. SQLite keeps it whole when the program is killed or the disk fills up: pages
//! are copied to a journal beside it before they change, and put back when the change is not complete.
//!
//! Who opens it holds it alone, so there is one writer. It is read through the same connection, which takes milliseconds.

use std::{
    collections::HashMap,
    io::{self, Read as _},
    path::{Path, PathBuf, absolute},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{alert_table, block, error::HistoryError, tier::Tier};

/// What says in the file that it is ours ("npHi"), and of which shape.
const APPLICATION: i64 = 0x6e70_4869;
const VERSION: i64 = 1;

/// The header of SQLite's [file format](https://sqlite.org/fileformat.html#the_database_header): its length, what it begins
/// with, and where the two stand in it.
const HEADER: u64 = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";
const AT_APPLICATION: usize = 68;
const AT_VERSION: usize = 60;

/// Bytes of a page.
const PAGE: u64 = 4_096;

/// What the journal may take of the bound: changes are made in slices that copy far fewer pages than this.
const JOURNAL_SHARE: u64 = 16;
const JOURNAL_LEAST: u64 = 1 << 20;

/// Nothing is written outside the file's directory, and what is committed has reached the disk.
const SETTINGS: &str = "
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA synchronous = FULL;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -8192";

/// Rows are found by time and target ([`Tier::key`]); `span` has the rows of coarse points that are not up to date with the
/// fine ones, and `gone` what had to go to make room.
const TABLES: &str = "
    CREATE TABLE target (
        id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, about TEXT NOT NULL, imported INTEGER NOT NULL, last INTEGER NOT NULL
    );
    CREATE INDEX imported ON target (id) WHERE imported;
    CREATE TABLE fine (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE coarse (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE span (start INTEGER PRIMARY KEY);
    CREATE TABLE alert (
        id INTEGER PRIMARY KEY, fired INTEGER NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (fired, name)
    );
    CREATE TABLE gone (seconds INTEGER NOT NULL, alerts INTEGER NOT NULL, until INTEGER NOT NULL);
    INSERT INTO gone VALUES (0, 0, 0);
";

/// A history that is open.
#[derive(Debug)]
pub(super) struct File {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// Bytes that it may take.
    pub(super) size: u64,
    /// Pages that the file may have; the rest of the size is the journal's.
    pub(super) most_pages: u64,
    /// Seconds of targets that had had to go before it was opened.
    pub(super) evicted: u64,
    /// Numbers of targets that were looked up, and the last span that each is known to have.
    pub(super) numbers: HashMap<String, (i64, u64)>,
    /// Keys before which no row has come of age, by tier.
    pub(super) aged: [i64; 2],
}

impl File {
    /// Opens the history at `path`, or begins one of `size` bytes at most. Every row is checked.
    pub(super) fn open(path: &Path, size: u64) -> Result<Self, HistoryError> {
        // SQLite reads names that begin with `file:` as URIs; those of this program begin with a slash.
        let whole = absolute(path)
            .map_err(|error| HistoryError::Unusable { path: path.to_owned(), reason: error.to_string() })?;
        let is_known = identify(path)?;
        let opening = HistoryError::opening(path);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(whole, flags).map_err(&opening)?;
        prepare(&mut connection, is_known).map_err(&opening)?;
        let most_pages = (size - (size / JOURNAL_SHARE).max(JOURNAL_LEAST)) / PAGE;
        let path = path.to_owned();
        let mut file = Self { connection, path, size, most_pages, evicted: 0, numbers: HashMap::new(), aged: [0; 2] };
        file.check()?;
        file.evicted = file.gone()?.seconds;
        file.fit()?;
        Ok(file)
    }

    /// Reads all of it: 256 MiB take about a second.
    fn check(&self) -> Result<(), HistoryError> {
        let opening = HistoryError::opening(&self.path);
        let checked = self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
        let checked = checked.map_err(&opening)?;
        if checked != "ok" {
            return Err(HistoryError::damaged(&self.path, &checked));
        }
        for tier in Tier::ALL {
            let wrong = |key: i64, data: &[u8]| block::unseal(tier, key, data).is_none();
            if let Some(key) = self.first_wrong(tier, wrong).map_err(&opening)? {
                return Err(self.wrong_row(tier, key));
            }
        }
        alert_table::check(self)
    }

    fn first_wrong(&self, tier: Tier, wrong: impl Fn(i64, &[u8]) -> bool) -> rusqlite::Result<Option<i64>> {
        let mut all = self.connection.prepare(&format!("SELECT id, data FROM {}", tier.table()))?;
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            let key = row.get(0)?;
            if wrong(key, row.get_ref(1)?.as_blob().unwrap_or_default()) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// A row does not hold what was written there.
    pub(super) fn wrong_row(&self, tier: Tier, key: i64) -> HistoryError {
        let (start, target) = tier.of_key(key);
        HistoryError::damaged(&self.path, &format!("{} points of target {target} at {start} are wrong", tier.table()))
    }

    /// A setting or a figure of the database.
    pub(super) fn pragma(&self, name: &str) -> rusqlite::Result<i64> {
        self.connection.pragma_query_value(None, name, |row| row.get(0))
    }

    /// Pages of the file, and those of them that are free.
    pub(super) fn pages(&self) -> rusqlite::Result<(u64, u64)> {
        Ok((self.pragma("page_count")?.cast_unsigned(), self.pragma("freelist_count")?.cast_unsigned()))
    }

    /// Bytes that it takes on disk, with its journal.
    pub(super) fn bytes(&self) -> u64 {
        let mut journal = self.path.clone().into_os_string();
        journal.push("-journal");
        let length = |path: &Path| path.metadata().map_or(0, |found| found.len());
        length(&self.path) + length(Path::new(&journal))
    }
}

/// Whether there is a history; what is not there, or empty, is begun. What is another program's or of another version is
/// refused before SQLite looks at it and, perhaps, tidies up.
fn identify(path: &Path) -> Result<bool, HistoryError> {
    let mut header = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(HEADER).read_to_end(&mut header));
    match read {
        Ok(0) => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(HistoryError::Unusable { path: path.to_owned(), reason: error.to_string() }),
    }
    let number = |at: usize| {
        let bytes = header.get(at..).and_then(|rest| rest.first_chunk::<4>());
        bytes.map(|bytes| i64::from(u32::from_be_bytes(*bytes)))
    };
    match (header.starts_with(MAGIC), number(AT_APPLICATION), number(AT_VERSION)) {
        (true, Some(APPLICATION), Some(VERSION)) => Ok(true),
        (true, Some(APPLICATION), Some(got)) => {
            Err(HistoryError::Version { path: path.to_owned(), got, expected: VERSION })
        }
        _ => Err(HistoryError::Foreign { path: path.to_owned() }),
    }
}

/// Settings of the connection, and the tables where there are none, all of them or none. From here on no other process can
/// open the file.
fn prepare(connection: &mut Connection, is_known: bool) -> rusqlite::Result<()> {
    // Who else has it open keeps it.
    connection.busy_timeout(Duration::ZERO)?;
    connection.execute_batch(SETTINGS)?;
    if !is_known {
        // So that the file can become smaller. It is laid out by this from the first page on.
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
    }
    let made = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    // Also where a file was begun and its first change was undone.
    if made.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))? == 0 {
        made.execute_batch(TABLES)?;
        made.pragma_update(None, "application_id", APPLICATION)?;
        made.pragma_update(None, "user_version", VERSION)?;
    }
    made.commit()?;
    // The journal stays as large as it was, so that what the history takes on disk is what it has ever taken.
    connection.execute_batch("PRAGMA journal_mode = PERSIST")
}

#[cfg(test)]
mod tests;
