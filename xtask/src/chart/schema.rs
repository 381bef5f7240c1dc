//! The schema of values: types are written by hand, descriptions come from `values.yaml`, and both know the same values.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use super::values::Entry;

/// Helm hands it to every chart that is part of another.
const OF_HELM: &str = "global";

/// The schema with the description of every value.
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
    let mut surplus = Vec::new();
    compare(&schema, &mut Vec::new(), entries, &mut surplus);
    if !surplus.is_empty() {
        bail!("values.schema.json: got {}, expected only what values.yaml has", surplus.join(", "));
    }
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

/// Defaults stand in `values.yaml` alone.
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
        if path.is_empty() && key == OF_HELM {
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
            "properties": {"b": {"type": "integer"}}}, "global": {}}}"#;
        let schema: Value = serde_json::from_str(&described(schema).unwrap()).unwrap();
        assert_eq!(schema["properties"]["a"]["properties"]["b"]["description"], "What b does");
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
