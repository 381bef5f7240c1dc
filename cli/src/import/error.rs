//! Why a file is not imported: what was got, what was expected, and what to do.

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{moment::TimeError, rtt::RttError};

/// What is wrong, and where.
#[derive(Debug, Error)]
#[error("{}: {reason}", place(path, *line))]
pub(super) struct ImportError {
    pub(super) path: PathBuf,
    /// Counted from 1.
    pub(super) line: Option<u64>,
    pub(super) reason: Box<Reason>,
}

fn place(path: &Path, line: Option<u64>) -> String {
    line.map_or_else(|| path.display().to_string(), |line| format!("{}:{line}", path.display()))
}

/// What is wrong.
#[derive(Debug, Error)]
pub(super) enum Reason {
    #[error("cannot read: {source}; give a readable file")]
    Read { source: io::Error },
    #[error("got a gzip file that is damaged or cut short ({source}), expected a whole one: copy it again")]
    Gzip { source: io::Error },
    #[error("got an empty file, expected rows of round-trip times: export or copy it again")]
    Empty,
    #[error("got {what}, expected CSV, output of ping or JSON of iperf3: {fix}")]
    Foreign { what: String, fix: String },
    #[error("got a line of more than {limit} bytes, expected text in lines: give CSV or output of ping")]
    LongLine { limit: usize },
    #[error("got {option}, which is for {wanted}, and {found}; leave it out, or say what the file is with --format")]
    Option { option: &'static str, wanted: &'static str, found: &'static str },
    #[error("got a name without letters of its own, expected one for the series: give it with --series")]
    NoStem,

    #[error("got no {option}, expected {expected}; the file's columns are {there}")]
    NoColumn { option: &'static str, expected: &'static str, there: String },
    #[error("got no column '{name}', expected one of {there}: correct {option}{nearest}")]
    Missing { name: String, option: &'static str, there: String, nearest: String },
    #[error("got column '{name}' {times} times in the header, expected it once: rename the others")]
    Ambiguous { name: String, times: usize },
    #[error("got column '{name}' for {first} and for {second}, expected one of its own for each: correct one of them")]
    Shared { name: String, first: &'static str, second: &'static str },
    #[error("got numbers in the first line ({got}), expected names of columns: write them above the rows")]
    NoHeader { got: String },
    #[error(
        "got one column ('{got}') where {expected} are named, expected cells between '{separator}': give the separator with \
         --separator{hint}"
    )]
    Separator { got: String, expected: usize, separator: char, hint: String },
    #[error("got a header without rows below it, expected a row a second or a probe: export the file again")]
    NoRows,
    #[error("got {got} cells, expected {expected} as in the header: complete the row")]
    Ragged { got: usize, expected: usize },
    #[error("got a quote that is not closed on its line, expected one before and one after a cell: correct the line")]
    Quote,
    #[error("got no --unit, expected the unit of '{column}': --unit us, ms or s")]
    NoUnit { column: String },
    #[error(
        "got {option} {given}, but the name of column '{column}' says {named}: give {option} {named}, or rename the column"
    )]
    UnitByName { option: &'static str, given: &'static str, column: String, named: &'static str },
    #[error("column '{column}': {source}")]
    Time { column: String, source: TimeError },
    #[error("{column}: {source}")]
    Rtt { column: String, source: RttError },
    #[error(
        "column '{column}': got '{got}', expected a whole number of probes: correct the cell, or the column's name"
    )]
    Count { column: String, got: String },
    #[error("got no probes in column '{column}' and an RTT beside it, expected both or neither: correct the row")]
    CountZero { column: String },
    #[error(
        "got {low} of {low_us} µs above {high} of {high_us} µs, expected {low} not to exceed {high}: are the columns in the \
         right places?"
    )]
    Swapped { low: &'static str, low_us: f32, high: &'static str, high_us: f32 },

    #[error("got an empty name of a series, expected one in each row: complete the row")]
    NoName,
    #[error(
        "got series '{got}', expected a name that a file can have (no '/', no '.' in front, no control characters, at most \
         {limit} bytes): rename it"
    )]
    Name { got: String, limit: usize },
    #[error("got more than {limit} series, expected fewer: is {column} the column of names? If so, split the file")]
    ManySeries { limit: usize, column: String },
    #[error("got series '{name}' also in {}, expected it in one file: join the files, or rename one with --series", other.display())]
    TwoFiles { name: String, other: PathBuf },
    #[error("got {what} '{got}' after '{first}', expected one series: {fix}")]
    Mixed { what: String, first: String, got: String, fix: String },

    #[error(
        "got time {got} after {last}{series}, expected rows in the order of time: sort them{}, or {fix}",
        if *is_clock { ", split the file where the clock was set back" } else { "" }
    )]
    Back { got: String, last: String, series: String, is_clock: bool, fix: &'static str },
    #[error("got second {second} again{series}, first on line {first}, expected one row a second: {fix}")]
    Twice { second: u64, series: String, first: u64, fix: &'static str },
    #[error("got the row of line {first} again{series}, expected each probe once: remove one of them")]
    SameRow { series: String, first: u64 },
    #[error(
        "got time {got}, {ahead} s after the row before{series}, expected at most {limit} s: split the file where the clock was \
         set, or {fix}"
    )]
    Jump { got: String, ahead: u64, series: String, limit: u64, fix: &'static str },
    #[error("got more than {limit} probes in second {second}, expected fewer: is {unit} right?")]
    Dense { second: u64, limit: usize, unit: &'static str },
    #[error("got more than {limit} seconds, expected fewer: import the files in parts")]
    Long { limit: usize },
    #[error("series '{series}': got a round-trip time every {step} s, expected one every {limit} s at least: {fix}")]
    Sparse { series: String, step: u64, limit: u64, fix: &'static str },
    #[error("series '{series}': got no round-trip time below {limit_s} s, expected some: is {unit} right?")]
    Slow { series: String, limit_s: f32, unit: &'static str },
    #[error("series '{series}': got no round-trip time in {seconds} s, expected some: {fix}")]
    Silent { series: String, seconds: usize, fix: &'static str },

    #[error("got '{got}', expected a line as ping -D -O writes it: remove or complete it")]
    NotPing { got: String },
    #[error(
        "got an answer without a time in front, expected [1700000000.123456] as ping -D writes it: record with ping -D -O, or, \
         where a probe was sent every so many seconds, say how many with --interval"
    )]
    NoClock,
    #[error("got --interval and times in front of the lines, expected one of them: leave --interval out")]
    TwoClocks,
    #[error("got a second run of ping without times, expected one: split the file, or record with ping -D -O")]
    TwoRuns,
    #[error("got no answer of ping, expected lines such as '64 bytes from …: icmp_seq=1 ttl=57 time=12.3 ms'")]
    NoAnswers,

    #[error("got JSON that iperf3 does not write ({why}), expected what iperf3 -J writes: {fix}")]
    Json { why: String, fix: &'static str },
    #[error("got a run of iperf3 that failed (\"{error}\"), expected one with intervals: run it again")]
    Failed { error: String },
    #[error(
        "got a run of iperf3 over {protocol}, which has no round-trip times, expected TCP: run iperf3 without --udp"
    )]
    NotTcp { protocol: String },
    #[error(
        "got {intervals} intervals of iperf3 without a round-trip time, expected some: the sender knows it; take the JSON of \
         the side that sends, without --reverse on the client"
    )]
    NoRtt { intervals: u64 },

    #[error(
        "got a file that is not of 'netprecursor import', expected none of that name, or an older import: choose another --out, \
         or remove it"
    )]
    Occupied,
}

impl Reason {
    /// With the place where it was found.
    pub(super) fn at(self, path: &Path, line: impl Into<Option<u64>>) -> ImportError {
        ImportError { path: path.to_owned(), line: line.into(), reason: Box::new(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_begins_with_file_and_line() {
        let error = Reason::NoRows.at(Path::new("/x/a.csv"), 7).to_string();
        assert!(error.starts_with("/x/a.csv:7: got a header"), "{error}");
        assert!(Reason::Empty.at(Path::new("a.csv"), None).to_string().starts_with("a.csv: got an empty"));
    }
}
