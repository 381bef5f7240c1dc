//! The script.

use http::Method;
use serde_json::{Value, json};

use super::{Action, Step};

const GADGETS: &str = "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets";
const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";

/// The definition of the kind that the script plays with: everything that the project's kinds use.
pub fn gadgets() -> Value {
    let conditions = json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        "items": {"type": "object", "required": ["type", "status"], "properties": {
            "type": {"type": "string"}, "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "message": {"type": "string", "maxLength": 40}, "since": {"type": "string", "format": "date-time"},
        }},
    });
    let rules = json!({
        "type": "array", "maxItems": 3, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "minLength": 1}, "severity": {"type": "string", "default": "Warning"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 10},
        }},
    });
    let spec = json!({"type": "object", "required": ["size"], "properties": {
        "size": {"type": "string", "pattern": "^[0-9]+(ms|s)$"},
        "mode": {"type": "string", "enum": ["Active", "Shadow"], "default": "Active"},
        "rules": rules,
        "selector": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {
            "matchLabels": {"type": "object", "additionalProperties": {"type": "string"}},
        }},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "notes": {"type": "object", "additionalProperties": {"type": "string"}},
        "order": {"type": "array", "items": {"type": "string"}},
        "port": {"x-kubernetes-int-or-string": true},
        "maybe": {"type": "string", "nullable": true},
    }});
    let status = json!({"type": "object", "properties": {
        "state": {"type": "string"}, "count": {"type": "integer"}, "conditions": conditions,
    }});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.test.netprecursor.io"},
        "spec": {
            "group": "test.netprecursor.io", "scope": "Namespaced",
            "names": {"kind": "Gadget", "listKind": "GadgetList", "plural": "gadgets", "singular": "gadget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "selectableFields": [{"jsonPath": ".spec.mode"}],
                "schema": {"openAPIV3Schema": {
                    "type": "object", "properties": {"spec": spec, "status": status},
                }},
            }],
        },
    })
}

fn gadget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "test.netprecursor.io/v1", "kind": "Gadget", "metadata": {"name": name}, "spec": spec})
}

fn gadget_with(name: &str, metadata: Value, spec: Value) -> Value {
    let mut gadget = gadget(name, spec);
    for (key, value) in metadata.as_object().into_iter().flatten() {
        gadget["metadata"][key] = value.clone();
    }
    gadget
}

fn status(name: &str, status: Value) -> Value {
    json!({"apiVersion": "test.netprecursor.io/v1", "kind": "Gadget", "metadata": {"name": name}, "status": status})
}

fn config_map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

/// Collects the steps.
struct Script(Vec<Step>);

impl Script {
    fn ask(&mut self, name: &'static str, method: Method, path: &'static str, content: &'static str, body: Value) {
        self.0.push(Step { name, action: Action::Ask { method, path, content, body } });
    }

    fn get(&mut self, name: &'static str, path: &'static str) {
        self.ask(name, Method::GET, path, "", Value::Null);
    }

    fn post(&mut self, name: &'static str, path: &'static str, body: Value) {
        self.ask(name, Method::POST, path, "", body);
    }

    fn put(&mut self, name: &'static str, path: &'static str, body: Value) {
        self.ask(name, Method::PUT, path, "", body);
    }

    fn apply(&mut self, name: &'static str, path: &'static str, body: Value) {
        self.ask(name, Method::PATCH, path, APPLY, body);
    }

    fn merge(&mut self, name: &'static str, path: &'static str, body: Value) {
        self.ask(name, Method::PATCH, path, MERGE, body);
    }

    fn delete(&mut self, name: &'static str, path: &'static str, body: Value) {
        self.ask(name, Method::DELETE, path, "", body);
    }

    fn watch(&mut self, name: &'static str, path: String, events: usize) {
        self.0.push(Step { name, action: Action::Watch { path, events } });
    }

    fn gone(&mut self, name: &'static str, path: &'static str) {
        self.0.push(Step { name, action: Action::Gone { path } });
    }
}

/// The script.
pub fn steps() -> Vec<Step> {
    let mut script = Script(Vec::new());
    writes(&mut script);
    refusals(&mut script);
    applies(&mut script);
    statuses(&mut script);
    reads(&mut script);
    deletions(&mut script);
    builtins(&mut script);
    script.0
}

const ONE: &str = "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/one";

