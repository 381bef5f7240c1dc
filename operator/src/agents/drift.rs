//! Whether an object that was observed still has all that was applied.
//!
//! The API server adds defaults and writes quantities its own way, others may add entries of their own: only what we
//! asked for counts.

use serde_json::{Map, Value};

/// What distinguishes the entries of a list, where Kubernetes merges lists by key.
const LIST_KEYS: &[&str] = &["name", "mountPath", "containerPort", "uid", "type"];

/// Whether `observed` has all of `wanted`.
pub fn covers(observed: &Value, wanted: &Value) -> bool {
    match (observed, wanted) {
        (Value::Object(observed), Value::Object(wanted)) => wanted.iter().all(|(key, value)| match observed.get(key) {
            Some(observed) => covers(observed, value),
            // The API server drops what is empty.
            None => is_empty(value),
        }),
        (Value::Array(observed), Value::Array(wanted)) => list_covers(observed, wanted),
        _ => observed == wanted || is_same_quantity(observed, wanted),
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

fn list_covers(observed: &[Value], wanted: &[Value]) -> bool {
    let keyed = |entry: &Value| entry.as_object().and_then(key_of);
    match wanted.iter().map(keyed).collect::<Option<Vec<_>>>() {
        Some(keys) => wanted.iter().zip(keys).all(|(wanted, (field, key))| {
            observed.iter().find(|entry| entry.get(field) == Some(&key)).is_some_and(|entry| covers(entry, wanted))
        }),
        None => {
            observed.len() == wanted.len()
                && observed.iter().zip(wanted).all(|(observed, wanted)| covers(observed, wanted))
        }
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
        assert!(covers(&observed, &wanted));
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
            assert!(!covers(&observed, &wanted), "{observed}");
        }
    }

    #[test]
    fn a_quantity_may_be_written_in_several_ways() {
        for (one, other) in
            [("1000m", json!(1)), ("0.5", json!("500m")), ("1Ki", json!(1024)), ("1.5Gi", json!("1536Mi"))]
        {
            assert!(covers(&other, &json!(one)), "{one} {other}");
        }
        for (one, other) in [("1m", json!(1)), ("1M", json!("1Mi")), ("a", json!("b")), ("", json!("0"))] {
            assert!(!covers(&other, &json!(one)), "{one} {other}");
        }
    }
}
