//! One rule of a policy: a union whose discriminator is `signal`, with one member per signal.

pub use netprecursor_core::policy::{AlertPer, Measure, Severity, Statistic};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, schema::cel};

/// A rule: what to evaluate, and when to fire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = cel::rule)]
pub struct Rule {
    /// The rule's name, unique in the policy. Alerts include it.
    #[schemars(length(min = 1, max = 63), transform = cel::dns_label)]
    pub name: String,
    /// The signal that the rule evaluates. The member of the same name is then required.
    pub signal: Signal,
    /// Settings for `signal: RttForecast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_forecast: Option<RttForecast>,
    /// How long a breach must last before the alert fires, in whole seconds, at most `60s`. Mutually exclusive with
    /// `debounce`. If both are absent, the alert fires at the first breach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = cel::hold_for)]
    pub hold_for: Option<Duration>,
    /// How many of the last seconds must be in breach before the alert fires. Mutually exclusive with `holdFor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debounce: Option<Debounce>,
    /// How long RTT must stay below the resolve threshold before the alert resolves, in whole seconds, at most `3600s`.
    /// Defaults to `0s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = cel::keep_firing_for)]
    pub keep_firing_for: Option<Duration>,
    /// How urgent an alert of this rule is.
    #[serde(default)]
    pub severity: Severity,
    /// What one alert covers. `Workload`: the pods of one workload on one node, led by the worst pod. `Pod`: each pod. A pod
    /// without a controller has its own alert either way. Scores count pods.
    #[serde(default)]
    pub alert_per: AlertPer,
    /// The model that forecasts. Defaults to the release's default model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelReference>,
    /// The chance of a breach within the next ten seconds that a warning needs, in percent. Defaults to `50`: a warning
    /// fires when a breach is more likely than not. Higher values fire later and cause fewer false alerts. A rule that is
    /// new, or whose warnings did not come true, needs somewhat more. A measured breach fires regardless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 99))]
    pub min_confidence_percent: Option<i64>,
    /// Budget of false alerts per pod and day. When it is used up, a warning needs a higher chance than
    /// `minConfidencePercent`; the threshold never changes. No budget if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_false_alerts_per_day: Option<u32>,
}

/// The signal that a rule evaluates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Signal {
    /// The forecast of the maximum RTT over the next ten seconds.
    RttForecast,
}

/// When RTT is in breach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = cel::rtt_forecast)]
pub struct RttForecast {
    /// RTT above this value is in breach. A duration such as `200ms`, more than 0 and at most `900s`.
    #[schemars(transform = cel::threshold)]
    pub threshold: Duration,
    /// RTT below this value has recovered. Must be less than `threshold`; defaults to 80 % of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = cel::resolve_threshold)]
    pub resolve_threshold: Option<Duration>,
    /// What is measured of a round trip. Defaults to `Rtt`. `Inflation` is the round trip above its connection's own floor
    /// (the kernel's minimum of the last minutes): what queues add, whatever the distance. Choose it for pods whose peers
    /// are anywhere, such as users on the internet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<Measure>,
    /// Which of a second's samples counts. Defaults to `Max`, the largest. A quantile such as `P90` ignores single slow
    /// connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<Statistic>,
    /// The connections that count, by the address of the other end. Defaults to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<Peers>,
}

/// The other ends of connections. Set `scope` or `cidrs`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = cel::peers)]
pub struct Peers {
    /// `All`, `Cluster` (pods, Services and nodes of this cluster) or `External` (all others). Only `All` outside Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<PeerScope>,
    /// Networks in CIDR notation, such as `10.0.0.0/8` or `2001:db8::/32`. They may overlap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = cel::networks)]
    pub cidrs: Vec<String>,
    /// Networks inside `cidrs` that do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = cel::networks)]
    pub except: Vec<String>,
}

/// Where the other ends of connections are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PeerScope {
    /// Anywhere.
    All,
    /// In this cluster.
    Cluster,
    /// Outside this cluster.
    External,
}

/// `k` of the last `of` seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = cel::debounce)]
pub struct Debounce {
    /// The number of seconds in breach, at most `of`.
    #[schemars(range(min = 1, max = 60))]
    pub k: u32,
    /// The number of seconds that are considered, at most 60.
    // Not `n`, which YAML 1.1 (and so kubectl) reads as `false`.
    #[schemars(range(min = 1, max = 60))]
    pub of: u32,
}

/// The model that forecasts. Set exactly one of the members.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = cel::model)]
pub struct ModelReference {
    /// The name of a model or rule of thumb that comes with the release, such as `adaptive` (which learns in place),
    /// `rtt-xgboost` or `max-10`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub builtin: Option<String>,
    /// An ONNX model in a ConfigMap in the policy's namespace, or for a ClusterPrecursorPolicy in the namespace in which
    /// netprecursor is installed. Only in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ConfigMapKeyRef>,
    /// The path of an ONNX file. Only outside Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub file: Option<String>,
    /// SHA-256 digest of `file`, 64 hexadecimal digits. Only outside Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub sha256: Option<String>,
}

/// A model in a ConfigMap. The digest is required: it identifies the checked copy that agents load, so that only the
/// model that the policy's author intended forecasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigMapKeyRef {
    /// The name of the ConfigMap.
    #[schemars(length(min = 1, max = 253), transform = cel::dns_subdomain)]
    pub name: String,
    /// The key in `binaryData`. Its value is the model, plain or compressed with gzip.
    #[schemars(length(min = 1, max = 253), transform = cel::config_map_key)]
    pub key: String,
    /// SHA-256 digest of the uncompressed model, 64 hexadecimal digits, as `sha256sum` prints them.
    #[schemars(length(max = 64), transform = cel::digest)]
    pub sha256: String,
}
