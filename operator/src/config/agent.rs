//! The part of the configuration that is about the agents.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::info;

/// The agents' DaemonSet. What is Kubernetes' own is passed on as written: the API server checks it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Whose rights it has.
    pub service_account_name: String,
    /// The image, with tag or digest.
    pub image: String,
    /// When the image is pulled.
    pub image_pull_policy: Option<String>,
    /// Secrets to pull it with.
    #[serde(default)]
    pub image_pull_secrets: Vec<Value>,
    /// Requests and limits.
    #[serde(default)]
    pub resources: Map<String, Value>,
    /// Taints it runs in spite of.
    #[serde(default)]
    pub tolerations: Vec<Value>,
    /// Nodes it runs on.
    #[serde(default)]
    pub node_selector: Map<String, Value>,
    /// Nodes it runs on, in full.
    #[serde(default)]
    pub affinity: Map<String, Value>,
    /// How pods are spread.
    #[serde(default)]
    pub topology_spread_constraints: Vec<Value>,
    /// How important it is.
    pub priority_class_name: Option<String>,
    /// Further environment.
    #[serde(default)]
    pub env: Vec<Value>,
    /// Further annotations of the DaemonSet.
    #[serde(default)]
    pub annotations: Map<String, Value>,
    /// Further labels of the DaemonSet.
    #[serde(default)]
    pub labels: Map<String, Value>,
    /// Further annotations of its pods.
    #[serde(default)]
    pub pod_annotations: Map<String, Value>,
    /// Further labels of its pods.
    #[serde(default)]
    pub pod_labels: Map<String, Value>,
    /// Profiles of the container; capabilities and user are not up for choice.
    #[serde(default)]
    pub security_context: Profiles,
    /// How a new version rolls out; by default the next agent is there before the one before ends.
    #[serde(default = "surge")]
    pub update_strategy: Map<String, Value>,
    /// Where the agent keeps scores and its queue, on the node.
    #[serde(default = "state_dir")]
    pub state_dir: String,
    /// The agent's log filter.
    #[serde(default = "info")]
    pub log_level: String,
    /// Where metrics go.
    pub otlp: Option<Otlp>,
    /// How long a pod may take to end.
    pub termination_grace_period_seconds: Option<u32>,
    /// How long agents stay after the last policy went: a policy that is replaced does not stop them.
    #[serde(default = "five_minutes")]
    pub linger_after_last_policy_seconds: u32,
}

/// Confinement besides what is fixed.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Profiles {
    /// `RuntimeDefault` when absent.
    pub seccomp_profile: Option<Value>,
    /// The runtime's default when absent.
    pub app_armor_profile: Option<Value>,
    /// The node's default when absent.
    pub se_linux_options: Option<Value>,
}

/// An OpenTelemetry receiver.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Otlp {
    /// Its URL; nothing is sent when empty.
    #[serde(default)]
    pub endpoint: String,
    /// `grpc` or `http/protobuf`.
    pub protocol: Option<Protocol>,
    /// Secret with a key `headers` (`name=value,…`), in the namespace of the agents.
    pub headers_secret: Option<String>,
}

/// How metrics travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Protocol {
    /// gRPC.
    #[serde(rename = "grpc")]
    Grpc,
    /// Protobuf over HTTP.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

impl Protocol {
    /// As `OTEL_EXPORTER_OTLP_PROTOCOL` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        }
    }
}

pub(super) fn state_dir() -> String {
    "/var/lib/netprecursor".to_owned()
}

/// Allowed beside none: as long as the next agent is not ready, the one before works.
fn surge() -> Map<String, Value> {
    let rolling = json!({"maxSurge": "10%", "maxUnavailable": 0});
    Map::from_iter([("type".to_owned(), "RollingUpdate".into()), ("rollingUpdate".to_owned(), rolling)])
}

const fn five_minutes() -> u32 {
    300
}
