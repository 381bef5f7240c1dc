//! What happens to points with time: fine ones become coarse ones, and what is too old or too much goes, oldest first. Each
//! change is a small transaction, and may be made twice.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, params};

use super::{
    block,
    error::HistoryError,
    file::File,
    point::Point,
    table::{SLICE, merge},
    tier::{MOST_TARGETS, Tier},
};

/// Seconds after which a row of coarse points is made: seconds of it may still come.
const GRACE: u64 = 60;

/// Rows of time that are made coarse, and that may go by age, in one call. Calls come every few seconds, so both keep up with
/// what comes, and a clock that is wrong for a minute ages little.
const AT_ONCE: usize = 2;

/// Pages that are free before something is written, besides what it takes: trees grow in more places than one.
const SPARE: u64 = 64;

/// Bytes of a page that a row can be counted on to use.
const USED: u64 = 2_048;

/// Bytes of a row of coarse points.
const COARSE: usize = 680;

/// The share of the file that alerts may take.
const ALERT_SHARE: u64 = 4;

/// Alerts that go together.
const ALERTS: i64 = 100;

/// Targets that are forgotten together: the journal holds the pages of them all.
const TARGETS: usize = 100;

/// What had to go to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Gone {
    /// Seconds of targets.
    pub(super) seconds: u64,
    pub(super) alerts: u64,
    /// Behind the last second of which something went, Unix s.
    pub(super) until: u64,
}

/// The rows that agents wrote: those behind what was imported of their target.
fn live(tier: Tier) -> String {
    let (table, targets, row) = (tier.table(), MOST_TARGETS + 1, tier.row());
    format!(
        "NOT EXISTS (SELECT 1 FROM target WHERE target.id = ({table}.id & {MOST_TARGETS})
            AND imported > ({table}.id / {targets}) * {row})"
    )
}

impl File {
    /// Keeps the file as it should be at `now`, which is the agent's clock.
    pub(super) fn upkeep(&mut self, now: u64) -> Result<(), HistoryError> {
        let mut keep = || -> rusqlite::Result<()> {
            let is_rolled = self.roll_up(now)? > 0;
            self.age(now)?;
            if is_rolled {
                self.bound_alerts()?;
                self.forget_targets()?;
            }
            Ok(())
        };
        let kept = keep();
        kept.map_err(HistoryError::using(&self.path))
    }

    /// Merges fine points into coarse ones until all are; for what no more of will come.
    pub(super) fn finish(&mut self) -> Result<(), HistoryError> {
        loop {
            let rolled = self.roll_up(u64::MAX);
            if rolled.map_err(HistoryError::using(&self.path))? == 0 {
                return Ok(());
            }
        }
    }

    /// Merges what is complete; returns how many rows of time it was.
    fn roll_up(&mut self, now: u64) -> rusqlite::Result<usize> {
        let complete = now.saturating_sub(Tier::Coarse.row() + GRACE);
        let complete = i64::try_from(complete).unwrap_or(i64::MAX);
        let mut find = self.connection.prepare("SELECT start FROM span WHERE start <= ?1 ORDER BY start LIMIT ?2")?;
        let due = find.query_map(params![complete, AT_ONCE as i64], |row| row.get::<_, i64>(0))?;
        let due = due.collect::<rusqlite::Result<Vec<i64>>>()?;
        drop(find);
        for start in &due {
            self.merge_span(start.cast_unsigned())?;
            self.aged[1] = self.aged[1].min(Tier::Coarse.key(start.cast_unsigned(), 0).unwrap_or(0));
        }
        Ok(due.len())
    }

    fn merge_span(&mut self, start: u64) -> rusqlite::Result<()> {
        let tier = Tier::Coarse;
        let coarse: Vec<(i64, Vec<Point>)> = self.coarse(start)?.into_iter().collect();
        for slice in coarse.chunks(SLICE) {
            self.room(slice.len() * COARSE)?;
            let change = self.connection.unchecked_transaction()?;
            for (target, points) in slice {
                if let Some(key) = tier.key(start, *target) {
                    merge(&change, tier, key, points)?;
                }
            }
            change.commit()?;
        }
        // Last, so that what is interrupted is made again.
        self.connection.execute("DELETE FROM span WHERE start = ?1", [start.cast_signed()]).map(drop)
    }

