//! Alerts in the file, each as the JSON that the agent publishes, with a checksum behind it.

use flate2::Crc;
use rusqlite::params;
use serde_json::Value;

use super::{error::HistoryError, file::File, ledger::AlertKey, query::AlertsAsked};

/// Bytes of the checksum.
const CHECKSUM: usize = 4;

/// Those of a time, behind one of them.
const NEWEST: &str = "
    SELECT fired, name, body FROM alert WHERE fired >= ?1 AND fired <= ?2 AND (fired, name) < (?3, ?4)
    ORDER BY fired DESC, name DESC LIMIT ?5";

fn checksum(fired: i64, name: &str, json: &[u8]) -> [u8; CHECKSUM] {
    let mut sum = Crc::new();
    sum.update(&fired.to_le_bytes());
    sum.update(name.as_bytes());
    sum.update(json);
    sum.sum().to_le_bytes()
}

fn is_whole(fired: i64, name: &str, body: &[u8]) -> bool {
    body.split_last_chunk::<CHECKSUM>().is_some_and(|(json, sum)| checksum(fired, name, json) == *sum)
}

/// Checks every alert.
pub(super) fn check(file: &File) -> Result<(), HistoryError> {
    let opening = HistoryError::opening(&file.path);
    let find = || -> rusqlite::Result<Option<String>> {
        let mut all = file.connection.prepare("SELECT fired, name, body FROM alert")?;
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            let (fired, name): (i64, String) = (row.get(0)?, row.get(1)?);
            if !is_whole(fired, &name, row.get_ref(2)?.as_blob().unwrap_or_default()) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    };
    find().map_err(opening)?.map_or(Ok(()), |name| Err(wrong(file, &name)))
}

fn wrong(file: &File, name: &str) -> HistoryError {
    HistoryError::damaged(&file.path, &format!("alert {name:?} is wrong"))
}

impl File {
    /// Writes an alert, in the place of what it was.
    pub(super) fn put_alert(&self, (fired, name): &AlertKey, json: &str) -> rusqlite::Result<()> {
        let fired = i64::try_from(*fired).unwrap_or(i64::MAX);
        let mut body = json.as_bytes().to_vec();
        body.extend(checksum(fired, name, json.as_bytes()));
        let insert = "INSERT INTO alert (fired, name, body) VALUES (?1, ?2, ?3)
            ON CONFLICT (fired, name) DO UPDATE SET body = excluded.body";
        self.connection.execute(insert, params![fired, name, body]).map(drop)
    }

    /// Alerts, newest first, as they were written: one that this release does not understand is still an alert.
    pub(super) fn alerts(&self, asked: &AlertsAsked) -> Result<Vec<(AlertKey, Value)>, HistoryError> {
        let bound = |unix: u64| i64::try_from(unix).unwrap_or(i64::MAX);
        // Before every name, so that of the last second there is no alert.
        let (fired, name) = asked.after.as_ref().map_or((i64::MAX, ""), |(fired, name)| (bound(*fired), name.as_str()));
        let rows = || -> rusqlite::Result<Vec<(i64, String, Vec<u8>)>> {
            let mut found = self.connection.prepare(NEWEST)?;
            let limit = i64::try_from(asked.limit).unwrap_or(i64::MAX);
            let (from, until) = (bound(asked.from), bound(asked.until));
            let rows = found.query_map(params![from, until, fired, name, limit], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
            rows.collect()
        };
        let read = |(fired, name, body): (i64, String, Vec<u8>)| {
            let json = body.len().checked_sub(CHECKSUM).and_then(|length| body.get(..length)).unwrap_or_default();
            match serde_json::from_slice(json) {
                Ok(alert) if is_whole(fired, &name, &body) => Ok(((fired.cast_unsigned(), name), alert)),
                _ => Err(wrong(self, &name)),
            }
        };
        rows().map_err(HistoryError::using(&self.path))?.into_iter().map(read).collect()
    }
}
