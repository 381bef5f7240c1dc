//! The agents' DaemonSet as it is to be, a pure function of the settings.

use netprecursor_core::hex;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{AGENT, share};
use crate::{
    config::{Authorization, Settings},
    owned,
};

/// Annotation with the digest of all that was applied: shows when something that we once asked for has to go.
pub const MANIFEST_HASH: &str = "netprecursor.io/manifest-hash";

/// Port of the agent's probes and metrics; nothing else listens there.
const PROBE_PORT: u16 = 9471;

/// Variables that say who the agent is: not for anybody to set.
const OWN_VARIABLES: [(&str, &str); 3] =
    [("NODE_NAME", "spec.nodeName"), ("POD_NAME", "metadata.name"), ("POD_NAMESPACE", "metadata.namespace")];

/// The DaemonSet. `anchor` is the UID of the object that owns it.
pub fn daemon_set(settings: &Settings, anchor: &str, annotations: Map<String, Value>) -> Value {
    let agent = &settings.config.agent;
    let mut pod_labels = agent.pod_labels.clone();
    pod_labels.extend(labels());
    let mut object = json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": agent.name,
            "namespace": settings.namespace,
            "labels": agent.labels,
            "annotations": agent.annotations,
            "ownerReferences": [owned::reference(&settings.config.anchor, anchor)],
        },
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": AGENT, "app.kubernetes.io/instance": agent.name}},
            "updateStrategy": agent.update_strategy,
            "template": {
                "metadata": {"labels": pod_labels, "annotations": agent.pod_annotations},
                "spec": pod(settings),
            },
        },
    });
    // Ours win over what the user adds.
    merge(&mut object["metadata"]["labels"], labels());
    let template = &mut object["spec"]["template"]["metadata"]["labels"];
    merge(template, [("app.kubernetes.io/instance".to_owned(), agent.name.clone().into())]);
    merge(&mut object["metadata"]["annotations"], annotations);
    prune(&mut object);
    let hash = hash(&object);
    object["metadata"]["annotations"][MANIFEST_HASH] = hash.into();
    object
}

fn labels() -> Map<String, Value> {
    let mut labels = owned::labels();
    labels.insert("app.kubernetes.io/name".to_owned(), AGENT.into());
    labels
}

fn pod(settings: &Settings) -> Value {
    let agent = &settings.config.agent;
    json!({
        "serviceAccountName": agent.service_account_name,
        "imagePullSecrets": agent.image_pull_secrets,
        "priorityClassName": agent.priority_class_name,
        "nodeSelector": agent.node_selector,
        "affinity": agent.affinity,
        "tolerations": agent.tolerations,
        "topologySpreadConstraints": agent.topology_spread_constraints,
        "terminationGracePeriodSeconds": agent.termination_grace_period_seconds,
        // Which process belongs to which pod is read from /proc.
        "hostPID": true,
        "enableServiceLinks": false,
        "containers": [{
            "name": "agent",
            "image": agent.image,
            "imagePullPolicy": agent.image_pull_policy,
            "args": arguments(settings),
            "env": environment(settings),
            "resources": agent.resources,
            "ports": [{"name": "probe", "containerPort": PROBE_PORT, "protocol": "TCP"}],
            // The agent answers from memory, whether the API server does or not.
            "startupProbe": {"httpGet": {"path": "/healthz", "port": "probe"}, "initialDelaySeconds": 2, "periodSeconds": 1,
                "failureThreshold": 60},
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": "probe"}, "periodSeconds": 10, "timeoutSeconds": 5},
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": "probe"}, "periodSeconds": 5, "timeoutSeconds": 5},
            "securityContext": {
                "runAsUser": 0,
                "runAsNonRoot": false,
                "privileged": false,
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"], "add": ["BPF", "PERFMON", "NET_ADMIN"]},
                "seccompProfile": agent.security_context.seccomp_profile.clone()
                    .unwrap_or_else(|| json!({"type": "RuntimeDefault"})),
                "appArmorProfile": agent.security_context.app_armor_profile,
                "seLinuxOptions": agent.security_context.se_linux_options,
            },
            "volumeMounts": [
                {"name": "cgroup", "mountPath": "/sys/fs/cgroup", "readOnly": true, "mountPropagation": "HostToContainer"},
                {"name": "tracing", "mountPath": "/sys/kernel/tracing", "readOnly": true,
                    "mountPropagation": "HostToContainer"},
                {"name": "state", "mountPath": agent.state_dir},
                {"name": "share", "mountPath": share::DIRECTORY, "readOnly": true},
            ],
        }],
        "volumes": [
            {"name": "cgroup", "hostPath": {"path": "/sys/fs/cgroup"}},
            // Without a type: a node that lacks it degrades one sensor instead of losing the agent.
            {"name": "tracing", "hostPath": {"path": "/sys/kernel/tracing"}},
            {"name": "state", "hostPath": {"path": agent.state_dir, "type": "DirectoryOrCreate"}},
            // Optional: an agent without a share is slow, not missing, and one without networks counts all other rules.
            {"name": "share", "configMap": {"name": share::name(settings), "optional": true}},
        ],
    })
}

