//! A scenario is data: what is built, what loads it, what goes wrong and when. Anyone can add one without code.

mod draw;
mod resolve;
mod shipped;

use std::path::Path;

pub use draw::{Draw, Randomness};
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

/// Something that runs from beginning to end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Load<N = Draw> {
    /// Requests at random times at a mean rate, whatever the answers do (open loop).
    Http(Http<N>),
    /// A few requests at a fixed mean rate, for services with small answers.
    Trickle(Trickle<N>),
    /// Requests whose mean rate rises and falls slowly, as over a day; idle where it falls to nothing.
    Tide(Tide<N>),
    /// wrk: each connection asks again when it has its answer and has thought (closed loop).
    Wrk(Wrk<N>),
    /// iperf3 from the first server to the first client.
    Bulk(Bulk<N>),
}

/// Open-loop requests that offer a share of the bottleneck's rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http<N = Draw> {
    /// Offered load as a share of the bottleneck's rate. 0–5.
    pub offered: N,
    /// Mean size of an answer, bytes; raised where the offered load would need more than 300 requests/s. 100–4 000 000.
    pub response_bytes: N,
    /// Share of the requests that open a connection of their own. 0–1.
    pub fresh_share: N,
}

/// Open-loop requests at a fixed rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trickle<N = Draw> {
    /// Requests per second over all servers. 0.1–300.
    pub requests_per_s: N,
    /// Mean size of an answer, bytes. 100–4 000 000.
    pub response_bytes: N,
    /// Share of the requests that open a connection of their own. 0–1.
    pub fresh_share: N,
}

/// Open-loop requests whose mean rate is a sine over time, cut at zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tide<N = Draw> {
    /// The server that is asked, from 1. Absent: every server has a tide of its own, drawn by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<u32>,
    /// Requests per second in the middle between high and low. 0.01–300.
    pub requests_per_s: N,
    /// Mean size of an answer, bytes. 100–4 000 000.
    pub response_bytes: N,
    /// Share of the requests that open a connection of their own. 0–1.
    pub fresh_share: N,
    /// Seconds from one high to the next. 10–86 400.
    pub every_s: N,
    /// How far the rate moves up and down, as a share of the middle; above 1 the server is idle for a while. 0–4.
    pub swing: N,
    /// Where in its course the tide begins: 0 rising from the middle, 0.25 high, 0.75 low. 0–1.
    pub phase: N,
}

/// Closed-loop requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wrk<N = Draw> {
    /// Connections to each server. 1–64.
    pub connections: N,
    /// Size of an answer, bytes. 100–4 000 000.
    pub response_bytes: N,
    /// Mean time between an answer and the next request, ms. 0–10 000.
    pub think_ms: N,
}

/// Bulk transfer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bulk<N = Draw> {
    /// Parallel connections. 1–16.
    pub flows: N,
    /// Share of the bottleneck's rate that they are paced to together; 0: as fast as they can. 0–2.
    pub offered: N,
    /// Whether the application paces and not the kernel: what a stall keeps back is then sent as fast as the path allows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub catch_up: bool,
}

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault<N = Draw> {
    /// Seconds after the lead-in or the end of the fault before. 0–3600.
    pub after_s: N,
    /// Seconds from onset to end. 0.1–3600.
    pub lasts_s: N,
    /// What it does.
    pub effect: Effect<N>,
    /// How often it comes back, as a job does that is run by the clock. Absent: once.
    #[serde(default = "none::<Repeat<N>>", skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat<N>>,
}

