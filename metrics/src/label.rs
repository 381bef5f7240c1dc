//! What distinguishes the series of a family, by OpenTelemetry's name and by Prometheus'.

/// A label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// The attribute's name: the semantic conventions' where there is one.
    pub attribute: &'static str,
    /// The label's name in `/metrics`.
    pub label: &'static str,
}

const fn label(attribute: &'static str, label: &'static str) -> Label {
    Label { attribute, label }
}

/// A namespace of Kubernetes.
pub const NAMESPACE: Label = label("k8s.namespace.name", "namespace");
/// A pod that nothing controls.
pub const POD: Label = label("k8s.pod.name", "pod");
/// A target as the agent names it.
pub const TARGET: Label = label("netprecursor.target.name", "target");
/// Kind of a workload: of any in a scrape, in telemetry of one that has no attribute of its own.
pub const WORKLOAD_KIND: Label = label("netprecursor.workload.kind", "workload_kind");
/// Its name.
pub const WORKLOAD: Label = label("netprecursor.workload.name", "workload");
/// The policy's kind.
pub const POLICY_KIND: Label = label("netprecursor.policy.kind", "policy_kind");
/// The policy's namespace.
pub const POLICY_NAMESPACE: Label = label("netprecursor.policy.namespace", "policy_namespace");
/// The policy.
pub const POLICY: Label = label("netprecursor.policy.name", "policy");
/// The rule in it.
pub const RULE: Label = label("netprecursor.rule.name", "rule");
/// How urgent an alert is.
pub const SEVERITY: Label = label("netprecursor.alert.severity", "severity");
/// The model or rule of thumb that forecasts.
pub const MODEL: Label = label("netprecursor.model.name", "model");
/// The probability of a quantile.
pub const QUANTILE: Label = label("netprecursor.quantile", "quantile");
/// A member of the mixture.
pub const EXPERT: Label = label("netprecursor.expert.name", "expert");
/// A regression that the chance comes from.
pub const SOURCE: Label = label("netprecursor.source.name", "source");
/// A tenth of the chances.
pub const BIN: Label = label("netprecursor.chance.bin", "bin");
/// A sensor.
pub const SENSOR: Label = label("netprecursor.sensor.name", "sensor");
/// The state that it is in.
pub const SENSOR_STATE: Label = label("netprecursor.sensor.state", "state");
/// A sink.
pub const SINK: Label = label("netprecursor.sink.name", "sink");
/// Which of several receivers a sink of alerts publishes to.
pub const RECEIVER: Label = label("netprecursor.sink.receiver", "receiver");
/// What the BPF programs count.
pub const EVENT: Label = label("netprecursor.kernel.event", "event");
/// What is known of a network namespace.
pub const IDENTITY_STATE: Label = label("netprecursor.identity.state", "state");
/// A table of the kernel's.
pub const TABLE: Label = label("netprecursor.identity.table", "table");
/// What became of a request for metrics; of the operator, of any request or check.
pub const OUTCOME: Label = label("netprecursor.metrics.outcome", "outcome");
/// What the operator counts by kind: objects, watches, writes.
pub const KIND: Label = label("netprecursor.object.kind", "kind");
/// Received or transmitted.
pub const DIRECTION: Label = label("network.io.direction", "direction");

/// The label of a workload's name, by its kind, where the semantic conventions have one.
pub fn of_kind(kind: &str) -> Option<Label> {
    Some(match kind {
        "Deployment" => label("k8s.deployment.name", "deployment"),
        "StatefulSet" => label("k8s.statefulset.name", "statefulset"),
        "DaemonSet" => label("k8s.daemonset.name", "daemonset"),
        "ReplicaSet" => label("k8s.replicaset.name", "replicaset"),
        "Job" => label("k8s.job.name", "job_name"),
        "CronJob" => label("k8s.cronjob.name", "cronjob"),
        "Pod" => POD,
        _ => return None,
    })
}
