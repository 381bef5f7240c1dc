//! The managers of an object's fields, and how applies and updates change them.

use serde_json::{Map, Value, json};

use super::{
    merge::{merge, remove},
    set::FieldSet,
    walk::{Changes, changes, stated},
};
use crate::structure::Structure;

/// Paths that are never owned.
const UNOWNED: &[&[&str]] = &[
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// How a manager wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Apply,
    Update,
}

/// The manager that writes, the operation and the subresource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Writer {
    pub(crate) manager: String,
    pub(crate) operation: Operation,
    pub(crate) api_version: String,
    pub(crate) subresource: String,
}

/// Which fields a write through a path of the API may own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reach {
    /// Everything.
    All,
    /// Everything but the status.
    NotStatus,
    /// The status only.
    Status,
}

#[derive(Debug, Clone)]
struct Entry {
    writer: Writer,
    time: String,
    fields: FieldSet,
}

/// The managers of an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Managers {
    entries: Vec<Entry>,
}

/// Fields that others own and that an apply would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) manager: String,
    pub(crate) operation: Operation,
    pub(crate) subresource: String,
    pub(crate) paths: Vec<String>,
}

impl Managers {
    /// Reads `metadata.managedFields`.
    pub(crate) fn of(object: &Value) -> Self {
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten().map(|entry| Entry {
            writer: Writer {
                manager: text(entry, "manager"),
                operation: if entry["operation"] == "Apply" { Operation::Apply } else { Operation::Update },
                api_version: text(entry, "apiVersion"),
                subresource: text(entry, "subresource"),
            },
            time: text(entry, "time"),
            fields: FieldSet::decode(&entry["fieldsV1"]),
        });
        Self { entries: entries.collect() }
    }

    /// Writes `metadata.managedFields`.
    pub(crate) fn write(mut self, object: &mut Value) {
        self.entries.retain(|entry| !entry.fields.is_empty());
        self.entries.sort_by(|a, b| {
            let key = |entry: &Entry| (entry.writer.operation, entry.time.clone(), entry.writer.manager.clone());
            key(a).cmp(&key(b)).then_with(|| a.writer.subresource.cmp(&b.writer.subresource))
        });
        let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        if self.entries.is_empty() {
            metadata.remove("managedFields");
        } else {
            let entries = self.entries.iter().map(Entry::encode).collect();
            metadata.insert("managedFields".to_owned(), Value::Array(entries));
        }
    }

    fn fields_of(&self, writer: &Writer) -> Option<&FieldSet> {
        self.entries.iter().find(|entry| entry.writer == *writer).map(|entry| &entry.fields)
    }

    fn set(&mut self, writer: &Writer, fields: FieldSet) {
        match self.entries.iter_mut().find(|entry| entry.writer == *writer) {
            Some(entry) => entry.fields = fields,
            None => self.entries.push(Entry { writer: writer.clone(), time: String::new(), fields }),
        }
    }

    fn touch(&mut self, writer: &Writer, now: &str) {
        for entry in self.entries.iter_mut().filter(|entry| entry.writer == *writer) {
            now.clone_into(&mut entry.time);
        }
    }

