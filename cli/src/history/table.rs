//! Points in the file: how they are written, a slice at a time, and read.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    block,
    error::HistoryError,
    file::File,
    ledger::AlertKey,
    pending::{Batch, Row},
    point::Point,
    tier::{MOST_TARGETS, Tier},
};

/// Rows of a transaction: so few that the journal stays small.
pub(super) const SLICE: usize = 200;

/// Bytes of a row of fine points, with its key and some to spare.
const ROW: usize = 160;

/// Alerts, or descriptions of targets, of a transaction: each takes about a kilobyte.
const TEXTS: usize = 100;

/// Numbers of targets that are remembered.
const MOST_NUMBERS: usize = 100_000;

/// What stands for a target that nobody has described.
const UNKNOWN: &str = "null";

/// A target may be described before anything of it is measured.
const DESCRIBE: &str = "INSERT INTO target (uid, about, imported, last) VALUES (?1, ?2, 0, ?3)
    ON CONFLICT (uid) DO UPDATE SET about = excluded.about, last = max(last, excluded.last)";

/// Where points come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// An agent that is followed: they are kept for as long as [`Tier::age`] says.
    Agent,
    /// A recording: they stay until room is short.
    Recording,
}

impl File {
    /// Writes what came; returns how many seconds of targets have no place, because no clock shows them. What was written
    /// before an error stays, and is harmless when it is written again.
    pub(super) fn put(&mut self, batch: &Batch, origin: Origin) -> Result<u64, HistoryError> {
        if origin == Origin::Recording {
            // It is noted of targets that agents have brought as well.
            self.numbers.clear();
        }
        let mut misplaced = 0;
        let rows: Vec<(&(u64, String), &Row)> = batch.rows.iter().collect();
        for slice in rows.chunks(SLICE) {
            let put = self.put_rows(slice, origin);
            if put.is_err() {
                // Numbers that were given in a transaction that is undone.
                self.numbers.clear();
            }
            misplaced += put.map_err(HistoryError::using(&self.path))?;
        }
        let put = self.put_texts(batch);
        put.map_err(HistoryError::using(&self.path))?;
        Ok(misplaced)
    }

    fn put_texts(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        let alerts: Vec<(&AlertKey, &String)> = batch.alerts.iter().collect();
        for slice in alerts.chunks(TEXTS) {
            self.room(slice.iter().map(|(_, json)| 2 * json.len()).sum())?;
            let change = self.connection.unchecked_transaction()?;
            slice.iter().try_for_each(|(key, json)| self.put_alert(key, json))?;
            change.commit()?;
        }
        let last = batch.rows.last_key_value().map_or(0, |((start, _), _)| *start);
        let last = i64::try_from(last).unwrap_or(i64::MAX);
        let abouts: Vec<(&String, &String)> = batch.abouts.iter().collect();
        for slice in abouts.chunks(TEXTS) {
            self.room(slice.iter().map(|(_, json)| 2 * json.len()).sum())?;
            let change = self.connection.unchecked_transaction()?;
            slice.iter().try_for_each(|(uid, json)| change.execute(DESCRIBE, params![uid, json, last]).map(drop))?;
            change.commit()?;
        }
        Ok(())
    }

    fn put_rows(&mut self, rows: &[(&(u64, String), &Row)], origin: Origin) -> rusqlite::Result<u64> {
        let tier = Tier::Fine;
        self.room(rows.len() * ROW)?;
        let change = self.connection.unchecked_transaction()?;
        let mut spans = change.prepare("INSERT OR IGNORE INTO span (start) VALUES (?1)")?;
        let (mut misplaced, mut first) = (0, i64::MAX);
        if self.numbers.len() > MOST_NUMBERS {
            self.numbers.clear();
        }
        for ((start, uid), row) in rows {
            let span = Tier::Coarse.start(*start);
            // Without a number there would be none for the target's other rows either.
            let number = number(&change, &mut self.numbers, uid, span, origin)?;
            let Some(key) = tier.key(*start, number) else {
                misplaced += row.iter().filter(|point| !point.is_absent()).count() as u64;
                continue;
            };
            merge(&change, tier, key, row.as_slice())?;
            spans.execute([span.cast_signed()])?;
            first = first.min(key);
        }
        drop(spans);
        change.commit()?;
        self.aged[0] = self.aged[0].min(first);
        Ok(misplaced)
    }

    /// Number and description of a target.
    pub(super) fn target(&self, uid: &str) -> Result<Option<(i64, String)>, HistoryError> {
        let found = self
            .connection
            .query_row("SELECT id, about FROM target WHERE uid = ?1", [uid], |row| Ok((row.get(0)?, row.get(1)?)));
        found.optional().map_err(HistoryError::using(&self.path))
    }

    /// Gives `take` each point of a target from one second to another, with the second that its step begins with. Coarse
    /// points are completed by fine ones where those are newer.
    pub(super) fn read(
        &self,
        tier: Tier,
        target: i64,
        (from, until): (u64, u64),
        take: &mut dyn FnMut(u64, Point),
    ) -> Result<(), HistoryError> {
        let using = HistoryError::using(&self.path);
        let Some((from, until)) = self.held(tier, from, until)? else { return Ok(()) };
        let mut find =
            self.connection.prepare(&format!("SELECT data FROM {} WHERE id = ?1", tier.table())).map_err(&using)?;
        let mut start = tier.start(from);
        while start <= until {
            let key = tier.key(start, target);
            let found = key.map(|key| find.query_row([key], |row| row.get::<_, Vec<u8>>(0)).optional());
            if let (Some(key), Some(data)) = (key, found.transpose().map_err(&using)?.flatten()) {
                let points = block::unseal(tier, key, &data).ok_or_else(|| self.wrong_row(tier, key))?;
                (start..).step_by(tier.step() as usize).zip(points).for_each(|(unix, point)| take(unix, point));
            }
            start += tier.row();
        }
        Ok(())
    }

