//! What came and is not on disk yet. Pure, and bounded: while nothing can be written the oldest goes first and is counted.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use super::{ledger::AlertKey, point::Point, tier::Tier};

/// Rows that wait: a few hours of 110 targets, and half an hour of 1,000. One takes about 400 bytes, so all take 80 MB.
const MOST_ROWS: usize = 200_000;

/// Alerts that wait. One takes about a kilobyte.
const MOST_ALERTS: usize = 10_000;

/// Targets that are described; an agent has no more.
const MOST_ABOUTS: usize = 100_000;

/// Ten seconds of a target.
pub(super) type Row = [Point; Tier::Fine.points()];

/// What is written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// By the first second and the target's identifier.
    pub(super) rows: BTreeMap<(u64, String), Row>,
    /// As JSON.
    pub(super) alerts: BTreeMap<AlertKey, String>,
    /// What targets are, as JSON, by their identifiers.
    pub(super) abouts: HashMap<String, String>,
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    batch: Batch,
    lost: u64,
}

impl Pending {
    /// Takes in a second of a target. A second that is not measured takes no room.
    pub(super) fn record(&mut self, uid: &str, unix: u64, point: Point) {
        if point.is_absent() {
            return;
        }
        let row = self.batch.rows.entry((Tier::Fine.start(unix), uid.to_owned()));
        if let Some(kept) = row.or_insert([Point::ABSENT; Tier::Fine.points()]).get_mut(Tier::Fine.place(unix)) {
            kept.merge(point);
        }
        self.bound();
    }

    /// Takes in an alert.
    pub(super) fn alert(&mut self, key: AlertKey, json: String) {
        self.batch.alerts.insert(key, json);
        self.bound();
    }

    /// Takes in what a target is.
    pub(super) fn about(&mut self, uid: String, json: String) {
        if self.batch.abouts.len() < MOST_ABOUTS || self.batch.abouts.contains_key(&uid) {
            self.batch.abouts.insert(uid, json);
        }
    }

    /// What is to be written now.
    pub(super) fn take(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    /// Takes back what could not be written; what came since is later.
    pub(super) fn put_back(&mut self, batch: Batch) {
        for (key, row) in batch.rows {
            match self.batch.rows.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(row);
                }
                Entry::Occupied(mut entry) => {
                    for (kept, mut earlier) in entry.get_mut().iter_mut().zip(row) {
                        earlier.merge(*kept);
                        *kept = earlier;
                    }
                }
            }
        }
        for (key, json) in batch.alerts {
            self.batch.alerts.entry(key).or_insert(json);
        }
        for (uid, json) in batch.abouts {
            self.batch.abouts.entry(uid).or_insert(json);
        }
        self.bound();
    }

    /// Seconds of targets, and alerts, that had to go before they were written.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Counts what could not be kept for another reason.
    pub(super) const fn lose(&mut self, count: u64) {
        self.lost = self.lost.saturating_add(count);
    }

    fn bound(&mut self) {
        while self.batch.rows.len() > MOST_ROWS {
            let Some((_, row)) = self.batch.rows.pop_first() else { break };
            self.lost += row.iter().filter(|point| !point.is_absent()).count() as u64;
        }
        while self.batch.alerts.len() > MOST_ALERTS {
            self.batch.alerts.pop_first();
            self.lost += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(us: f32) -> Point {
        Point { measured_us: us, ..Point::ABSENT }
    }

    fn seconds(pending: &mut Pending) -> Vec<(u64, f32)> {
        let all = pending.take().rows.into_iter().flat_map(|((start, _), row)| (start..).zip(row));
        all.filter(|(_, point)| !point.is_absent()).map(|(unix, point)| (unix, point.measured_us)).collect()
    }

    #[test]
    fn seconds_wait_in_rows_and_the_highest_of_a_second_counts() {
        let mut pending = Pending::default();
        for (unix, us) in [(1_009, 5.0), (1_010, 7.0), (1_009, 9.0), (1_009, 2.0)] {
            pending.record("a", unix, measured(us));
        }
        assert_eq!(seconds(&mut pending), [(1_009, 9.0), (1_010, 7.0)]);
        assert!(pending.take().rows.is_empty());
    }

    #[test]
    fn a_second_that_was_not_measured_takes_no_room() {
        let mut pending = Pending::default();
        pending.record("a", 1_000, Point { threshold_us: 200.0, ..Point::ABSENT });
        assert!(pending.take().rows.is_empty());
    }

    #[test]
    fn what_could_not_be_written_waits_behind_what_came_since() {
        let mut pending = Pending::default();
        pending.record("a", 1_000, Point { threshold_us: 100.0, ..measured(9.0) });
        pending.alert((5, "x".to_owned()), "before".to_owned());
        let batch = pending.take();
        pending.record("a", 1_000, Point { threshold_us: 200.0, ..measured(3.0) });
        pending.alert((5, "x".to_owned()), "since".to_owned());
        pending.put_back(batch);
        let batch = pending.take();
        let point = batch.rows[&(1_000, "a".to_owned())][0];
        assert_eq!((point.measured_us, point.threshold_us), (9.0, 200.0));
        assert_eq!(batch.alerts.into_values().collect::<Vec<_>>(), ["since"]);
    }

    #[test]
    fn while_nothing_can_be_written_the_oldest_goes_first_and_is_counted() {
        let mut pending = Pending::default();
        for row in 0..MOST_ROWS as u64 + 2 {
            pending.record("a", 10 * row, measured(1.0));
        }
        assert_eq!((pending.lost(), pending.take().rows.len()), (2, MOST_ROWS));
        for fired in 0..=MOST_ALERTS as u64 {
            pending.alert((fired, "x".to_owned()), String::new());
        }
        assert_eq!(
            (pending.lost(), pending.take().alerts.first_key_value().map(|((fired, _), _)| *fired)),
            (3, Some(1))
        );
    }
}
