use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::import::series::Whole;

/// One row a second in ms.
pub(super) fn seconds(time: &str, max: &str) -> Spec {
    let rows = Rows::Second { max: max.into(), mean: None, min: None, count: None };
    Spec {
        series: None,
        series_column: None,
        time: Some(time.into()),
        time_unit: TimeUnit::S,
        rows,
        unit: Some(Unit::Ms),
        separator: None,
    }
}

/// One row a probe in ms.
pub(super) fn probes(time: &str, rtt: &str) -> Spec {
    Spec { rows: Rows::Probe { rtt: rtt.into() }, ..seconds(time, rtt) }
}

/// All columns that a file of seconds may have.
fn full() -> Spec {
    let column = |name: &str| Some(name.to_owned());
    let rows = Rows::Second { max: "max".into(), mean: column("mean"), min: column("min"), count: column("n") };
    Spec { series_column: column("series"), rows, ..seconds("t", "max") }
}

fn read(csv: &str, spec: &Spec) -> Result<Vec<Whole>, String> {
    let mut shelf = Shelf::default();
    let mut text = Text::of(Path::new("f.csv"), csv.as_bytes()).map_err(|error| error.to_string())?;
    super::read(&mut text, spec, "f", &mut shelf).map_err(|error| error.to_string())?;
    shelf.close().map(|(_, whole)| whole.map_err(|reason| reason.to_string())).collect()
}

/// Ticks and maxima in µs.
fn maxima(whole: &Whole) -> Vec<(u64, Option<f32>)> {
    whole.seconds.iter().map(|second| (second.tick, second.max_us())).collect()
}

