//! What the tick thread contributes to the node report.

use netprecursor_core::{alert::PolicyRef, forecast::QUANTILES, score::Scorecard};

use crate::status::Status;

/// Which RTT the kernel gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RttSource {
    /// Each round trip.
    Measured,
    /// The smoothed one of before (kernels before 6.10).
    Smoothed,
    /// None: the sensor does not work.
    #[default]
    Unavailable,
}

/// What forecasts for one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelData {
    /// The policy.
    pub policy: PolicyRef,
    /// The rule.
    pub rule: String,
    /// The model that forecasts.
    pub name: String,
    /// Whether that is the model that the rule asks for.
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// What one rule counted on this node.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleData {
    /// The policy.
    pub policy: PolicyRef,
    /// The rule.
    pub rule: String,
    /// Changes when the rule's meaning does: then the counters start from zero.
    pub hash: String,
    /// Since when it counts, unix s.
    pub since: u64,
    /// The pods of this node that it watches.
    pub targets: u32,
    /// The chance that a warning needs.
    pub needed: f32,
    /// The highest recent forecast chance.
    pub reachable: f32,
    /// The recent skill of the forecast over the best rule of thumb, by quantile, and the expert of the highest weight;
    /// `None` before a minute and for a model by itself.
    pub merit: Option<([Option<f64>; QUANTILES.len()], &'static str)>,
    /// The counters.
    pub scorecard: Scorecard,
}

/// What the tick thread contributes to the node report.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportData {
    /// Unix time, s.
    pub unix: u64,
    /// The sensors.
    pub sensors: Vec<Status>,
    /// Which RTT they measure.
    pub rtt_source: RttSource,
    /// Established sockets of all watched pods, and those of them that are seen; `None` before the first survey.
    pub sockets: Option<(u64, u64)>,
    /// Pods watched.
    pub targets: u32,
    /// Pods that found no slot.
    pub over_capacity: u64,
    /// Transitions that no longer found room between the threads.
    pub transitions_lost: u64,
    /// What forecasts.
    pub models: Vec<ModelData>,
    /// What was counted.
    pub rules: Vec<RuleData>,
}