fn writes(script: &mut Script) {
    let rules = json!([{"name": "a"}, {"name": "b", "severity": "Critical", "limit": 3}]);
    script.post(
        "created with defaults, without what is unknown and without status",
        GADGETS,
        json!({
            "apiVersion": "test.netprecursor.io/v1", "kind": "Gadget",
            "metadata": {"name": "one", "labels": {"app": "x"}},
            "spec": {"size": "5ms", "rules": rules, "typo": 1, "port": "http"}, "status": {"state": "Firing"},
        }),
    );
    script.get("read", ONE);
    script.post("created twice", GADGETS, gadget("one", json!({"size": "5ms"})));
    script.post(
        "created with a generated name",
        GADGETS,
        json!({
            "apiVersion": "test.netprecursor.io/v1", "kind": "Gadget",
            "metadata": {"generateName": "gen-"}, "spec": {"size": "1s"},
        }),
    );
    let version = "$version:created with defaults, without what is unknown and without status$";
    script.put(
        "replaced, and counted",
        ONE,
        gadget_with("one", json!({"resourceVersion": version}), json!({"size": "6ms", "mode": "Shadow"})),
    );
    script.put(
        "replaced with an old version",
        ONE,
        gadget_with("one", json!({"resourceVersion": version}), json!({"size": "7ms"})),
    );
    script.put(
        "replaced by the same",
        ONE,
        gadget_with(
            "one",
            json!({"resourceVersion": "$version:replaced, and counted$"}),
            json!({"size": "6ms", "mode": "Shadow"}),
        ),
    );
    script.put("replaced without a version", ONE, gadget("one", json!({"size": "8ms"})));
    script.merge("labelled, and not counted", ONE, json!({"metadata": {"labels": {"app": "x", "tier": "y"}}}));
    script.merge("merged, and counted", ONE, json!({"spec": {"size": "9ms", "mode": null, "notes": {"a": "b"}}}));
    script.merge("merged without a change", ONE, json!({"spec": {"size": "9ms"}}));
    script.merge(
        "merged with an old version",
        ONE,
        json!({"metadata": {"resourceVersion": version}, "spec": {"size": "9s"}}),
    );
    script.merge("merged into a status from the main resource", ONE, json!({"status": {"state": "Firing"}}));
}

fn refusals(script: &mut Script) {
    script.get("read what is not there", "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/none");
    script.get("read a kind that is not there", "/apis/test.netprecursor.io/v1/namespaces/{ns}/widgets/none");
    script.post("created without what is required", GADGETS, gadget("bad", json!({"mode": "Loud"})));
    script.post(
        "created with many faults",
        GADGETS,
        gadget(
            "bad",
            json!({
                "size": "5 ms", "rules": [{"name": "a", "limit": 0}, {"name": "a"}, {"limit": 11}],
                "notes": {"x": 1}, "tags": ["x", "x"],
            }),
        ),
    );
    script.post("created under a bad name", GADGETS, gadget("Bad_Name", json!({"size": "5ms"})));
    script.post(
        "created without a name",
        GADGETS,
        json!({
            "apiVersion": "test.netprecursor.io/v1", "kind": "Gadget", "spec": {"size": "5ms"},
        }),
    );
    script.post(
        "created as another kind",
        GADGETS,
        json!({"apiVersion": "test.netprecursor.io/v1", "kind": "Widget", "metadata": {"name": "w"}}),
    );
    script.post(
        "created in another namespace",
        GADGETS,
        gadget_with("w", json!({"namespace": "elsewhere"}), json!({"size": "5ms"})),
    );
    script.post(
        "created in a namespace that is not there",
        "/apis/test.netprecursor.io/v1/namespaces/not-there/gadgets",
        gadget("w", json!({"size": "5ms"})),
    );
    script.put(
        "replaced under another name",
        ONE,
        gadget_with("two", json!({"resourceVersion": "1"}), json!({"size": "5ms"})),
    );
    script.put(
        "replaced what is not there",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/none",
        gadget_with("none", json!({"resourceVersion": "1"}), json!({"size": "5ms"})),
    );
    script.merge(
        "merged what is not there",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/none",
        json!({"spec": {}}),
    );
    script.merge("merged into something invalid", ONE, json!({"spec": {"size": "x"}}));
    script.post(
        "created with an unknown field, strictly",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?fieldValidation=Strict",
        gadget("strict", json!({"size": "5ms", "typo": 1})),
    );
}

const TWO_US: &str = "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/two?fieldManager=us";
const TWO_THEM: &str = "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/two?fieldManager=them";
const TWO_FORCED: &str = "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/two?fieldManager=them&force=true";

