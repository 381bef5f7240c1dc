//! The agent's stream as a client sees it: a JSON line with a header, then one line per tick.

use std::{
    io::{self, BufRead as _, BufReader, Read as _},
    time::Duration,
};

use netprecursor_core::{
    features, schema,
    signal::{Signal, Signals},
};
use serde::Deserialize;
use thiserror::Error;

use crate::recording::{Origin, Row};

/// Where an agent listens by default.
pub(crate) const DEFAULT_AGENT: &str = "http://127.0.0.1:9470";

/// Bytes of a line at most: a thousand targets with all features.
pub(crate) const MAX_LINE: u64 = 16 << 20;

/// A tick comes every second. An agent that is silent for this long is taken for gone, a machine that pauses is not.
const SILENCE: Duration = Duration::from_secs(30);

/// An open stream.
pub(crate) struct AgentStream {
    url: String,
    lines: BufReader<ureq::BodyReader<'static>>,
    header: Header,
    line: Vec<u8>,
    lost: u64,
}

/// A line after the header.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Line {
    Tick(TickLine),
    /// Ticks that this client was too slow for.
    Lost {
        lost: u64,
    },
}

/// The first line.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Header {
    /// Hash of the feature schema.
    pub(crate) schema_hash: String,
    /// Names of the signals, in order.
    pub(crate) signals: Vec<String>,
    /// Names of the features, in order; empty unless requested.
    #[serde(default)]
    pub(crate) features: Vec<String>,
    /// Kernel release of the agent's host.
    #[serde(default)]
    pub(crate) kernel: Option<String>,
    /// Release of the agent.
    #[serde(default)]
    pub(crate) agent_version: Option<String>,
}

/// One tick of all targets.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct TickLine {
    /// Seconds since the agent's start.
    pub(crate) tick: u64,
    /// Milliseconds since 1970.
    pub(crate) unix_ms: u64,
    /// Nanoseconds of the monotonic clock.
    pub(crate) monotonic_ns: u64,
    /// The targets watched.
    pub(crate) targets: Vec<TargetLine>,
}

/// One target in one tick.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct TargetLine {
    /// Its name; outside Kubernetes that of the namespace.
    pub(crate) target: String,
    /// An identifier that is never reused, unlike the name.
    pub(crate) uid: String,
    signals: Vec<Option<f32>>,
    #[serde(default)]
    features: Vec<f32>,
}

/// Why there is no tick.
#[derive(Debug, Error)]
pub(crate) enum StreamError {
    #[error(
        "got no connection to {url} ({reason}), expected an agent; start one with 'netprecursor-agent run', or give its address with --agent"
    )]
    Unreachable { url: String, reason: String },
    #[error(
        "got status {status} from {url}, expected an agent's stream; is another program listening there? Give the agent's address with --agent"
    )]
    Status { url: String, status: u16 },
    #[error(
        "got {got} from {url}, expected an agent's stream; is another program listening there? Give the agent's address with --agent"
    )]
    NotAnAgent { url: String, got: String },
    #[error(
        "got an agent of feature schema {got} at {url}, expected {expected}; use agent and netprecursor of one release"
    )]
    Schema { url: String, got: String, expected: String },
    #[error("the agent at {url} is gone: got {reason}, expected a tick each second; what came before is kept")]
    Gone { url: String, reason: String },
    #[error(
        "got tick {tick} of '{target}' with {got} {what}, expected {expected}; use agent and netprecursor of one release"
    )]
    Width { tick: u64, target: String, what: &'static str, got: usize, expected: usize },
}

impl AgentStream {
    /// Opens the stream of the agent at `url` and checks its header.
    pub(crate) fn open(url: &str, with_features: bool) -> Result<Self, StreamError> {
        let url = format!("{}/api/v1/stream?features={with_features}", url.trim_end_matches('/'));
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(Duration::from_secs(10)))
            .timeout_per_read(Some(SILENCE))
            .build();
        let response = match ureq::Agent::new_with_config(config).get(&url).call() {
            Ok(response) => response,
            Err(ureq::Error::StatusCode(status)) => return Err(StreamError::Status { url, status }),
            Err(error @ (ureq::Error::Protocol(_) | ureq::Error::Http(_))) => {
                return Err(StreamError::NotAnAgent { url, got: error.to_string() });
            }
            Err(error) => return Err(StreamError::Unreachable { url, reason: error.to_string() }),
        };
        let mut lines = BufReader::new(response.into_body().into_reader());
        let mut line = Vec::new();
        let read = read_line(&mut lines, &mut line);
        let unlike = |got: String| StreamError::NotAnAgent { url: url.clone(), got };
        let header = match read {
            Ok(true) => serde_json::from_slice(&line).map_err(|_| unlike(shown(&line)))?,
            Ok(false) => return Err(unlike("an empty answer".into())),
            Err(error) => return Err(unlike(error.to_string())),
        };
        check(&header, with_features, &url)?;
        Ok(Self { url, lines, header, line, lost: 0 })
    }

    /// The first line of the stream.
    pub(crate) const fn header(&self) -> &Header {
        &self.header
    }

    /// The next tick; blocks until it arrives.
    pub(crate) fn tick(&mut self) -> Result<TickLine, StreamError> {
        let gone = |reason: String| StreamError::Gone { url: self.url.clone(), reason };
        loop {
            match read_line(&mut self.lines, &mut self.line) {
                Ok(true) => match serde_json::from_slice(&self.line) {
                    Ok(Line::Tick(line)) => return Ok(line),
                    Ok(Line::Lost { lost }) => self.lost = self.lost.saturating_add(lost),
                    Err(error) => return Err(gone(format!("{} ({error})", shown(&self.line)))),
                },
                Ok(false) => return Err(gone("the end of the stream".into())),
                Err(error) => return Err(gone(error.to_string())),
            }
        }
    }

    /// Ticks that the agent had to leave out because this client was too slow.
    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }
}

