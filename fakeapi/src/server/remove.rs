//! Deletion, with garbage collection of owned objects and namespace contents.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, State, shown};
use crate::{
    refusal::Refusal,
    request::Call,
    selector::Selector,
    store::{Key, owners},
};

impl State {
    pub(super) fn delete(&mut self, call: &Call) -> Result<Answer, Refusal> {
        let old = self.existing(call)?;
        let options = if call.body.is_empty() { json!({}) } else { call.json()? };
        let wanted = &options["preconditions"];
        for (key, words) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
            let (wanted, got) = (&wanted[key], &old["metadata"][key]);
            if !wanted.is_null() && wanted != got {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                return Err(Refusal::precondition(&call.kind, &call.name, words, &text(wanted), &text(got)));
            }
        }
        if call.parameter("dryRun") == "All" {
            return Ok(Answer::Json(200, shown(&old, call.is_metadata_only)));
        }
        if options["propagationPolicy"] == "Orphan" {
            self.orphan(old["metadata"]["uid"].as_str().unwrap_or_default());
        }
        let key = Self::key(call);
        if let Some(waiting) = self.mark(&key, &old) {
            return Ok(Answer::Json(200, shown(&waiting, call.is_metadata_only)));
        }
        self.remove(&key);
        let mut details = json!({"name": call.name, "kind": call.kind.plural, "uid": old["metadata"]["uid"]});
        if !call.kind.group.is_empty() {
            details["group"] = Value::from(call.kind.group.as_str());
        }
        Ok(Answer::Json(
            200,
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}),
        ))
    }

    pub(super) fn delete_collection(&mut self, call: &Call) -> Result<Answer, Refusal> {
        let selector = Selector::read(call.parameter("labelSelector"), call.parameter("fieldSelector"), &call.kind)?;
        let snapshot = self.store.snapshot(call.kind.resource(), self.store.version());
        let mut items = Vec::new();
        for (key, object) in snapshot {
            let is_here = call.namespace.is_empty() || key.namespace == call.namespace;
            if is_here && selector.matches(&object) {
                items.push(shown(&object, call.is_metadata_only));
                if self.mark(&key, &object).is_none() {
                    self.remove(&key);
                }
            }
        }
        let version = self.store.version().to_string();
        let kind = format!("{}List", call.kind.kind);
        Ok(Answer::Json(
            200,
            json!({
                "kind": kind, "apiVersion": call.kind.api_version(), "metadata": {"resourceVersion": version},
                "items": items,
            }),
        ))
    }

    /// Marks an object with finalizers as being deleted; `None` if it has none.
    fn mark(&mut self, key: &Key, object: &Value) -> Option<Arc<Value>> {
        object["metadata"]["finalizers"].as_array().filter(|finalizers| !finalizers.is_empty())?;
        if !object["metadata"]["deletionTimestamp"].is_null() {
            return self.store.object(key).cloned();
        }
        let mut going = object.clone();
        going["metadata"]["deletionTimestamp"] = Value::from(self.clock.seconds());
        going["metadata"]["deletionGracePeriodSeconds"] = Value::from(0);
        if let Some(generation) = going["metadata"]["generation"].as_u64() {
            going["metadata"]["generation"] = Value::from(generation + 1);
        }
        Some(self.store.put(key.clone(), going))
    }

    /// Removes an object with all that it owned or contained.
    pub(super) fn remove(&mut self, key: &Key) {
        let mut gone = vec![key.clone()];
        while let Some(key) = gone.pop() {
            if &*key.resource == "namespaces" {
                let inside = self.store.objects().filter(|(other, _)| other.namespace == key.name);
                gone.extend(inside.map(|(other, _)| other.clone()).collect::<Vec<_>>());
            }
            let Some(object) = self.store.delete(&key) else { continue };
            if !self.collects_garbage {
                continue;
            }
            let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
            for dependent in self.store.dependents(uid) {
                let Some(object) = self.store.object(&dependent).cloned() else { continue };
                if self.has_owner(&dependent, &object) || self.mark(&dependent, &object).is_some() {
                    continue;
                }
                gone.push(dependent);
            }
        }
    }

    /// Removes an object whose owners are all gone.
    pub(super) fn collect_orphan(&mut self, key: &Key) {
        let Some(object) = self.store.object(key).cloned() else { return };
        let is_owned = owners(&object).next().is_some();
        if self.collects_garbage && is_owned && !self.has_owner(key, &object) && self.mark(key, &object).is_none() {
            self.remove(key);
        }
    }

    /// Whether an owner that an object names is there: same kind, name, UID, and place.
    fn has_owner(&self, key: &Key, object: &Value) -> bool {
        object["metadata"]["ownerReferences"].as_array().into_iter().flatten().any(|owner| {
            let text = |field: &str| owner[field].as_str().unwrap_or_default();
            let Some(kind) = self.kinds.named(text("apiVersion"), text("kind")) else {
                // This server does not know the owner's kind.
                return true;
            };
            let namespace = if kind.is_namespaced { key.namespace.as_str() } else { "" };
            let there = self.store.object(&super::key(&kind, namespace, text("name")));
            there.is_some_and(|there| there["metadata"]["uid"] == owner["uid"])
        })
    }

    fn orphan(&mut self, uid: &str) {
        for key in self.store.dependents(uid) {
            let Some(object) = self.store.object(&key) else { continue };
            let mut object = (**object).clone();
            if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
                owners.retain(|owner| owner["uid"] != uid);
            }
            self.store.put(key, object);
        }
    }
}