    /// Takes all changed fields from other managers. Conflicts are the fields that they owned and that got new values.
    fn take_from_others(&mut self, writer: &Writer, changes: &Changes, is_forced: bool) -> Result<(), Vec<Conflict>> {
        let set_anew = changes.added.clone().union(&changes.modified);
        let mut conflicts = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| entry.writer != *writer) {
            let lost = entry.fields.intersection(&set_anew);
            if !lost.is_empty() && !is_forced {
                conflicts.push(Conflict {
                    manager: entry.writer.manager.clone(),
                    operation: entry.writer.operation,
                    subresource: entry.writer.subresource.clone(),
                    paths: lost.paths(),
                });
            }
            entry.fields = entry.fields.difference(&lost).difference(&changes.removed);
        }
        if conflicts.is_empty() { Ok(()) } else { Err(conflicts) }
    }

    /// Records that `writer` changed `old` into `new` by a write that is no apply.
    pub(crate) fn update(
        mut self,
        writer: &Writer,
        old: &Value,
        new: &Value,
        structure: &Structure,
        reach: Reach,
        now: &str,
    ) -> Self {
        let changes = owned_changes(old, new, structure, reach);
        // Forced, so nothing can be in conflict.
        let _ = self.take_from_others(writer, &changes, true);
        let before = self.fields_of(writer).cloned().unwrap_or_default();
        let after = before.difference(&changes.removed).union(&changes.modified).union(&changes.added);
        self.set(writer, after);
        if !changes.modified.is_empty() || !changes.added.is_empty() {
            self.touch(writer, now);
        }
        self
    }

    /// Applies `config` to `live`. Returns the object and its managers.
    pub(crate) fn apply(
        mut self,
        writer: &Writer,
        live: &Value,
        config: &Value,
        structure: &Structure,
        how: Apply<'_>,
    ) -> Result<(Value, Self), Vec<Conflict>> {
        let before = self.fields_of(writer).cloned().unwrap_or_default();
        let mine = reachable(stated(config, structure), how.reach);
        let mut merged = merge(live, config, structure);
        if let Some(status) = beyond_reach(how.reach) {
            restore(&mut merged, live, status);
        }
        let is_other = mine != before;
        self.set(writer, mine);
        let gone = self.abandoned(&before);
        let new = match gone.is_empty() {
            true => merged,
            false => remove(&merged, &gone, structure).unwrap_or_else(|| json!({})),
        };
        let changes = owned_changes(live, &new, structure, how.reach);
        self.take_from_others(writer, &changes, how.is_forced)?;
        if is_other || !changes.is_empty() {
            self.touch(writer, how.now);
        }
        Ok((new, self))
    }

    /// Fields of `before` that no manager owns any more. An item or field stays while something below it is owned.
    fn abandoned(&self, before: &FieldSet) -> FieldSet {
        let owned = self.entries.iter().fold(FieldSet::default(), |owned, entry| owned.union(&entry.fields));
        before.difference(&owned).without_parents_of(&owned)
    }
}

/// How to apply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Apply<'a> {
    pub(crate) is_forced: bool,
    pub(crate) reach: Reach,
    pub(crate) now: &'a str,
}

impl Entry {
    fn encode(&self) -> Value {
        let mut map = Map::new();
        let operation = if self.writer.operation == Operation::Apply { "Apply" } else { "Update" };
        for (key, value) in [
            ("manager", self.writer.manager.as_str()),
            ("operation", operation),
            ("apiVersion", &self.writer.api_version),
            ("time", &self.time),
            ("fieldsType", "FieldsV1"),
        ] {
            map.insert(key.to_owned(), Value::from(value));
        }
        map.insert("fieldsV1".to_owned(), self.fields.encode());
        if !self.writer.subresource.is_empty() {
            map.insert("subresource".to_owned(), Value::from(self.writer.subresource.as_str()));
        }
        Value::Object(map)
    }
}

fn owned_changes(old: &Value, new: &Value, structure: &Structure, reach: Reach) -> Changes {
    let found = changes(old, new, structure);
    Changes {
        added: reachable(found.added, reach),
        modified: reachable(found.modified, reach),
        removed: reachable(found.removed, reach),
    }
}

fn reachable(set: FieldSet, reach: Reach) -> FieldSet {
    let set = set.without(UNOWNED).without_member("metadata");
    match reach {
        Reach::All => set,
        Reach::NotStatus => set.without(&[&["status"]]),
        // Labels that come with a status change nothing, and yet have an owner.
        Reach::Status => set.without(&[&["spec"]]),
    }
}

/// Whether the status is beyond reach, or everything else; `None` when nothing is.
fn beyond_reach(reach: Reach) -> Option<bool> {
    match reach {
        Reach::All => None,
        Reach::NotStatus => Some(true),
        Reach::Status => Some(false),
    }
}

