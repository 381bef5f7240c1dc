//! Output of ping: an answer counts in the second in which it came, which is the time in front of its line; a probe that
//! is lost leaves its second without a round-trip time.

mod line;

use self::line::Line;
use super::{
    error::{ImportError, Reason},
    moment::Moment,
    series::SeriesBy,
    shelf::Shelf,
    shown::shown,
    text::Text,
};

/// Numbers that a sequence has before it begins anew (RFC 792: 16 bits).
const SEQUENCE: u64 = 1 << 16;
/// Probes of a file without times, which are sorted before they are a series.
const MAX_PROBES: usize = 10_000_000;

/// Reads a file. `interval_s` is the time between probes, for output that has no times.
pub(super) fn read(text: &mut Text, name: &str, interval_s: Option<f64>, shelf: &mut Shelf) -> Result<(), ImportError> {
    let place = shelf.place(name, SeriesBy::Program, text.path(), "").map_err(|reason| reason.at(text.path(), None))?;
    let mut log = Log { interval_s, ..Log::default() };
    while let Some(line) = text.next_line()? {
        let line = String::from_utf8_lossy(line).into_owned();
        log.line(&line, text.line(), place, shelf).map_err(|reason| text.error(reason))?;
    }
    if log.answers == 0 {
        return Err(Reason::NoAnswers.at(text.path(), None));
    }
    log.replay(place, shelf).map_err(|(line, reason)| reason.at(text.path(), line))
}

/// What was read so far.
#[derive(Debug, Default)]
struct Log {
    interval_s: Option<f64>,
    answers: u64,
    /// Whether a run is summed up.
    is_over: bool,
    host: Option<String>,
    /// Who answers in this run.
    from: Option<String>,
    newest: Option<(Moment, u64)>,
    /// Probes by number, of a file without times.
    untimed: Vec<Untimed>,
    sequence: u64,
}

#[derive(Debug, Clone, Copy)]
struct Untimed {
    sequence: u64,
    line: u64,
    rtt_us: Option<f32>,
}

impl Log {
    fn line(&mut self, line: &str, number: u64, place: usize, shelf: &mut Shelf) -> Result<(), Reason> {
        if self.is_over && !line.trim_start_matches("^C").starts_with("PING ") {
            return Ok(());
        }
        match Line::parse(line)? {
            Line::Nothing => Ok(()),
            Line::End => {
                self.is_over = true;
                Ok(())
            }
            Line::Begin { host } => self.begin(host),
            Line::Answer { is_duplicate: true, .. } => Ok(()),
            Line::Answer { at, sequence, from, rtt_us, .. } => {
                self.answers += 1;
                same("answers of", &mut self.from, from)?;
                self.probe(at, sequence, Some(rtt_us), number, place, shelf)
            }
            Line::Lost { at, sequence } => self.probe(at, sequence, None, number, place, shelf),
        }
    }

    /// A run of the same host goes on with the series; its address may be another one.
    fn begin(&mut self, host: &str) -> Result<(), Reason> {
        if !self.untimed.is_empty() {
            return Err(Reason::TwoRuns);
        }
        (self.is_over, self.from, self.newest) = (false, None, None);
        same("a run of ping to", &mut self.host, host)
    }

    fn probe(
        &mut self,
        at: Option<Moment>,
        sequence: u64,
        rtt_us: Option<f32>,
        line: u64,
        place: usize,
        shelf: &mut Shelf,
    ) -> Result<(), Reason> {
        match (at, self.interval_s) {
            (Some(_), Some(_)) => Err(Reason::TwoClocks),
            (Some(at), None) => {
                if rtt_us.is_some() && self.newest.replace((at, sequence)) == Some((at, sequence)) {
                    let first = shelf.series(place).last().map_or(line, |(_, line)| line);
                    return Err(Reason::SameRow { series: String::new(), first });
                }
                shelf.probe(place, at, line, |probes| rtt_us.into_iter().for_each(|us| probes.add_rtt(us)))
            }
            (None, None) => Err(Reason::NoClock),
            (None, Some(_)) if self.untimed.len() >= MAX_PROBES => Err(Reason::Long { limit: MAX_PROBES }),
            (None, Some(_)) => {
                self.sequence = unwrapped(sequence, self.sequence);
                self.untimed.push(Untimed { sequence: self.sequence, line, rtt_us });
                Ok(())
            }
        }
    }

