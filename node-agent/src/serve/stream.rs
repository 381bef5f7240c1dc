//! The stream of ticks: one JSON object per line with every signal and feature of every target, for recordings.
//!
//! Lines are made only while somebody listens. A listener that cannot keep up loses ticks and receives their number.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use netprecursor_core::{features, schema, signal::Signal};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::tick::{pipeline::Pipeline, target::Target};

/// Ticks that wait for a slow listener.
const BACKLOG: usize = 30;

/// One tick, ready to send.
#[derive(Debug, Clone)]
pub struct Line {
    /// With features.
    pub full: Arc<str>,
    /// Without.
    pub signals: Arc<str>,
}

/// The sending side.
#[derive(Debug, Clone)]
pub struct Stream {
    sender: broadcast::Sender<Line>,
    lost: Arc<AtomicU64>,
}

impl Default for Stream {
    fn default() -> Self {
        Self { sender: broadcast::channel(BACKLOG).0, lost: Arc::default() }
    }
}

#[derive(Serialize)]
struct Header<'a> {
    schema_hash: &'a str,
    agent_version: &'a str,
    kernel: &'a str,
    signals: Vec<&'static str>,
    features: Vec<&'static str>,
}

impl Stream {
    /// Ticks from now on.
    pub fn listen(&self) -> broadcast::Receiver<Line> {
        self.sender.subscribe()
    }

    /// Counts ticks that a listener lost.
    pub fn lose(&self, ticks: u64) {
        self.lost.fetch_add(ticks, Ordering::Relaxed);
    }

    /// Ticks that listeners lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Sends the tick that `pipeline` has just done.
    pub fn send(&self, pipeline: &Pipeline, unix_ms: u64, monotonic_ns: u64) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        let line = |with_features| line(pipeline, unix_ms, monotonic_ns, with_features).into();
        // The last listener may have left meanwhile.
        let _ = self.sender.send(Line { full: line(true), signals: line(false) });
    }
}

/// The first line: what the numbers are.
pub fn header(kernel: &str, with_features: bool) -> String {
    let header = Header {
        schema_hash: schema::hash(),
        agent_version: env!("CARGO_PKG_VERSION"),
        kernel,
        signals: Signal::ALL.iter().map(|signal| signal.name()).collect(),
        features: if with_features { (0..features::COUNT).map(features::name).collect() } else { Vec::new() },
    };
    serde_json::to_string(&header).unwrap_or_default() + "\n"
}

fn line(pipeline: &Pipeline, unix_ms: u64, monotonic_ns: u64, with_features: bool) -> String {
    let mut line = String::with_capacity(256 + pipeline.targets.len() * if with_features { 2_560 } else { 640 });
    // Writing to a String cannot fail.
    let _ =
        write!(line, r#"{{"tick":{},"unix_ms":{unix_ms},"monotonic_ns":{monotonic_ns},"targets":["#, pipeline.now.0);
    for (position, target) in pipeline.targets.iter().filter(|target| !target.window.is_empty()).enumerate() {
        if position > 0 {
            line.push(',');
        }
        push_target(&mut line, target, with_features);
    }
    line.push_str("]}\n");
    line
}

fn push_target(line: &mut String, target: &Target, with_features: bool) {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    let _ = write!(line, r#"{{"target":{},"uid":{},"signals":"#, quoted(&target.name), quoted(&target.uid));
    push_numbers(line, target.signals.as_slice());
    if with_features {
        line.push_str(r#","features":"#);
        push_numbers(line, target.features.as_slice());
    }
    line.push('}');
}

/// The shortest decimal numbers that read back as the same `f32`s; null for what was not measured.
fn push_numbers(line: &mut String, numbers: &[f32]) {
    line.push('[');
    for (position, number) in numbers.iter().enumerate() {
        if position > 0 {
            line.push(',');
        }
        if number.is_finite() {
            let _ = write!(line, "{number}");
        } else {
            line.push_str("null");
        }
    }
    line.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_as_they_were() {
        let numbers = [0.0, 1.5, f32::NAN, 1e-7, 123_456_790.0, -0.1];
        let mut line = String::new();
        push_numbers(&mut line, &numbers);
        let read: Vec<Option<f32>> = serde_json::from_str(&line).unwrap();
        assert_eq!(read[2], None);
        for (read, number) in read.iter().zip(numbers).filter(|(read, _)| read.is_some()) {
            assert_eq!(*read, Some(number));
        }
    }

    #[test]
    fn the_header_names_every_column() {
        let header: serde_json::Value = serde_json::from_str(&header("6.1", true)).unwrap();
        assert_eq!(header["signals"].as_array().unwrap().len(), Signal::COUNT);
        assert_eq!(header["features"].as_array().unwrap().len(), features::COUNT);
        assert_eq!(header["schema_hash"], schema::hash());
    }
}
