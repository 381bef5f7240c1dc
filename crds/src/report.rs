//! `PrecursorNodeReport`: what the agent of one node says of itself, and what its rules counted. The operator reads it.

mod counters;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{policy::SkillPercent, schema::fragment};

pub use counters::Counters;

/// Entries of `rules` and of `models` at most; what is beyond is counted in `omitted`.
pub const MAX_ENTRIES: usize = 1024;

/// Nothing is wanted of a report: it has no spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, CustomResource)]
#[kube(
    group = "netprecursor.io",
    version = "v1alpha1",
    kind = "PrecursorNodeReport",
    plural = "precursornodereports",
    no_spec,
    status = "PrecursorNodeReportStatus",
    derive = "PartialEq",
    schema = "disabled",
    shortname = "npn",
    category = "netprecursor",
    selectable = ".status.agentVersion",
    selectable = ".status.rttSource",
    doc = "What the agent of one node says of itself: its sensors, its cost, and what its rules counted.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether forecasts are made on this node."
    ),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.agentVersion", description = "The agent's."),
    printcolumn(name = "Kernel", type_ = "string", json_path = ".status.kernel", description = "The node's."),
    printcolumn(name = "RTT", type_ = "string", json_path = ".status.rttSource", description = "Which RTT there is."),
    printcolumn(
        name = "Coverage",
        type_ = "integer",
        json_path = ".status.socketCoveragePercent",
        description = "Established sockets of watched pods that are seen, in percent."
    ),
    printcolumn(name = "Targets", type_ = "integer", json_path = ".status.targets", description = "Pods watched."),
    printcolumn(
        name = "CPU",
        type_ = "string",
        json_path = ".status.overhead.cpu",
        priority = 1,
        description = "What the agent takes."
    ),
    printcolumn(
        name = "Memory",
        type_ = "string",
        json_path = ".status.overhead.memory",
        priority = 1,
        description = "What the agent takes."
    ),
    printcolumn(
        name = "Pending",
        type_ = "integer",
        json_path = ".status.queue.pending",
        priority = 1,
        description = "Messages that wait to be sent."
    ),
    printcolumn(
        name = "Heartbeat",
        type_ = "date",
        json_path = ".status.heartbeat",
        description = "How long ago the agent last wrote."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct PrecursorNodeReportSpec {}

/// What the agent says, when something changes and every five minutes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrecursorNodeReportStatus {
    /// The agent's version.
    #[schemars(length(max = 63))]
    pub agent_version: String,
    /// The kernel's release, as `uname -r` tells it.
    #[schemars(length(max = 127))]
    pub kernel: String,
    /// Which RTT the kernel gives.
    pub rtt_source: RttSource,
    /// Established sockets of watched pods that are seen, in percent; absent before the first survey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub socket_coverage_percent: Option<u8>,
    /// What the agent takes; absent before it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overhead: Option<Overhead>,
    /// How well each sensor works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub sensors: Vec<Sensor>,
    /// Pods watched on this node.
    #[serde(default)]
    pub targets: u32,
    /// Pods that are wanted but not watched, because the agent has no room for more.
    #[serde(default)]
    pub targets_over_capacity: u64,
    /// Messages on their way to the API server.
    #[serde(default)]
    pub queue: Queue,
    /// What forecasts, by rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_ENTRIES))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["policyUID", "rule"]))]
    pub models: Vec<ModelStatus>,
    /// What each rule counted on this node since it last changed its meaning. Cumulative: the operator sums them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_ENTRIES))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["policyUID", "rule"]))]
    pub rules: Vec<RuleCount>,
    /// Rules for which there was no more room in `models` or `rules`.
    #[serde(default)]
    pub omitted: u32,
    /// `Ready`: forecasts are made. `Degraded`: some sensors are missing. `WarmingUp`: not enough was seen yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "fragment::conditions")]
    pub conditions: Vec<Condition>,
    /// When the agent last wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "fragment::time")]
    pub heartbeat: Option<Time>,
}

/// Which RTT the kernel gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RttSource {
    /// That of each round trip.
    Measured,
    /// Only the smoothed one of before (kernels before 6.10).
    Smoothed,
    /// None: the sensor does not work.
    #[default]
    Unavailable,
}

/// What the agent takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overhead {
    /// CPU, as a quantity such as `4m` (thousandths of a core).
    #[schemars(length(max = 31), transform = fragment::quantity)]
    pub cpu: String,
    /// Resident memory, as a quantity such as `31Mi`.
    #[schemars(length(max = 31), transform = fragment::quantity)]
    pub memory: String,
}

/// How well one sensor works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sensor {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Whether forecasts can do without it.
    pub need: Need,
    /// Whether it works.
    pub state: SensorState,
    /// Why it does not, or not fully, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
}

/// Whether forecasts can do without a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Need {
    /// Without it there is no forecast.
    Required,
    /// Without it some features stay at their neutral value.
    Optional,
}

/// Whether a sensor works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SensorState {
    /// All its signals are measured.
    Active,
    /// Some signals are missing or of lesser quality.
    Degraded,
    /// None of its signals is measured.
    Unavailable,
}

/// Messages on their way to the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Queue {
    /// Messages that wait to be sent.
    pub pending: u64,
    /// Messages that were given up because the queue was full, since the agent started.
    pub dropped: u64,
}

/// What forecasts for one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelStatus {
    /// The policy's UID.
    #[serde(rename = "policyUID")]
    #[schemars(length(min = 1, max = 64))]
    pub policy_uid: String,
    /// The rule.
    #[schemars(length(min = 1, max = 63))]
    pub rule: String,
    /// The model or rule of thumb.
    #[schemars(length(min = 1, max = 511))]
    pub name: String,
    /// Whether that is what the rule asks for.
    pub ready: bool,
    /// Why it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
}

/// What one rule counted on this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleCount {
    /// The policy's UID.
    #[serde(rename = "policyUID")]
    #[schemars(length(min = 1, max = 64))]
    pub policy_uid: String,
    /// The policy's name.
    #[schemars(length(min = 1, max = 253))]
    pub policy_name: String,
    /// The policy's namespace; absent for a ClusterPrecursorPolicy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub policy_namespace: Option<String>,
    /// The rule.
    #[schemars(length(min = 1, max = 63))]
    pub rule: String,
    /// Changes when the rule's meaning does: the counts then start anew.
    #[schemars(length(max = 64))]
    pub rule_hash: String,
    /// Since when it counts.
    #[schemars(schema_with = "fragment::time")]
    pub since: Time,
    /// Pods of this node that it watches.
    #[serde(default)]
    pub targets: u32,
    /// Alerts of which no object was made because of a cap, since the agent started.
    #[serde(default)]
    pub throttled: u64,
    /// The chance in percent that a warning needs: `minConfidencePercent`, and what false warnings added to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub needed_percent: Option<u8>,
    /// The highest chance in percent that was forecast of late while RTT was within the threshold; half of it is forgotten
    /// within a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub reachable_percent: Option<u8>,
    /// Of the forecast over the best rule of thumb of late; absent for a model by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_percent: Option<SkillPercent>,
    /// The expert that the forecast is made of most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub leading_expert: Option<String>,
    /// The counts.
    #[serde(flatten)]
    pub counters: Counters,
}
