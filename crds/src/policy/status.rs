//! What the operator says of a policy. Both kinds have the same.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Duration,
    schema::{cel, fragment},
};

/// What the operator says of a `ClusterPrecursorPolicy`.
pub type ClusterPrecursorPolicyStatus = PrecursorPolicyStatus;

/// What the operator says of the policy, at most once a minute unless a condition changes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrecursorPolicyStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pods watched, over all nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<u32>,
    /// Alerts of this policy that are firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing: Option<u32>,
    /// How each rule did, by rule and window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name", "window"]))]
    pub rules: Vec<RuleStatus>,
    /// `Ready`, `ModelReady`, `TargetsResolved`, `AgentsReady` always; `WarmingUp`, `Throttled`, `Degraded`,
    /// `Unannounced` and `Overlapping` where they say something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "fragment::conditions")]
    pub conditions: Vec<Condition>,
}

/// How one rule did, over one window and all its pods. Percentages are absent where nothing was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleStatus {
    /// The rule.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// What the counts cover.
    pub window: ScoreWindow,
    /// When the counts begin: less than the window ago while the rule is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "fragment::time")]
    pub since: Option<Time>,
    /// Alerts fired.
    #[serde(default)]
    pub alerts: u64,
    /// Alerts that an incident followed in time.
    #[serde(default)]
    pub confirmed: u64,
    /// Alerts that came with or after their incident.
    #[serde(default)]
    pub late: u64,
    /// Alerts that no incident followed in time: false ones.
    #[serde(default)]
    pub unconfirmed: u64,
    /// Alerts after which nothing was measured.
    #[serde(default)]
    pub unjudged: u64,
    /// Incidents: runs of measured breaches.
    #[serde(default)]
    pub incidents: u64,
    /// Incidents that were warned of.
    #[serde(default)]
    pub warned: u64,
    /// Incidents that were not warned of.
    #[serde(default)]
    pub missed: u64,
    /// Confirmed alerts in percent of all that were confirmed or unconfirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub precision_percent: Option<u8>,
    /// Incidents warned of in percent of all that were warned of or missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub recall_percent: Option<u8>,
    /// From the first warning to the incident, the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_median: Option<Duration>,
    /// From the first warning to the incident: nine in ten had at least this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_p10: Option<Duration>,
    /// False alerts per pod and day, with two decimals, such as `0.25`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24), transform = cel::decimal)]
    pub false_alerts_per_pod_day: Option<String>,
    /// The chance in percent that a warning needs now: `minConfidencePercent`, and what false warnings added to it. Of the
    /// node that comes nearest to a warning; in the entry of `24h` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub needed_percent: Option<u8>,
    /// The highest chance in percent that was forecast of late while RTT was within the threshold; half of it is forgotten
    /// within a day. Below `neededPercent` nothing has come near a warning. Of the same node; in the entry of `24h` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub reachable_percent: Option<u8>,
    /// How much less the forecast lost of late than the best rule of thumb on the same seconds, mean over nodes by the pods
    /// that they watch. Below 0 the rule of thumb was better. In the entry of `24h` alone; absent for a model by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_percent: Option<SkillPercent>,
    /// The expert that forecasts are made of most, where most pods are. In the entry of `24h` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub leading_expert: Option<String>,
}

/// Skill in percent, by the quantile that is forecast: 100 would be without loss, 0 is as good as the best rule of thumb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkillPercent {
    /// Of the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -999, max = 100))]
    pub q50: Option<i64>,
    /// Of the 0.9 quantile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -999, max = 100))]
    pub q90: Option<i64>,
    /// Of the 0.99 quantile.
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

/// What the counts of a rule cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ScoreWindow {
    /// The last 24 hours.
    #[serde(rename = "24h")]
    Day,
    /// All since the rule last changed its meaning.
    SinceChange,
}
