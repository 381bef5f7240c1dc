//! What an object that was observed lacks of what was applied.
//!
//! The API server adds defaults and writes quantities its own way, others may add entries of their own: only what we
//! asked for counts.

use std::fmt;

use serde_json::{Map, Value};

/// What distinguishes the entries of a list, where Kubernetes merges lists by key.
const LIST_KEYS: &[&str] = &["name", "mountPath", "containerPort", "uid", "type"];

/// Characters of a value in words.
const SHOWN: usize = 80;

/// A field that is not as it was applied.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// Names of the fields that lead to it, innermost first.
    path: Vec<String>,
    got: String,
    expected: String,
}

impl Difference {
    fn between(observed: &Value, wanted: &Value) -> Self {
        let shown = |value: &Value| match value {
            Value::Null => "nothing".to_owned(),
            value => value.to_string().chars().take(SHOWN).collect(),
        };
        Self { path: Vec::new(), got: shown(observed), expected: shown(wanted) }
    }

    fn below(mut self, name: impl Into<String>) -> Self {
        self.path.push(name.into());
        self
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
        write!(f, "{}: got {}, expected {}", path.join("."), self.got, self.expected)
    }
}

/// The first field of `wanted` that `observed` does not have like that.
pub fn difference(observed: &Value, wanted: &Value) -> Option<Difference> {
    match (observed, wanted) {
        (Value::Object(observed), Value::Object(wanted)) => wanted.iter().find_map(|(key, value)| {
            let found = match observed.get(key) {
                Some(observed) => difference(observed, value),
                // The API server drops what is empty.
                None => (!is_empty(value)).then(|| Difference::between(&Value::Null, value)),
            };
            found.map(|found| found.below(key))
        }),
        (Value::Array(observed), Value::Array(wanted)) => list_difference(observed, wanted),
        _ if observed == wanted || is_same_quantity(observed, wanted) => None,
        _ => Some(Difference::between(observed, wanted)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Number(_) | Value::Bool(true) => false,
    }
}

fn list_difference(observed: &[Value], wanted: &[Value]) -> Option<Difference> {
    let keyed = |entry: &Value| entry.as_object().and_then(key_of);
    match wanted.iter().map(keyed).collect::<Option<Vec<_>>>() {
        Some(keys) => wanted.iter().zip(keys).find_map(|(wanted, (field, key))| {
            let found = match observed.iter().find(|entry| entry.get(field) == Some(&key)) {
                Some(entry) => difference(entry, wanted),
                None => Some(Difference::between(&Value::Null, wanted)),
            };
            found.map(|found| found.below(key.as_str().map_or_else(|| key.to_string(), str::to_owned)))
        }),
        None if observed.len() != wanted.len() => {
            Some(Difference::between(&Value::from(observed.to_vec()), &Value::from(wanted.to_vec())))
        }
        None => observed.iter().zip(wanted).enumerate().find_map(|(index, (observed, wanted))| {
            difference(observed, wanted).map(|found| found.below(index.to_string()))
        }),
    }
}

fn key_of(entry: &Map<String, Value>) -> Option<(&'static str, Value)> {
    LIST_KEYS.iter().find_map(|field| entry.get(*field).map(|key| (*field, key.clone())))
}

/// `1`, `"1"` and `"1000m"` are one quantity.
fn is_same_quantity(one: &Value, other: &Value) -> bool {
    matches!((amount(one), amount(other)), (Some(one), Some(other)) if one == other)
}

/// A quantity in thousandths.
fn amount(value: &Value) -> Option<i128> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 {
        return None;
    }
    let scale: i128 = match unit {
        "m" => 1,
        "" => 1_000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "Ki" => 1_000 << 10,
        "Mi" => 1_000 << 20,
        "Gi" => 1_000 << 30,
        "Ti" => 1_000 << 40,
        _ => return None,
    };
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    digits.checked_mul(scale).map(|amount| amount / 10_i128.pow(fraction.len() as u32))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_server_and_others_add_does_not_count() {
        let wanted = json!({"a": 1, "containers": [{"name": "agent", "image": "x"}], "empty": [], "off": false});
        let observed = json!({
            "a": 1, "b": 2,
            "containers": [{"name": "sidecar"}, {"name": "agent", "image": "x", "terminationMessagePath": "/dev"}],
        });
        assert_eq!(difference(&observed, &wanted), None);
    }

    #[test]
    fn what_was_changed_or_taken_away_counts() {
        let wanted = json!({"containers": [{"name": "agent", "args": ["run", "--log"]}]});
        for observed in [
            json!({}),
            json!({"containers": []}),
            json!({"containers": [{"name": "agent", "args": ["run"]}]}),
            json!({"containers": [{"name": "agent", "args": ["--log", "run"]}]}),
        ] {
            assert!(difference(&observed, &wanted).is_some(), "{observed}");
        }
    }

    #[test]
    fn a_quantity_may_be_written_in_several_ways() {
        for (one, other) in
            [("1000m", json!(1)), ("0.5", json!("500m")), ("1Ki", json!(1024)), ("1.5Gi", json!("1536Mi"))]
        {
            assert_eq!(difference(&other, &json!(one)), None, "{one} {other}");
        }
        for (one, other) in [("1m", json!(1)), ("1M", json!("1Mi")), ("a", json!("b")), ("", json!("0"))] {
            assert!(difference(&other, &json!(one)).is_some(), "{one} {other}");
        }
    }

    #[test]
    fn a_difference_names_the_field_and_both_values() {
        let wanted = json!({"spec": {"containers": [{"name": "agent", "image": "a:1", "args": ["run", "--log"]}]}});
        let changed = |change: fn(&mut Value)| {
            let mut observed = wanted.clone();
            change(&mut observed["spec"]["containers"][0]);
            difference(&observed, &wanted).unwrap().to_string()
        };
        let image = changed(|agent| agent["image"] = "b:2".into());
        assert_eq!(image, r#"spec.containers.agent.image: got "b:2", expected "a:1""#);
        let argument = changed(|agent| agent["args"][1] = "--loud".into());
        assert_eq!(argument, r#"spec.containers.agent.args.1: got "--loud", expected "--log""#);
        let gone = changed(|agent| *agent = json!({"name": "sidecar"}));
        assert!(gone.starts_with("spec.containers.agent: got nothing, expected {"), "{gone}");
    }
}
