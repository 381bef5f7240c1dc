//! `PrecursorAlert`: one per policy, rule and pod, in the pod's namespace and owned by its policy. The agent of the
//! pod's node writes it; when agent, node or pod is gone the operator resolves it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
pub use netprecursor_core::{
    alert::AlertState,
    decide::{Resolution, Trigger},
    policy::Kind as PolicyKind,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Duration,
    policy::Severity,
    schema::{cel, fragment},
};

/// Causes of one alert at most.
pub const MAX_CAUSES: usize = 8;

/// Whose alert it is. Cannot be changed: it is what the alert's name is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, CustomResource, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = cel::immutable)]
#[kube(
    group = "netprecursor.io",
    version = "v1alpha1",
    kind = "PrecursorAlert",
    plural = "precursoralerts",
    namespaced,
    status = "PrecursorAlertStatus",
    derive = "PartialEq",
    schema = "disabled",
    shortname = "npa",
    category = "netprecursor",
    selectable = ".spec.policyRef.name",
    selectable = ".spec.podRef.name",
    selectable = ".spec.nodeName",
    selectable = ".status.severity",
    selectable = ".status.state",
    doc = "A warning that a pod's network is about to get into trouble, or is in it, and what became of it.",
    printcolumn(
        name = "Severity",
        type_ = "string",
        json_path = ".status.severity",
        description = "How urgent it is."
    ),
    printcolumn(name = "Rule", type_ = "string", json_path = ".spec.rule", description = "The policy's rule."),
    printcolumn(name = "Pod", type_ = "string", json_path = ".spec.podRef.name", description = "The pod warned of."),
    printcolumn(
        name = "Predicted",
        type_ = "string",
        json_path = ".status.predicted",
        description = "The highest RTT that was forecast."
    ),
    printcolumn(
        name = "Chance",
        type_ = "integer",
        json_path = ".status.chancePercent",
        description = "The highest chance of a breach that was told, in percent."
    ),
    printcolumn(
        name = "Measured",
        type_ = "string",
        json_path = ".status.measured",
        description = "The highest RTT that was measured."
    ),
    printcolumn(
        name = "Lead",
        type_ = "string",
        json_path = ".status.lead",
        description = "From the warning to the measured breach."
    ),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state", description = "Whether it is out."),
    printcolumn(
        name = "Confirmed",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Confirmed")].status"#,
        priority = 1,
        description = "Whether it came true."
    ),
    printcolumn(
        name = "Policy",
        type_ = "string",
        json_path = ".spec.policyRef.name",
        priority = 1,
        description = "The policy that asked for it."
    ),
    printcolumn(
        name = "Node",
        type_ = "string",
        json_path = ".spec.nodeName",
        priority = 1,
        description = "Where the pod runs."
    ),
    printcolumn(
        name = "Count",
        type_ = "integer",
        json_path = ".status.count",
        priority = 1,
        description = "How often it fired."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct PrecursorAlertSpec {
    /// The policy that asked for it.
    pub policy_ref: PolicyReference,
    /// The policy's rule.
    #[schemars(length(min = 1, max = 63))]
    pub rule: String,
    /// The pod warned of, in the alert's namespace.
    pub pod_ref: PodReference,
    /// The node on which the pod runs, whose agent writes the alert.
    #[schemars(length(min = 1, max = 253))]
    pub node_name: String,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyReference {
    /// Which of the two kinds.
    pub kind: PolicyKind,
    /// Its name; of a PrecursorPolicy in the alert's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its UID, which no other ever gets.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodReference {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its UID, which no other ever gets.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
}

/// What became of the warning. The last time that it fired; `count` tells of earlier ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrecursorAlertStatus {
    /// The generation of the policy by which it fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whether it is out: what the condition `Firing` says, as a field that can be selected on.
    pub state: AlertState,
    /// How urgent it is, as the rule says.
    pub severity: Severity,
    /// The rule's threshold when it fired.
    pub threshold: Duration,
    /// The RTT below which it resolves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve_threshold: Option<Duration>,
    /// The highest RTT that was forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<Duration>,
    /// The highest chance in percent that was told of a breach within ten seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub chance_percent: Option<u8>,
    /// The highest RTT that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Duration>,
    /// From the warning to the measured breach; absent until there is one, or when it came first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<Duration>,
    /// How often it fired.
    #[schemars(range(min = 1))]
    pub count: u64,
    /// When it last fired.
    #[schemars(schema_with = "fragment::time")]
    pub fired_at: Time,
    /// When it last resolved; absent while it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "fragment::time")]
    pub resolved_at: Option<Time>,
    /// What made it fire.
    pub trigger: Trigger,
    /// Why it resolved; absent while it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// Why the forecast is what it is, the largest share first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_CAUSES), extend("x-kubernetes-list-type" = "atomic"))]
    pub causes: Vec<Cause>,
    /// What forecast.
    pub model: ModelSpeaking,
    /// `Firing`: whether it is out. `Confirmed`: whether an incident followed in time; `Unknown` until that is known,
    /// or when it cannot be known any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "fragment::conditions")]
    pub conditions: Vec<Condition>,
}

/// One group of features, and its part in the forecast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// The group of features, such as `Queue` or `Retransmits`.
    // No enumeration: an agent that knows one more can say so before the definitions are upgraded.
    #[schemars(length(min = 1, max = 63))]
    pub group: String,
    /// The feature of the group that shows it best.
    #[schemars(length(min = 1, max = 127))]
    pub feature: String,
    /// The unit of value and baseline.
    #[schemars(length(max = 31))]
    pub unit: String,
    /// Its value when the alert fired.
    #[schemars(length(min = 1, max = 31))]
    pub value: String,
    /// What is usual for the pod.
    #[schemars(length(min = 1, max = 31))]
    pub baseline: String,
    /// The group's part of all that raises the forecast, in percent.
    #[schemars(range(max = 100))]
    pub share_percent: u8,
}

/// Who forecast.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ModelSpeaking {
    /// The model or rule of thumb.
    #[schemars(length(min = 1, max = 511))]
    pub name: String,
    /// SHA-256 digest of the model, 64 hexadecimal digits; absent for rules of thumb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), transform = cel::digest)]
    pub sha256: Option<String>,
    /// Why it stands in for the model that the rule asks for; absent when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub fallback: Option<String>,
}