/// No namespace gets all objects that a node may have: in a storm of one there is room for others.
fn arguments(settings: &Settings) -> Vec<String> {
    let (config, agent) = (&settings.config, &settings.config.agent);
    let mut arguments = vec!["run".to_owned(), "--kubernetes".to_owned()];
    let mut flag = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    flag("--state-dir", agent.state_dir.clone());
    flag("--listen", "127.0.0.1:9470".to_owned());
    flag("--probe-listen", format!("0.0.0.0:{PROBE_PORT}"));
    if !config.cluster_name.is_empty() {
        flag("--cluster-name", config.cluster_name.clone());
    }
    flag("--max-alerts", config.caps.alerts_per_node.to_string());
    let of_one_namespace = config.caps.alerts_per_node.saturating_mul(3).div_ceil(4);
    flag("--max-alerts-per-namespace", config.caps.alerts_per_namespace.min(of_one_namespace).to_string());
    flag("--share-file", format!("{}/{}", share::DIRECTORY, share::SHARE));
    flag("--networks-file", format!("{}/{}", share::DIRECTORY, share::NETWORKS));
    flag("--log", agent.log_level.clone());
    if config.metrics_authorization == Authorization::None {
        arguments.push("--open-metrics".to_owned());
    }
    arguments
}

fn environment(settings: &Settings) -> Vec<Value> {
    let agent = &settings.config.agent;
    let own = OWN_VARIABLES.map(|(name, path)| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}));
    let mut variables = Vec::from(own);
    let given = |name: &str| agent.env.iter().any(|variable| variable["name"] == name);
    let mut otel = |name: &str, mut variable: Value| {
        // What the user says about OpenTelemetry goes before what the chart does.
        if !given(name) {
            variable["name"] = name.into();
            variables.push(variable);
        }
    };
    if let Some(otlp) = agent.otlp.as_ref().filter(|otlp| !otlp.endpoint.is_empty()) {
        otel("OTEL_EXPORTER_OTLP_ENDPOINT", json!({"value": otlp.endpoint}));
        if let Some(protocol) = otlp.protocol {
            otel("OTEL_EXPORTER_OTLP_PROTOCOL", json!({"value": protocol.as_str()}));
        }
        if let Some(secret) = otlp.headers_secret.as_ref().filter(|secret| !secret.is_empty()) {
            let source = json!({"secretKeyRef": {"name": secret, "key": "headers"}});
            otel("OTEL_EXPORTER_OTLP_HEADERS", json!({"valueFrom": source}));
        }
    }
    let is_own = |variable: &&Value| OWN_VARIABLES.iter().any(|(name, _)| variable["name"] == *name);
    variables.extend(agent.env.iter().filter(|variable| !is_own(variable)).cloned());
    variables
}

fn merge(object: &mut Value, more: impl IntoIterator<Item = (String, Value)>) {
    if let Value::Object(fields) = object {
        fields.extend(more);
    }
}

/// Leaves out what is empty or null: applied, it would be owned without being there.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|_, value| {
                let is_empty =
                    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
                !value.is_null() && !is_empty
            });
        }
        Value::Array(entries) => entries.iter_mut().for_each(prune),
        _ => {}
    }
}

