//! The faults of a scenario.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Draw;

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

/// The default of an optional field. Unlike serde's own default it does not need `N: Default`.
fn none<T>() -> Option<T> {
    None
}
