//! The labels of an episode, as written to `labels.json`.

use serde::{Deserialize, Serialize};

use super::{
    Incident,
    incident::{THRESHOLD_FACTOR, incidents, median_us},
    observer::{Seen, monotonic_ns, unix_ms},
};

/// Seconds of load that settle before the calm median is taken.
const SETTLING: usize = 5;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instants {
    /// Milliseconds since 1970 (`CLOCK_REALTIME`).
    pub unix_ms: u64,
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub monotonic_ns: u64,
}

impl Instants {
    /// Reads both clocks.
    pub fn now() -> Self {
        Self { unix_ms: unix_ms(), monotonic_ns: monotonic_ns() }
    }

    /// The moment some seconds later.
    pub(crate) fn plus(self, seconds: f64) -> Self {
        Self {
            unix_ms: self.unix_ms + (seconds * 1e3) as u64,
            monotonic_ns: self.monotonic_ns + (seconds * 1e9) as u64,
        }
    }
}

/// Ground truth of one episode (`labels.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Labels {
    /// Version of this structure.
    pub version: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// Its family.
    pub family: String,
    /// The seed that filled its ranges in.
    pub seed: u64,
    /// Part of the namespaces' names.
    pub lab: String,
    /// Kernel release.
    pub kernel: String,
    /// Congestion control that the servers really had.
    pub congestion_control: String,
    /// Whether the episode ran to its end.
    pub complete: bool,
    /// When the load began: seconds count from here.
    pub started: Instants,
    /// When the episode ended.
    pub ended: Instants,
    /// The faults, with the times at which they were really applied.
    pub faults: Vec<FaultTimes>,
    /// The observer against the configured delay, on the idle path.
    pub observer: ObserverError,
    /// The observer's view of each target.
    pub targets: Vec<TargetLabels>,
    /// The outcomes of the paced requests.
    pub requests: crate::load::RequestCounts,
    /// The relay's counters.
    pub relay: crate::topology::relay::Counts,
}

/// A fault's times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultTimes {
    /// Kind of effect, as in the scenario file.
    pub effect: String,
    /// When it began.
    pub onset: Instants,
    /// When it ended; `None` where the episode ended before it.
    pub end: Option<Instants>,
}

/// The observer's error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObserverError {
    /// Time between two probes of a target, ms.
    pub interval_ms: u64,
    /// Round trip that the relay was set to, µs.
    pub configured_us: f64,
    /// Median that the observer measured before the load began, µs, the worst target.
    pub measured_us: f64,
    /// Their difference, µs: the observer's error and what veth and router really take.
    pub error_us: f64,
}

/// The observer's view of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetLabels {
    /// Its namespace.
    pub target: String,
    /// Its address.
    pub address: String,
    /// Median round trip under load before the first fault, µs.
    pub calm_median_us: u32,
    /// Reference threshold: 3 × the calm median, µs.
    pub threshold_us: f64,
    /// Largest round trip of the episode, µs.
    pub peak_us: u32,
    /// Largest median of any second, µs.
    pub peak_second_median_us: u32,
    /// Probes answered and lost.
    pub probes: [u64; 2],
    /// Incidents against the reference threshold.
    pub incidents: Vec<Incident>,
}

impl TargetLabels {
    /// Labels of one target; `calm_s` is when the first fault began.
    pub(crate) fn new(target: String, address: String, seen: &Seen, calm_s: usize) -> Self {
        let seconds = &seen.seconds;
        let calm = calm_s.clamp(SETTLING.min(seconds.len()), seconds.len());
        let calm_median_us = median_us(&seconds[SETTLING.min(calm)..calm]).unwrap_or(0);
        let threshold_us = THRESHOLD_FACTOR * f64::from(calm_median_us);
        let answered = seconds.iter().map(|second| second.rtts_us.len() as u64).sum();
        Self {
            target,
            address,
            calm_median_us,
            threshold_us,
            peak_us: seconds.iter().map(super::Second::max_us).max().unwrap_or(0),
            peak_second_median_us: seconds.iter().filter_map(|s| median_us(std::slice::from_ref(s))).max().unwrap_or(0),
            probes: [answered, seconds.iter().map(|second| u64::from(second.lost)).sum()],
            incidents: incidents(seconds, threshold_us),
        }
    }
}