fn applies(script: &mut Script) {
    let first = json!({
        "size": "5ms", "rules": [{"name": "a", "limit": 1}, {"name": "b"}], "tags": ["p", "q"],
        "notes": {"k": "v", "l": "w"}, "selector": {"matchLabels": {"x": "y"}}, "order": ["1", "2"],
    });
    script.apply("applied, and created", TWO_US, gadget_with("two", json!({"labels": {"a": "b"}}), first.clone()));
    script.apply("applied without a change", TWO_US, gadget_with("two", json!({"labels": {"a": "b"}}), first));
    script.apply(
        "applied by nobody",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/two",
        gadget("two", json!({})),
    );
    script.apply("applied under another name", TWO_US, gadget("three", json!({"size": "5ms"})));
    script.apply(
        "applied by another manager, who adds",
        TWO_THEM,
        gadget_with(
            "two",
            json!({"annotations": {"them": "here"}}),
            json!({"rules": [{"name": "c"}, {"name": "a", "severity": "Critical"}], "tags": ["r"], "notes": {"m": "n"}}),
        ),
    );
    script.apply(
        "applied in conflict",
        TWO_THEM,
        gadget("two", json!({"size": "6ms", "selector": {"matchLabels": {}}})),
    );
    script.apply(
        "applied by force",
        TWO_FORCED,
        gadget("two", json!({"size": "6ms", "rules": [{"name": "c"}], "order": ["3"]})),
    );
    script.apply(
        "applied by the first, who gives up what it no longer names",
        TWO_US,
        gadget("two", json!({"rules": [{"name": "b"}], "tags": ["q"], "notes": {"l": "w"}})),
    );
    script.merge(
        "changed by an update",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/two?fieldManager=editor",
        json!({"spec": {"notes": {"l": "edited"}, "mode": "Shadow"}}),
    );
    script.apply(
        "applied against the update",
        TWO_US,
        gadget("two", json!({"rules": [{"name": "b"}], "notes": {"l": "mine"}})),
    );
    script.apply(
        "applied with what the update set",
        TWO_US,
        gadget("two", json!({"rules": [{"name": "b"}], "notes": {"l": "edited"}})),
    );
    script.apply("applied nothing but what is required", TWO_US, gadget("two", json!({})));
    script.apply(
        "applied with an old version",
        TWO_US,
        gadget_with("two", json!({"resourceVersion": "$version:applied, and created$"}), json!({"size": "6ms"})),
    );
    script.apply(
        "applied to another UID",
        TWO_US,
        gadget_with("two", json!({"uid": "$uid:read$"}), json!({"size": "6ms"})),
    );
    script.apply(
        "applied to a UID that is not there",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/none?fieldManager=us",
        gadget_with("none", json!({"uid": "$uid:read$"}), json!({"size": "6ms"})),
    );
    script.apply("applied an unknown field", TWO_FORCED, gadget("two", json!({"size": "6ms", "typo": 1})));
    script.apply(
        "applied an unknown field, strictly",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/two?fieldManager=them&force=true&fieldValidation=Strict",
        gadget("two", json!({"size": "6ms", "typo": 1})),
    );
    script.apply("applied duplicates", TWO_FORCED, gadget("two", json!({"rules": [{"name": "x"}, {"name": "x"}]})));
    script.apply(
        "applied in a dry run",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/two?fieldManager=them&force=true&dryRun=All",
        gadget("two", json!({"size": "60ms"})),
    );
    script.get("read after the dry run", "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/two");
}

const ONE_STATUS: &str = "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/one/status?fieldManager=us&force=true";

fn statuses(script: &mut Script) {
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "since": "2026-01-01T00:00:00Z"});
    script.apply(
        "status applied, and not counted",
        ONE_STATUS,
        status(
            "one",
            json!({"state": "Firing", "conditions": [condition("Firing", "True"), condition("Ready", "False")]}),
        ),
    );
    let mut more = status("one", json!({"state": "Resolved", "conditions": [condition("Firing", "False")]}));
    more["spec"] = json!({"size": "1s"});
    script.apply("status applied with a spec, which stays as it is", ONE_STATUS, more);
    script.apply(
        "status applied without a change",
        ONE_STATUS,
        status("one", json!({"state": "Resolved", "conditions": [condition("Firing", "False")]})),
    );
    script.apply(
        "status applied by another manager",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/one/status?fieldManager=them",
        status("one", json!({"conditions": [condition("Ready", "True")], "count": 3})),
    );
    script.apply(
        "status applied in conflict",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/one/status?fieldManager=them",
        status("one", json!({"state": "Firing"})),
    );
    script.apply(
        "status applied to what is not there",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/none/status?fieldManager=us",
        status("none", json!({"state": "Firing"})),
    );
    script.apply(
        "status applied that is invalid",
        ONE_STATUS,
        status("one", json!({"conditions": [condition("Firing", "Maybe")]})),
    );
    script.merge(
        "status merged",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/one/status",
        json!({"status": {"count": 4}, "spec": {"size": "1s"}}),
    );
    script.get("status read", "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/one/status");
    script.merge("spec merged under a status, which stays", ONE, json!({"spec": {"size": "10ms"}}));
}

