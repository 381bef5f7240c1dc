//! The seconds of signals that the dashboard keeps, as a source that is played.

use std::collections::BTreeSet;

use netprecursor_core::signal::{Signal, Signals};

use super::super::history::{HOUR, Line};
use crate::{
    recording::{RecordingError, Row},
    replay::Source,
};

/// A copy of what is kept, so that the dashboard goes on while it is played.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The first second and the last, Unix s.
    from: u64,
    until: u64,
    targets: Vec<KeptTarget>,
    /// Whether more is kept of any target.
    pub(super) is_cut: bool,
    /// Targets beyond those that are played.
    pub(super) left_out: usize,
}

#[derive(Debug)]
struct KeptTarget {
    uid: String,
    name: String,
    /// With their seconds, oldest first. Seconds that did not arrive are left out, as they are in a recording.
    seconds: Vec<(u64, Signals)>,
}

impl Kept {
    /// The newest seconds up to `until` of the targets that are wanted, which come with identifier and name: so many that all
    /// targets together have at most `most`.
    pub(super) fn of<'a>(
        lines: impl Iterator<Item = (&'a str, &'a str, &'a Line)>,
        until: u64,
        uids: Option<&BTreeSet<String>>,
        (most_targets, most): (usize, usize),
    ) -> Self {
        let mut wanted: Vec<(&str, &str, &Line)> =
            lines.filter(|(uid, ..)| uids.is_none_or(|uids| uids.contains(*uid))).collect();
        let left_out = wanted.len().saturating_sub(most_targets);
        wanted.truncate(most_targets);
        let each = HOUR.min((most / wanted.len().max(1)) as u64);
        let from = (until + 1).saturating_sub(each);
        let is_cut = wanted.iter().any(|(.., line)| line.signals_since(0).next().is_some_and(|(unix, _)| unix < from));
        let targets: Vec<KeptTarget> =
            wanted.into_iter().map(|(uid, name, line)| KeptTarget::of((uid, name), line, from, until)).collect();
        // Ticks count from the first second that is there, as those of a recording do.
        let first = targets.iter().filter_map(|target| target.seconds.first()).map(|(unix, _)| *unix).min();
        let from = first.unwrap_or(from);
        Self { from, until, targets, is_cut, left_out }
    }

    /// How many targets are played.
    pub(super) const fn len(&self) -> usize {
        self.targets.len()
    }

    /// Seconds of each target at most.
    pub(super) const fn seconds(&self) -> u64 {
        self.until + 1 - self.from
    }
}

impl KeptTarget {
    fn of((uid, name): (&str, &str), line: &Line, from: u64, until: u64) -> Self {
        let seconds = line.signals_since(from).take_while(|(unix, _)| *unix <= until);
        let seconds = seconds.filter(|(_, signals)| arrived(signals)).map(|(unix, signals)| (unix, *signals));
        Self { uid: uid.to_owned(), name: name.to_owned(), seconds: seconds.collect() }
    }

    fn row(&self, unix: u64, tick: u64) -> Option<Row> {
        let at = self.seconds.binary_search_by_key(&unix, |(unix, _)| *unix).ok()?;
        let (_, signals) = self.seconds.get(at)?;
        Some(Row {
            tick,
            unix_ms: unix.saturating_mul(1_000),
            monotonic_ns: 0,
            target: self.name.clone(),
            uid: self.uid.clone(),
            floats: signals.as_slice().to_vec(),
        })
    }
}

/// Whether anything at all was measured in a second: the agent counts connections, load and pressure in each.
fn arrived(signals: &Signals) -> bool {
    let bits = |signals: &Signals| signals.as_slice().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    bits(signals) != bits(&Signals::ABSENT)
}

impl Source for Kept {
    fn position(&self, name: &str) -> Option<usize> {
        Signal::ALL.iter().position(|signal| signal.name() == name)
    }

    fn rows(&self) -> impl Iterator<Item = Result<Row, RecordingError>> + '_ {
        // Second by second over all targets, as the agent steps: what a rule learns, it learns of all of them.
        let seconds = self.from..=self.until;
        seconds.flat_map(move |unix| {
            self.targets.iter().filter_map(move |target| target.row(unix, unix - self.from)).map(Ok)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::history::History;

    fn measured(us: f32) -> Signals {
        let mut signals = Signals::ABSENT;
        signals.set(Signal::RttMax, us);
        signals
    }

    /// Seconds 1,000 to 1,099 of two targets, of which the second has no 1,050.
    fn history() -> History {
        let mut history = History::default();
        history.make_room(1_000, ["a", "b"].into_iter());
        for unix in 1_000..1_100 {
            history.record_signals("a", unix, measured(unix as f32));
            if unix != 1_050 {
                history.record_signals("b", unix, measured(1.0));
            }
        }
        history
    }

    fn kept(uids: Option<&[&str]>, most: (usize, usize)) -> Kept {
        let history = history();
        let lines = ["a", "b"].into_iter().filter_map(|uid| Some((uid, "web", history.line(uid)?)));
        let uids = uids.map(|uids| uids.iter().map(|uid| (*uid).to_owned()).collect());
        Kept::of(lines, 1_099, uids.as_ref(), most)
    }

    fn rows(kept: &Kept) -> Vec<(u64, String, u64)> {
        kept.rows().map(Result::unwrap).map(|row| (row.tick, row.uid, row.unix_ms / 1_000)).collect()
    }

    #[test]
    fn seconds_are_played_over_all_targets_and_those_that_did_not_arrive_are_left_out() {
        let kept = kept(None, (10, 100_000));
        let rows = rows(&kept);
        assert_eq!((rows.len(), kept.is_cut, kept.left_out), (199, false, 0));
        let first = &rows[..3];
        let unix = first.iter().map(|(.., unix)| *unix).collect::<Vec<_>>();
        assert_eq!(first.iter().map(|(_, uid, _)| uid.as_str()).collect::<Vec<_>>(), ["a", "b", "a"]);
        assert_eq!((unix, first[0].0, first[2].0), (vec![1_000, 1_000, 1_001], 0, 1));
        assert!(rows.iter().all(|(_, uid, unix)| uid == "a" || *unix != 1_050));
    }

    #[test]
    fn what_is_too_much_is_cut_to_the_newest_seconds_and_the_first_targets_and_said() {
        let cut = kept(None, (10, 60));
        assert_eq!((cut.is_cut, cut.seconds(), rows(&cut)[0].2, cut.len()), (true, 30, 1_070, 2));
        let one = kept(None, (1, 100_000));
        assert_eq!((one.len(), one.left_out), (1, 1));
    }

    #[test]
    fn targets_can_be_chosen_and_unknown_ones_are_none() {
        let one = kept(Some(&["b", "nobody"]), (10, 100_000));
        assert!(one.len() == 1 && rows(&one).iter().all(|(_, uid, _)| uid == "b"));
        assert_eq!(kept(Some(&["nobody"]), (10, 100_000)).len(), 0);
    }
}
