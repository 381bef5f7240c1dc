//! `netprecursor import`: other sources' series go through extract and backtest; bad input leaves nothing behind.

use std::{fmt::Write as _, fs, io::Write as _, path::Path};

use flate2::{Compression, write::GzEncoder};
use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::RowAccessor as _,
};
use serde_json::Value;

use crate::{POLICY, netprecursor, stderr, stdout};

/// The flags of a file with all columns.
const COLUMNS: [&str; 12] = [
    "--series-column",
    "series",
    "--time-column",
    "t",
    "--rtt-max-column",
    "rtt_max_ms",
    "--rtt-mean-column",
    "rtt_mean_ms",
    "--count-column",
    "n",
    "--unit",
    "ms",
];

/// The flags of a file whose column names have no unit, with a wrong unit.
const UNNAMED: [&str; 8] =
    ["--series-column", "series", "--time-column", "t", "--rtt-max-column", "rtt_max", "--unit", "s"];

/// Two links of 400 s, the first silent for 5 s and over 100 ms for 20.
fn csv() -> String {
    let mut text = "series,t,rtt_max_ms,rtt_mean_ms,n\n".to_owned();
    for (series, is_bad) in [("sat-1", true), ("5g_2", false)] {
        for t in (0..400).filter(|t| !(is_bad && (100..105).contains(t))) {
            let surge = if is_bad && (200..220).contains(&t) { 130.0 } else { 0.0 };
            let max = 26.0 + f64::from(t * 7 % 13) / 10.0 + surge;
            writeln!(text, "{series},{t},{max:.3},{:.3},4", max - 0.5).unwrap();
        }
    }
    text
}

/// Tick, target and rtt_max_us of each row.
fn rows(path: &Path) -> Vec<(i64, String, Option<f32>)> {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema();
    let at = |name: &str| schema.get_fields().iter().position(|field| field.name() == name).unwrap();
    let (tick, target, max) = (at("tick"), at("target"), at("rtt_max_us"));
    let row = |row: parquet::record::Row| {
        (row.get_long(tick).unwrap(), row.get_string(target).unwrap().clone(), row.get_float(max).ok())
    };
    reader.get_row_iter(None).unwrap().map(|read| row(read.unwrap())).collect()
}

#[test]
fn imported_series_are_extracted_and_backtested_like_recordings() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut encoder = GzEncoder::new(fs::File::create(directory.join("FILE.csv.gz")).unwrap(), Compression::fast());
    encoder.write_all(csv().as_bytes()).unwrap();
    encoder.finish().unwrap();
    let summary =
        stdout(&netprecursor(directory, &[&["import", "FILE.csv.gz"], &COLUMNS[..], &["--out", "DIR"]].concat()));
    assert!(summary.contains("2 recordings in DIR, 795 s with a round-trip time"), "{summary}");
    let line = summary.lines().find(|line| line.starts_with("sat-1")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["sat-1", "400", "395", "1", "27", "ms", "157", "ms"]);

    let read = rows(&directory.join("DIR/sat-1.parquet"));
    assert_eq!(read.len(), 400, "a short gap is silence");
    assert_eq!(read[99], (99, "sat-1".to_owned(), Some(26_400.0)));
    assert!(read[100..105].iter().all(|(_, _, max)| max.is_none()), "gaps stay gaps");

    let recordings = ["--recording", "DIR/5g_2.parquet", "DIR/sat-1.parquet"];
    let extracted =
        stdout(&netprecursor(directory, &[&["extract", "--out", "rows.parquet"], &recordings[..]].concat()));
    assert!(extracted.starts_with("682 rows of "), "{extracted}");

    fs::write(directory.join("P.yaml"), POLICY).unwrap();
    fs::write(directory.join("T.json"), r#"{"sat-1": 100000, "5g_2": 100000}"#).unwrap();
    let backtest = ["backtest", "--model", "naive:max-10", "--policy", "P.yaml", "--thresholds", "T.json", "--json"];
    let text = stdout(&netprecursor(directory, &[&backtest[..], &recordings[..]].concat()));
    let incidents: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["scorecard"]["incidents"].clone())
        .collect();
    assert_eq!(incidents, [0, 1]);
}

