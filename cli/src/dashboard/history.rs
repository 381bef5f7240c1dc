//! What is kept of each target: an hour of points, and as many seconds of signals as there is room for.
//!
//! The arithmetic. A point takes 28 bytes, so an hour of seconds 100,800; 128 MiB hold that of 1,331 targets. Beyond, points are
//! kept by steps: 5 s to 6,657 targets, 10 s to 13,315 (10,000 targets take 101 MB), 30 s to 39,945, 60 s to 79,891; what is
//! more than that is refused and counted. A step keeps the highest of its seconds, so that no peak is lost. Signals take 184
//! bytes a second; another 128 MiB hold an hour of them for 202 targets, 12 minutes for 1,000, 72 s for 10,000.
//!
//! Targets that are gone are kept for an hour, so that alerts still have their charts. They go first when room is short.

use std::collections::{HashMap, HashSet};

use netprecursor_core::signal::Signals;

use super::{
    ring::{Ring, Slot},
    signals::Second,
};
pub(super) use crate::history::Point;

/// Seconds that are kept.
pub(super) const HOUR: u64 = 3_600;

/// Steps of points, each a multiple of the one before, s.
const STEPS: [u64; 5] = [1, 5, 10, 30, 60];

/// Bytes of points, and of signals.
const POINTS: usize = 128 << 20;
const SIGNALS: usize = 128 << 20;

impl Slot for Point {
    const ABSENT: Self = Self::ABSENT;

    fn merge(&mut self, later: Self) {
        self.merge(later);
    }
}

/// What is kept of a target.
#[derive(Debug)]
pub(super) struct Line {
    step: u64,
    points: Ring<Point>,
    signals: Ring<Second>,
    /// When it was there last, Unix s.
    seen: u64,
}

impl Line {
    fn new(step: u64, seen: u64) -> Self {
        Self { step, points: Ring::new(slots(step)), signals: Ring::new(1), seen }
    }

    /// Seconds of a step.
    pub(super) const fn step(&self) -> u64 {
        self.step
    }

    /// Points from a second on, with the seconds that their steps begin with.
    pub(super) fn points_since(&self, unix: u64) -> impl Iterator<Item = (u64, &Point)> {
        self.points.since(unix / self.step).map(move |(slot, point)| (slot * self.step, point))
    }

    /// Signals from a second on.
    pub(super) fn signals_since(&self, unix: u64) -> impl Iterator<Item = (u64, &Signals)> {
        self.signals.since(unix).map(|(unix, Second(signals))| (unix, signals))
    }

    fn coarsen(&mut self, step: u64) {
        if step > self.step {
            self.points = self.points.coarser(step / self.step, slots(step));
            self.step = step;
        }
    }
}

/// What is kept of all targets.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: HashMap<String, Line>,
    refused: usize,
    /// How many share the memory; none is one.
    shared_by: usize,
}

impl History {
    /// With an even share of the memory, of so many.
    pub(super) fn shared_by(shared_by: usize) -> Self {
        Self { shared_by, ..Self::default() }
    }

    /// So many targets, if all who share the memory had as many.
    fn in_all(&self, targets: usize) -> usize {
        targets.saturating_mul(self.shared_by.max(1))
    }

    /// Targets that have room at the coarsest step.
    fn most(&self) -> usize {
        MOST / self.shared_by.max(1)
    }