fn hash(object: &Value) -> String {
    hex(&Sha256::digest(object.to_string())[..10])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::settings;

    fn manifest(change: impl FnOnce(&mut Settings)) -> Value {
        let mut settings = settings();
        change(&mut settings);
        daemon_set(&settings, "anchor-uid", Map::new())
    }

    #[test]
    fn agents_have_the_privileges_that_they_need_and_no_others() {
        let manifest = manifest(|_| {});
        let pod = &manifest["spec"]["template"]["spec"];
        assert_eq!((&pod["hostPID"], &pod["hostNetwork"]), (&json!(true), &Value::Null));
        let context = &pod["containers"][0]["securityContext"];
        let capabilities = json!({"drop": ["ALL"], "add": ["BPF", "PERFMON", "NET_ADMIN"]});
        assert_eq!(context["capabilities"], capabilities);
        assert_eq!(context["seccompProfile"], json!({"type": "RuntimeDefault"}));
        let writable = pod["containers"][0]["volumeMounts"].as_array().unwrap().iter();
        let writable: Vec<_> = writable.filter(|mount| mount["readOnly"] != true).map(|mount| &mount["name"]).collect();
        assert_eq!(writable, ["state"]);
    }

    #[test]
    fn one_namespace_leaves_room_for_others_on_each_node() {
        for (node, namespace, expected) in [(200, 1_000, "150"), (200, 40, "40"), (1, 9, "1"), (u32::MAX, 9, "9")] {
            let manifest = manifest(|settings| {
                (settings.config.caps.alerts_per_node, settings.config.caps.alerts_per_namespace) = (node, namespace);
            });
            let arguments = manifest["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap().clone();
            let place = arguments.iter().position(|argument| argument == "--max-alerts-per-namespace").unwrap();
            assert_eq!(arguments[place + 1], expected, "{node} of a node, {namespace} of a namespace");
        }
    }

    #[test]
    fn networks_of_the_cluster_are_dealt_and_no_news_for_the_pods() {
        let networks = vec!["10.0.0.0/8".parse().unwrap()];
        assert_eq!(manifest(|_| {}), manifest(|settings| settings.cluster_networks = networks));
        let manifest = manifest(|_| {});
        let container = &manifest["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_array().unwrap();
        let place = arguments.iter().position(|argument| argument == "--networks-file").unwrap();
        let file = arguments[place + 1].as_str().unwrap();
        let mounts = container["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| mount["name"] == "share").unwrap()["mountPath"].as_str().unwrap();
        assert_eq!(file.strip_prefix(mount), Some("/networks.json"));
    }

    #[test]
    fn nothing_empty_is_applied() {
        let text = manifest(|_| {}).to_string();
        for empty in ["null", ":[]", ":{}"] {
            assert!(!text.contains(empty), "{empty} in {text}");
        }
    }

    #[test]
    fn a_change_of_configuration_or_version_changes_the_pods() {
        let before = manifest(|_| {});
        let changes: [fn(&mut Settings); 5] = [
            |settings| settings.config.metrics_authorization = Authorization::None,
            |settings| settings.config.agent.image = "netprecursor/agent:0.2.0".to_owned(),
            |settings| settings.config.caps.alerts_per_node = 7,
            |settings| settings.config.cluster_name = "east".to_owned(),
            |settings| settings.config.agent.env = vec![json!({"name": "A", "value": "b"})],
        ];
        for change in changes {
            let after = manifest(change);
            assert_ne!(after["spec"]["template"], before["spec"]["template"]);
            assert_ne!(after["metadata"]["annotations"], before["metadata"]["annotations"]);
        }
    }

    #[test]
    fn who_the_agent_is_cannot_be_overridden_but_where_metrics_go_can() {
        let manifest = manifest(|settings| {
            let otlp = json!({"endpoint": "http://a:4317", "protocol": "grpc", "headersSecret": "s"});
            settings.config.agent.otlp = Some(serde_json::from_value(otlp).unwrap());
            settings.config.agent.env = vec![
                json!({"name": "NODE_NAME", "value": "liar"}),
                json!({"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://b:4317"}),
            ];
        });
        let env = manifest["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
        let named = |name: &str| env.iter().filter(|variable| variable["name"] == name).collect::<Vec<_>>();
        assert_eq!(named("NODE_NAME")[0]["valueFrom"]["fieldRef"]["fieldPath"], "spec.nodeName");
        assert_eq!(
            named("OTEL_EXPORTER_OTLP_ENDPOINT"),
            [&json!({"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://b:4317"})]
        );
        assert_eq!(named("OTEL_EXPORTER_OTLP_HEADERS").len(), 1);
        assert_eq!(named("NODE_NAME").len(), 1);
    }

    #[test]
    fn labels_of_the_user_are_added_and_ours_stay() {
        let manifest = manifest(|settings| {
            let labels = [("team".to_owned(), json!("net")), ("app.kubernetes.io/name".to_owned(), json!("x"))];
            settings.config.agent.pod_labels = Map::from_iter(labels);
        });
        let labels = &manifest["spec"]["template"]["metadata"]["labels"];
        assert_eq!((&labels["team"], &labels["app.kubernetes.io/name"]), (&json!("net"), &json!(AGENT)));
    }
}
