//! `PrecursorNodeReport`: the report of one node's agent, with the counts of its rules. The operator reads it.

mod counters;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{policy::SkillPercent, schema::fragment};

pub use counters::Counters;

/// Most entries of `rules` and of `models`; the rest is counted in `omitted`.
pub const MAX_ENTRIES: usize = 1024;

/// Most networks of the cluster in a report; all of them are counted in `count`.
pub const MAX_SHOWN_NETWORKS: usize = 16;

/// A report has no spec.
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
    doc = "The report of one node's agent: its sensors, its resource usage, its models and the counts of its rules.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the agent can forecast on this node."
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".status.agentVersion",
        description = "The agent's version."
    ),
    printcolumn(
        name = "Kernel",
        type_ = "string",
        json_path = ".status.kernel",
        description = "The kernel release of the node."
    ),
    printcolumn(
        name = "RTT",
        type_ = "string",
        json_path = ".status.rttSource",
        description = "Which RTT the kernel provides."
    ),
    printcolumn(
        name = "Coverage",
        type_ = "integer",
        json_path = ".status.socketCoveragePercent",
        description = "Share of the watched pods' established sockets from which the agent has a sample, in percent."
    ),
    printcolumn(
        name = "Targets",
        type_ = "integer",
        json_path = ".status.targets",
        description = "The number of pods watched."
    ),
    printcolumn(
        name = "CPU",
        type_ = "string",
        json_path = ".status.overhead.cpu",
        priority = 1,
        description = "CPU usage of the agent."
    ),
    printcolumn(
        name = "Memory",
        type_ = "string",
        json_path = ".status.overhead.memory",
        priority = 1,
        description = "Memory usage of the agent."
    ),
    printcolumn(
        name = "Pending",
        type_ = "integer",
        json_path = ".status.queue.pending",
        priority = 1,
        description = "Messages waiting to be sent."
    ),
    printcolumn(
        name = "Heartbeat",
        type_ = "date",
        json_path = ".status.heartbeat",
        description = "Time since the agent last updated the report."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct PrecursorNodeReportSpec {}

/// The state of the agent. Updated when something changes, and every five minutes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrecursorNodeReportStatus {
    /// The agent's version.
    #[schemars(length(max = 63))]
    pub agent_version: String,
    /// The kernel release, as printed by `uname -r`.
    #[schemars(length(max = 127))]
    pub kernel: String,
    /// Which RTT the kernel provides.
    pub rtt_source: RttSource,
    /// Where the RTT of all connections of the watched pods comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_from: Option<RttFromCounts>,
    /// Share of the watched pods' established sockets from which the agent has a sample, in percent. Absent before the
    /// first survey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub socket_coverage_percent: Option<u8>,
    /// Resource usage of the agent. Absent until it is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overhead: Option<Overhead>,
    /// The state of each sensor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub sensors: Vec<Sensor>,
    /// The number of pods watched on this node.
    #[serde(default)]
    pub targets: u32,
    /// Selected pods that are not watched because the agent has no free slot for them.
    #[serde(default)]
    pub targets_over_capacity: u64,
    /// The networks of the cluster, by which rules tell peers with scope `Cluster` from `External` ones. Absent until they
    /// are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_networks: Option<ClusterNetworks>,
    /// The queue of messages to the API server.
    #[serde(default)]
    pub queue: Queue,
    /// The model of each rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_ENTRIES))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["policyUID", "rule"]))]
    pub models: Vec<ModelStatus>,
    /// The counts of each rule on this node since the rule last changed its meaning. They are cumulative; the operator
    /// sums them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_ENTRIES))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["policyUID", "rule"]))]
    pub rules: Vec<RuleCount>,
    /// The number of rules that did not fit into `models` or `rules`.
    #[serde(default)]
    pub omitted: u32,
    /// `Ready`: the agent can forecast. `Degraded`: the agent measures or publishes less than it should. `WarmingUp`: there
    /// is too little data yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "fragment::conditions")]
    pub conditions: Vec<Condition>,
    /// When the agent last updated the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "fragment::time")]
    pub heartbeat: Option<Time>,
}

/// Which RTT the kernel provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RttSource {
    /// The RTT of each round trip.
    Measured,
    /// Only the smoothed RTT (kernels before 6.10).
    Smoothed,
    /// None: the sensor is unavailable.
    #[default]
    Unavailable,
}

