//! Built-in kinds.

use serde_json::{Value, json};

use super::Script;

pub(super) fn builtins(script: &mut Script) {
    const MAPS: &str = "/api/v1/namespaces/{ns}/configmaps";
    let mut fixed = config_map("fixed", json!({"a": "b"}));
    fixed["immutable"] = json!(true);
    script.post("ConfigMap created that is fixed", MAPS, fixed.clone());
    script.merge("fixed ConfigMap changed", "/api/v1/namespaces/{ns}/configmaps/fixed", json!({"data": {"a": "c"}}));
    script.merge(
        "fixed ConfigMap labelled",
        "/api/v1/namespaces/{ns}/configmaps/fixed",
        json!({"metadata": {"labels": {"a": "b"}}}),
    );
    script.apply(
        "ConfigMap applied",
        "/api/v1/namespaces/{ns}/configmaps/applied?fieldManager=us&force=true",
        config_map("applied", json!({"a": "b"})),
    );
    script.put(
        "ConfigMap replaced without a version",
        "/api/v1/namespaces/{ns}/configmaps/applied",
        config_map("applied", json!({"a": "c"})),
    );
    const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases";
    let lease = |spec: Value, version: &str| {
        let mut lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "lead"}, "spec": spec,
        });
        if !version.is_empty() {
            lease["metadata"]["resourceVersion"] = Value::from(version);
        }
        lease
    };
    let held = json!({"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000001Z"});
    script.post("Lease created", LEASES, lease(held.clone(), ""));
    const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases/lead";
    let taken = json!({"holderIdentity": "b", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:16.000001Z"});
    script.put("Lease taken", LEASE, lease(taken, "$version:Lease created$"));
    script.put("Lease taken too late", LEASE, lease(held, "$version:Lease created$"));
    daemon_sets(script);
    events(script);
}

fn daemon_sets(script: &mut Script) {
    const SET: &str = "/apis/apps/v1/namespaces/{ns}/daemonsets/agent?fieldManager=us&force=true";
    let set = |image: &str, label: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "labels": {"a": "b"}},
            "spec": {
                "selector": {"matchLabels": {"app": label}},
                "template": {
                    "metadata": {"labels": {"app": label}},
                    "spec": {
                        "serviceAccountName": "agent", "hostPID": true,
                        "containers": [{
                            "name": "agent", "image": image, "args": ["run"],
                            "env": [
                                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                                {"name": "LEVEL", "value": "info"},
                            ],
                            "ports": [{"name": "probe", "containerPort": 9471}],
                            "livenessProbe": {"httpGet": {"path": "/healthz", "port": "probe"}},
                            "readinessProbe": {"httpGet": {"path": "/readyz", "port": "probe"}, "periodSeconds": 5},
                            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
                            "securityContext": {
                                "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
                                "capabilities": {"drop": ["ALL"], "add": ["BPF"]},
                            },
                            "volumeMounts": [{"name": "cgroup", "mountPath": "/sys/fs/cgroup", "readOnly": true}],
                        }],
                        "volumes": [
                            {"name": "cgroup", "hostPath": {"path": "/sys/fs/cgroup", "type": "Directory"}},
                            {"name": "models", "configMap": {"name": "models", "optional": true}},
                        ],
                        "tolerations": [{"operator": "Exists"}],
                    },
                },
            },
        })
    };
    script.apply("DaemonSet applied", SET, set("registry/agent:1", "agent"));
    script.apply("DaemonSet applied without a change", SET, set("registry/agent:1", "agent"));
    script.apply("DaemonSet applied with another image", SET, set("registry/agent:2", "agent"));
    script.apply("DaemonSet applied with another selector", SET, set("registry/agent:2", "other"));
    script.merge(
        "DaemonSet status merged",
        "/apis/apps/v1/namespaces/{ns}/daemonsets/agent/status",
        json!({"status": {"observedGeneration": 2, "desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberReady": 2}}),
    );
    script.get("DaemonSet read", "/apis/apps/v1/namespaces/{ns}/daemonsets/agent");
    script.delete(
        "DaemonSet deleted",
        "/apis/apps/v1/namespaces/{ns}/daemonsets/agent",
        json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}),
    );
}

fn events(script: &mut Script) {
    const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/{ns}/events";
    let event = |name: &str| {
        json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name},
            "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "netprecursor.io/agent",
            "reportingInstance": "agent-1", "action": "Forecast", "reason": "Firing", "type": "Warning", "note": "soon",
            "regarding": {"apiVersion": "v1", "kind": "Pod", "namespace": "{ns}", "name": "p", "uid": "u"},
        })
    };
    script.post("Event created", EVENTS, event("e"));
    script.post("Event created twice", EVENTS, event("e"));
    let mut long = event("long");
    long["note"] = Value::from("n".repeat(1025));
    script.post("Event created with too long a note", EVENTS, long);
    let mut silent = event("silent");
    silent["reason"] = json!("");
    silent["action"] = json!("");
    script.post("Event created without a reason", EVENTS, silent);
    let mut elsewhere = event("elsewhere");
    elsewhere["regarding"]["namespace"] = json!("default");
    script.post("Event created about another namespace", EVENTS, elsewhere);
    script.apply(
        "Event applied",
        "/apis/events.k8s.io/v1/namespaces/{ns}/events/applied?fieldManager=us&force=true",
        event("applied"),
    );
}

fn config_map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}
