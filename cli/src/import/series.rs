//! A series as it grows: seconds in order, each once, without jumps. It knows nothing of files.

use netprecursor_core::gate::STALE_TICKS;

use super::{
    error::Reason,
    moment::Moment,
    second::{Probes, Second},
};

/// The furthest that time may go from one row to the next, in seconds: a day.
const MAX_JUMP: u64 = 86_400;
/// Seconds that time goes back by when a clock was set rather than rows swapped.
const CLOCK: u64 = 60;
/// Probes in one second.
const MAX_PROBES: usize = 1_000_000;
/// The smallest round-trip time of a series is less than this many µs on every network of this planet.
const MAX_SMALLEST_US: f32 = 3_000_000.0;
/// Seconds from which the usual distance of two is known.
const KNOWN: usize = 10;

/// How a file separates its series; errors advise accordingly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeriesBy {
    /// A column of CSV names them.
    Column,
    /// A file of CSV is one series.
    File,
    /// The output of a program is one series.
    Program,
}

impl SeriesBy {
    const fn fix(self) -> &'static str {
        match self {
            Self::Column => "name another column with --series-column",
            Self::File => "name the column of series with --series-column",
            Self::Program => "split the file where another run begins",
        }
    }
}

/// A series that grows by probes or by whole seconds.
#[derive(Debug)]
pub(super) struct Series {
    name: String,
    by: SeriesBy,
    seconds: Vec<Second>,
    /// The newest second, while it is made of probes.
    probes: Option<(u64, Probes)>,
    /// The newest row: when, and on which line.
    last: Option<(Moment, u64)>,
    is_wall: bool,
}

/// A whole series.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) name: String,
    /// In order, each once, with holes.
    pub(super) seconds: Vec<Second>,
    /// Whether ticks are Unix seconds.
    pub(super) is_wall: bool,
    /// Seconds with a round-trip time.
    pub(super) measured: usize,
    /// Runs of seconds without one.
    pub(super) gaps: usize,
    pub(super) median_us: f32,
    pub(super) p99_us: f32,
}

impl Series {
    pub(super) const fn new(name: String, by: SeriesBy) -> Self {
        Self { name, by, seconds: Vec::new(), probes: None, last: None, is_wall: false }
    }

    /// Makes room for what was measured at a moment, for as many readings as the caller adds. Returns whether a second
    /// began.
    pub(super) fn probe(&mut self, at: Moment, line: u64, add: impl FnOnce(&mut Probes)) -> Result<bool, Reason> {
        self.advance(at, line)?;
        let tick = at.second();
        let is_new = self.probes.as_ref().is_none_or(|(open, _)| *open != tick);
        if is_new {
            self.close_second();
        }
        let (_, probes) = self.probes.get_or_insert_with(|| (tick, Probes::default()));
        if probes.count() >= MAX_PROBES {
            let unit = if self.by == SeriesBy::Program { "its time" } else { "--time-unit" };
            return Err(Reason::Dense { second: tick, limit: MAX_PROBES, unit });
        }
        probes.enter(at);
        add(probes);
        Ok(is_new)
    }

    /// Takes in a whole second, whose tick is that of the moment.
    pub(super) fn second(&mut self, at: Moment, line: u64, mut second: Second) -> Result<(), Reason> {
        if let Some((last, first)) = self.last
            && last.second() == at.second()
        {
            let fix = match (self.by, last.is_whole() && at.is_whole()) {
                (SeriesBy::Column, true) => "remove one of them",
                (SeriesBy::Column, false) => {
                    "remove one, or give --rtt-column for one row a probe; is --time-unit right?"
                }
                (_, true) => "remove one, or name the column of series with --series-column",
                (_, false) => {
                    "remove one, name the column of series with --series-column, or give --rtt-column for one row a probe; is \
                     --time-unit right?"
                }
            };
            return Err(Reason::Twice { second: at.second(), series: self.shown(), first, fix });
        }
        self.advance(at, line)?;
        second.tick = at.second();
        self.seconds.push(second);
        Ok(())
    }

    /// When the newest row was, and its line.
    pub(super) const fn last(&self) -> Option<(Moment, u64)> {
        self.last
    }

    /// Seconds so far.
    pub(super) fn len(&self) -> usize {
        self.seconds.len() + usize::from(self.probes.is_some())
    }

    /// How messages name it, where a file holds several.
    pub(super) fn shown(&self) -> String {
        if self.by == SeriesBy::Column { format!(" in series '{}'", self.name) } else { String::new() }
    }

    fn advance(&mut self, at: Moment, line: u64) -> Result<(), Reason> {
        if let Some((last, _)) = self.last {
            let fix = self.by.fix();
            if at < last {
                let is_clock = last.second() - at.second() > CLOCK;
                let (got, last, series) = (at.shown(), last.shown(), self.shown());
                return Err(Reason::Back { got, last, series, is_clock, fix });
            }
            let ahead = at.second() - last.second();
            if ahead > MAX_JUMP {
                return Err(Reason::Jump { got: at.shown(), ahead, series: self.shown(), limit: MAX_JUMP, fix });
            }
        } else {
            self.is_wall = at.is_wall();
        }
        self.last = Some((at, line));
        Ok(())
    }

    fn close_second(&mut self) {
        if let Some((tick, mut probes)) = self.probes.take() {
            self.seconds.push(probes.close(tick));
        }
    }

