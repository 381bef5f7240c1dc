//! Parts of schemas that several types have.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::condition::{ConditionStatus, MAX_MESSAGE};

/// A quantity as agents write it.
const QUANTITY: &str = "^[0-9]{1,15}(\\.[0-9]{1,3})?(m|k|M|G|Ki|Mi|Gi)?$";

/// A point in time.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// A decimal or binary quantity, as agents write it.
pub(crate) fn quantity(schema: &mut Schema) {
    schema.insert("pattern".to_owned(), QUANTITY.into());
}

/// Kubernetes' conditions, with the bounds that its own types have.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "description": "A condition of the object.",
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "description": "The type of the condition.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 63,
                    "pattern": "^[A-Z][A-Za-z0-9]*$",
                },
                "status": {
                    "description": "Whether the condition holds.",
                    "type": "string",
                    "enum": [ConditionStatus::True, ConditionStatus::False, ConditionStatus::Unknown],
                },
                "reason": {
                    "description": "The reason in one word, for programs.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 127,
                    "pattern": "^[A-Z][A-Za-z0-9]*$",
                },
                "message": {
                    "description": "The reason in detail and what to do, for people.",
                    "type": "string",
                    "maxLength": MAX_MESSAGE,
                },
                "lastTransitionTime": {
                    "description": "When `status` last changed.",
                    "type": "string",
                    "format": "date-time",
                },
                "observedGeneration": {
                    "description": "The generation of the spec that the condition refers to.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
            },
        },
    })
}
