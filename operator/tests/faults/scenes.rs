//! What happens in the cluster while the operator works: users, Kubernetes itself and agents, who never fail.

use std::time::Duration;

use k8s_openapi::ByteString;
use netprecursor_fakeapi::{Kind, Kinds, Server};
use netprecursor_operator::config::{Config, Settings};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Where the operator and the agents live.
pub(crate) const INSTALL: &str = "netprecursor-system";

/// After how many seconds something happens.
type Act = (u64, fn(&Server));

/// A story.
pub(crate) struct Scene {
    /// What it is about.
    pub(crate) name: &'static str,
    /// Whether the agents of [`running`] are there at its start.
    pub(crate) is_running: bool,
    /// What else is there at its start.
    pub(crate) start: fn(&Server),
    /// What happens, and when.
    pub(crate) acts: &'static [Act],
    /// How long it takes until nothing more is to be expected.
    pub(crate) seconds: u64,
    /// Settings that are not the usual ones.
    pub(crate) settings: fn(&mut Config),
}

/// All stories.
pub(crate) const SCENES: &[Scene] = &[
    Scene {
        name: "the first policy starts agents",
        is_running: false,
        start: |_| {},
        acts: &[(1, |server| create(server, &policy("checkout", "200ms")))],
        seconds: 360,
        settings: |_| {},
    },
    Scene {
        name: "another image rolls the agents out",
        is_running: true,
        start: |_| {},
        acts: &[],
        seconds: 300,
        settings: |config| config.agent.image = "netprecursor/agent:0.2.0".to_owned(),
    },
    Scene {
        name: "reports become scores",
        is_running: true,
        start: |_| {},
        acts: &[
            (1, |server| report(server, "n1", 4)),
            (3, |server| report(server, "n2", 2)),
            (70, |server| report(server, "n1", 7)),
        ],
        seconds: 420,
        settings: |_| {},
    },
    Scene {
        name: "a pod and a node are gone while their alerts fire",
        is_running: true,
        start: |server| {
            for (pod, node) in [("web-1", "n1"), ("web-2", "n2"), ("web-3", "n1")] {
                alert(server, pod, node, "Firing", 0);
            }
        },
        acts: &[
            (1, |server| delete(server, "v1", "Pod", "shop", "web-1")),
            (2, |server| {
                delete(server, "v1", "Node", "", "n2");
                delete(server, "v1", "Pod", INSTALL, "agent-n2");
            }),
        ],
        seconds: 480,
        settings: |_| {},
    },
    Scene {
        name: "alerts are over, and there are too many",
        is_running: true,
        start: |server| {
            for (pod, state, age) in [
                ("web-1", "Resolved", 7_200),
                ("web-2", "Resolved", 600),
                ("web-3", "Firing", 100),
                ("web-4", "Firing", 50),
            ] {
                alert(server, pod, "n1", state, age);
            }
        },
        acts: &[],
        seconds: 300,
        settings: |config| config.caps.alerts_per_namespace = 2,
    },
    Scene {
        name: "the last policy goes, and agents a while later",
        is_running: true,
        start: |_| {},
        acts: &[(1, |server| delete(server, "netprecursor.io/v1alpha1", "PrecursorPolicy", "shop", "checkout"))],
        seconds: 420,
        settings: |config| config.agent.linger_after_last_policy_seconds = 60,
    },
    Scene {
        name: "a user's model is published",
        is_running: true,
        start: |server| create(server, &model_source()),
        acts: &[(1, |server| create(server, &policy_with_model("trained")))],
        seconds: 360,
        settings: |_| {},
    },
    Scene {
        name: "a threshold changes while a second policy selects the same pods",
        is_running: true,
        start: |_| {},
        acts: &[
            (1, |server| create(server, &policy("second", "100ms"))),
            (2, |server| {
                let change = json!({"spec": {"mode": "Shadow"}});
                server
                    .patch(&named("netprecursor.io/v1alpha1", "PrecursorPolicy", "shop", "checkout"), "", &change)
                    .unwrap();
            }),
        ],
        seconds: 360,
        settings: |_| {},
    },
];

/// A cluster of two nodes with pods of a shop, and the chart installed.
pub(crate) fn cluster() -> Server {
    cluster_with(|_| {})
}

