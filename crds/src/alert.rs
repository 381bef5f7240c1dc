//! `PrecursorAlert`: one per policy, rule, node and workload (or pod, where the rule asks for that), in the pods' namespace
//! and owned by its policy. The agent of the node writes it; when agent, node or pod is gone the operator resolves it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
pub use netprecursor_core::{
    alert::AlertState,
    decide::{Resolution, Trigger},
    policy::Kind as PolicyKind,
    source::RttFrom,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Duration,
    policy::Severity,
    schema::{cel, fragment},
};

pub use netprecursor_core::alert::MAX_LISTED as MAX_PODS;

/// Most causes of one alert.
pub const MAX_CAUSES: usize = 8;

/// What the alert is about. Immutable: the alert's name is derived from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, CustomResource, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = cel::immutable, transform = cel::alert_subject)]
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
    selectable = ".spec.workloadRef.name",
    selectable = ".spec.nodeName",
    selectable = ".status.severity",
    selectable = ".status.state",
    doc = "An alert on a pod's network: a warning of trouble ahead or a measured breach, and its outcome.",
    printcolumn(
        name = "Severity",
        type_ = "string",
        json_path = ".status.severity",
        description = "How urgent the alert is."
    ),
    printcolumn(name = "Rule", type_ = "string", json_path = ".spec.rule", description = "The rule that fired."),
    printcolumn(
        name = "Pod",
        type_ = "string",
        json_path = ".status.pods[0].name",
        description = "The pod that the alert is about, or the worst of the workload's pods."
    ),
    printcolumn(
        name = "Pods",
        type_ = "integer",
        json_path = ".status.podCount",
        description = "How many pods have fired since the alert did."
    ),
    printcolumn(
        name = "Predicted",
        type_ = "string",
        json_path = ".status.predicted",
        description = "The highest forecast RTT."
    ),
    printcolumn(
        name = "Chance",
        type_ = "integer",
        json_path = ".status.chancePercent",
        description = "The highest forecast chance of a breach, in percent."
    ),
    printcolumn(
        name = "Measured",
        type_ = "string",
        json_path = ".status.measured",
        description = "The highest measured RTT."
    ),
    printcolumn(
        name = "Lead",
        type_ = "string",
        json_path = ".status.lead",
        description = "Time from the warning to the measured breach."
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.state",
        description = "Whether the alert is firing."
    ),
    printcolumn(
        name = "Confirmed",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Confirmed")].status"#,
        priority = 1,
        description = "Whether an incident followed in time."
    ),
    printcolumn(
        name = "Workload",
        type_ = "string",
        json_path = ".spec.workloadRef.name",
        priority = 1,
        description = "The workload that the alert is about."
    ),
    printcolumn(
        name = "Policy",
        type_ = "string",
        json_path = ".spec.policyRef.name",
        priority = 1,
        description = "The policy that defines the rule."
    ),
    printcolumn(
        name = "Node",
        type_ = "string",
        json_path = ".spec.nodeName",
        priority = 1,
        description = "The node that the pods run on."
    ),
    printcolumn(
        name = "Count",
        type_ = "integer",
        json_path = ".status.count",
        priority = 1,
        description = "How often the alert fired."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct PrecursorAlertSpec {
    /// The policy that defines the rule.
    pub policy_ref: PolicyReference,
    /// The rule that fired.
    #[schemars(length(min = 1, max = 63))]
    pub rule: String,
    /// The workload whose pods on the node the alert is about, in the alert's namespace. Absent if `podRef` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_ref: Option<WorkloadReference>,
    /// The one pod that the alert is about, in the alert's namespace. Absent if `workloadRef` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_ref: Option<PodReference>,
    /// The node that the pods run on. Its agent writes the alert.
    #[schemars(length(min = 1, max = 253))]
    pub node_name: String,
}

/// A reference to a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyReference {
    /// The policy's kind.
    pub kind: PolicyKind,
    /// The policy's name. A PrecursorPolicy is in the alert's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The policy's UID, which is never reused.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
}

/// A reference to a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodReference {
    /// The pod's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The pod's UID, which is never reused.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
}

/// A reference to what runs pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadReference {
    /// Its kind, such as `Deployment` or `StatefulSet`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// One of the pods that the alert is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertPod {
    /// The pod's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The pod's UID, which is never reused.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
    /// Whether the pod is in trouble now.
    pub state: AlertState,
    /// The pod's highest forecast RTT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<Duration>,
    /// The pod's highest measured RTT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Duration>,
}