    /// The whole series, when it can be one of round-trip times.
    pub(super) fn close(mut self) -> Result<Whole, Reason> {
        self.close_second();
        let (name, seconds) = (self.name, self.seconds);
        let measured = || seconds.iter().filter(|second| second.max_us().is_some());
        let mut max_us: Vec<f32> = measured().filter_map(Second::max_us).collect();
        let is_program = self.by == SeriesBy::Program;
        if max_us.is_empty() {
            let fix = if is_program { "nothing answered" } else { "is the column right?" };
            return Err(Reason::Silent { series: name, seconds: seconds.len(), fix });
        }
        let mut steps: Vec<u64> =
            measured().zip(measured().skip(1)).map(|(before, after)| after.tick - before.tick).collect();
        let gaps = steps.iter().filter(|step| **step > 1).count();
        let middle = steps.len() / 2;
        if steps.len() >= KNOWN {
            let (_, step, _) = steps.select_nth_unstable(middle);
            if *step > STALE_TICKS {
                let fix =
                    if is_program { "probe every second" } else { "probe every second; or is --time-unit right?" };
                return Err(Reason::Sparse { series: name, step: *step, limit: STALE_TICKS, fix });
            }
        }
        let mut rank = |q: f64| {
            let position = ((q * max_us.len() as f64) as usize).min(max_us.len() - 1);
            *max_us.select_nth_unstable_by(position, f32::total_cmp).1
        };
        let (median_us, p99_us) = (rank(0.5), rank(0.99));
        if max_us.iter().all(|us| *us > MAX_SMALLEST_US) {
            let unit = if is_program { "the source" } else { "--unit" };
            return Err(Reason::Slow { series: name, limit_s: MAX_SMALLEST_US / 1e6, unit });
        }
        let measured = max_us.len();
        Ok(Whole { name, seconds, is_wall: self.is_wall, measured, gaps, median_us, p99_us })
    }
}

#[cfg(test)]
mod tests {
    use netprecursor_core::signal::Signal;

    use super::*;
    use crate::import::moment::TimeUnit;

    fn at(text: &str) -> Moment {
        Moment::parse(text, TimeUnit::S, false).unwrap()
    }

    /// A series of one row a second.
    fn seconds(rows: &[(&str, f32)]) -> Result<Series, Reason> {
        let mut series = Series::new("a".into(), SeriesBy::File);
        for (line, (time, us)) in (2..).zip(rows) {
            let mut second = Second::silent(0);
            second.set(Signal::RttMax, *us);
            series.second(at(time), line, second)?;
        }
        Ok(series)
    }

    fn refused(rows: &[(&str, f32)]) -> String {
        seconds(rows).and_then(Series::close).unwrap_err().to_string()
    }

    #[test]
    fn probes_gather_by_second_and_a_lost_one_leaves_its_second_silent() {
        let mut series = Series::new("a".into(), SeriesBy::Program);
        let probes = [("0.1", Some(20.0)), ("0.9", Some(30.0)), ("1.5", None), ("3.0", Some(40.0))];
        let begun: Vec<bool> = probes
            .into_iter()
            .map(|(time, us)| {
                series.probe(at(time), 1, |probes| us.into_iter().for_each(|us| probes.add_rtt(us))).unwrap()
            })
            .collect();
        assert_eq!((begun, series.len()), (vec![true, false, true, true], 3));
        let whole = series.close().unwrap();
        let max: Vec<_> = whole.seconds.iter().map(|second| (second.tick, second.max_us())).collect();
        assert_eq!(max, [(0, Some(30.0)), (1, None), (3, Some(40.0))]);
        assert_eq!((whole.measured, whole.gaps), (2, 1));
    }

    #[test]
    fn rows_out_of_order_twice_or_far_apart_are_refused() {
        assert!(refused(&[("5", 9.0), ("4", 9.0)]).contains("got time 4 after 5"));
        assert!(!refused(&[("5", 9.0), ("4", 9.0)]).contains("clock"));
        assert!(refused(&[("500", 9.0), ("4", 9.0)]).contains("clock was set back"));
        let twice = refused(&[("5", 9.0), ("5", 9.0)]);
        assert!(
            twice.contains("second 5 again") && twice.contains("line 2") && twice.contains("--series-column"),
            "{twice}"
        );
        assert!(refused(&[("5.1", 9.0), ("5.9", 9.0)]).contains("--rtt-column"));
        assert!(refused(&[("5", 9.0), ("86406", 9.0)]).contains("86401 s after"));
        assert!(seconds(&[("5", 9.0), ("86405", 9.0)]).is_ok());
    }

    #[test]
    fn a_series_of_implausible_steps_or_values_is_refused_as_a_whole() {
        let every = |step: u64, us: f32| {
            let times: Vec<String> = (0..20).map(|row| (row * step).to_string()).collect();
            seconds(&times.iter().map(|time| (time.as_str(), us)).collect::<Vec<_>>()).and_then(Series::close)
        };
        assert!(every(1, 20_000.0).is_ok() && every(10, 20_000.0).is_ok());
        assert!(every(11, 20_000.0).unwrap_err().to_string().contains("every 11 s"));
        assert!(every(1, 2.9e6).is_ok());
        assert!(every(1, 26e6).unwrap_err().to_string().contains("is --unit right?"));
        assert!(refused(&[("5", f32::NAN)]).contains("no round-trip time in 1 s"));
    }

    #[test]
    fn a_clock_is_one_from_the_year_2000_on() {
        let is_wall = |time| seconds(&[(time, 9.0)]).unwrap().close().unwrap().is_wall;
        assert!(is_wall("1700000000") && !is_wall("0") && !is_wall("86400"));
    }
}
