//! Rows of all labs side by side, kept until the lab that a target belongs to has ended.

use std::collections::HashMap;

use crate::recording::Row;

/// Rows kept of a target: more than any episode has seconds.
const MOST_ROWS: usize = 4_000;
/// Ticks after which a target that is no longer seen is forgotten; its lab has failed.
const FORGOTTEN: u64 = 300;

/// Rows by target.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    rows: HashMap<String, Vec<Row>>,
    left_out: u64,
}

impl Shelf {
    /// Keeps a row. Rows beyond the limit are dropped and counted.
    pub(super) fn put(&mut self, row: Row) {
        let rows = self.rows.entry(row.target.clone()).or_default();
        if rows.len() < MOST_ROWS { rows.push(row) } else { self.left_out += 1 }
    }

    /// Takes the rows of some targets from the shelf, up to a moment of the monotonic clock, by tick and target.
    pub(super) fn take<'a>(&mut self, targets: impl IntoIterator<Item = &'a str>, until_ns: u64) -> Vec<Row> {
        let taken = targets.into_iter().filter_map(|target| self.rows.remove(target)).flatten();
        let mut rows: Vec<Row> = taken.filter(|row| row.monotonic_ns <= until_ns).collect();
        rows.sort_by(|a, b| (a.tick, &a.target).cmp(&(b.tick, &b.target)));
        rows
    }

    /// Forgets targets that were last seen long before `tick`.
    pub(super) fn tidy(&mut self, tick: u64) {
        self.rows.retain(|_, rows| rows.last().is_some_and(|row| tick.saturating_sub(row.tick) < FORGOTTEN));
    }

    /// Rows that found no place.
    pub(super) const fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(target: &str, tick: u64) -> Row {
        let (target, uid) = (target.to_owned(), String::new());
        Row { tick, unix_ms: 0, monotonic_ns: tick * 1_000, target, uid, floats: Vec::new() }
    }

    fn shelf(rows: &[(&str, u64)]) -> Shelf {
        let mut shelf = Shelf::default();
        rows.iter().for_each(|(target, tick)| shelf.put(row(target, *tick)));
        shelf
    }

    #[test]
    fn a_lab_takes_its_own_rows_in_order_and_no_others() {
        let mut shelf = shelf(&[("b", 1), ("a", 1), ("x", 1), ("a", 2), ("b", 2), ("a", 3)]);
        let taken: Vec<_> = shelf.take(["a", "b"], 2_000).into_iter().map(|row| (row.tick, row.target)).collect();
        assert_eq!(taken, [(1, "a".into()), (1, "b".into()), (2, "a".into()), (2, "b".into())]);
        assert_eq!((shelf.take(["a"], u64::MAX).len(), shelf.take(["x"], u64::MAX).len()), (0, 1));
    }

    #[test]
    fn rows_of_a_lab_that_failed_do_not_stay_forever() {
        let mut shelf = shelf(&[("old", 1), ("new", FORGOTTEN)]);
        shelf.tidy(FORGOTTEN + 1);
        assert_eq!((shelf.take(["old"], u64::MAX).len(), shelf.take(["new"], u64::MAX).len()), (0, 1));
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let mut shelf = Shelf::default();
        (0..MOST_ROWS as u64 + 3).for_each(|tick| shelf.put(row("a", tick)));
        assert_eq!((shelf.left_out(), shelf.take(["a"], u64::MAX).len()), (3, MOST_ROWS));
    }
}
