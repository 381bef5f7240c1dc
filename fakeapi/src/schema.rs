//! Schemas of custom resources: they prune unknown fields, fill in defaults and validate the rest.
//!
//! CEL rules are not evaluated; tests that depend on them use a real API server.

use std::{cell::RefCell, collections::BTreeMap};

use regex::Regex;
use serde_json::{Map, Value};

use crate::cause::Cause;

/// Prunes and defaults a whole object; `apiVersion`, `kind` and `metadata` are not the schema's.
pub(crate) fn complete(object: &mut Value, schema: &Value) {
    let Some(map) = object.as_object_mut() else { return };
    let ours: Vec<(String, Value)> = ["apiVersion", "kind", "metadata"]
        .iter()
        .filter_map(|key| map.remove(*key).map(|value| ((*key).to_owned(), value)))
        .collect();
    fill(object, schema);
    if let Some(map) = object.as_object_mut() {
        map.extend(ours);
    }
}

fn fill(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => {
            let keeps_unknown = schema["x-kubernetes-preserve-unknown-fields"] == true;
            let declared = schema["properties"].as_object();
            let others = &schema["additionalProperties"];
            let of = |name: &str| {
                declared.and_then(|declared| declared.get(name)).or_else(|| others.is_object().then_some(others))
            };
            map.retain(|name, value| match of(name) {
                Some(schema) => !value.is_null() || schema["nullable"] == true,
                None => keeps_unknown || others == true,
            });
            for (name, schema) in declared.into_iter().flatten() {
                if let (
                    None,
                    default @ (Value::Object(_)
                    | Value::Array(_)
                    | Value::String(_)
                    | Value::Number(_)
                    | Value::Bool(_)),
                ) = (map.get(name), &schema["default"])
                {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in map.iter_mut() {
                if let Some(schema) = of(name) {
                    fill(value, schema);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| fill(item, &schema["items"])),
        _ => {}
    }
}

/// Fields of a whole object that its schema does not declare.
pub(crate) fn undeclared(object: &Value, schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            match schema["properties"].get(name) {
                Some(schema) => seek_undeclared(value, schema, name, &mut found),
                None => found.push(name.clone()),
            }
        }
    }
    found
}

fn seek_undeclared(value: &Value, schema: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) if schema["x-kubernetes-preserve-unknown-fields"] != true => {
            for (name, value) in map {
                let path = join(path, name);
                let others = schema.get("additionalProperties").filter(|others| !others.is_null());
                match schema["properties"].get(name).or(others) {
                    Some(schema) => seek_undeclared(value, schema, &path, found),
                    None => found.push(path),
                }
            }
        }
        Value::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                seek_undeclared(item, &schema["items"], &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// Violations of the schema by a whole object.
pub(crate) fn validate(object: &Value, schema: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let properties = schema["properties"].as_object();
    for (name, schema) in properties.into_iter().flatten() {
        if matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            continue;
        }
        if let Some(value) = object.get(name) {
            check(value, schema, name, &mut causes);
        }
    }
    missing(object.as_object(), schema, "", &mut causes);
    causes
}

fn missing(map: Option<&Map<String, Value>>, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if map.is_none_or(|map| !map.contains_key(name)) {
            causes.push(Cause::new(join(path, name), "FieldValueRequired", "Required value"));
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn check(value: &Value, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    if !has_type(value, schema) {
        let message = format!("Invalid value: {value}: must be of type {}", schema["type"]);
        causes.push(Cause::new(path, "FieldValueTypeInvalid", message));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        let words: Vec<String> = allowed.iter().map(Value::to_string).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", words.join(", "));
        causes.push(Cause::new(path, "FieldValueNotSupported", message));
    }
    match value {
        Value::String(text) => check_text(text, schema, path, causes),
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            let bound = |key: &str| schema[key].as_f64();
            if bound("minimum").is_some_and(|least| number < least)
                || bound("maximum").is_some_and(|most| number > most)
            {
                let message = format!("Invalid value: {value}: should be in range");
                causes.push(Cause::new(path, "FieldValueInvalid", message));
            }
        }
        Value::Array(list) => check_list(list, schema, path, causes),
        Value::Object(map) => {
            missing(Some(map), schema, path, causes);
            count(map.len(), schema, ["minProperties", "maxProperties"], path, causes);
            for (name, value) in map {
                let declared = schema["properties"].get(name);
                if let Some(schema) = declared.or_else(|| schema.get("additionalProperties")) {
                    check(value, schema, &join(path, name), causes);
                }
            }
        }
        _ => {}
    }
}

fn check_text(text: &str, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    count(text.chars().count(), schema, ["minLength", "maxLength"], path, causes);
    if let Some(pattern) = schema["pattern"].as_str()
        && !matches(pattern, text)
    {
        let message = format!("Invalid value: {text:?}: should match '{pattern}'");
        causes.push(Cause::new(path, "FieldValueInvalid", message));
    }
    if schema["format"] == "date-time" && text.parse::<jiff::Timestamp>().is_err() {
        let message = format!("Invalid value: {text:?}: must be of type date-time");
        causes.push(Cause::new(path, "FieldValueInvalid", message));
    }
}

thread_local! {
    /// Patterns of the schemas that were met: compiling one takes a thousand times as long as a match.
    static PATTERNS: RefCell<BTreeMap<String, Option<Regex>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Whether a text matches. A pattern that is none is a fault of the schema, which its own tests find.
fn matches(pattern: &str, text: &str) -> bool {
    PATTERNS.with_borrow_mut(|patterns| {
        if !patterns.contains_key(pattern) {
            patterns.insert(pattern.to_owned(), Regex::new(pattern).ok());
        }
        patterns.get(pattern).and_then(Option::as_ref).is_none_or(|pattern| pattern.is_match(text))
    })
}

fn check_list(list: &[Value], schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    count(list.len(), schema, ["minItems", "maxItems"], path, causes);
    let keys: Vec<&str> = match schema["x-kubernetes-list-type"].as_str() {
        Some("map") => {
            schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
        }
        _ => Vec::new(),
    };
    let is_set = schema["x-kubernetes-list-type"] == "set";
    let identity = |item: &Value| -> Vec<Value> {
        if is_set { vec![item.clone()] } else { keys.iter().map(|key| item[*key].clone()).collect() }
    };
    for (index, item) in list.iter().enumerate() {
        let at = format!("{path}[{index}]");
        if (is_set || !keys.is_empty()) && list[..index].iter().any(|other| identity(other) == identity(item)) {
            causes.push(Cause::new(&at, "FieldValueDuplicate", format!("Duplicate value: {:?}", identity(item))));
        }
        check(item, &schema["items"], &at, causes);
    }
}

fn count(got: usize, schema: &Value, [least, most]: [&str; 2], path: &str, causes: &mut Vec<Cause>) {
    let bound = |key: &str| schema[key].as_u64().and_then(|bound| usize::try_from(bound).ok());
    if let Some(least) = bound(least).filter(|least| got < *least) {
        let message = format!("Invalid value: {got}: should be at least {least} long");
        causes.push(Cause::new(path, "FieldValueInvalid", message));
    }
    if let Some(most) = bound(most).filter(|most| got > *most) {
        let reason = if most_is_length(schema) { "FieldValueTooLong" } else { "FieldValueTooMany" };
        causes.push(Cause::new(path, reason, format!("Too long: {got}: may not be more than {most}")));
    }
}

fn most_is_length(schema: &Value) -> bool {
    schema["type"] == "string"
}

fn has_type(value: &Value, schema: &Value) -> bool {
    if value.is_null() {
        return schema["nullable"] == true;
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return value.is_i64() || value.is_u64() || value.is_string();
    }
    match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
            "mode": {"type": "string", "enum": ["Active", "Shadow"], "default": "Active"},
            "rules": {"type": "array", "maxItems": 2, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "properties": {"name": {"type": "string"}, "n": {"type": "integer", "minimum": 1}}}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        }}}})
    }

    #[test]
    fn unknown_fields_and_nulls_go_and_defaults_come() {
        let mut object = json!({"kind": "X", "metadata": {"name": "a"}, "other": 1,
            "spec": {"name": "a", "labels": {"x": "y"}, "typo": 1, "rules": [{"name": "r", "m": null}]}});
        complete(&mut object, &schema());
        let expected = json!({"kind": "X", "metadata": {"name": "a"},
            "spec": {"name": "a", "mode": "Active", "labels": {"x": "y"}, "rules": [{"name": "r"}]}});
        assert_eq!(object, expected);
    }

    #[test]
    fn every_violation_is_named_with_its_field() {
        let object = json!({"spec": {"mode": "Loud", "labels": {"x": 1},
            "rules": [{"name": "r", "n": 0}, {"name": "r"}, {"name": "s"}]}});
        let causes = validate(&object, &schema());
        let mut fields: Vec<&str> = causes.iter().map(|cause| cause.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            ["spec.labels.x", "spec.mode", "spec.name", "spec.rules", "spec.rules[0].n", "spec.rules[1]"]
        );
    }
}
