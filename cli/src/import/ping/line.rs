//! One line of ping: iputils with -D, -O or without, BusyBox and BSD, in any language, since programs translate their words
//! and leave `icmp_seq=` and `ms` alone.

use crate::import::{
    error::Reason,
    moment::{Moment, TimeUnit},
    rtt,
    shown::shown,
    unit::Unit,
};

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Line<'a> {
    /// A run begins.
    Begin { host: &'a str },
    /// An answer came.
    Answer { at: Option<Moment>, sequence: u64, from: &'a str, rtt_us: f32, is_duplicate: bool },
    /// No answer, or an error instead of one.
    Lost { at: Option<Moment>, sequence: u64 },
    /// The run has ended, what follows sums it up.
    End,
    /// Nothing that matters.
    Nothing,
}

/// What programs say between answers, by its beginning. They translate it; the rest of ping's words stand behind the end.
const ASIDE: [&str; 7] = ["ping", "From ", "WARNING", "Warning", "PATTERN", "^C", "nohup"];

impl<'a> Line<'a> {
    /// Reads a line.
    pub(super) fn parse(line: &'a str) -> Result<Self, Reason> {
        let not_ping = || Reason::NotPing { got: shown(line) };
        let line = line.trim();
        let plain = line.trim_start_matches("^C");
        if plain.starts_with("--- ") {
            return Ok(Self::End);
        }
        if let Some(rest) = plain.strip_prefix("PING ") {
            return Ok(Self::Begin { host: rest.split_whitespace().next().unwrap_or_default() });
        }
        let (at, rest) = stamp(line)?;
        let Some((before, behind)) = split_at_sequence(rest) else {
            let is_aside = line.is_empty() || (at.is_none() && ASIDE.iter().any(|aside| line.starts_with(aside)));
            return if is_aside { Ok(Self::Nothing) } else { Err(not_ping()) };
        };
        let digits = behind.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(behind.len());
        let sequence = behind[..digits].parse().map_err(|_| not_ping())?;
        let behind = &behind[digits..];
        // "64 bytes from" begins with a number, what reports a loss with a word.
        let is_answer = rest.starts_with(|letter: char| letter.is_ascii_digit()) || behind.contains("ttl=");
        match (is_answer, time(behind)) {
            (true, Some(time)) => {
                let rtt_us = rtt::parse(time, Unit::Ms, true)
                    .map_err(|source| Reason::Rtt { column: "the time of an answer".into(), source })?;
                let from = before.split_whitespace().last().unwrap_or_default().trim_end_matches([':', ',']);
                Ok(Self::Answer { at, sequence, from, rtt_us, is_duplicate: behind.contains("(DUP!)") })
            }
            (true, None) => Err(not_ping()),
            (false, _) => Ok(Self::Lost { at, sequence }),
        }
    }
}

/// The time that -D writes in front of a line, and the rest.
fn stamp(line: &str) -> Result<(Option<Moment>, &str), Reason> {
    let Some(rest) = line.strip_prefix('[') else { return Ok((None, line)) };
    let Some((time, rest)) = rest.split_once(']') else { return Err(Reason::NotPing { got: shown(line) }) };
    let at = Moment::parse(time, TimeUnit::S, true)
        .map_err(|source| Reason::Time { column: "the time in brackets".into(), source })?;
    Ok((Some(at), rest.trim_start()))
}

/// What stands before and behind `icmp_seq=`, `icmp_req=`, `seq=`, or `icmp_seq ` as some write it.
fn split_at_sequence(line: &str) -> Option<(&str, &str)> {
    ["icmp_seq=", "icmp_req=", "icmp_seq ", " seq="].into_iter().find_map(|word| line.split_once(word))
}

/// The number of milliseconds in `time=12.3 ms`, `time<1 ms` (which is at most that), `Zeit=12,3 ms`.
fn time(behind: &str) -> Option<&str> {
    let (before, _) = behind.split_once(" ms").or_else(|| behind.split_once("ms"))?;
    before.rsplit_once(['=', '<']).map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &str) -> (Option<String>, u64, &str, f32, bool) {
        match Line::parse(line).unwrap() {
            Line::Answer { at, sequence, from, rtt_us, is_duplicate } => {
                (at.map(Moment::shown), sequence, from, rtt_us, is_duplicate)
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn answers_are_read_in_every_dialect() {
        let at = || Some("1700000000.123456".to_owned());
        for (line, expected) in [
            (
                "[1700000000.123456] 64 bytes from 1.1.1.1: icmp_seq=1 ttl=57 time=12.3 ms",
                (at(), 1, "1.1.1.1", 12_300.0, false),
            ),
            (
                "[1700000000.123456] 64 bytes from one.one (1.1.1.1): icmp_seq=2 ttl=57 time=1234 ms (DUP!)",
                (at(), 2, "(1.1.1.1)", 1_234_000.0, true),
            ),
            ("64 bytes from fe80::1%eth0: icmp_seq=3 ttl=64 time=0.035 ms", (None, 3, "fe80::1%eth0", 35.0, false)),
            ("64 bytes from 10.0.0.1: seq=0 ttl=64 time=0.4 ms", (None, 0, "10.0.0.1", 400.0, false)),
            ("64 bytes from 10.0.0.1: icmp_seq=4 ttl=64 time<1 ms", (None, 4, "10.0.0.1", 1_000.0, false)),
            ("64 Bytes von 1.1.1.1: icmp_seq=5 ttl=57 Zeit=12,3 ms\r", (None, 5, "1.1.1.1", 12_300.0, false)),
            ("64 bytes from 1.1.1.1: icmp_req=6 ttl=57 time=1.5 ms", (None, 6, "1.1.1.1", 1_500.0, false)),
        ] {
            assert_eq!(answer(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_lost_is_known_by_its_number() {
        for line in [
            "[1700000000.5] no answer yet for icmp_seq=7",
            "[1700000000.5] From 10.0.0.1 icmp_seq=7 Destination Host Unreachable",
            "[1700000000.5] From 10.0.0.1 (10.0.0.1) icmp_seq=7 Time to live exceeded",
        ] {
            assert!(matches!(Line::parse(line), Ok(Line::Lost { at: Some(_), sequence: 7 })), "{line}");
        }
        assert!(matches!(Line::parse("Request timeout for icmp_seq 7"), Ok(Line::Lost { at: None, sequence: 7 })));
    }

    #[test]
    fn headers_footers_and_asides_are_known() {
        assert_eq!(
            Line::parse("PING one.one (1.1.1.1) 56(84) bytes of data.").unwrap(),
            Line::Begin { host: "one.one" }
        );
        for end in ["--- 1.1.1.1 ping statistics ---", "^C--- 1.1.1.1 ping statistics ---"] {
            assert_eq!(Line::parse(end).unwrap(), Line::End);
        }
        for nothing in ["", "^C", "ping: sendmsg: Network is unreachable", "Warning: time of day goes back (-5us)"] {
            assert_eq!(Line::parse(nothing).unwrap(), Line::Nothing, "{nothing}");
        }
    }

    #[test]
    fn a_line_that_is_cut_or_none_of_pings_is_refused() {
        for line in [
            "[1700000000.123456] 64 bytes fr",
            "[17000",
            "[1700000000.123456]",
            "[x] 64 bytes from 1.1.1.1: icmp_seq=1 ttl=57 time=12.3 ms",
            "[1700000000.1] 64 bytes from 1.1.1.1: icmp_seq=1 ttl=57 time=12",
            "[1700000000.1] 64 bytes from 1.1.1.1: icmp_seq=1",
            "[1700000000.1] 64 bytes from 1.1.1.1: icmp_seq=1 ttl=57 time=-3 ms",
            "64 bytes from 1.1.1.1: icmp_seq=x ttl=57 time=12.3 ms",
            "hello",
        ] {
            assert!(Line::parse(line).is_err(), "{line}");
        }
    }
}