    /// Makes room for the targets that are there at `unix`.
    pub(super) fn make_room<'a>(&mut self, unix: u64, uids: impl Iterator<Item = &'a str>) {
        let present: HashSet<&str> = uids.collect();
        self.lines.retain(|uid, line| present.contains(uid.as_str()) || line.seen + HOUR > unix);
        let surplus = (self.lines.len() + present.iter().filter(|uid| !self.lines.contains_key(**uid)).count())
            .saturating_sub(self.most());
        self.forget_gone(surplus, &present);
        self.refused = 0;
        for uid in present {
            if let Some(line) = self.lines.get_mut(uid) {
                line.seen = unix;
            } else if self.lines.len() < self.most() {
                let step = step_for(self.in_all(self.lines.len() + 1));
                self.lines.insert(uid.to_owned(), Line::new(step, unix));
            } else {
                self.refused += 1;
            }
        }
        let targets = self.in_all(self.lines.len());
        let (step, seconds) = (step_for(targets), signal_seconds(targets));
        for line in self.lines.values_mut() {
            line.coarsen(step);
            line.signals.resize(seconds);
        }
    }

    /// Those that went first.
    fn forget_gone(&mut self, surplus: usize, present: &HashSet<&str>) {
        if surplus == 0 {
            return;
        }
        let gone = self.lines.iter().filter(|(uid, _)| !present.contains(uid.as_str()));
        let mut gone: Vec<_> = gone.map(|(uid, line)| (line.seen, uid.clone())).collect();
        gone.sort();
        for (_, uid) in gone.into_iter().take(surplus) {
            self.lines.remove(&uid);
        }
    }

    /// Takes in a point of a target that has room.
    pub(super) fn record(&mut self, uid: &str, unix: u64, point: Point) {
        if let Some(line) = self.lines.get_mut(uid) {
            line.points.record(unix / line.step, point);
        }
    }

    /// Takes in the signals of a target that has room.
    pub(super) fn record_signals(&mut self, uid: &str, unix: u64, signals: Signals) {
        if let Some(line) = self.lines.get_mut(uid) {
            line.signals.record(unix, Second(signals));
        }
    }

    /// What is kept of a target.
    pub(super) fn line(&self, uid: &str) -> Option<&Line> {
        self.lines.get(uid)
    }

    /// The oldest second of which signals of any target are kept.
    pub(super) fn oldest_signals(&self) -> Option<u64> {
        self.lines.values().filter_map(|line| line.signals.oldest()).min()
    }

    /// Targets that are there and have no room.
    pub(super) const fn refused(&self) -> usize {
        self.refused
    }

    /// Forgets everything: the agent's clock was set back.
    pub(super) fn clear(&mut self) {
        self.lines.clear();
    }
}

/// Targets that fit at the coarsest step.
const MOST: usize = POINTS / (size_of::<Point>() * (HOUR / STEPS[STEPS.len() - 1]) as usize);

/// Steps of an hour.
const fn slots(step: u64) -> usize {
    (HOUR / step) as usize
}

/// The finest step at which so many targets fit.
fn step_for(targets: usize) -> u64 {
    let fits = |step: &u64| targets.saturating_mul(slots(*step) * size_of::<Point>()) <= POINTS;
    STEPS.into_iter().find(fits).unwrap_or(STEPS[STEPS.len() - 1])
}