    /// The coarse rows between two seconds that fine ones have not been merged into.
    pub(super) fn behind(&self, from: u64, until: u64) -> Result<Vec<u64>, HistoryError> {
        let read = || -> rusqlite::Result<Vec<u64>> {
            let mut spans = self.connection.prepare("SELECT start FROM span WHERE start >= ?1 AND start <= ?2")?;
            let (from, until) = (Tier::Coarse.start(from), i64::try_from(until).unwrap_or(i64::MAX));
            let from = i64::try_from(from).unwrap_or(i64::MAX);
            spans.query_map([from, until], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))?.collect()
        };
        read().map_err(HistoryError::using(&self.path))
    }

    /// A range cut to the rows that there are, so that a long one costs no more than what it finds.
    fn held(&self, tier: Tier, from: u64, until: u64) -> Result<Option<(u64, u64)>, HistoryError> {
        let ends = self.ends(tier).map_err(HistoryError::using(&self.path))?;
        Ok(ends.map(|(first, last)| (from.max(first), until.min(last.saturating_add(tier.row() - 1)))))
    }

    /// First seconds of the oldest row and of the newest one.
    pub(super) fn ends(&self, tier: Tier) -> rusqlite::Result<Option<(u64, u64)>> {
        let end = |which: &str| {
            let query = format!("SELECT {which}(id) FROM {}", tier.table());
            self.connection.query_row(&query, [], |row| row.get::<_, Option<i64>>(0))
        };
        let (Some(first), Some(last)) = (end("min")?, end("max")?) else { return Ok(None) };
        Ok(Some((tier.of_key(first).0, tier.of_key(last).0)))
    }

    /// Targets that have rows from a second on, by their identifiers.
    pub(super) fn targets_since(&self, unix: u64) -> Result<Vec<String>, HistoryError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut find = self.connection.prepare("SELECT uid FROM target WHERE last >= ?1 LIMIT ?2")?;
            let first = i64::try_from(Tier::Coarse.start(unix)).unwrap_or(i64::MAX);
            let found = find.query_map([first, MOST_NUMBERS as i64], |row| row.get(0))?;
            found.collect()
        };
        read().map_err(HistoryError::using(&self.path))
    }

    /// Gives `take` every fine point that is there from a second on, with its target's identifier.
    pub(super) fn seconds_since(&self, unix: u64, take: &mut dyn FnMut(&str, u64, Point)) -> Result<(), HistoryError> {
        let tier = Tier::Fine;
        let mut rows = || -> rusqlite::Result<Option<i64>> {
            let find = format!(
                "SELECT fine.id, uid, data FROM fine JOIN target ON target.id = fine.id & {MOST_TARGETS}
                WHERE fine.id >= ?1 ORDER BY fine.id"
            );
            let mut find = self.connection.prepare(&find)?;
            let mut rows = find.query([tier.key(tier.start(unix), 0).unwrap_or(i64::MAX)])?;
            while let Some(row) = rows.next()? {
                let (key, uid) = (row.get(0)?, row.get_ref(1)?.as_str().unwrap_or_default());
                let data = row.get_ref(2)?.as_blob().unwrap_or_default();
                let Some(points) = block::unseal(tier, key, data) else { return Ok(Some(key)) };
                let points = (tier.of_key(key).0..).zip(points).filter(|(_, point)| !point.is_absent());
                points.for_each(|(unix, point)| take(uid, unix, point));
            }
            Ok(None)
        };
        match rows().map_err(HistoryError::using(&self.path))? {
            None => Ok(()),
            Some(key) => Err(self.wrong_row(tier, key)),
        }
    }
}

/// The number of a target, a new one if need be. `last` is a row of it that is being written.
fn number(
    change: &Connection,
    known: &mut HashMap<String, (i64, u64)>,
    uid: &str,
    last: u64,
    origin: Origin,
) -> rusqlite::Result<i64> {
    if let Some((id, _)) = known.get(uid).filter(|(_, known)| last <= *known) {
        return Ok(*id);
    }
    let put = "INSERT INTO target (uid, about, imported, last) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (uid) DO UPDATE SET imported = max(imported, excluded.imported), last = max(last, excluded.last)
        RETURNING id";
    let bound = i64::try_from(last).unwrap_or(i64::MAX);
    // Behind the last second that was imported; 0 for none.
    let imported = if origin == Origin::Recording { bound.saturating_add(Tier::Coarse.row().cast_signed()) } else { 0 };
    let id = change.query_row(put, params![uid, UNKNOWN, imported, bound], |row| row.get(0))?;
    known.insert(uid.to_owned(), (id, last));
    Ok(id)
}

/// Merges points into a row.
pub(super) fn merge(change: &Connection, tier: Tier, key: i64, points: &[Point]) -> rusqlite::Result<()> {
    let table = tier.table();
    let find = format!("SELECT data FROM {table} WHERE id = ?1");
    let before = change.query_row(&find, [key], |row| row.get::<_, Vec<u8>>(0)).optional()?;
    let put = format!("INSERT OR REPLACE INTO {table} (id, data) VALUES (?1, ?2)");
    let Some(before) = before else {
        return change.execute(&put, params![key, block::seal(tier, key, points)]).map(drop);
    };
    let Some(mut merged) = block::unseal(tier, key, &before) else {
        // As SQLite says it of its own pages: what is wrong is not written over.
        return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), None));
    };
    for (kept, point) in merged.iter_mut().zip(points) {
        kept.merge(*point);
    }
    change.execute(&put, params![key, block::seal(tier, key, &merged)]).map(drop)
}
