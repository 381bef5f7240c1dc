//! A scenario is data: the topology, its load, the faults and their times. Adding one needs no code.

mod draw;
mod fault;
mod load;
mod resolve;
mod shipped;

use std::path::Path;

pub use draw::{Draw, Randomness};
pub use fault::{Effect, Fault, Repeat, Sender, Shape};
pub use load::{Bulk, Http, Load, Tide, Trickle, Wrk};
pub use resolve::{Resolved, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
pub use shipped::{find, shipped, text};

use crate::LabError;

/// A scenario file. `N` is [`Draw`] as written, `f64` once the seed has filled the ranges in; the resolved form is a
/// valid scenario file again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario<N = Draw> {
    /// Unique name, lower case with dashes.
    pub name: String,
    /// Kind of trouble; evaluations split by it.
    pub family: String,
    /// One or two sentences for `lab list`.
    pub doc: String,
    /// What is built.
    pub topology: Topology<N>,
    /// What runs from beginning to end.
    pub loads: Vec<Load<N>>,
    /// Seconds of load alone before the first fault may begin.
    pub lead_in_s: N,
    /// Seconds after the last fault.
    pub tail_s: N,
    /// How often the list of faults is played, drawn afresh each time.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub cycles: u32,
    /// What goes wrong, one after the other. Empty: a calm.
    pub faults: Vec<Fault<N>>,
    /// Time between two of the observer's probes of a target, ms: more where many targets are watched for long. 20–1000.
    #[serde(default = "usual_probe_ms", skip_serializing_if = "is_usual_probe_ms")]
    pub probe_ms: u32,
}

/// Servers and clients on two sides of one path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Topology<N = Draw> {
    /// Web servers, each in its own namespace: the targets. 1–32.
    pub servers: N,
    /// Clients, each in its own namespace. 1–8.
    pub clients: N,
    /// Rate of the bottleneck towards the clients, Mbit/s. 0.5–200.
    pub rate_mbit: N,
    /// Round trip without queueing, ms, made exactly by the relay; 0 leaves the relay out. 0–500.
    pub base_rtt_ms: N,
    /// Length of the bottleneck's queue as time at full rate, ms. 5–2000.
    pub queue_ms: N,
    /// Which queue is the bottleneck.
    pub bottleneck: Bottleneck,
    /// Congestion control of the servers; the seed picks one.
    pub congestion_control: Vec<CongestionControl>,
    /// Whether each server is pinned to one CPU, where spinners of a `cpu` fault join it.
    #[serde(default)]
    pub pin_servers: bool,
    /// Kind of all addresses.
    #[serde(default, skip_serializing_if = "Addresses::is_ipv4")]
    pub addresses: Addresses,
}

/// Kind of the addresses of servers and clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Addresses {
    /// Internet Protocol, version 4.
    #[default]
    Ipv4,
    /// Version 6.
    Ipv6,
}

impl Addresses {
    fn is_ipv4(&self) -> bool {
        *self == Self::Ipv4
    }
}

/// Where the bottleneck is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bottleneck {
    /// In the router, shared by all servers, invisible to them.
    Router,
    /// At each server's own interface, a queue that its node can see.
    Server,
}

/// Congestion control of a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CongestionControl {
    /// The usual default.
    Cubic,
    /// NewReno.
    Reno,
    /// Paced by a model of the path; falls back to the kernel's default where it is not built in.
    Bbr,
}

/// The observer's usual pace, ms.
const PROBE_MS: u32 = 50;

fn usual_probe_ms() -> u32 {
    PROBE_MS
}

fn is_usual_probe_ms(probe_ms: &u32) -> bool {
    *probe_ms == PROBE_MS
}

fn one() -> u32 {
    1
}

fn is_one(cycles: &u32) -> bool {
    *cycles == 1
}

impl Scenario {
    /// Reads a scenario; `path` is only for the message.
    ///
    /// # Errors
    /// [`LabError::Malformed`] with line and column.
    pub fn parse(text: &str, path: &str) -> Result<Self, LabError> {
        serde_saphyr::from_str(text)
            .map_err(|error| LabError::Malformed { path: path.into(), message: error.to_string() })
    }

    /// Reads a scenario from a file.
    ///
    /// # Errors
    /// [`LabError::File`] or [`LabError::Malformed`].
    pub fn read(path: &Path) -> Result<Self, LabError> {
        let text = std::fs::read_to_string(path).map_err(LabError::file(path))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Seconds from the start of the load to the end of the longest episode that a seed can make.
    pub fn seconds_at_most(&self) -> f64 {
        let most = |draw: &Draw| *draw.span().end();
        let repeats = |repeat: &Repeat| (most(&repeat.times) - 1.0) * most(&repeat.every_s);
        let once: f64 = (self.faults.iter())
            .map(|fault| most(&fault.after_s) + most(&fault.lasts_s) + fault.repeat.as_ref().map_or(0.0, repeats))
            .sum();
        most(&self.lead_in_s) + f64::from(self.cycles) * once + most(&self.tail_s)
    }

    /// The same faults again and again, for about a day (bounded, so that the resolved file is).
    #[must_use]
    pub fn forever(mut self) -> Self {
        self.cycles = resolve::MAX_CYCLES;
        self
    }
}

/// JSON schema of a scenario file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Scenario).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_the_generated_one() {
        let generated = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenario.schema.json");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &generated).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), generated, "run cargo xtask bless scenarios");
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_name_and_line() {
        let text = "name: x\nfamily: x\ndoc: x\nlead_in_seconds: 60\n";
        let message = Scenario::parse(text, "mine.yaml").unwrap_err().to_string();
        assert!(message.contains("mine.yaml") && message.contains("lead_in_seconds"), "{message}");
        assert!(message.contains("line 4") || message.contains(":4"), "{message}");
    }
}
