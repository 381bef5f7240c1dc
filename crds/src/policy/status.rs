//! The status of a policy, the same for both kinds.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Duration,
    schema::{cel, fragment},
};

/// The status of a `ClusterPrecursorPolicy`.
pub type ClusterPrecursorPolicyStatus = PrecursorPolicyStatus;

/// The observed state of the policy. The operator updates it when a condition changes, otherwise at most once a minute.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrecursorPolicyStatus {
    /// The generation of the spec that this status refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The number of pods watched on all nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<u32>,
    /// The number of firing alerts of this policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing: Option<u32>,
    /// The number of alerts of this policy, on all nodes, whose object does not show their state yet: they wait to be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u32>,
    /// The score of each rule, by rule and window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name", "window"]))]
    pub rules: Vec<RuleStatus>,
    /// `Ready`, `ModelReady`, `TargetsResolved` and `AgentsReady` are always present; `WarmingUp`, `Throttled`, `Degraded`,
    /// `Unannounced` and `Overlapping` only while they apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "fragment::conditions")]
    pub conditions: Vec<Condition>,
}

/// The score of one rule in one window, over all its pods. Percentages are absent if there is no verdict yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleStatus {
    /// The rule's name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The period that the counts cover.
    pub window: ScoreWindow,
    /// When counting started. For a new rule, later than the start of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "fragment::time")]
    pub since: Option<Time>,
    /// Alerts fired.
    #[serde(default)]
    pub alerts: u64,
    /// Warnings that an incident followed in time.
    #[serde(default)]
    pub confirmed: u64,
    /// Alerts that fired with or after their incident.
    #[serde(default)]
    pub late: u64,
    /// Warnings that no incident followed in time: false alerts.
    #[serde(default)]
    pub unconfirmed: u64,
    /// Alerts without a verdict because nothing was measured afterwards.
    #[serde(default)]
    pub unjudged: u64,
    /// Incidents: runs of measured breaches.
    #[serde(default)]
    pub incidents: u64,
    /// Incidents that a warning preceded.
    #[serde(default)]
    pub warned: u64,
    /// Incidents that no warning preceded.
    #[serde(default)]
    pub missed: u64,
    /// Confirmed warnings, in percent of confirmed and unconfirmed ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub precision_percent: Option<u8>,
    /// Incidents that a warning preceded, in percent of those that were warned of or missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub recall_percent: Option<u8>,
    /// Median time from the first warning to the incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_median: Option<Duration>,
    /// 10th percentile of the time from the first warning to the incident: nine in ten leads were at least this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_p10: Option<Duration>,
    /// False alerts per pod and day, with two decimals, for example `0.25`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24), transform = cel::decimal)]
    pub false_alerts_per_pod_day: Option<String>,
    /// The chance that a warning needs now, in percent: `minConfidencePercent` plus what false warnings have added. Taken
    /// from the node that comes closest to a warning; only in the `24h` entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub needed_percent: Option<u8>,
    /// The highest recent forecast chance while RTT was within the threshold, in percent; it decays by half within a day.
    /// Below `neededPercent`, nothing has come near a warning. Taken from the same node; only in the `24h` entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub reachable_percent: Option<u8>,
    /// The recent skill of the forecast over the best rule of thumb on the same seconds: the mean over nodes, weighted by
    /// the pods that they watch. Below 0 the rule of thumb was better. Only in the `24h` entry, and only with `adaptive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_percent: Option<SkillPercent>,
    /// The expert with the largest weight on the nodes that watch most pods. Only in the `24h` entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub leading_expert: Option<String>,
}

/// Skill in percent, by forecast quantile: 100 means no loss, 0 means as good as the best rule of thumb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkillPercent {
    /// Skill of the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -999, max = 100))]
    pub q50: Option<i64>,
    /// Skill of the 0.9 quantile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -999, max = 100))]
    pub q90: Option<i64>,
    /// Skill of the 0.99 quantile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -999, max = 100))]
    pub q99: Option<i64>,
}

impl SkillPercent {
    /// Whole percent within the bounds.
    pub const fn whole(percent: f64) -> i64 {
        percent.round().clamp(-999.0, 100.0) as i64
    }
}

/// The period that the counts of a rule cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ScoreWindow {
    /// The last 24 hours.
    #[serde(rename = "24h")]
    Day,
    /// Since the rule last changed its meaning.
    SinceChange,
}
