//! The schema of values: types are written by hand; descriptions, and which values have to be there, come from `values.yaml`.
//! Both know the same values.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use super::values::Entry;

/// What Helm hands to a chart that is part of another: the parent's values for all, and the usual `condition`.
const OF_HELM: [&str; 2] = ["enabled", "global"];

/// The schema with the description of every value, and with those required that may not be missing.
///
/// # Errors
/// It is not JSON, or schema and values know different values.
pub(super) fn describe(schema: &str, entries: &[Entry]) -> anyhow::Result<String> {
    let mut schema: Value = serde_json::from_str(schema).context("values.schema.json")?;
    for entry in entries {
        let Some(place) =
            entry.path.iter().try_fold(&mut schema, |place, key| place.get_mut("properties")?.get_mut(key))
        else {
            bail!("values.schema.json: got no property {}, expected one: values.yaml has it", entry.key());
        };
        let place = place
            .as_object_mut()
            .with_context(|| format!("values.schema.json: {}: expected an object", entry.key()))?;
        place.insert("description".to_owned(), entry.description.clone().into());
        refuse_default(place, entry)?;
    }
    require(&mut schema, entries)?;
    let mut surplus = Vec::new();
    compare(&schema, &mut Vec::new(), entries, &mut surplus);
    if !surplus.is_empty() {
        bail!("values.schema.json: got {}, expected only what values.yaml has", surplus.join(", "));
    }
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

/// Helm takes a `null` as the wish to have no such value, not even the default. Where the default is empty, that is the same;
/// any other value, and every section, has to be there, so that its `null` is refused by name.
fn require(schema: &mut Value, entries: &[Entry]) -> anyhow::Result<()> {
    let mut required: BTreeMap<&[String], BTreeSet<&str>> = BTreeMap::new();
    for entry in entries {
        for (depth, key) in entry.path.iter().enumerate() {
            let keys = required.entry(&entry.path[..depth]).or_default();
            if depth + 1 < entry.path.len() || !is_empty(&entry.default) {
                keys.insert(key);
            }
        }
    }
    for (path, keys) in required {
        let section = path.iter().try_fold(&mut *schema, |place, key| place.get_mut("properties")?.get_mut(key));
        let section = section.and_then(Value::as_object_mut).with_context(|| {
            format!("values.schema.json: got no section {}, expected one: values.yaml has it", path.join("."))
        })?;
        if keys.is_empty() {
            section.remove("required");
        } else {
            section.insert("required".to_owned(), keys.into_iter().collect());
        }
    }
    Ok(())
}

/// As a condition of a template sees it.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// Defaults are in `values.yaml` alone.
fn refuse_default(place: &Map<String, Value>, entry: &Entry) -> anyhow::Result<()> {
    if place.contains_key("default") {
        bail!("values.schema.json: {}: got a default, expected it in values.yaml alone", entry.key());
    }
    Ok(())
}

/// Collects properties that are no value, and objects above values that let unknown ones pass.
fn compare(schema: &Value, path: &mut Vec<String>, entries: &[Entry], surplus: &mut Vec<String>) {
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        surplus.push(format!("unknown values in `{}`", path.join(".")));
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (key, property) in properties {
        if path.is_empty() && OF_HELM.contains(&key.as_str()) {
            continue;
        }
        path.push(key.clone());
        let below = |entry: &&Entry| entry.path.starts_with(path);
        match entries.iter().find(below) {
            None => surplus.push(path.join(".")),
            Some(entry) if entry.path.len() > path.len() => compare(property, path, entries, surplus),
            Some(_) => {}
        }
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::values;

    const VALUES: &str = "a:\n  # -- What b does\n  b: 1\n";

    fn described(schema: &str) -> anyhow::Result<String> {
        describe(schema, &values::read(VALUES).unwrap())
    }

    #[test]
    fn descriptions_come_from_the_values() {
        let schema = r#"{"additionalProperties": false, "properties": {"a": {"additionalProperties": false,
            "properties": {"b": {"type": "integer"}}}, "global": {}, "enabled": {}}}"#;
        let schema: Value = serde_json::from_str(&described(schema).unwrap()).unwrap();
        assert_eq!(schema["properties"]["a"]["properties"]["b"]["description"], "What b does");
    }

    #[test]
    fn what_would_be_missed_is_required_and_what_is_empty_anyway_is_not() {
        let entries = values::read("a:\n  # -- B\n  b: 1\n  # -- C\n  c: []\n  d:\n    # -- E\n    e: \"\"\n").unwrap();
        let schema = r#"{"additionalProperties": false, "properties": {"a": {"additionalProperties": false,
            "required": ["c"], "properties": {"b": {}, "c": {}, "d": {"additionalProperties": false,
            "required": ["e"], "properties": {"e": {}}}}}}}"#;
        let schema: Value = serde_json::from_str(&describe(schema, &entries).unwrap()).unwrap();
        let required = |pointer: &str| schema.pointer(pointer).cloned();
        assert_eq!(required("/required"), Some(serde_json::json!(["a"])));
        assert_eq!(required("/properties/a/required"), Some(serde_json::json!(["b", "d"])));
        assert_eq!(required("/properties/a/properties/d/required"), None);
    }

    #[test]
    fn a_value_that_only_one_of_them_knows_is_named() {
        let missing = described(r#"{"additionalProperties": false, "properties": {"a": {"properties": {}}}}"#);
        assert!(missing.unwrap_err().to_string().contains("no property a.b"));
        let surplus = r#"{"additionalProperties": false, "properties": {"a": {"additionalProperties": false,
            "properties": {"b": {}, "c": {}}}}}"#;
        assert!(described(surplus).unwrap_err().to_string().contains("a.c"));
    }

    #[test]
    fn an_object_that_lets_unknown_values_pass_is_named() {
        let open = r#"{"additionalProperties": false, "properties": {"a": {"properties": {"b": {}}}}}"#;
        assert!(described(open).unwrap_err().to_string().contains("unknown values in `a`"));
    }
}
