//! An agent that is not there: one target whose RTT in µs says which second it is of, and one alert a minute.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

/// Targets: as many as fill a file in a while.
const TARGETS: usize = 200;

/// Seconds since 1970.
pub(crate) fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What the target has in a second, µs.
pub(crate) fn rtt(unix: u64) -> f64 {
    1_024.0 * (1.0 + (unix % 1_000) as f64 / 1_024.0)
}

/// Serves until the test ends; returns where.
pub(crate) fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Who asked may be killed at any time.
            thread::spawn(move || drop(answer(stream)));
        }
    });
    url
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut line = String::new();
    let mut lines = BufReader::new(stream.try_clone()?);
    lines.read_line(&mut line)?;
    loop {
        let mut header = String::new();
        if lines.read_line(&mut header)? == 0 || header == "\r\n" {
            break;
        }
    }
    let path = line.split(' ').nth(1).unwrap_or_default();
    if path.contains("/stream") {
        return ticks(&mut stream);
    }
    let body = document(path).to_string();
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn ticks(stream: &mut TcpStream) -> std::io::Result<()> {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(schema)?)?;
    let signals: Vec<&Value> =
        schema["signals"].as_array().into_iter().flatten().map(|signal| &signal["name"]).collect();
    let header = json!({"schema_hash": schema["hash"], "agent_version": "0.1.0", "kernel": "6.18", "signals": signals, "features": []});
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n{header}\n")?;
    loop {
        let unix = unix();
        let tick = json!({"tick": unix % 100_000, "unix_ms": unix * 1_000, "monotonic_ns": 1, "targets": []});
        writeln!(stream, "{tick}")?;
        // The clock of this agent, not something that the test waits for: four ticks a second.
        thread::sleep(Duration::from_millis(250));
    }
}

fn document(path: &str) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let now = unix();
    let rule = json!({
        "policyKind": "PrecursorPolicy", "policy": "demo", "rule": "rtt", "rtt": "RTT", "thresholdUs": 200_000, "state": "Idle",
        "model": {"name": "damped-holt"}
    });
    let targets = (0..TARGETS).map(|target| (format!("web{target}"), format!("u-web{target}")));
    match path.rsplit('/').next() {
        Some("targets") => targets
            .map(|(name, uid)| json!({"target": name, "uid": uid, "measuredUs": rtt(now), "predictedUs": 9.0, "rules": [rule]}))
            .collect(),
        Some("history") => {
            let since: u64 = query.strip_prefix("since=").and_then(|since| since.parse().ok()).unwrap_or_default();
            let point = |unix: u64| {
                json!({"unix": unix, "measuredUs": rtt(unix), "predictedUs": 2_048.0, "chance": 0.5, "firing": false})
            };
            let points: Vec<Value> = (since.max(now - 60) + 1..=now).map(point).collect();
            targets.map(|(name, _)| json!({"target": name, "points": points})).collect()
        }
        Some("alerts") => json!([alert(now - now % 60)]),
        Some("sensors") => json!({
            "kernel": "6.18", "rttSource": "Measured", "sensors": [], "surveyFailures": 0, "ticks": 1, "ticksSkipped": 0,
            "lastTickMicroseconds": 1
        }),
        _ => json!([]),
    }
}

fn alert(fired: u64) -> Value {
    let alert: BTreeMap<&str, Value> = BTreeMap::from([
        ("name", json!("demo-1")),
        ("policyKind", json!("PrecursorPolicy")),
        ("policy", json!("demo")),
        ("rule", json!("rtt")),
        ("target", json!("web0")),
        ("targetUid", json!("u-web0")),
        ("severity", json!("Warning")),
        ("state", json!("Firing")),
        ("trigger", json!("Forecast")),
        ("thresholdUs", json!(200_000)),
        ("resolveUs", json!(160_000)),
        ("predictedUs", json!(250_000.0)),
        ("chance", json!(0.75)),
        ("measuredUs", Value::Null),
        ("leadSeconds", Value::Null),
        ("confirmed", json!("Unknown")),
        ("judgedUnix", Value::Null),
        ("count", json!(1)),
        ("firedUnix", json!(fired)),
        ("resolvedUnix", Value::Null),
        ("resolution", Value::Null),
        ("causes", json!([])),
        ("model", json!({"name": "damped-holt"})),
    ]);
    json!(alert)
}
