//! The custom resource of the script.

use serde_json::{Value, json};

/// Its definition, which has everything that the project's kinds use.
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
