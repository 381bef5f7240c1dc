//! What a cluster ended with, without what differs from run to run: UIDs, versions and dates.

use std::collections::BTreeMap;

use netprecursor_fakeapi::Server;
use serde_json::{Map, Value, json};

/// Objects by kind, namespace and name.
pub(crate) type State = BTreeMap<String, Value>;

const RESOURCES: &[&str] = &[
    "configmaps",
    "pods",
    "nodes",
    "namespaces",
    "daemonsets.apps",
    "precursorpolicies.netprecursor.io",
    "clusterprecursorpolicies.netprecursor.io",
    "precursoralerts.netprecursor.io",
    "precursornodereports.netprecursor.io",
];

/// Reads all objects.
pub(crate) fn of(server: &Server) -> State {
    let all: Vec<(&str, _)> = RESOURCES
        .iter()
        .flat_map(|resource| server.objects(resource).into_iter().map(|object| (*resource, object)))
        .collect();
    let text = |object: &Value, key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
    let names: BTreeMap<String, String> = all
        .iter()
        .map(|(resource, object)| (text(object, "uid"), format!("<{resource} {}>", text(object, "name"))))
        .collect();
    let name =
        |resource: &str, object: &Value| format!("{resource} {}/{}", text(object, "namespace"), text(object, "name"));
    all.iter().map(|(resource, object)| (name(resource, object), plain(object, &names))).collect()
}

/// Alerts that were deleted over a cap are counted by the operator that deleted them, in memory: one that takes over
/// starts at none, so this condition is not the same whatever happens. All others are.
const UNSTABLE: &str = "Throttled";

fn plain(value: &Value, names: &BTreeMap<String, String>) -> Value {
    match value {
        Value::Object(map) => {
            let mut kept = Map::new();
            for (key, value) in map {
                if *key == format!("k:{{\"type\":\"{UNSTABLE}\"}}") {
                    continue;
                }
                let value = match key.as_str() {
                    // How often an object was written on the way there.
                    "resourceVersion" | "generation" => continue,
                    // When a snapshot was last kept is not what counts; that scores are right is in the policy's status.
                    "scores.json.gz" => json!("<scores>"),
                    "managedFields" => managers(&plain(value, names)),
                    _ => plain(value, names),
                };
                // Owners of fields name items by their UID, too.
                let uid = key.strip_prefix("k:{\"uid\":\"").and_then(|rest| rest.strip_suffix("\"}"));
                let key = uid.and_then(|uid| names.get(uid)).map_or_else(|| key.clone(), |name| format!("k:{name}"));
                kept.insert(key, value);
            }
            Value::Object(kept)
        }
        Value::Array(list) => {
            let kept = list.iter().filter(|item| item["type"] != UNSTABLE);
            let mut list: Vec<Value> = kept.map(|item| plain(item, names)).collect();
            // Conditions are a map by type: their order is that of arrival.
            if list.iter().all(|item| item["type"].is_string()) {
                list.sort_by_key(|item| item["type"].to_string());
            }
            Value::Array(list)
        }
        Value::String(text) => match names.get(text) {
            Some(name) => json!(name),
            None if text.parse::<jiff::Timestamp>().is_ok() => json!("<date>"),
            None => value.clone(),
        },
        other => other.clone(),
    }
}

/// Who owns fields, and which.
fn managers(entries: &Value) -> Value {
    let mut entries: Vec<Value> = entries.as_array().into_iter().flatten().cloned().collect();
    for entry in &mut entries {
        entry["time"] = json!("<date>");
    }
    entries.sort_by_key(|entry| {
        (entry["manager"].to_string(), entry["operation"].to_string(), entry["subresource"].to_string())
    });
    Value::Array(entries)
}

/// Where two states differ, in words; empty when they do not.
pub(crate) fn differences(got: &State, expected: &State) -> Vec<String> {
    let mut found = Vec::new();
    for (name, got) in got {
        match expected.get(name) {
            None => found.push(format!("{name}: there, expected gone")),
            Some(expected) => places(name, got, expected, &mut found),
        }
    }
    found.extend(
        expected.keys().filter(|name| !got.contains_key(*name)).map(|name| format!("{name}: gone, expected there")),
    );
    found
}

fn places(path: &str, got: &Value, expected: &Value, found: &mut Vec<String>) {
    match (got, expected) {
        (Value::Object(got), Value::Object(expected)) => {
            for key in got.keys().chain(expected.keys().filter(|key| !got.contains_key(*key))) {
                let of = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                places(&format!("{path}/{key}"), &of(got), &of(expected), found);
            }
        }
        _ if got == expected => {}
        _ => found.push(format!("{path}: got {got}, expected {expected}")),
    }
}