/// The same, with definitions that were changed.
pub(crate) fn cluster_with(change: fn(&mut Value)) -> Server {
    let mut kinds = Kinds::builtin();
    for definition in netprecursor_crds::schema::definitions().unwrap() {
        let mut definition = serde_json::to_value(definition).unwrap();
        change(&mut definition);
        kinds = kinds.with(Kind::custom(&definition).unwrap());
    }
    let server = Server::new(kinds, 11);
    for namespace in [INSTALL, "shop"] {
        create(&server, &named("v1", "Namespace", "", namespace));
    }
    create(&server, &named("v1", "ConfigMap", INSTALL, "netprecursor-anchor"));
    for number in [1, 2] {
        let mut node = named("v1", "Node", "", &format!("n{number}"));
        let pods = format!("10.244.{number}.0/24");
        node["spec"] = json!({"podCIDR": pods, "podCIDRs": [pods]});
        node["status"] = json!({"addresses": [{"type": "InternalIP", "address": format!("192.0.2.{number}")}]});
        create(&server, &node);
    }
    let mut services = named("networking.k8s.io/v1", "ServiceCIDR", "", "kubernetes");
    services["spec"] = json!({"cidrs": ["10.96.0.0/12"]});
    create(&server, &services);
    for (pod, node) in [("web-1", "n1"), ("web-2", "n2"), ("web-3", "n1"), ("web-4", "n1")] {
        let mut object = named("v1", "Pod", "shop", pod);
        object["metadata"]["labels"] = json!({"app": "web"});
        object["spec"] = json!({"nodeName": node, "containers": [{"name": "web", "image": "web:1"}]});
        object["status"] = json!({"phase": "Running"});
        create(&server, &object);
    }
    server
}

/// A policy whose pods agents watch, with alerts that fire.
pub(crate) fn watched(server: &Server) {
    create(server, &policy("checkout", "200ms"));
    for node in ["n1", "n2"] {
        report(server, node, 3);
    }
    for (pod, node) in [("web-1", "n1"), ("web-2", "n2"), ("web-3", "n1")] {
        alert(server, pod, node, "Firing", 0);
    }
}

/// The usual settings.
pub(crate) fn settings(scene: &Scene) -> Settings {
    let config = json!({
        "anchor": "netprecursor-anchor", "leaseName": "netprecursor-operator",
        "agent": {
            "name": "netprecursor-agent", "serviceAccountName": "netprecursor-agent",
            "image": "netprecursor/agent:0.1.0", "resources": {"limits": {"memory": "64Mi"}},
        },
    });
    let mut config: Config = serde_json::from_value(config).unwrap();
    (scene.settings)(&mut config);
    Settings::new(config, INSTALL.to_owned(), "operator-0".to_owned()).unwrap()
}

/// Kubernetes' own part: pods of the DaemonSet on every node, and what it says of them.
pub(crate) fn kubernetes(server: &Server) {
    let Some(set) = server.object("daemonsets.apps", INSTALL, "netprecursor-agent") else { return };
    let nodes = server.objects("nodes");
    for node in &nodes {
        let node = node["metadata"]["name"].as_str().unwrap();
        let name = format!("agent-{node}");
        if server.object("pods", INSTALL, &name).is_some() {
            continue;
        }
        let mut pod = named("v1", "Pod", INSTALL, &name);
        pod["metadata"]["labels"] = set["spec"]["template"]["metadata"]["labels"].clone();
        pod["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "netprecursor-agent", "controller": true,
            "uid": set["metadata"]["uid"],
        }]);
        pod["spec"] = json!({"nodeName": node, "containers": [{"name": "agent", "image": "agent:1"}]});
        let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": date(server, 0)});
        let address = format!("10.244.{}.9", node.trim_start_matches('n'));
        pod["status"] =
            json!({"phase": "Running", "conditions": [ready], "podIP": address, "podIPs": [{"ip": address}]});
        create(server, &pod);
    }
    let count = nodes.len();
    let status = json!({
        "observedGeneration": set["metadata"]["generation"], "desiredNumberScheduled": count,
        "currentNumberScheduled": count, "updatedNumberScheduled": count, "numberReady": count,
    });
    let is_told = status.as_object().into_iter().flatten().all(|(key, value)| set["status"][key] == *value);
    if !is_told {
        server.patch(&set, "status", &json!({"status": status})).unwrap();
    }
}

pub(crate) fn create(server: &Server, object: &Value) {
    server.create(object).unwrap_or_else(|refusal| panic!("{}: {object}", refusal.message));
}

fn delete(server: &Server, api_version: &str, kind: &str, namespace: &str, name: &str) {
    server.delete(&named(api_version, kind, namespace, name)).unwrap();
}