/// Restores the part that a write may not change: the status, or all but the status. A required version stays.
pub(crate) fn restore(new: &mut Value, live: &Value, is_status: bool) {
    if is_status {
        put(new, "status", live.get("status").cloned());
    } else {
        let status = new.get("status").cloned();
        *new = live.clone();
        put(new, "status", status);
    }
}

/// An object without the times at which managers last wrote.
pub(crate) fn without_times(object: &Value) -> Value {
    let mut object = object.clone();
    for entry in object["metadata"]["managedFields"].as_array_mut().into_iter().flatten() {
        if let Some(entry) = entry.as_object_mut() {
            entry.remove("time");
        }
    }
    object
}

fn put(object: &mut Value, key: &str, value: Option<Value>) {
    let Some(map) = object.as_object_mut() else { return };
    match value {
        Some(value) => map.insert(key.to_owned(), value),
        None => map.remove(key),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn structure() -> Structure {
        Structure::from_paths(&["spec.l[name]"])
    }

    fn writer(manager: &str) -> Writer {
        Writer {
            manager: manager.to_owned(),
            operation: Operation::Apply,
            api_version: "v1".to_owned(),
            subresource: String::new(),
        }
    }

    fn apply(object: &Value, manager: &str, config: &Value, is_forced: bool) -> Result<Value, Vec<Conflict>> {
        let how = Apply { is_forced, reach: Reach::All, now: "t" };
        let (mut new, managers) = Managers::of(object).apply(&writer(manager), object, config, &structure(), how)?;
        managers.write(&mut new);
        Ok(new)
    }

    fn empty() -> Value {
        json!({"metadata": {"name": "x"}})
    }

    #[test]
    fn what_is_no_longer_applied_goes_unless_someone_else_applies_it_too() {
        let both = json!({"metadata": {}, "spec": {"a": 1, "b": 2, "l": [{"name": "p"}, {"name": "q"}]}});
        let one = json!({"metadata": {}, "spec": {"a": 1, "l": [{"name": "p"}]}});
        let object = apply(&empty(), "us", &both, false).unwrap();
        let shared = apply(&object, "them", &both, false).unwrap();
        assert_eq!(apply(&object, "us", &one, false).unwrap()["spec"], one["spec"]);
        assert_eq!(apply(&shared, "us", &one, false).unwrap()["spec"], both["spec"]);
    }

    #[test]
    fn a_value_that_someone_else_owns_is_a_conflict_until_forced() {
        let object = apply(&empty(), "us", &json!({"metadata": {}, "spec": {"a": 1}}), false).unwrap();
        let theirs = json!({"metadata": {}, "spec": {"a": 2}});
        let conflicts = apply(&object, "them", &theirs, false).unwrap_err();
        assert_eq!((conflicts[0].manager.as_str(), conflicts[0].paths.clone()), ("us", vec![".spec.a".to_owned()]));
        let forced = apply(&object, "them", &theirs, true).unwrap();
        assert_eq!(forced["metadata"]["managedFields"].as_array().unwrap().len(), 1);
        assert_eq!(forced["spec"]["a"], 2);
    }

    #[test]
    fn applying_the_same_again_changes_nothing() {
        let config = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"l": [{"name": "p", "x": {}}]}});
        let object = apply(&empty(), "us", &config, false).unwrap();
        assert_eq!(apply(&object, "us", &config, false).unwrap(), object);
    }

    #[test]
    fn an_item_stays_while_someone_owns_a_field_of_it() {
        let ours = json!({"metadata": {}, "spec": {"l": [{"name": "p", "x": 1}]}});
        let theirs = json!({"metadata": {}, "spec": {"l": [{"name": "p", "y": 1}]}});
        let object = apply(&empty(), "us", &ours, false).unwrap();
        let object = apply(&object, "them", &theirs, false).unwrap();
        let object = apply(&object, "us", &json!({"metadata": {}, "spec": {}}), false).unwrap();
        assert_eq!(object["spec"], json!({"l": [{"name": "p", "y": 1}]}));
    }
}
