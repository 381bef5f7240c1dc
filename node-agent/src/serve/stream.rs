//! The stream of ticks: one JSON object per line with every signal and feature of every target, for recordings.
//!
//! Each listener's lines are made as it takes them. One that cannot keep up loses ticks and receives their number.

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

use crate::tick::snapshot::Snapshot;

/// One JSON object a line.
pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// Ticks that wait for a slow listener.
const BACKLOG: usize = 30;

/// The sending side.
#[derive(Debug, Clone)]
pub struct Stream {
    sender: broadcast::Sender<Arc<Snapshot>>,
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
    pub fn listen(&self) -> broadcast::Receiver<Arc<Snapshot>> {
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

    /// Sends the tick that has just been done.
    pub fn send(&self, snapshot: &Arc<Snapshot>) {
        // It fails when nobody listens.
        let _ = self.sender.send(Arc::clone(snapshot));
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

/// The line in the place of ticks that a listener lost.
pub fn lost(ticks: u64) -> String {
    format!("{{\"lost\":{ticks}}}\n")
}

/// The line of one tick.
pub fn line(snapshot: &Snapshot, with_features: bool) -> String {
    let Snapshot { tick, moment, recent, .. } = snapshot;
    let (signals, features) = (recent.signals.latest(), recent.features.as_deref());
    let targets =
        signals.zip(features).into_iter().flat_map(|(signals, features)| signals.iter().zip(&features.values));
    let size = if with_features { 2_560 } else { 640 };
    let mut line = String::with_capacity(256 + signals.map_or(0, |frame| frame.values.len()) * size);
    // Writing to a String cannot fail.
    let _ = write!(
        line,
        r#"{{"tick":{},"unix_ms":{},"monotonic_ns":{},"targets":["#,
        tick.0, moment.unix_ms, moment.monotonic_ns
    );
    for (position, ((about, signals), features)) in targets.enumerate() {
        if position > 0 {
            line.push(',');
        }
        let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
        let _ = write!(line, r#"{{"target":{},"uid":{},"signals":"#, quoted(&about.name), quoted(&about.uid));
        push_numbers(&mut line, signals.as_slice());
        if with_features {
            line.push_str(r#","features":"#);
            push_numbers(&mut line, features);
        }
        line.push('}');
    }
    line.push_str("]}\n");
    line
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