    /// Probes by their number as a series: answers that came late are in their places.
    fn replay(mut self, place: usize, shelf: &mut Shelf) -> Result<(), (u64, Reason)> {
        let interval_s = self.interval_s.unwrap_or_default();
        self.untimed.sort_by_key(|probe| probe.sequence);
        let begin = self.untimed.first().map_or(0, |probe| probe.sequence);
        let mut answered: Option<Untimed> = None;
        for probe in self.untimed {
            let failed = |reason| (probe.line, reason);
            if let Some(twice) = answered.filter(|last| last.sequence == probe.sequence && probe.rtt_us.is_some()) {
                return Err(failed(Reason::SameRow { series: String::new(), first: twice.line }));
            }
            answered = Some(probe).filter(|probe| probe.rtt_us.is_some()).or(answered);
            let at = Moment::from_seconds(0).plus_seconds((probe.sequence - begin) as f64 * interval_s);
            let at = at.ok_or_else(|| failed(Reason::Long { limit: MAX_PROBES }))?;
            let add = |probes: &mut super::second::Probes| probe.rtt_us.into_iter().for_each(|us| probes.add_rtt(us));
            shelf.probe(place, at, probe.line, add).map_err(failed)?;
        }
        Ok(())
    }
}

/// Refuses another value than the first.
fn same(what: &str, first: &mut Option<String>, got: &str) -> Result<(), Reason> {
    let first = first.get_or_insert_with(|| got.to_owned());
    if first == got {
        return Ok(());
    }
    let (what, first, fix) = (what.to_owned(), shown(first), "split the file by address".to_owned());
    Err(Reason::Mixed { what, first, got: shown(got), fix })
}