pub(crate) fn named(api_version: &str, kind: &str, namespace: &str, name: &str) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}

fn date(server: &Server, seconds_ago: u64) -> String {
    let then = server.now() - Duration::from_secs(seconds_ago);
    jiff::Timestamp::from_second(then.as_second()).unwrap().to_string()
}

fn policy(name: &str, threshold: &str) -> Value {
    let mut policy = named("netprecursor.io/v1alpha1", "PrecursorPolicy", "shop", name);
    policy["spec"] = json!({
        "target": {"podSelector": {"matchLabels": {"app": "web"}}},
        "rules": [{"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": threshold}}],
    });
    policy
}

const MODEL: &[u8] = b"a model, as far as the operator is concerned";

fn digest() -> String {
    Sha256::digest(MODEL).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn policy_with_model(name: &str) -> Value {
    let mut policy = policy(name, "50ms");
    let reference = json!({"name": "models", "key": "model.onnx", "sha256": digest()});
    policy["spec"]["rules"][0]["model"] = json!({"configMapKeyRef": reference});
    policy
}

fn model_source() -> Value {
    let mut map = named("v1", "ConfigMap", "shop", "models");
    map["binaryData"] = json!({"model.onnx": ByteString(MODEL.to_vec())});
    map
}

fn uid(server: &Server, resource: &str, namespace: &str, name: &str) -> Value {
    server.object(resource, namespace, name).map_or(json!("gone"), |object| object["metadata"]["uid"].clone())
}

/// What the agent of a node says, with as many alerts as counted so far.
fn report(server: &Server, node: &str, alerts: u64) {
    let counters = json!({
        "policyUID": uid(server, "precursorpolicies.netprecursor.io", "shop", "checkout"), "policyName": "checkout",
        "policyNamespace": "shop", "rule": "rtt", "ruleHash": "h1", "since": "2025-06-01T00:00:00Z", "targets": 2,
        "alerts": alerts, "confirmed": alerts - 1, "late": 0, "unconfirmed": 1, "unjudged": 0, "incidents": alerts,
        "warned": alerts - 1, "missed": 1, "ongoing": 0, "gated": 0, "leadSeconds": [0, 0, 0, alerts],
        "targetSeconds": alerts * 100,
    });
    let status = json!({"status": {
        "agentVersion": "0.1.0", "kernel": "6.18.4", "rttSource": "Measured", "targets": 2,
        "queue": {"pending": 0, "dropped": 0}, "rules": [counters], "heartbeat": date(server, 0),
    }});
    let object = named("netprecursor.io/v1alpha1", "PrecursorNodeReport", "", node);
    if server.object("precursornodereports.netprecursor.io", "", node).is_none() {
        create(server, &object);
    }
    server.patch(&object, "status", &status).unwrap();
}

/// An alert as the agent of a node wrote it.
fn alert(server: &Server, pod: &str, node: &str, state: &str, seconds_ago: u64) {
    let policy = uid(server, "precursorpolicies.netprecursor.io", "shop", "checkout");
    let mut alert = named("netprecursor.io/v1alpha1", "PrecursorAlert", "shop", &format!("checkout-{pod}"));
    alert["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorPolicy", "name": "checkout", "uid": policy,
    }]);
    alert["spec"] = json!({
        "policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": policy}, "rule": "rtt", "nodeName": node,
        "podRef": {"name": pod, "uid": uid(server, "pods", "shop", pod)},
    });
    let firing = if state == "Firing" { "True" } else { "False" };
    let at = date(server, seconds_ago);
    let condition = |type_: &str, status: &str| json!({"type": type_, "status": status, "reason": "Forecast", "message": "", "lastTransitionTime": at});
    alert["status"] = json!({
        "state": state, "severity": "Warning", "threshold": "200ms", "predicted": "231ms", "count": 1,
        "firedAt": at, "trigger": "Forecast", "model": {"name": "rtt-xgboost"},
        "conditions": [condition("Firing", firing), condition("Confirmed", "Unknown")],
    });
    if state == "Resolved" {
        alert["status"]["resolvedAt"] = json!(at);
        alert["status"]["resolution"] = json!("Recovered");
    }
    create(server, &alert);
    // By the definition of an earlier release the status is a subresource, which is written apart.
    if server.object("precursoralerts.netprecursor.io", "shop", &format!("checkout-{pod}")).unwrap()["status"].is_null()
    {
        server.patch(&alert, "status", &json!({"status": alert["status"]})).unwrap();
    }
}
