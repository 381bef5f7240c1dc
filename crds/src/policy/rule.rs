//! One rule of a policy: a union whose discriminator is `signal`, with one member per signal.

pub use netprecursor_core::policy::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, schema::cel};

/// One condition that is watched for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = cel::rule)]
pub struct Rule {
    /// Its name in the policy; alerts carry it.
    #[schemars(length(min = 1, max = 63), transform = cel::dns_label)]
    pub name: String,
    /// What is looked at; says which member has to be there: the one of its name.
    pub signal: Signal,
    /// The member of `signal: RttForecast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_forecast: Option<RttForecast>,
    /// How long a breach has to last until the alert fires, in whole seconds, at most `60s`; excludes `debounce`. The
    /// first breach fires when both are absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = cel::hold_for)]
    pub hold_for: Option<Duration>,
    /// How many of the last seconds have to be in breach until the alert fires; excludes `holdFor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debounce: Option<Debounce>,
    /// How long RTT has to stay below the resolve threshold until the alert resolves, in whole seconds, at most
    /// `3600s`; `0s` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = cel::keep_firing_for)]
    pub keep_firing_for: Option<Duration>,
    /// How urgent an alert is.
    #[serde(default)]
    pub severity: Severity,
    /// What forecasts; the release's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelReference>,
    /// How likely a breach within the next ten seconds has to be for a warning, in percent; `50` when absent, which warns
    /// when a breach is more likely than not. More warns later and less often in vain. A new rule asks for somewhat more,
    /// and so does one whose warnings did not come true. A breach that is measured fires without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 99))]
    pub min_confidence_percent: Option<i64>,
    /// False alerts per pod and day that the rule may cost. Once they are used up, a warning needs a higher chance than
    /// `minConfidencePercent`; the threshold never moves. No budget when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_false_alerts_per_day: Option<u32>,
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Signal {
    /// The forecast of the maximum RTT over the next ten seconds.
    RttForecast,
}

/// When forecast RTT is in breach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = cel::rtt_forecast)]
pub struct RttForecast {
    /// In breach above this RTT, a duration such as `200ms`: more than 0 and at most `900s`.
    #[schemars(transform = cel::threshold)]
    pub threshold: Duration,
    /// Recovered below this RTT, which has to be less than `threshold`; 80 % of it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = cel::resolve_threshold)]
    pub resolve_threshold: Option<Duration>,
}

/// `k` of the last `of` seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = cel::debounce)]
pub struct Debounce {
    /// Seconds in breach; at most `of`.
    #[schemars(range(min = 1, max = 60))]
    pub k: u32,
    /// Seconds looked at; at most 60.
    // Not `n`, which YAML 1.1 (and so kubectl) reads as `false`.
    #[schemars(range(min = 1, max = 60))]
    pub of: u32,
}

/// What forecasts: exactly one of the members.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = cel::model)]
pub struct ModelReference {
    /// A model or rule of thumb that comes with the release, by name, such as `adaptive` (which learns in place),
    /// `rtt-xgboost` or `max-10`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub builtin: Option<String>,
    /// An ONNX model in a ConfigMap (in a cluster): of the policy's namespace, or for a ClusterPrecursorPolicy of the
    /// namespace in which netprecursor is installed.
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

/// A model in a ConfigMap. The digest is required: it names the checked copy that agents get, so that nothing but what
/// the policy's author meant ever forecasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigMapKeyRef {
    /// The ConfigMap's name.
    #[schemars(length(min = 1, max = 253), transform = cel::dns_subdomain)]
    pub name: String,
    /// The key in `binaryData`: the model as it is, or compressed by gzip.
    #[schemars(length(min = 1, max = 253), transform = cel::config_map_key)]
    pub key: String,
    /// SHA-256 digest of the uncompressed model, 64 hexadecimal digits, as `sha256sum` prints them.
    #[schemars(length(max = 64), transform = cel::digest)]
    pub sha256: String,
}