fn reads(script: &mut Script) {
    script.get("listed", GADGETS_LIST);
    script.get("listed by label", "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?labelSelector=app%3Dx");
    script.get(
        "listed by a set of labels",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?labelSelector=app%20in%20%28x%2Cz%29%2C%21none",
    );
    script.get(
        "listed by name",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?fieldSelector=metadata.name%3Dtwo",
    );
    script.get(
        "listed by a field",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?fieldSelector=spec.mode%3DShadow",
    );
    script.get(
        "listed by a field that cannot be selected on",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?fieldSelector=spec.size%3D1s",
    );
    script.get("first page", "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?limit=2");
    script.get(
        "second page",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?limit=2&continue=$continue:first page$",
    );
    script.get(
        "a page that nobody promised",
        "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets?limit=2&continue=nonsense",
    );
    let since = |query: &str, step: &str| {
        format!("{GADGETS}?watch=true&timeoutSeconds=20&resourceVersion=$version:{step}${query}")
    };
    script.watch("watched from a version", since("", "replaced, and counted"), 6);
    script.watch(
        "watched by label: what gets it is new, what loses it is gone",
        since("&labelSelector=tier%3Dy", "replaced, and counted"),
        3,
    );
    script.watch("watched by field", since("&fieldSelector=spec.mode%3DShadow", "applied, and created"), 2);
    script.watch("watched from the start", format!("{GADGETS}?watch=true&timeoutSeconds=20"), 3);
    script.watch(
        "watched as a list",
        format!(
            "{GADGETS}?watch=true&timeoutSeconds=20&sendInitialEvents=true&allowWatchBookmarks=true\
             &resourceVersionMatch=NotOlderThan"
        ),
        4,
    );
}

const GADGETS_LIST: &str = GADGETS;

fn deletions(script: &mut Script) {
    script.post(
        "created with a finalizer",
        GADGETS,
        gadget_with("held", json!({"finalizers": ["test.netprecursor.io/hold"]}), json!({"size": "5ms"})),
    );
    const HELD: &str = "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/held";
    script.delete("deleted while held", HELD, json!({}));
    script.delete("deleted twice while held", HELD, json!({}));
    script.merge("let go", HELD, json!({"metadata": {"finalizers": null}}));
    script.get("read after it was let go", HELD);
    script.delete(
        "deleted with the UID of another",
        ONE,
        json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "$uid:applied, and created$"}}),
    );
    script.delete(
        "deleted with an old version",
        ONE,
        json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"resourceVersion": "$version:read$"}}),
    );
    script.post(
        "created with an owner",
        "/api/v1/namespaces/{ns}/configmaps",
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned", "ownerReferences": [{
            "apiVersion": "test.netprecursor.io/v1", "kind": "Gadget", "name": "one", "uid": "$uid:read$",
        }]}}),
    );
    script.delete("deleted", ONE, json!({}));
    script.delete("deleted twice", ONE, json!({}));
    script.gone("what it owned is gone", "/api/v1/namespaces/{ns}/configmaps/owned");
    script.post(
        "created with an owner that is gone",
        "/api/v1/namespaces/{ns}/configmaps",
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "orphan", "ownerReferences": [{
            "apiVersion": "test.netprecursor.io/v1", "kind": "Gadget", "name": "one", "uid": "$uid:read$",
        }]}}),
    );
    script.gone("what has no owner left is gone", "/api/v1/namespaces/{ns}/configmaps/orphan");
    script.watch(
        "watched deletions",
        format!("{GADGETS}?watch=true&timeoutSeconds=20&resourceVersion=$version:created with a finalizer$"),
        3,
    );
    script.delete("deleted by label", "/api/v1/namespaces/{ns}/configmaps?labelSelector=none%3Dhere", Value::Null);
}

fn builtins(script: &mut Script) {
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