impl Header {
    /// The origin of what this agent's stream is recorded into.
    pub(crate) fn origin(&self) -> Origin {
        let unknown = || "unknown".to_owned();
        Origin {
            schema_hash: self.schema_hash.clone(),
            kernel: self.kernel.clone().unwrap_or_else(unknown),
            agent_version: self.agent_version.clone().unwrap_or_else(unknown),
        }
    }
}

impl TickLine {
    /// One of its targets as a row.
    pub(crate) fn row(&self, target: &TargetLine) -> Row {
        Row {
            tick: self.tick,
            unix_ms: self.unix_ms,
            monotonic_ns: self.monotonic_ns,
            target: target.target.clone(),
            uid: target.uid.clone(),
            floats: target.signals().as_slice().iter().chain(target.features()).copied().collect(),
        }
    }

    /// Checks that every target has as many values as this build knows.
    pub(crate) fn check(&self, with_features: bool) -> Result<(), StreamError> {
        let wanted = if with_features { features::COUNT } else { 0 };
        for line in &self.targets {
            let counts = [("signals", line.signals.len(), Signal::COUNT), ("features", line.features.len(), wanted)];
            if let Some((what, got, expected)) = counts.into_iter().find(|(_, got, expected)| got != expected) {
                return Err(StreamError::Width { tick: self.tick, target: line.target.clone(), what, got, expected });
            }
        }
        Ok(())
    }
}

impl TargetLine {
    /// The signals; null is absent.
    pub(crate) fn signals(&self) -> Signals {
        let mut signals = Signals::ABSENT;
        for (signal, value) in Signal::ALL.iter().zip(&self.signals) {
            signals.set(*signal, value.unwrap_or(f32::NAN));
        }
        signals
    }

    /// The features; empty unless requested.
    pub(crate) fn features(&self) -> &[f32] {
        &self.features
    }
}

/// Checks that an agent's header names what this build knows.
pub(crate) fn check(header: &Header, with_features: bool, url: &str) -> Result<(), StreamError> {
    let refuse = |got, expected| Err(StreamError::Schema { url: url.to_owned(), got, expected });
    if header.schema_hash != schema::hash() {
        let short = |hash: &str| hash.chars().take(12).collect::<String>();
        return refuse(short(&header.schema_hash), short(schema::hash()));
    }
    let signals: Vec<&str> = Signal::ALL.iter().map(|signal| signal.name()).collect();
    let features: Vec<&str> = features::all().iter().map(|feature| feature.name.as_str()).collect();
    let lists = [("signal", &header.signals, signals), ("feature", &header.features, features)];
    for (what, got, expected) in lists.into_iter().take(if with_features { 2 } else { 1 }) {
        let named = |name: Option<&str>| name.map_or_else(|| "nothing".into(), |name| format!("'{name}'"));
        let differs = |at: &usize| got.get(*at).map(String::as_str) != expected.get(*at).copied();
        if let Some(at) = (0..got.len().max(expected.len())).find(differs) {
            let got = format!("with {} as {what} {}", named(got.get(at).map(String::as_str)), at + 1);
            return refuse(got, named(expected.get(at).copied()));
        }
    }
    Ok(())
}