/// Seconds of signals that fit for so many targets.
fn signal_seconds(targets: usize) -> usize {
    (SIGNALS / (size_of::<Second>() * targets.max(1))).min(HOUR as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(us: f32) -> Point {
        Point { measured_us: us, ..Point::ABSENT }
    }

    fn points(history: &History, uid: &str) -> Vec<(u64, f32)> {
        history.line(uid).unwrap().points_since(0).map(|(unix, point)| (unix, point.measured_us)).collect()
    }

    #[test]
    fn the_arithmetic_of_the_documentation_holds() {
        assert_eq!((size_of::<Point>(), size_of::<Second>()), (28, 184));
        let steps = [
            (1, 1),
            (1_331, 1),
            (1_332, 5),
            (6_657, 5),
            (6_658, 10),
            (10_000, 10),
            (13_315, 10),
            (13_316, 30),
            (39_946, 60),
            (MOST, 60),
        ];
        for (targets, step) in steps {
            assert_eq!(step_for(targets), step, "{targets} targets");
        }
        assert_eq!(MOST, 79_891);
        assert_eq!([1, 202, 1_000, 10_000].map(signal_seconds), [3_600, 3_600, 729, 72]);
    }

    #[test]
    fn a_step_keeps_the_highest_and_leaves_out_what_was_not_measured() {
        let mut point = measured(f32::NAN);
        point.merge(Point { threshold_us: 200.0, ..measured(5.0) });
        point.merge(Point { chance: 0.5, firing: true, ..measured(f32::NAN) });
        assert_eq!((point.measured_us, point.chance, point.threshold_us, point.firing), (5.0, 0.5, 200.0, true));
    }

    #[test]
    fn points_of_a_target_come_back_with_their_seconds() {
        let mut history = History::default();
        history.make_room(1_000, ["a"].into_iter());
        history.record("a", 1_000, measured(1.0));
        history.record("a", 1_002, measured(3.0));
        history.record("nobody", 1_002, measured(9.0));
        let kept = points(&history, "a");
        assert_eq!((kept[0], kept[2], kept[1].1.is_nan(), kept.len()), ((1_000, 1.0), (1_002, 3.0), true, 3));
    }

    #[test]
    fn more_targets_make_steps_coarser_without_losing_a_peak() {
        let mut history = History::default();
        history.make_room(1_000, ["a"].into_iter());
        for (unix, us) in [(1_001, 7.0), (1_004, 900.0), (1_006, 8.0)] {
            history.record("a", unix, measured(us));
        }
        let many: Vec<String> = (0..2_000).map(|i| format!("t{i}")).collect();
        history.make_room(1_007, many.iter().map(String::as_str).chain(["a"]));
        assert_eq!(points(&history, "a"), [(1_000, 900.0), (1_005, 8.0)]);
        assert_eq!(history.line("t5").unwrap().step(), 5);
    }

    #[test]
    fn a_target_that_is_gone_is_kept_for_an_hour() {
        let mut history = History::default();
        history.make_room(1_000, ["a", "b"].into_iter());
        history.make_room(1_000 + HOUR - 1, ["b"].into_iter());
        assert!(history.line("a").is_some());
        history.make_room(1_000 + HOUR, ["b"].into_iter());
        assert!(history.line("a").is_none() && history.line("b").is_some());
    }

    #[test]
    fn what_has_no_room_is_counted_and_those_that_went_first_make_room() {
        let mut history = History::default();
        history.make_room(1_000, ["gone"].into_iter());
        let many: Vec<String> = (0..=MOST).map(|i| format!("t{i}")).collect();
        history.make_room(1_001, many.iter().map(String::as_str));
        assert_eq!((history.refused(), history.lines.len()), (1, MOST));
        assert!(history.line("gone").is_none());
    }

    #[test]
    fn who_shares_the_memory_has_room_as_if_all_had_as_many_targets() {
        let mut history = History::shared_by(8);
        let many: Vec<String> = (0..=MOST / 8).map(|i| format!("t{i}")).collect();
        history.make_room(1_000, many.iter().take(166).map(String::as_str));
        assert_eq!(history.line("t0").unwrap().step(), 1);
        history.make_room(1_001, many.iter().take(167).map(String::as_str));
        assert_eq!(history.line("t0").unwrap().step(), 5);
        history.make_room(1_002, many.iter().map(String::as_str));
        assert_eq!((history.refused(), history.lines.len()), (1, MOST / 8));
    }

    #[test]
    fn signals_are_kept_by_the_second() {
        let mut history = History::default();
        history.make_room(1_000, ["a"].into_iter());
        history.record_signals("a", 1_000, Signals::ABSENT);
        history.record_signals("a", 1_002, Signals::ABSENT);
        let seconds: Vec<u64> = history.line("a").unwrap().signals_since(1_001).map(|(unix, _)| unix).collect();
        assert_eq!((seconds, history.oldest_signals()), (vec![1_001, 1_002], Some(1_000)));
    }
}