/// The number nearest to the newest one that ends in these 16 bits.
fn unwrapped(sequence: u64, newest: u64) -> u64 {
    if sequence >= SEQUENCE {
        return sequence;
    }
    let same_round = newest - newest % SEQUENCE + sequence;
    if same_round + SEQUENCE / 2 < newest {
        same_round + SEQUENCE
    } else if same_round > newest + SEQUENCE / 2 && same_round >= SEQUENCE {
        same_round - SEQUENCE
    } else {
        same_round
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::import::series::Whole;

    fn read(log: &str, interval_s: Option<f64>) -> Result<Whole, String> {
        let mut shelf = Shelf::default();
        let mut text = Text::of(Path::new("p.log"), log.as_bytes()).map_err(|error| error.to_string())?;
        super::read(&mut text, "web", interval_s, &mut shelf).map_err(|error| error.to_string())?;
        let whole = shelf.close().next().map(|(_, whole)| whole);
        whole.ok_or("nothing".to_owned())?.map_err(|reason| reason.to_string())
    }

    fn maxima(whole: &Whole) -> Vec<(u64, Option<f32>)> {
        whole.seconds.iter().map(|second| (second.tick, second.max_us())).collect()
    }

    const LOG: &str = "\
PING one.one (1.1.1.1) 56(84) bytes of data.
[1700000000.1] 64 bytes from one.one (1.1.1.1): icmp_seq=1 ttl=57 time=12.5 ms
[1700000001.1] 64 bytes from one.one (1.1.1.1): icmp_seq=2 ttl=57 time=13.5 ms
[1700000003.1] no answer yet for icmp_seq=3
[1700000004.1] 64 bytes from one.one (1.1.1.1): icmp_seq=4 ttl=57 time=12.0 ms
[1700000004.2] 64 bytes from one.one (1.1.1.1): icmp_seq=3 ttl=57 time=2100 ms
[1700000004.3] 64 bytes from one.one (1.1.1.1): icmp_seq=3 ttl=57 time=2200 ms (DUP!)

--- one.one ping statistics ---
4 packets transmitted, 4 received, +1 duplicates, 0% packet loss, time 4100ms
rtt min/avg/max/mdev = 12.0/534.5/2100/901.2 ms, pipe 3
";

    #[test]
    fn an_answer_counts_when_it_came_and_a_lost_probe_leaves_its_second_silent() {
        let whole = read(LOG, None).unwrap();
        assert_eq!(
            maxima(&whole),
            [
                (1_700_000_000, Some(12_500.0)),
                (1_700_000_001, Some(13_500.0)),
                (1_700_000_003, None),
                (1_700_000_004, Some(2_100_000.0))
            ]
        );
        assert!(whole.is_wall);
    }

    #[test]
    fn runs_to_one_host_are_one_series_and_to_another_are_refused() {
        let later = LOG.replace("[17000000", "[17000001").replace("(1.1.1.1)", "(1.0.0.1)");
        assert_eq!(read(&format!("{LOG}{later}"), None).unwrap().seconds.len(), 8);
        let error = read(&format!("{LOG}{}", later.replace("one.one", "two.two")), None).unwrap_err();
        assert!(error.starts_with("p.log:12: ") && error.contains("'two.two' after 'one.one'"), "{error}");
        let error = read(&LOG.replacen("(1.1.1.1): icmp_seq=2", "(9.9.9.9): icmp_seq=2", 1), None).unwrap_err();
        assert!(error.starts_with("p.log:3: ") && error.contains("(9.9.9.9)"), "{error}");
    }

    #[test]
    fn a_clock_that_was_set_and_a_line_that_is_there_twice_are_refused() {
        let error = read(&LOG.replace("[1700000004.1]", "[1699990000.1]"), None).unwrap_err();
        assert!(error.starts_with("p.log:5: ") && error.contains("clock was set back"), "{error}");
        let error = read(&LOG.replace("[1700000004", "[1800000004"), None).unwrap_err();
        assert!(error.starts_with("p.log:5: ") && error.contains("the clock was set"), "{error}");
        let line = "[1700000001.1] 64 bytes from one.one (1.1.1.1): icmp_seq=2 ttl=57 time=13.5 ms\n";
        let error = read(&LOG.replace(line, &line.repeat(2)), None).unwrap_err();
        assert!(error.starts_with("p.log:4: ") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn output_without_times_needs_an_interval_and_then_goes_by_numbers() {
        let log = LOG
            .lines()
            .map(|line| if line.starts_with('[') { line.split_once("] ").map_or(line, |(_, rest)| rest) } else { line })
            .collect::<Vec<_>>()
            .join("\n");
        let error = read(&log, None).unwrap_err();
        assert!(
            error.starts_with("p.log:2: ") && error.contains("ping -D -O") && error.contains("--interval"),
            "{error}"
        );
        let whole = read(&log, Some(1.0)).unwrap();
        let expected = [(0, Some(12_500.0)), (1, Some(13_500.0)), (2, Some(2_100_000.0)), (3, Some(12_000.0))];
        assert_eq!((maxima(&whole), whole.is_wall), (expected.to_vec(), false));
        assert!(read(LOG, Some(1.0)).unwrap_err().contains("leave --interval out"));
        assert!(read(&format!("{log}\n{log}"), Some(1.0)).unwrap_err().contains("second run"));
    }

    #[test]
    fn sequences_go_on_after_16_bits() {
        assert_eq!(unwrapped(0, 65_535), 65_536);
        assert_eq!(unwrapped(65_535, 65_536), 65_535);
        assert_eq!(unwrapped(3, 2 * 65_536 - 1), 2 * 65_536 + 3);
        assert_eq!((unwrapped(5, 0), unwrapped(40_000, 0)), (5, 40_000));
    }

    #[test]
    fn a_log_without_answers_is_none() {
        let error = read("PING 1.1.1.1 (1.1.1.1) 56(84) bytes of data.\n[1.0] no answer yet for icmp_seq=1\n", None);
        assert!(error.unwrap_err().contains("no answer of ping"));
    }

    proptest! {
        #[test]
        fn whatever_a_log_says_it_is_read_or_refused_with_a_reason(
            lines in prop::collection::vec("(\\[[0-9.]{0,14}\\] )?(64 bytes from a: |From b )?(icmp_seq=[0-9]{0,7})?( ttl=5)?( time[=<][0-9.,-]{0,6} ms)?", 0..12),
            interval in prop::option::of(0.001..10.0_f64),
        ) {
            if let Err(error) = read(&lines.join("\n"), interval) {
                prop_assert!(error.contains("got") && error.contains("expected"), "{}", error);
            }
        }
    }
}