    /// The fine points of a row's time as coarse ones, by target.
    fn coarse(&self, start: u64) -> rusqlite::Result<BTreeMap<i64, Vec<Point>>> {
        let (fine, coarse) = (Tier::Fine, Tier::Coarse);
        let mut find = self.connection.prepare("SELECT id, data FROM fine WHERE id >= ?1 AND id < ?2")?;
        let end = |unix: u64| fine.key(unix, 0).unwrap_or(i64::MAX);
        let mut rows = find.query([end(start), end(start + coarse.row())])?;
        let mut merged: BTreeMap<i64, Vec<Point>> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let key = row.get(0)?;
            let (from, target) = fine.of_key(key);
            let points = merged.entry(target).or_insert_with(|| vec![Point::ABSENT; coarse.points()]);
            let Some(seconds) = block::unseal(fine, key, row.get_ref(1)?.as_blob().unwrap_or_default()) else {
                return Err(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
                    None,
                ));
            };
            for (unix, second) in (from..).zip(seconds) {
                if let Some(kept) = points.get_mut(coarse.place(unix)) {
                    kept.merge(second);
                }
            }
        }
        Ok(merged)
    }

    /// Deletes what agents said that is too old.
    fn age(&mut self, now: u64) -> rusqlite::Result<()> {
        for (at, tier) in Tier::ALL.into_iter().enumerate() {
            for _ in 0..AT_ONCE {
                let first =
                    format!("SELECT id FROM {} WHERE id >= ?1 AND {} ORDER BY id LIMIT 1", tier.table(), live(tier));
                let first =
                    self.connection.query_row(&first, [self.aged[at]], |row| row.get::<_, i64>(0)).optional()?;
                let Some(start) = first.map(|key| tier.of_key(key).0) else { break };
                self.aged[at] = tier.key(start, 0).unwrap_or(0);
                if start > now.saturating_sub(tier.age() + tier.row())
                    || (tier == Tier::Fine && self.is_behind(start)?)
                {
                    break;
                }
                self.delete_time(tier, start)?;
            }
        }
        Ok(())
    }

    /// Whether the fine points of that second are not merged into coarse ones.
    fn is_behind(&self, unix: u64) -> rusqlite::Result<bool> {
        let start = Tier::Coarse.start(unix).cast_signed();
        let find = "SELECT EXISTS (SELECT 1 FROM span WHERE start = ?1)";
        self.connection.query_row(find, [start], |row| row.get(0))
    }

    fn delete_time(&self, tier: Tier, start: u64) -> rusqlite::Result<()> {
        let (table, live) = (tier.table(), live(tier));
        let delete = format!(
            "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id >= ?1 AND id <= ?2 AND {live} LIMIT {SLICE})"
        );
        let (Some(first), Some(last)) = (tier.key(start, 0), tier.key(start, MOST_TARGETS)) else { return Ok(()) };
        while self.connection.execute(&delete, [first, last])? == SLICE {}
        Ok(())
    }

    /// Keeps alerts to their share of the file.
    fn bound_alerts(&self) -> rusqlite::Result<()> {
        let most = self.size / ALERT_SHARE;
        let bytes = "SELECT coalesce(sum(length(body)), 0) FROM alert";
        while self.connection.query_row(bytes, [], |row| row.get::<_, i64>(0))?.cast_unsigned() > most
            && self.delete_alerts()? > 0
        {}
        Ok(())
    }

    /// Deletes the oldest alerts; returns how many.
    fn delete_alerts(&self) -> rusqlite::Result<usize> {
        let change = self.connection.unchecked_transaction()?;
        let oldest = "SELECT max(fired) FROM (SELECT fired FROM alert ORDER BY fired, name LIMIT ?1)";
        let until: Option<i64> = change.query_row(oldest, [ALERTS], |row| row.get(0))?;
        let delete = "DELETE FROM alert WHERE id IN (SELECT id FROM alert ORDER BY fired, name LIMIT ?1)";
        let deleted = change.execute(delete, [ALERTS])?;
        let count = "UPDATE gone SET alerts = alerts + ?1, until = max(until, ?2)";
        change.execute(count, params![deleted as i64, until.unwrap_or(0)])?;
        change.commit()?;
        Ok(deleted)
    }

    /// Forgets targets of which nothing is left.
    fn forget_targets(&mut self) -> rusqlite::Result<()> {
        let mut oldest = u64::MAX;
        for tier in Tier::ALL {
            oldest = oldest.min(self.ends(tier)?.map_or(u64::MAX, |(first, _)| Tier::Coarse.start(first)));
        }
        if oldest == u64::MAX {
            return Ok(());
        }
        let forget = format!("DELETE FROM target WHERE id IN (SELECT id FROM target WHERE last < ?1 LIMIT {TARGETS})");
        loop {
            let forgotten = self.connection.execute(&forget, [oldest.cast_signed()])?;
            if forgotten > 0 {
                self.numbers.clear();
            }
            if forgotten < TARGETS {
                return Ok(());
            }
        }
    }

    /// Deletes the oldest until so many bytes can be written. What goes is counted.
    pub(super) fn room(&mut self, bytes: usize) -> rusqlite::Result<()> {
        let need = bytes as u64 / USED + SPARE;
        loop {
            let (pages, free) = self.pages()?;
            if self.most_pages.saturating_sub(pages) + free >= need || !self.evict()? {
                return Ok(());
            }
        }
    }

    /// Deletes some of the oldest; returns whether there was anything.
    fn evict(&mut self) -> rusqlite::Result<bool> {
        let mut oldest: Option<(u64, Tier)> = None;
        for tier in Tier::ALL {
            let first = self.ends(tier)?.map(|(first, _)| (first, tier));
            oldest = match (oldest, first) {
                (Some(one), Some(other)) if one.0 <= other.0 => Some(one),
                (one, other) => other.or(one),
            };
        }
        let Some((_, tier)) = oldest else { return Ok(self.delete_alerts()? > 0) };
        let change = self.connection.unchecked_transaction()?;
        let last = format!("SELECT max(id) FROM (SELECT id FROM {} ORDER BY id LIMIT {SLICE})", tier.table());
        let last: i64 = change.query_row(&last, [], |row| row.get(0))?;
        let deleted = change.execute(&format!("DELETE FROM {} WHERE id <= ?1", tier.table()), [last])?;
        let seconds = deleted as u64 * tier.row();
        let until = tier.of_key(last).0 + tier.row();
        let count = "UPDATE gone SET seconds = seconds + ?1, until = max(until, ?2)";
        change.execute(count, [seconds.cast_signed(), until.cast_signed()])?;
        change.commit()?;
        Ok(true)
    }

    /// What had to go so far.
    pub(super) fn gone(&self) -> Result<Gone, HistoryError> {
        let found = self.connection.query_row("SELECT seconds, alerts, until FROM gone", [], |row| {
            let number = |at: usize| row.get::<_, i64>(at).map(i64::cast_unsigned);
            Ok(Gone { seconds: number(0)?, alerts: number(1)?, until: number(2)? })
        });
        found.map_err(HistoryError::using(&self.path))
    }

    /// Makes the file as small as it may be now, and holds it to that.
    pub(super) fn fit(&mut self) -> Result<(), HistoryError> {
        let mut fit = || -> rusqlite::Result<bool> {
            loop {
                let (pages, free) = self.pages()?;
                if pages <= self.most_pages {
                    let set = format!("PRAGMA max_page_count = {}", self.most_pages);
                    return self.connection.execute_batch(&set).map(|()| true);
                }
                if free > 0 {
                    // Returns a row for each page, and moves one with each.
                    self.connection.pragma(None, "incremental_vacuum", SPARE.cast_signed(), |_| Ok(()))?;
                } else if !self.evict()? {
                    return Ok(false);
                }
            }
        };
        let fitted = fit();
        if fitted.map_err(HistoryError::opening(&self.path))? {
            return Ok(());
        }
        let reason = format!("it takes more than {} bytes, all of it alerts and targets", self.size);
        Err(HistoryError::Unusable { path: self.path.clone(), reason })
    }
}

#[cfg(test)]
mod tests;