#[test]
fn bad_input_is_named_by_file_and_line_and_leaves_nothing() {
    let good = csv();
    let lines: Vec<&str> = good.lines().collect();
    let with = |at: usize, line: &str| [&lines[..at - 1], &[line], &lines[at..]].concat().join("\n");
    let swapped = [&lines[..9], &[lines[10], lines[9]], &lines[11..]].concat().join("\n");
    let without = |option: &str| {
        let at = COLUMNS.iter().position(|other| *other == option).unwrap();
        [&COLUMNS[..at], &COLUMNS[at + 2..]].concat()
    };
    let instead =
        |old: &'static str, new: &'static str| COLUMNS.map(|other| if other == old { new } else { other }).to_vec();
    let given = || COLUMNS.to_vec();
    for (text, flags, parts) in [
        (good.clone(), instead("rtt_max_ms", "rtt_ms"), ["F.csv:1: ", "series, t, rtt_max_ms, rtt_mean_ms, n"]),
        (good.clone(), instead("t", "time"), ["F.csv:1: ", "got no column 'time'"]),
        (good.clone(), instead("ms", "us"), ["F.csv:1: ", "give --unit ms"]),
        (good.replace("_ms", ""), UNNAMED.to_vec(), ["series 'sat-1'", "is --unit right?"]),
        (good.clone(), without("--unit"), ["F.csv:1: ", "got no --unit"]),
        (good.clone(), without("--series-column"), ["F.csv:397: ", "--series-column"]),
        (String::new(), given(), ["F.csv: ", "empty file"]),
        (lines[0].to_owned(), given(), ["F.csv:1: ", "without rows"]),
        (swapped, given(), ["F.csv:11: ", "got time 8 after 9 in series 'sat-1'"]),
        (with(11, lines[9]), given(), ["F.csv:11: ", "got second 8 again in series 'sat-1', first on line 10"]),
        (with(11, "sat-1,9,-3,1,1"), given(), ["F.csv:11: ", "column 'rtt_max_ms': got '-3'"]),
        (with(11, "sat-1,9,x,1,1"), given(), ["F.csv:11: ", "got 'x'"]),
        (with(11, "sat-1,9"), given(), ["F.csv:11: ", "2 cells, expected 5"]),
        (with(11, "sat-1,1000009,30,29,1"), given(), ["F.csv:11: ", "the clock was set"]),
        (with(11, "../../x,9,30,29,1"), given(), ["F.csv:11: ", "series '../../x'"]),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        fs::write(directory.join("F.csv"), text).unwrap();
        let output = netprecursor(directory, &[&["import", "F.csv", "--out", "a/DIR"], &flags[..]].concat());
        let error = stderr(&output);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{parts:?}: {error}");
        assert!(parts.iter().all(|part| error.contains(part)), "{parts:?}: {error}");
        assert_eq!(fs::read_dir(directory).unwrap().count(), 1, "{parts:?}: something was written");
    }
}

#[test]
fn logs_of_ping_and_iperf3_are_recognised() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut log = "PING web (192.0.2.1) 56(84) bytes of data.\n".to_owned();
    let mut intervals = Vec::new();
    for second in 0..90 {
        match second {
            30 => writeln!(log, "[{}.5] no answer yet for icmp_seq=31", 1_700_000_000 + second),
            _ => writeln!(
                log,
                "[{}.25] 64 bytes from 192.0.2.1: icmp_seq={} ttl=57 time={}.5 ms",
                1_700_000_000 + second,
                second + 1,
                20 + second % 3
            ),
        }
        .unwrap();
        intervals.push(format!(
            r#"{{"streams": [{{"socket": 5, "start": {second}, "end": {}.0001, "rtt": {}, "omitted": false}}]}}"#,
            second + 1,
            20_000 + second
        ));
    }
    let json = format!(
        r#"{{"start": {{"timestamp": {{"timesecs": 1700000000}}}}, "intervals": [{}], "end": {{}}}}"#,
        intervals.join(",\n")
    );
    fs::write(directory.join("web.log"), log).unwrap();
    fs::write(directory.join("link.json"), json).unwrap();
    let summary = stdout(&netprecursor(directory, &["import", "web.log", "link.json", "--out", "DIR"]));
    assert!(summary.contains("2 recordings in DIR, 179 s"), "{summary}");
    let (web, link) = (rows(&directory.join("DIR/web.parquet")), rows(&directory.join("DIR/link.parquet")));
    assert_eq!((web.len(), link.len()), (90, 90));
    assert_eq!((web[0].clone(), web[30].2), ((1_700_000_000, "web".to_owned(), Some(20_500.0)), None));
    assert_eq!(link[89], (1_700_000_089, "link".to_owned(), Some(20_089.0)));

    let again = netprecursor(directory, &["import", "web.log", "--series", "link", "--out", "DIR"]);
    assert!(again.status.success(), "an import replaces an import: {}", stderr(&again));
    fs::copy(directory.join("web.log"), directory.join("DIR/web.parquet")).unwrap();
    let refused = netprecursor(directory, &["import", "web.log", "--out", "DIR"]);
    assert!(stderr(&refused).contains("not of 'netprecursor import'"), "{}", stderr(&refused));
    let flags = netprecursor(directory, &["import", "web.log", "--unit", "ms", "--out", "DIR"]);
    assert!(stderr(&flags).contains("got --unit, which is for CSV"), "{}", stderr(&flags));
}
