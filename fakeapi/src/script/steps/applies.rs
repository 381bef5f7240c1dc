//! Server-side apply, of objects and of their status.

use serde_json::{Value, json};

use super::{ONE, Script, gadget, gadget_with};

const TWO_US: &str = "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/two?fieldManager=us";
const TWO_THEM: &str = "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/two?fieldManager=them";
const TWO_FORCED: &str = "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/two?fieldManager=them&force=true";

pub(super) fn applies(script: &mut Script) {
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

pub(super) fn statuses(script: &mut Script) {
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

fn status(name: &str, status: Value) -> Value {
    json!({"apiVersion": "test.netprecursor.io/v1", "kind": "Gadget", "metadata": {"name": name}, "status": status})
}
