//! Events of `events.k8s.io`: strictly validated when created, and immutable except for the series.

use serde_json::{Value, json};

use super::default;
use crate::cause::Cause;

/// Maximum length of a note.
const MAX_NOTE: usize = 1024;

/// Maximum length of the other texts.
const MAX_TEXT: usize = 128;

/// Fills in the server's defaults.
pub(crate) fn complete(object: &mut Value) {
    default(object, "deprecatedSource", json!({}));
}

/// Validates an Event.
pub(crate) fn validate(old: Option<&Value>, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(old) = old {
        let fixed = [
            "eventTime",
            "reportingController",
            "reportingInstance",
            "action",
            "reason",
            "regarding",
            "related",
            "note",
            "type",
        ];
        for field in fixed {
            if old[field] != new[field] {
                causes.push(Cause::new(field, "FieldValueInvalid", "Invalid value: field is immutable"));
            }
        }
        return causes;
    }
    for field in ["reportingController", "reportingInstance", "action", "reason"] {
        let text = new[field].as_str().unwrap_or_default();
        if text.is_empty() {
            causes.push(Cause::new(field, "FieldValueRequired", "Required value"));
        } else if text.len() > MAX_TEXT {
            causes.push(Cause::new(field, "FieldValueInvalid", "Invalid value: can have at most 128 characters"));
        }
    }
    if new["eventTime"].as_str().is_none_or(str::is_empty) {
        causes.push(Cause::new("eventTime", "FieldValueRequired", "Required value"));
    }
    if new["note"].as_str().unwrap_or_default().len() > MAX_NOTE {
        causes.push(Cause::new("message", "FieldValueInvalid", "Invalid value: can have at most 1024 characters"));
    }
    if !matches!(new["type"].as_str(), Some("Normal" | "Warning")) {
        causes.push(Cause::new("type", "FieldValueInvalid", "Invalid value: must be Normal or Warning"));
    }
    causes
}