#[test]
fn a_row_a_second_is_a_second_and_a_missing_row_is_none() {
    let csv = "\u{feff}series,t,max,mean,min,n\r\na,0,41.0,20.5,10,16\r\n\"b\",7,30,30,30,1\r\na,2,27,19,9,18\r\n";
    let series = read(csv, &full()).unwrap();
    assert_eq!(series.iter().map(|whole| whole.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(maxima(&series[0]), [(0, Some(41_000.0)), (2, Some(27_000.0))]);
    let signals = series[0].seconds[0].signals();
    let of = |signal| signals.get(signal);
    assert_eq!((of(Signal::RttMean), of(Signal::RttMin), of(Signal::RttCount)), (20_500.0, 10_000.0, 16.0));
    assert!(of(Signal::RttP50).is_nan() && of(Signal::RttJitter).is_nan(), "signals that the source lacks are absent");
}

#[test]
fn a_row_a_probe_gathers_by_second() {
    let csv = "rtt_ms;sent\n20,5;1700000000,1\n\n30;1700000000,6\n;1700000001,2\n25;1700000003\n";
    let series = read(csv, &Spec { time: Some("sent".into()), ..probes("sent", "rtt_ms") }).unwrap();
    assert_eq!(
        maxima(&series[0]),
        [(1_700_000_000, Some(30_000.0)), (1_700_000_001, None), (1_700_000_003, Some(25_000.0))]
    );
    assert!(series[0].is_wall && series[0].name == "f");
    assert_eq!(series[0].seconds[0].signals().get(Signal::RttP50), 20_500.0);
}

#[test]
fn an_empty_cell_is_a_second_in_which_nothing_was_measured() {
    let series = read("series,t,max,mean,min,n\na,0,9,9,9,1\na,1,,,,0\na,2,8,8,8,\n", &full()).unwrap();
    assert_eq!(maxima(&series[0]), [(0, Some(9_000.0)), (1, None), (2, Some(8_000.0))]);
}

#[test]
fn a_bad_row_is_named_by_file_and_line() {
    for (rows, place, part) in [
        ("0,9\n1,x\n", "f.csv:3: ", "column 'r': got 'x'"),
        ("0,9\n1,nan\n", "f.csv:3: ", "left empty"),
        ("0,9\n1,-3\n", "f.csv:3: ", "more than 0 ms"),
        ("0,9\n\nx,3\n", "f.csv:4: ", "column 't': got 'x'"),
        ("-1,9\n", "f.csv:2: ", "before 0"),
        ("0,9\n1\n", "f.csv:3: ", "1 cells, expected 2"),
        ("0,9\n1,\"3\n", "f.csv:3: ", "quote"),
        ("0,9\n2,9\n1,9\n", "f.csv:4: ", "got time 1 after 2"),
        ("0,9\n1,9\n1,8\n", "f.csv:4: ", "second 1 again, first on line 3"),
        ("0,9\n1,9\n900000,9\n", "f.csv:4: ", "899999 s after"),
        ("0,9000000\n", "f.csv:2: ", "is --unit right?"),
        ("0,0.0000001\n", "f.csv:2: ", "is --unit right?"),
        ("", "f.csv:1: ", "without rows"),
        ("1700000000000,9\n", "f.csv:2: ", "is --time-unit right?"),
    ] {
        let error = read(&format!("t,r\n{rows}"), &seconds("t", "r")).unwrap_err();
        assert!(error.starts_with(place) && error.contains(part), "{rows:?}: {error}");
    }
}

#[test]
fn columns_that_contradict_each_other_are_refused() {
    for (row, part) in [
        ("a,0,20,30,10,1", "a mean of 30000 µs above a maximum of 20000 µs"),
        ("a,0,20,15,30,1", "a minimum of 30000"),
        ("a,0,20,15,10,0", "no probes in column 'n'"),
        ("a,0,20,15,10,1.5", "whole number"),
        (",0,20,15,10,1", "empty name"),
        ("../x,0,20,15,10,1", "series '../x'"),
    ] {
        let error = read(&format!("series,t,max,mean,min,n\n{row}\n"), &full()).unwrap_err();
        assert!(error.starts_with("f.csv:2: ") && error.contains(part), "{error}");
    }
}

#[test]
fn series_that_are_mixed_up_ask_for_their_column() {
    let csv = "host,t,r\na,0,9\nb,0,8\na,1,9\nb,1,8\n";
    for spec in [seconds("t", "r"), probes("t", "r")] {
        let error = read(csv, &spec).unwrap_err();
        assert!(error.starts_with("f.csv:3: ") && error.contains("--series-column 'host'"), "{error}");
        let apart = read(csv, &Spec { series_column: Some("host".into()), ..spec }).unwrap();
        assert_eq!(apart.len(), 2);
    }
    let error = read("who,t,r\na,5,9\nb,0,8\n", &probes("t", "r")).unwrap_err();
    assert!(error.contains("--series-column"), "{error}");
}

#[test]
fn a_probe_that_is_there_twice_is_refused_and_equal_probes_of_one_second_are_not() {
    for (rows, line) in [
        ("0.5,9\n0.5,9\n", Some(3)),
        ("0,9\n1,9\n1,9\n", Some(4)),
        ("0,9\n0,9\n0,9\n1,9\n1,9\n", None),
        ("0.5,9\n0.5,8\n", None),
    ] {
        let read = read(&format!("t,r\n{rows}"), &probes("t", "r"));
        match line {
            Some(line) => {
                assert!(read.unwrap_err().starts_with(&format!("f.csv:{line}: got the row of line")), "{rows}");
            }
            None => assert!(read.is_ok(), "{rows}: {read:?}"),
        }
    }
}

proptest! {
    #[test]
    fn whatever_a_file_says_it_is_read_or_refused_with_a_place(
        rows in prop::collection::vec("[a-c,;\"0-9.eE+\\-\\n\\r \u{e4}nif]{0,24}", 0..12),
    ) {
        let csv = format!("series,t,max,mean,min,n\n{}", rows.join("\n"));
        for spec in [full(), Spec { rows: Rows::Probe { rtt: "max".into() }, ..full() }] {
            match read(&csv, &spec) {
                Ok(series) => for whole in series {
                    prop_assert!(whole.seconds.is_sorted_by(|a, b| a.tick < b.tick));
                    prop_assert!(whole.measured > 0 && whole.median_us > 0.0);
                },
                Err(error) => prop_assert!(error.contains("got") && error.contains("expected"), "{}", error),
            }
        }
    }
}