/// A fault that comes at fixed intervals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repeat<N = Draw> {
    /// How often in all. 1–100.
    pub times: N,
    /// Seconds from one onset to the next, drawn once; longer than the fault lasts. 1–3600.
    pub every_s: N,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect<N = Draw> {
    /// More open-loop requests.
    Load {
        /// Offered load added at full strength, as a share of the bottleneck's rate. 0–20.
        offered: N,
        /// Mean size of an answer, bytes. 100–4 000 000.
        response_bytes: N,
        /// How the strength moves while the fault lasts.
        shape: Shape<N>,
        /// The one server that is asked, from 1, taken round where there are fewer; `offered` is then a share of what
        /// leads to it. Absent: all of them.
        #[serde(default = "none::<N>", skip_serializing_if = "Option::is_none")]
        server: Option<N>,
    },
    /// The bottleneck's rate falls, in steps of a second, and comes back at the end.
    Capacity {
        /// What remains of the rate. 0.02–1.
        to: N,
        /// Seconds until it has fallen that far; 0: at once. 0–3600.
        over_s: N,
    },
    /// The path gets longer at once.
    Delay {
        /// Added to the round trip, ms. 0–2000.
        add_ms: N,
    },
    /// The relay loses packets, both ways.
    Loss {
        /// Share lost at full strength, percent. 0–100.
        percent: N,
        /// Seconds until full strength; 0: at once. 0–3600.
        over_s: N,
    },
    /// Spinning threads compete for the servers' CPU.
    Cpu {
        /// Threads. 1–16.
        spinners: N,
        /// Their nice value. 0–19.
        nice: N,
        /// Share of each 50 ms that each of them spins. 0.05–1.
        duty: N,
    },
    /// Greedy iperf3 flows fill the queue.
    Bulk {
        /// Parallel connections. 1–16.
        flows: N,
        /// Who sends.
        #[serde(default, skip_serializing_if = "Sender::is_target")]
        from: Sender,
    },
    /// A host beside the servers, no target, sends datagrams through the shared bottleneck at a rate that heeds nothing.
    Flood {
        /// Rate at full strength, as a share of the bottleneck's. 0–5.
        offered: N,
        /// How the strength moves while the fault lasts.
        shape: Shape<N>,
    },
    /// The relay loses packets in bursts, both ways, each by a Markov chain of its own that every packet moves on (Gilbert
    /// and Elliott; netem's `loss gemodel` without loss in the good state).
    BurstLoss {
        /// Chance that a packet ends the good state, percent (netem: p). 0–100.
        enter_percent: N,
        /// Chance that a packet ends the bad state, percent (netem: r). 0.1–100.
        leave_percent: N,
        /// Share lost in the bad state, percent (netem: 1-h). 0–100.
        lost_percent: N,
    },
    /// What reads at the first client, paced requests and iperf3, stops reading: windows close. It goes on at the end.
    Stall,
}

/// Who sends a bulk transfer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sender {
    /// The first server, a target.
    #[default]
    Target,
    /// A host beside the servers that shares their bottleneck and is no target.
    Neighbour,
}

impl Sender {
    fn is_target(&self) -> bool {
        *self == Self::Target
    }
}

/// How a load fault's strength moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Shape<N = Draw> {
    /// All at once.
    Constant,
    /// Linearly up, then held.
    Ramp {
        /// Seconds to full strength. 0.1–3600.
        over_s: N,
    },
    /// On and off.
    Pulses {
        /// Seconds from one pulse's start to the next. 0.1–3600.
        every_s: N,
        /// Seconds that a pulse lasts. 0.01–3600.
        on_s: N,
    },
}

impl<N> Effect<N> {
    /// As it is called in a scenario file.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Load { .. } => "load",
            Self::Capacity { .. } => "capacity",
            Self::Delay { .. } => "delay",
            Self::Loss { .. } => "loss",
            Self::Cpu { .. } => "cpu",
            Self::Bulk { .. } => "bulk",
            Self::Flood { .. } => "flood",
            Self::BurstLoss { .. } => "burst-loss",
            Self::Stall => "stall",
        }
    }

    /// Whether it comes from the host beside the servers.
    pub const fn needs_neighbour(&self) -> bool {
        matches!(self, Self::Flood { .. } | Self::Bulk { from: Sender::Neighbour, .. })
    }
}

/// The observer's usual pace, ms.
const PROBE_MS: u32 = 50;

fn usual_probe_ms() -> u32 {
    PROBE_MS
}

fn is_usual_probe_ms(probe_ms: &u32) -> bool {
    *probe_ms == PROBE_MS
}

/// The default of what may be absent; serde asks for no more than the type, where its own default wants `N: Default`.
fn none<T>() -> Option<T> {
    None
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
