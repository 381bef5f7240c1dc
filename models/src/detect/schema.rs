//! What JSON schema can say of lines: names, ranges and lengths, which their types do not have.

use netprecursor_core::sequence::STEPS;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::{
    ROWS, SECONDS, SEQUENCES, TARGETS,
    columns::{Columns, MOST},
};

/// Rows have every feature.
pub(super) fn rows(_: &mut SchemaGenerator) -> Schema {
    let columns = Columns::features();
    let number = json!({"type": ["number", "null"], "minimum": f32::MIN, "maximum": f32::MAX});
    list(&line(&columns, &number, columns.names().len()), ROWS)
}

/// Sequences are all of one length.
pub(super) fn sequences(_: &mut SchemaGenerator) -> Schema {
    let number = json!({"type": "number", "minimum": f32::MIN, "maximum": f32::MAX});
    let step = line(&Columns::channels(), &number, 0);
    list(&json!({"type": "array", "items": step, "minItems": STEPS, "maxItems": STEPS}), SEQUENCES)
}

/// A target has at least one second.
pub(super) fn signals(_: &mut SchemaGenerator) -> Schema {
    let number = json!({"type": ["number", "null"], "minimum": 0, "maximum": MOST});
    let second = line(&Columns::signals(), &number, 0);
    list(&json!({"type": "array", "items": second, "minItems": 1, "maxItems": SECONDS}), TARGETS)
}

/// Numbers in order, or by name with `least` of them.
fn line(columns: &Columns, number: &Value, least: usize) -> Value {
    let (names, count) = (columns.names(), columns.names().len());
    json!({"oneOf": [
        {"type": "array", "items": number, "minItems": count, "maxItems": count},
        {"type": "object", "propertyNames": {"enum": names}, "additionalProperties": number, "minProperties": least},
    ]})
}

/// One to `most` of an item; null is as good as absent.
fn list(item: &Value, most: usize) -> Schema {
    json_schema!({"type": ["array", "null"], "items": item, "minItems": 1, "maxItems": most})
}
