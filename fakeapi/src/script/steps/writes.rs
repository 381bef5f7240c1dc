//! Creates, replaces and merges, and their refusals.

use serde_json::json;

use super::{GADGETS, ONE, Script, gadget, gadget_with};

pub(super) fn writes(script: &mut Script) {
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

pub(super) fn refusals(script: &mut Script) {
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
