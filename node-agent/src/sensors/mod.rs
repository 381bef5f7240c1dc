//! What the agent measures with. A sensor is the BPF programs, maps and files behind some signals, managed as one unit
//! with one status. Nothing here ends the process: what cannot attach says why, and its signals stay absent.

pub mod cgroup;
pub mod ends;
pub mod histogram;
pub mod identity;
pub mod mapped;
pub mod netlink;
pub mod node;
pub mod object;
pub mod procnet;
pub mod qdisc;

pub mod sched;
pub mod sockets;
pub mod stalls;
pub mod suite;
pub mod surveyor;

pub mod tcp;
pub mod tracepoint;
pub mod traffic;

use std::fmt;

use serde::Serialize;

/// Whether forecasts can do without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Need {
    /// Without it there is no forecast.
    Required,
    /// Without it some features stay at their neutral value.
    Optional,
}

/// How well a sensor works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "reason")]
pub enum State {
    /// All its signals are measured.
    Active,
    /// Some signals are missing or of lesser quality.
    Degraded(String),
    /// None of its signals is measured.
    Unavailable(String),
}

/// What the agent says of one sensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The sensor's name.
    pub name: &'static str,
    /// Whether forecasts can do without it.
    pub need: Need,
    /// How well it works.
    #[serde(flatten)]
    pub state: State,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => f.write_str("Active"),
            Self::Degraded(reason) => write!(f, "Degraded: {reason}"),
            Self::Unavailable(reason) => write!(f, "Unavailable: {reason}"),
        }
    }
}

impl State {
    /// `Active` from a success, `Unavailable` with the whole chain of causes from an error.
    pub fn of<T, E: std::error::Error>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Active,
            Err(error) => Self::Unavailable(chain(error)),
        }
    }

    /// The word without the reason.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Degraded(_) => "Degraded",
            Self::Unavailable(_) => "Unavailable",
        }
    }

    /// The reason, where there is one.
    pub fn reason(&self) -> &str {
        match self {
            Self::Active => "",
            Self::Degraded(reason) | Self::Unavailable(reason) => reason,
        }
    }
}

/// An error with its causes on one line. The verifier's log, which some causes carry, is cut to its first line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let message = error.to_string();
        let line = message.lines().next().unwrap_or_default();
        // thiserror's `{0}` and its source often say the same.
        if !text.ends_with(line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(line);
        }
        next = error.source();
    }
    text
}
