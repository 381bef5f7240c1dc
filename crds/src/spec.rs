//! `PrecursorPolicy` and `ClusterPrecursorPolicy`, v1alpha1, as written. Nothing is checked here beyond types, and
//! defaults that depend on another field are not filled in: the conversion does both.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Duration;

/// The API group and version.
pub const API_VERSION: &str = "netprecursor.io/v1alpha1";

/// What is wanted of the pods of one namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrecursorPolicySpec {
    /// Whether anybody is told.
    #[serde(default)]
    pub mode: Mode,
    /// Which pods.
    pub target: Target,
    /// What is watched of each; at least one, each with its own name.
    pub rules: Vec<Rule>,
}

/// What is wanted of pods in several namespaces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPrecursorPolicySpec {
    /// Whether anybody is told.
    #[serde(default)]
    pub mode: Mode,
    /// Which pods of which namespaces.
    pub target: ClusterTarget,
    /// What is watched of each; at least one, each with its own name.
    pub rules: Vec<Rule>,
}

/// Whether anybody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Mode {
    /// Alerts go out.
    #[default]
    Active,
    /// Scores and counts, never notifies.
    Shadow,
}

/// Pods of the policy's namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// By their labels; `{}` selects every pod.
    pub pod_selector: LabelSelector,
}

/// Pods of several namespaces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterTarget {
    /// By their labels; `{}` selects every pod.
    pub pod_selector: LabelSelector,
    /// In namespaces with these labels; every namespace when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
}

/// Kubernetes' label selector: all that is listed has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels with exactly these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// What is required of one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelectorRequirement {
    /// The label's key.
    pub key: String,
    /// How it relates to the values.
    pub operator: SelectorOperator,
    /// At least one for `In` and `NotIn`, none for the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// How a label relates to the values of a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SelectorOperator {
    /// It has one of them.
    In,
    /// It has none of them, or is absent.
    NotIn,
    /// It is there.
    Exists,
    /// It is absent.
    DoesNotExist,
}

/// One condition that is watched for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Its name in the policy.
    pub name: String,
    /// What is looked at; says which of the members below has to be there.
    pub signal: Signal,
    /// For `RttForecast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_forecast: Option<RttForecast>,
    /// How long a breach has to last, in whole seconds; excludes `debounce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_for: Option<Duration>,
    /// How many of the last seconds have to be in breach; excludes `holdFor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debounce: Option<Debounce>,
    /// How long RTT has to stay below the resolve threshold, in whole seconds; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<Duration>,
    /// How urgent an alert is.
    #[serde(default)]
    pub severity: Severity,
    /// What forecasts; the release's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelReference>,
    /// False alerts per pod and day that the rule may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_false_alerts_per_day: Option<u32>,
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// The forecast of the maximum RTT over the next ten seconds.
    RttForecast,
}

/// When forecast RTT is in breach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RttForecast {
    /// Above this RTT.
    pub threshold: Duration,
    /// Recovered below this one; 80 % of the threshold when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve_threshold: Option<Duration>,
}

/// `k` of the last `n` seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debounce {
    /// Seconds in breach.
    pub k: u32,
    /// Seconds looked at.
    pub n: u32,
}

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Severity {
    /// For the record.
    Info,
    /// Look at it today.
    #[default]
    Warning,
    /// Look at it now.
    Critical,
}

/// What forecasts: exactly one of the members.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelReference {
    /// A model or rule of thumb that comes with the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<String>,
    /// An ONNX model in a ConfigMap (in a cluster).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ConfigMapKeyRef>,
    /// An ONNX file (outside Kubernetes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Digest of `file`, 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A key of a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigMapKeyRef {
    /// The ConfigMap.
    pub name: String,
    /// The key.
    pub key: String,
    /// Digest of the model, 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}