impl PrecursorAlert {
    /// Name and UID of the pod that the alert is about, or of the worst pod of its workload; `None` before the first report
    /// on a workload.
    pub fn pod(&self) -> Option<(&str, &str)> {
        let worst = || self.status.as_ref()?.pods.first().map(|pod| (&*pod.name, &*pod.uid));
        self.spec.pod_ref.as_ref().map(|pod| (&*pod.name, &*pod.uid)).or_else(worst)
    }
}

/// The observed state of the alert. It describes the last time the alert fired; `count` includes earlier times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrecursorAlertStatus {
    /// The generation of the policy for which the alert fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whether the alert is firing: the `Firing` condition as a field that you can select on.
    pub state: AlertState,
    /// How urgent the alert is, as set by the rule.
    pub severity: Severity,
    /// What the rule means by RTT, such as `RTT`, `RTT inflation` or `P90 of the RTT to external peers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub rtt: Option<String>,
    /// Where that RTT came from when the alert fired: from `Clean` samples, the `LowQuantile` of all where answers are too
    /// small for clean ones, the `Smoothed` RTT of connections older than the agent, or from `Handshake`s alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_from: Option<RttFrom>,
    /// The rule's threshold when the alert fired.
    pub threshold: Duration,
    /// The RTT below which the alert resolves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve_threshold: Option<Duration>,
    /// How many pods have fired since the alert did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub pod_count: Option<u32>,
    /// How many of them are firing now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing_pod_count: Option<u32>,
    /// The worst of these pods, at most ten. The first is the worst of all since the alert fired or, once that
    /// one recovers, the worst that is still firing; `causes` are its, as far as they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_PODS), extend("x-kubernetes-list-type" = "atomic"))]
    pub pods: Vec<AlertPod>,
    /// The highest forecast RTT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<Duration>,
    /// The highest forecast chance of a breach within ten seconds, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub chance_percent: Option<u8>,
    /// The highest measured RTT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Duration>,
    /// Time from the warning to the measured breach. Absent until there is a breach, or if the breach came first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<Duration>,
    /// How often the alert fired.
    #[schemars(range(min = 1))]
    pub count: u64,
    /// When the alert last fired.
    #[schemars(schema_with = "fragment::time")]
    pub fired_at: Time,
    /// When the alert last resolved. Absent while it is firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "fragment::time")]
    pub resolved_at: Option<Time>,
    /// What triggered the alert.
    pub trigger: Trigger,
    /// Why the alert resolved. Absent while it is firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// The causes of the forecast, largest share first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_CAUSES), extend("x-kubernetes-list-type" = "atomic"))]
    pub causes: Vec<Cause>,
    /// The model that made the forecast.
    pub model: AlertModel,
    /// `Firing`: whether the alert is firing. `Confirmed`: whether an incident followed in time; `Unknown` until the
    /// verdict, or if there can be none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "fragment::conditions")]
    pub conditions: Vec<Condition>,
}

/// A cause: a group of features and its share in the forecast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// The group of features, such as `Queue` or `Retransmits`.
    // No enumeration: a newer agent may report another group before the definitions are upgraded.
    #[schemars(length(min = 1, max = 63))]
    pub group: String,
    /// The feature of the group that shows the cause best.
    #[schemars(length(min = 1, max = 127))]
    pub feature: String,
    /// The unit of `value` and `baseline`.
    #[schemars(length(max = 31))]
    pub unit: String,
    /// The feature's value when the alert fired.
    #[schemars(length(min = 1, max = 31))]
    pub value: String,
    /// The feature's usual value for this pod.
    #[schemars(length(min = 1, max = 31))]
    pub baseline: String,
    /// The group's share of everything that raises the forecast, in percent.
    #[schemars(range(max = 100))]
    pub share_percent: u8,
}

/// The model that made a forecast.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct AlertModel {
    /// The name of the model or rule of thumb.
    #[schemars(length(min = 1, max = 511))]
    pub name: String,
    /// SHA-256 digest of the model, 64 hexadecimal digits. Absent for rules of thumb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), transform = cel::digest)]
    pub sha256: Option<String>,
    /// Why the rule fell back to this model. Absent if it is the model that the rule names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub fallback: Option<String>,
}