/// How many pods' RTT comes from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RttFromCounts {
    /// From clean samples, or from nothing yet.
    #[serde(default)]
    pub clean: u32,
    /// From the least delayed of all samples: answers are too small for clean ones.
    #[serde(default)]
    pub low_quantile: u32,
    /// From the smoothed RTT of connections older than the agent.
    #[serde(default)]
    pub smoothed: u32,
    /// From handshakes alone.
    #[serde(default)]
    pub handshake: u32,
}

/// The networks of the cluster's pods, Services and nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterNetworks {
    /// Where they come from.
    pub from: NetworksFrom,
    /// Why they do not come from nodes and ServiceCIDRs, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// The networks in CIDR notation, the first of them if there are more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_SHOWN_NETWORKS), inner(length(max = 43)))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub networks: Vec<String>,
    /// The number of networks.
    pub count: u32,
}

/// Where the networks of the cluster come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NetworksFrom {
    /// The chart's value `clusterNetworks`.
    Given,
    /// Nodes' pod networks and addresses, and ServiceCIDRs.
    Nodes,
    /// All addresses for private networks: nodes and ServiceCIDRs do not say enough.
    PrivateRanges,
}

/// Resource usage of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overhead {
    /// CPU usage, a quantity such as `4m` (thousandths of a core).
    #[schemars(length(max = 31), transform = fragment::quantity)]
    pub cpu: String,
    /// Resident memory, a quantity such as `31Mi`.
    #[schemars(length(max = 31), transform = fragment::quantity)]
    pub memory: String,
}

/// The state of one sensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sensor {
    /// The sensor's name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Whether forecasts need the sensor.
    pub need: Need,
    /// Whether the sensor works.
    pub state: SensorState,
    /// Why the sensor does not work, or only partly, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// What the sensor cannot measure in an installation of this kind, by design. No degradation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub limits: Option<String>,
}

/// Whether forecasts need a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Need {
    /// Without the sensor there are no forecasts.
    Required,
    /// Without the sensor some features keep their neutral value.
    Optional,
}

/// Whether a sensor works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SensorState {
    /// The sensor measures all its signals.
    Active,
    /// Some signals are missing or less accurate.
    Degraded,
    /// The sensor measures nothing.
    Unavailable,
}

/// The queue of messages to the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Queue {
    /// Messages waiting to be sent.
    pub pending: u64,
    /// Messages dropped since the agent started because the queue was full.
    pub dropped: u64,
}

/// The model of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelStatus {
    /// The policy's UID.
    #[serde(rename = "policyUID")]
    #[schemars(length(min = 1, max = 64))]
    pub policy_uid: String,
    /// The rule's name.
    #[schemars(length(min = 1, max = 63))]
    pub rule: String,
    /// The model or rule of thumb that forecasts.
    #[schemars(length(min = 1, max = 511))]
    pub name: String,
    /// Whether it is the model that the rule names.
    pub ready: bool,
    /// Why the rule fell back to another model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
}

/// The counts of one rule on this node.
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
    /// The policy's namespace. Absent for a ClusterPrecursorPolicy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub policy_namespace: Option<String>,
    /// The rule's name.
    #[schemars(length(min = 1, max = 63))]
    pub rule: String,
    /// Changes when the rule's meaning does; the counts then restart at zero.
    #[schemars(length(max = 64))]
    pub rule_hash: String,
    /// When counting started.
    #[schemars(schema_with = "fragment::time")]
    pub since: Time,
    /// The number of pods on this node that the rule watches.
    #[serde(default)]
    pub targets: u32,
    /// Alerts without an object because of a cap, since the agent started.
    #[serde(default)]
    pub throttled: u64,
    /// Alerts whose object does not show their state yet: they wait to be written.
    #[serde(default)]
    pub waiting: u64,
    /// The chance that a warning needs now, in percent: `minConfidencePercent` plus what false warnings have added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub needed_percent: Option<u8>,
    /// The highest recent forecast chance while RTT was within the threshold, in percent; it decays by half within a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub reachable_percent: Option<u8>,
    /// The recent skill of the forecast over the best rule of thumb. Only with `adaptive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_percent: Option<SkillPercent>,
    /// The expert with the largest weight in the forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub leading_expert: Option<String>,
    /// The counts.
    #[serde(flatten)]
    pub counters: Counters,
}
