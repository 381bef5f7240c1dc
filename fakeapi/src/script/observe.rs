//! Observations: answers with names in place of values that differ from run to run.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Names for UIDs and versions, in the order in which they were first seen.
#[derive(Debug)]
pub(super) struct Names {
    namespace: String,
    known: BTreeMap<String, String>,
    uids: usize,
    versions: usize,
}

impl Names {
    pub(super) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), known: BTreeMap::new(), uids: 0, versions: 0 }
    }

    /// An answer or an event, with names.
    pub(super) fn observe(&mut self, answer: &Value) -> Value {
        if answer["kind"] == "Status" {
            return self.status(answer);
        }
        if answer["kind"] == "DaemonSet" {
            return self.daemon_set(answer);
        }
        match (answer["type"].as_str(), &answer["object"]) {
            // The time, version and other contents of bookmarks are the server's choice.
            (Some("BOOKMARK"), bookmark) => {
                let is_initial_end = &bookmark["metadata"]["annotations"]["k8s.io/initial-events-end"];
                json!({"type": "BOOKMARK", "kind": bookmark["kind"], "isInitialEnd": is_initial_end})
            }
            (Some(kind), object) if object.is_object() => json!({"type": kind, "object": self.observe(object)}),
            _ => self.object(answer, answer["items"].is_array()),
        }
    }

    /// The text of a refusal is the server's own; only the fields that programs use are compared.
    fn status(&mut self, status: &Value) -> Value {
        let details = &status["details"];
        let causes = details["causes"].as_array().into_iter().flatten();
        let mut causes: Vec<String> = causes
            .map(|cause| {
                format!(
                    "{} {}",
                    cause["reason"].as_str().unwrap_or_default(),
                    cause["field"].as_str().unwrap_or_default()
                )
            })
            .collect();
        causes.sort();
        causes.dedup();
        let name = self.text("name", details["name"].as_str().unwrap_or_default());
        json!({
            "status": status["status"], "reason": status["reason"], "group": details["group"],
            "kind": details["kind"], "name": name, "causes": causes,
        })
    }

    /// A DaemonSet without what its controller writes at any time: status, versions, ownership of both.
    fn daemon_set(&mut self, set: &Value) -> Value {
        let mut set = set.clone();
        if let Some(map) = set.as_object_mut() {
            map.remove("status");
        }
        if let Some(metadata) = set["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
            if let Some(Value::Array(managers)) = metadata.get_mut("managedFields") {
                managers.retain(|entry| entry["subresource"] != "status");
            }
        }
        self.object(&set, false)
    }

    fn object(&mut self, value: &Value, is_list: bool) -> Value {
        match value {
            Value::Object(map) => {
                let generated = map.get("generateName").and_then(Value::as_str);
                let mut named = Map::new();
                for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                    let value = match (key.as_str(), value) {
                        ("resourceVersion", _) if is_list => json!("<list>"),
                        ("name", Value::String(_)) if generated.is_some() => {
                            json!(format!("{}<generated>", generated.unwrap_or_default()))
                        }
                        ("metadata", metadata) => self.object(metadata, is_list),
                        ("managedFields", Value::Array(entries)) => self.managers(entries),
                        (key, Value::String(text)) => Value::from(self.text(key, text)),
                        (_, value) => self.object(value, false),
                    };
                    named.insert(self.known_in(key), value);
                }
                Value::Object(named)
            }
            Value::Array(list) => list.iter().map(|item| self.object(item, false)).collect(),
            Value::String(text) => Value::from(self.text("", text)),
            other => other.clone(),
        }
    }

    /// Entries of one operation are in the order of the second in which they were written, then by manager: whether two
    /// writes fall into one second differs from run to run.
    fn managers(&mut self, entries: &[Value]) -> Value {
        let mut entries = entries.to_vec();
        entries.sort_by_cached_key(|entry| ["operation", "manager", "subresource"].map(|key| entry[key].to_string()));
        entries.iter().map(|entry| self.object(entry, false)).collect()
    }

    fn text(&mut self, key: &str, text: &str) -> String {
        match key {
            "uid" => self.named(text, "uid"),
            "resourceVersion" => self.named(text, "version"),
            "creationTimestamp" | "deletionTimestamp" | "time" => "<time>".to_owned(),
            "continue" if !text.is_empty() => "<continue>".to_owned(),
            _ => text.replace(&self.namespace, "{ns}"),
        }
    }

    /// A key of field owners that names a UID.
    fn known_in(&self, key: &str) -> String {
        match key.strip_prefix("k:{\"uid\":\"").and_then(|rest| rest.strip_suffix("\"}")) {
            Some(uid) => {
                format!("k:{{\"uid\":{:?}}}", self.known.get(&format!("uid {uid}")).map_or(uid, String::as_str))
            }
            None => key.to_owned(),
        }
    }

    fn named(&mut self, text: &str, what: &str) -> String {
        if let Some(name) = self.known.get(&format!("{what} {text}")) {
            return name.clone();
        }
        let count = if what == "uid" { &mut self.uids } else { &mut self.versions };
        *count += 1;
        let name = format!("<{what} {count}>");
        self.known.insert(format!("{what} {text}"), name.clone());
        name
    }
}
