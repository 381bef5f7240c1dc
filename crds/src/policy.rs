//! `PrecursorPolicy` and `ClusterPrecursorPolicy`, v1alpha1, as written. Nothing is checked here beyond types: the API
//! server checks by the schema, the conversion checks all of it again for everybody else. Defaults that depend on
//! another field are not filled in: the conversion does.
//!
//! Comments on fields are what `kubectl explain` and the policy reference say.

mod rule;
mod selector;
mod status;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use rule::{ConfigMapKeyRef, Debounce, ModelReference, RttForecast, Rule, Severity, Signal};
pub use selector::{LabelSelector, LabelSelectorRequirement, MAX_REQUIREMENTS, MAX_VALUES, SelectorOperator};
pub use status::{ClusterPrecursorPolicyStatus, PrecursorPolicyStatus, RuleStatus, ScoreWindow, SkillPercent};

/// The API group.
pub const GROUP: &str = "netprecursor.io";

/// The API group and version.
pub const API_VERSION: &str = "netprecursor.io/v1alpha1";

/// Rules of one policy at most: what an agent evaluates for one pod in a tick stays bounded.
pub const MAX_RULES: usize = 64;

/// What is wanted of the pods of one namespace.
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
    doc = "Warns of network trouble of a namespace's pods before it happens: which pods, which signals, from when on.",
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode", description = "Whether anybody is told."),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the policy is followed on every node that runs its pods."
    ),
    printcolumn(name = "Targets", type_ = "integer", json_path = ".status.targets", description = "Pods watched."),
    printcolumn(
        name = "Firing",
        type_ = "integer",
        json_path = ".status.firing",
        description = "Alerts that are out."
    ),
    printcolumn(
        name = "Precision",
        type_ = "integer",
        json_path = r#".status.rules[?(@.window=="24h")].precisionPercent"#,
        description = "Of the last day's judged alerts, the percentage that came true; of the first rule."
    ),
    printcolumn(
        name = "Recall",
        type_ = "integer",
        json_path = r#".status.rules[?(@.window=="24h")].recallPercent"#,
        description = "Of the last day's incidents, the percentage that was warned of; of the first rule."
    ),
    printcolumn(
        name = "Lead",
        type_ = "string",
        json_path = r#".status.rules[?(@.window=="24h")].leadMedian"#,
        priority = 1,
        description = "From warning to incident, the median of the last day; of the first rule."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1,
        description = "Why it is ready, or not."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct PrecursorPolicySpec {
    /// Whether anybody is told.
    #[serde(default)]
    pub mode: Mode,
    /// Which pods of the policy's namespace.
    pub target: Target,
    /// What is watched of each pod; at least one rule, each with its own name.
    #[schemars(length(min = 1, max = MAX_RULES))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<Rule>,
}

/// What is wanted of pods in several namespaces.
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
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode", description = "Whether anybody is told."),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the policy is followed on every node that runs its pods."
    ),
    printcolumn(name = "Targets", type_ = "integer", json_path = ".status.targets", description = "Pods watched."),
    printcolumn(
        name = "Firing",
        type_ = "integer",
        json_path = ".status.firing",
        description = "Alerts that are out."
    ),
    printcolumn(
        name = "Precision",
        type_ = "integer",
        json_path = r#".status.rules[?(@.window=="24h")].precisionPercent"#,
        description = "Of the last day's judged alerts, the percentage that came true; of the first rule."
    ),
    printcolumn(
        name = "Recall",
        type_ = "integer",
        json_path = r#".status.rules[?(@.window=="24h")].recallPercent"#,
        description = "Of the last day's incidents, the percentage that was warned of; of the first rule."
    ),
    printcolumn(
        name = "Lead",
        type_ = "string",
        json_path = r#".status.rules[?(@.window=="24h")].leadMedian"#,
        priority = 1,
        description = "From warning to incident, the median of the last day; of the first rule."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1,
        description = "Why it is ready, or not."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct ClusterPrecursorPolicySpec {
    /// Whether anybody is told.
    #[serde(default)]
    pub mode: Mode,
    /// Which pods of which namespaces.
    pub target: ClusterTarget,
    /// What is watched of each pod; at least one rule, each with its own name.
    #[schemars(length(min = 1, max = MAX_RULES))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<Rule>,
}

/// Whether anybody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Alerts go out.
    #[default]
    Active,
    /// Scores and counts, never notifies.
    Shadow,
}

/// Pods of the policy's namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// By their labels; `{}` selects every pod.
    pub pod_selector: LabelSelector,
}

/// Pods of several namespaces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterTarget {
    /// By their labels; `{}` selects every pod.
    pub pod_selector: LabelSelector,
    /// In namespaces with these labels; in every namespace when absent or `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
}
