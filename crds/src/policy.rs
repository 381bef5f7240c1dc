//! `PrecursorPolicy` and `ClusterPrecursorPolicy`, v1alpha1, as written. Nothing is checked here beyond types: the API
//! server checks by the schema, the conversion checks all of it again for everybody else. Defaults that depend on
//! another field are not filled in: the conversion does.
//!
//! `kubectl explain` and the policy reference show the comments on fields.

mod rule;
mod selector;
mod status;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use rule::{
    AlertPer, ConfigMapKeyRef, Debounce, Measure, ModelReference, PeerScope, Peers, RttForecast, Rule, Severity,
    Signal, Statistic,
};
pub use selector::{LabelSelector, LabelSelectorRequirement, MAX_REQUIREMENTS, MAX_VALUES, SelectorOperator};
pub use status::{ClusterPrecursorPolicyStatus, PrecursorPolicyStatus, RuleStatus, ScoreWindow, SkillPercent};

/// The API group.
pub const GROUP: &str = "netprecursor.io";

/// The API group and version.
pub const API_VERSION: &str = "netprecursor.io/v1alpha1";

/// Most rules of one policy: this bounds the work of an agent per pod and tick.
pub const MAX_RULES: usize = 64;

/// The pods of one namespace to watch, and the rules for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "netprecursor.io",
    version = "v1alpha1",
    kind = "PrecursorPolicy",
    plural = "precursorpolicies",
    namespaced,
    status = "PrecursorPolicyStatus",
    derive = "PartialEq",
    schema = "disabled",
    shortname = "npp",
    category = "netprecursor",
    selectable = ".spec.mode",
    doc = "Warns of network trouble of pods in one namespace before it happens.",
    printcolumn(
        name = "Mode",
        type_ = "string",
        json_path = ".spec.mode",
        description = "Whether alerts are published."
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the policy is in effect on every node that runs its pods."
    ),
    printcolumn(
        name = "Targets",
        type_ = "integer",
        json_path = ".status.targets",
        description = "The number of pods watched."
    ),
    printcolumn(
        name = "Firing",
        type_ = "integer",
        json_path = ".status.firing",
        description = "The number of firing alerts."
    ),
    printcolumn(
        name = "Precision",
        type_ = "integer",
        json_path = r#".status.rules[?(@.window=="24h")].precisionPercent"#,
        description = "Confirmed warnings of the first rule in the last 24 hours, in percent of those with a verdict."
    ),
    printcolumn(
        name = "Recall",
        type_ = "integer",
        json_path = r#".status.rules[?(@.window=="24h")].recallPercent"#,
        description = "Incidents of the first rule in the last 24 hours that a warning preceded, in percent."
    ),
    printcolumn(
        name = "Lead",
        type_ = "string",
        json_path = r#".status.rules[?(@.window=="24h")].leadMedian"#,
        priority = 1,
        description = "Median time from warning to incident of the first rule in the last 24 hours."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1,
        description = "Why the policy is ready or not."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct PrecursorPolicySpec {
    /// Whether alerts are published.
    #[serde(default)]
    pub mode: Mode,
    /// The pods to watch, in the policy's namespace.
    pub target: Target,
    /// The rules for each pod. At least one; names must be unique.
    #[schemars(length(min = 1, max = MAX_RULES))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<Rule>,
}

/// The pods of several namespaces to watch, and the rules for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "netprecursor.io",
    version = "v1alpha1",
    kind = "ClusterPrecursorPolicy",
    plural = "clusterprecursorpolicies",
    status = "PrecursorPolicyStatus",
    derive = "PartialEq",
    schema = "disabled",
    shortname = "cnpp",
    category = "netprecursor",
    selectable = ".spec.mode",
    doc = "Warns of network trouble of pods in several namespaces before it happens.",
    printcolumn(
        name = "Mode",
        type_ = "string",
        json_path = ".spec.mode",
        description = "Whether alerts are published."
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the policy is in effect on every node that runs its pods."
    ),
    printcolumn(
        name = "Targets",
        type_ = "integer",
        json_path = ".status.targets",
        description = "The number of pods watched."
    ),
    printcolumn(
        name = "Firing",
        type_ = "integer",
        json_path = ".status.firing",
        description = "The number of firing alerts."
    ),
    printcolumn(
        name = "Precision",
        type_ = "integer",
        json_path = r#".status.rules[?(@.window=="24h")].precisionPercent"#,
        description = "Confirmed warnings of the first rule in the last 24 hours, in percent of those with a verdict."
    ),
    printcolumn(
        name = "Recall",
        type_ = "integer",
        json_path = r#".status.rules[?(@.window=="24h")].recallPercent"#,
        description = "Incidents of the first rule in the last 24 hours that a warning preceded, in percent."
    ),
    printcolumn(
        name = "Lead",
        type_ = "string",
        json_path = r#".status.rules[?(@.window=="24h")].leadMedian"#,
        priority = 1,
        description = "Median time from warning to incident of the first rule in the last 24 hours."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1,
        description = "Why the policy is ready or not."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct ClusterPrecursorPolicySpec {
    /// Whether alerts are published.
    #[serde(default)]
    pub mode: Mode,
    /// The pods to watch, and their namespaces.
    pub target: ClusterTarget,
    /// The rules for each pod. At least one; names must be unique.
    #[schemars(length(min = 1, max = MAX_RULES))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<Rule>,
}

/// Whether alerts are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Alerts are published.
    #[default]
    Active,
    /// The policy keeps score but publishes no alerts.
    Shadow,
}

/// Pods of the policy's namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Selects pods by their labels; `{}` selects all pods.
    pub pod_selector: LabelSelector,
}

/// Pods of several namespaces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterTarget {
    /// Selects pods by their labels; `{}` selects all pods.
    pub pod_selector: LabelSelector,
    /// Selects namespaces by their labels; all namespaces if absent or `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
}
