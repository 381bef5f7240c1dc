//! Deletions, and what they take along.

use serde_json::{Value, json};

use super::{GADGETS, ONE, Script, gadget_with};

pub(super) fn deletions(script: &mut Script) {
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