/// Reads one line without its end; false at the end of the stream.
fn read_line(from: &mut impl io::BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    from.take(MAX_LINE).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(true);
    }
    match line.len() as u64 {
        0 => Ok(false),
        MAX_LINE => Err(io::Error::other(format!("a line longer than {MAX_LINE} bytes"))),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The beginning of a line, to say what was got.
pub(crate) fn shown(line: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(&line[..line.len().min(60)]).escape_debug())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        io::Write as _,
        net::{Shutdown, TcpListener},
        thread,
    };

    use super::*;

    /// Answers one request with `response` and closes. Returns its URL.
    pub(crate) fn server(response: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = BufReader::new(socket.try_clone().unwrap());
            let mut line = Vec::new();
            while read_line(&mut request, &mut line).unwrap() && line != b"\r" {}
            socket.write_all(response.as_bytes()).unwrap();
            socket.shutdown(Shutdown::Write).unwrap();
        });
        url
    }

    pub(crate) fn chunked(lines: &[String]) -> String {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        lines.iter().fold(head, |text, line| text + &format!("{:x}\r\n{line}\n\r\n", line.len() + 1))
    }

    pub(crate) fn header() -> String {
        let signals: Vec<_> = Signal::ALL.iter().map(|signal| signal.name()).collect();
        serde_json::json!({"schema_hash": schema::hash(), "signals": signals, "features": []}).to_string()
    }

    pub(crate) fn tick(tick: u64, targets: &[(&str, f32)]) -> String {
        let targets: Vec<_> = targets
            .iter()
            .map(|(name, rtt_us)| {
                let signals: Vec<_> =
                    Signal::ALL.iter().map(|signal| (*signal == Signal::RttMax).then_some(*rtt_us)).collect();
                serde_json::json!({"target": name, "uid": format!("u-{name}"), "signals": signals})
            })
            .collect();
        serde_json::json!({"tick": tick, "unix_ms": 5_000 + tick * 1000, "monotonic_ns": tick * 1_000_000_000, "targets": targets})
            .to_string()
    }

    #[test]
    fn ticks_come_one_by_one_and_the_end_of_the_stream_is_an_error() {
        let lost = r#"{"lost":3}"#.to_owned();
        let url = server(chunked(&[header(), tick(7, &[("web1", 250.0)]), lost, tick(8, &[])]));
        let mut stream = AgentStream::open(&url, false).unwrap();
        let first = stream.tick().unwrap();
        first.check(false).unwrap();
        assert_eq!((first.tick, first.targets[0].target.as_str()), (7, "web1"));
        let signals = first.targets[0].signals();
        assert_eq!((signals.measured_rtt_us(), signals.get(Signal::Opens)), (Some(250.0), 0.0));
        assert_eq!((stream.tick().unwrap().tick, stream.lost()), (8, 3));
        assert!(matches!(stream.tick(), Err(StreamError::Gone { .. })));
    }

    #[test]
    fn another_program_and_no_listener_are_different_errors() {
        let refused = |response: &str| AgentStream::open(&server(response.into()), false).map(drop).unwrap_err();
        assert!(matches!(refused("HTTP/1.1 404 Not Found\r\n\r\n"), StreamError::Status { status: 404, .. }));
        let page = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<html>\n";
        assert!(matches!(refused(page), StreamError::NotAnAgent { got, .. } if got == "\"<html>\""));
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let nobody = AgentStream::open(&format!("http://{free}"), false).map(drop).unwrap_err();
        assert!(matches!(nobody, StreamError::Unreachable { .. }), "{nobody}");
    }

    #[test]
    fn an_agent_of_another_release_is_refused_with_both_hashes() {
        let other = header().replace(schema::hash(), &"0".repeat(64));
        let error = AgentStream::open(&server(chunked(&[other])), false).map(drop).unwrap_err().to_string();
        assert!(error.contains("000000000000") && error.contains(&schema::hash()[..12]), "{error}");
    }

    #[test]
    fn names_in_another_order_are_refused_with_the_first_that_differs() {
        let [one, other] = [Signal::ALL[0].name(), Signal::ALL[1].name()].map(|name| format!("\"{name}\""));
        let swapped =
            header().replacen(&one, "\"first\"", 1).replacen(&other, &one, 1).replacen("\"first\"", &other, 1);
        let error = AgentStream::open(&server(chunked(&[swapped])), false).map(drop).unwrap_err().to_string();
        assert!(error.contains(&format!("'{}' as signal 1", Signal::ALL[1].name())), "{error}");
        let mut features: Vec<&str> = features::all().iter().map(|feature| feature.name.as_str()).collect();
        features.swap(3, 4);
        let swapped = header().replace("[]", &serde_json::json!(features).to_string());
        let error = AgentStream::open(&server(chunked(&[swapped])), true).map(drop).unwrap_err().to_string();
        let expected = format!("'{}' as feature 4 at ", features[3]);
        assert!(error.contains(&expected) && error.contains(&format!("expected '{}'", features[4])), "{error}");
    }

    #[test]
    fn a_target_with_too_few_values_is_refused_by_name() {
        let url = server(chunked(&[
            header(),
            r#"{"tick":1,"unix_ms":1,"monotonic_ns":1,"targets":[{"target":"w","uid":"u","signals":[null]}]}"#.into(),
        ]));
        let line = AgentStream::open(&url, false).unwrap().tick().unwrap();
        assert!(matches!(line.check(false), Err(StreamError::Width { target, got: 1, .. }) if target == "w"));
    }
}
