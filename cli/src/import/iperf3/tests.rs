use netprecursor_core::signal::Signal;

use super::*;
use crate::import::series::Whole;

const START: &str = r#"{"timestamp": {"timesecs": 1700000000}, "connecting_to": {"host": "10.0.0.1", "port": 5201},
 "tcp_mss_default": 1448, "sock_bufsize": 0, "sock_bufsize": 0,
 "test_start": {"protocol": "TCP", "num_streams": 2, "reverse": 0}}"#;

/// A stream of an interval, by the begin and the end of the interval.
fn stream(begin: f64, end: f64, rest: &str) -> String {
    format!(r#"{{"socket": 5, "start": {begin}, "end": {end}, "bytes": 1, {rest}, "sender": true}}"#)
}

fn document(start: &str, intervals: &[Vec<String>]) -> String {
    let intervals: Vec<String> = intervals
        .iter()
        .map(|streams| format!("{{\"streams\": [{}],\n \"sum\": {{\"start\": 0}}}}", streams.join(",")))
        .collect();
    format!("{{\"start\": {start},\n\"intervals\": [\n{}\n], \"end\": {{\"streams\": []}}}}", intervals.join(",\n"))
}

fn read(json: &str) -> Result<Whole, String> {
    let mut shelf = Shelf::default();
    let text = Text::of(Path::new("i.json"), json.as_bytes()).map_err(|error| error.to_string())?;
    super::read(text, "web", &mut shelf).map_err(|error| error.to_string())?;
    shelf.close().next().unwrap().1.map_err(|reason| reason.to_string())
}

fn maxima(whole: &Whole) -> Vec<(u64, Option<f32>)> {
    whole.seconds.iter().map(|second| (second.tick - 1_700_000_000, second.max_us())).collect()
}

#[test]
fn streams_of_a_second_become_its_maximum_and_mean() {
    let two = |begin, end, a: u32, b: u32| {
        vec![
            stream(begin, end, &format!(r#""rtt": {a}, "rttvar": 9, "retransmits": 2, "snd_cwnd": 14480"#)),
            stream(begin, end + 1e-5, &format!(r#""rtt": {b}, "retransmits": 1, "snd_cwnd": 28960"#)),
        ]
    };
    let whole =
        read(&document(START, &[two(0.0, 1.0003, 20_000, 30_000), two(1.0003, 1.9998, 40_000, 10_000)])).unwrap();
    assert_eq!(maxima(&whole), [(0, Some(30_000.0)), (1, Some(40_000.0))]);
    let signals = whole.seconds[0].signals();
    let of = |signal| signals.get(signal);
    assert_eq!((of(Signal::RttMean), of(Signal::Retransmits), of(Signal::Cwnd)), (25_000.0, 3.0, 15.0));
    assert!(whole.is_wall && of(Signal::TxBytes) == 0.0, "its bytes are payload, ours have headers");
}

#[test]
fn intervals_of_any_length_fall_into_seconds() {
    let interval = |begin, end, us: u32| vec![stream(begin, end, &format!(r#""rtt": {us}"#))];
    let halves = [interval(0.0, 0.5, 9), interval(0.5, 1.0001, 8), interval(1.0001, 1.5, 7), interval(1.5, 2.0, 6)];
    assert_eq!(maxima(&read(&document(START, &halves)).unwrap()), [(0, Some(9.0)), (1, Some(7.0))]);
    let long = [interval(0.0, 5.0, 9), interval(5.0, 10.0002, 8)];
    assert_eq!(maxima(&read(&document(START, &long)).unwrap()), [(4, Some(9.0)), (9, Some(8.0))]);
}

#[test]
fn omitted_intervals_are_left_out_and_a_window_of_other_segments_is_absent() {
    let omitted = vec![stream(0.0, 1.0, r#""rtt": 90, "omitted": true"#)];
    let counted = vec![stream(0.0, 1.0, r#""rtt": 80, "omitted": false, "snd_cwnd": 1000"#)];
    let whole = read(&document(START, &[omitted, counted])).unwrap();
    assert_eq!(maxima(&whole), [(0, Some(80.0))]);
    assert!(whole.seconds[0].signals().get(Signal::Cwnd).is_nan());
}

#[test]
fn a_stream_of_lines_and_runs_one_after_another_are_read() {
    let lines = format!(
        "{{\"event\": \"start\", \"data\": {}}}\n{{\"event\": \"interval\", \"data\": {{\"streams\": [{}], \"sum\": {{}}}}}}\n{{\"event\": \"end\", \"data\": {{}}}}\n",
        START.replace('\n', ""),
        stream(0.0, 1.0, "\"rtt\": 70")
    );
    assert_eq!(maxima(&read(&lines).unwrap()), [(0, Some(70.0))]);
    let one = document(START, &[vec![stream(0.0, 1.0, "\"rtt\": 70")]]);
    let later = one.replace("1700000000", "1700000100");
    assert_eq!(maxima(&read(&format!("{one}\n{later}\n")).unwrap()), [(0, Some(70.0)), (100, Some(70.0))]);
    let other = later.replace("10.0.0.1", "10.0.0.2");
    assert!(read(&format!("{one}\n{other}")).unwrap_err().contains("'10.0.0.2' after '10.0.0.1'"));
    assert!(read(&format!("{later}\n{one}")).unwrap_err().contains("clock was set back"));
}

#[test]
fn what_has_no_round_trip_time_says_where_it_is() {
    let received = document(START, &[vec![stream(0.0, 1.0, "\"omitted\": false")]]);
    assert!(read(&received).unwrap_err().contains("1 intervals of iperf3 without a round-trip time"));
    let udp = document(&START.replace("\"TCP\"", "\"UDP\""), &[vec![stream(0.0, 1.0, "\"jitter_ms\": 1")]]);
    assert!(read(&udp).unwrap_err().contains("over UDP"));
    let failed = r#"{"start": {"connected": []}, "intervals": [], "end": {}, "error": "unable to connect to server"}"#;
    assert!(read(failed).unwrap_err().contains("\"unable to connect to server\""));
    assert!(read("{}").unwrap_err().contains("0 intervals"));
}

#[test]
fn a_bad_value_is_named_by_its_line() {
    let good = vec![stream(0.0, 1.0, "\"rtt\": 70")];
    for (rest, part) in [
        ("\"rtt\": -5", "-5 below 0"),
        ("\"rtt\": \"x\"", "invalid type"),
        ("\"rtt\": 1e12", "a round trip of 1000000000000 µs"),
    ] {
        let error = read(&document(START, &[good.clone(), vec![stream(1.0, 2.0, rest)]])).unwrap_err();
        assert!(error.starts_with("i.json:7: "), "{error}");
        assert!(error.contains(part), "{error}");
    }
    let json = document(START, &[good.clone(), good]);
    let error = read(&json[..json.len() - 60]).unwrap_err();
    assert!(error.contains("cut short"), "{error}");
}

#[test]
fn what_grows_without_end_is_refused_before_it_fills_memory() {
    let text = |json: String| read(&json).unwrap_err();
    assert!(text(format!("{{\"{}", "a".repeat(MAX_WORD + 9))).contains("without a comma"));
    let streams = vec![stream(0.0, 1.0, "\"rtt\": 70"); 1_025];
    assert!(text(document(START, &[streams])).contains("more than 1024 streams"));
}
