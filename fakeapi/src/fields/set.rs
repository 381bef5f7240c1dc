//! A set of fields of an object, and its wire form (`fieldsV1`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::structure::KeyField;

/// One step down into a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A field of a map.
    Field(String),
    /// The item of a keyed list whose keys are this JSON object.
    Key(String),
    /// The item of a set that is this JSON value.
    Value(String),
}

/// Fields by path. A path may be a member without the paths below it, and the other way round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    below: BTreeMap<Step, Node>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    is_member: bool,
    set: FieldSet,
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.is_member && self.set.is_empty()
    }
}

impl Step {
    /// The step to the item of a keyed list; `None` when it lacks a key.
    pub(crate) fn key(item: &Value, keys: &[KeyField]) -> Option<Self> {
        let mut sorted: Vec<&KeyField> = keys.iter().collect();
        sorted.sort_by_key(|key| &key.name);
        let mut parts = Vec::with_capacity(sorted.len());
        for KeyField { name, default } in sorted {
            parts.push(format!("{}:{}", Value::from(name.as_str()), item.get(name).or(default.as_ref())?));
        }
        Some(Self::Key(format!("{{{}}}", parts.join(","))))
    }

    /// The step to a member of a set.
    pub(crate) fn value(item: &Value) -> Self {
        Self::Value(item.to_string())
    }

    fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(key) => format!("k:{key}"),
            Self::Value(value) => format!("v:{value}"),
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Self::Field(rest.to_owned())),
            "k" => Some(Self::Key(rest.to_owned())),
            "v" => Some(Self::Value(rest.to_owned())),
            _ => None,
        }
    }
}

impl FieldSet {
    /// Whether nothing is a member.
    pub(crate) fn is_empty(&self) -> bool {
        self.below.is_empty()
    }

    /// Makes `path` a member. The root has no name and cannot be one.
    pub(crate) fn insert(&mut self, path: &[Step]) {
        let Some((first, rest)) = path.split_first() else { return };
        let node = self.below.entry(first.clone()).or_default();
        if rest.is_empty() {
            node.is_member = true;
        } else {
            node.set.insert(rest);
        }
    }

    /// Whether the step itself is a member.
    pub(crate) fn has(&self, step: &Step) -> bool {
        self.below.get(step).is_some_and(|node| node.is_member)
    }

    /// The fields below a step.
    pub(crate) fn under(&self, step: &Step) -> Option<&Self> {
        self.below.get(step).map(|node| &node.set).filter(|set| !set.is_empty())
    }

    /// Members of either.
    pub(crate) fn union(mut self, other: &Self) -> Self {
        for (step, theirs) in &other.below {
            let ours = self.below.entry(step.clone()).or_default();
            ours.is_member |= theirs.is_member;
            ours.set = std::mem::take(&mut ours.set).union(&theirs.set);
        }
        self
    }

    /// Members of both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |ours, theirs| ours && theirs)
    }

    /// Members that `other` lacks.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        self.combine(other, |ours, theirs| ours && !theirs)
    }

    fn combine(&self, other: &Self, keep: fn(bool, bool) -> bool) -> Self {
        let nothing = Node::default();
        let mut below = BTreeMap::new();
        for (step, ours) in &self.below {
            let theirs = other.below.get(step).unwrap_or(&nothing);
            let node =
                Node { is_member: keep(ours.is_member, theirs.is_member), set: ours.set.combine(&theirs.set, keep) };
            if !node.is_empty() {
                below.insert(step.clone(), node);
            }
        }
        Self { below }
    }

    /// Without everything at or below the named top-level paths.
    pub(crate) fn without(mut self, paths: &[&[&str]]) -> Self {
        for path in paths {
            self.remove(path);
        }
        self
    }

    fn remove(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        let step = Step::Field((*first).to_owned());
        if rest.is_empty() {
            self.below.remove(&step);
        } else if let Some(node) = self.below.get_mut(&step) {
            node.set.remove(rest);
            if node.is_empty() {
                self.below.remove(&step);
            }
        }
    }

    /// Without this path itself; fields below it stay.
    pub(crate) fn without_member(mut self, field: &str) -> Self {
        let step = Step::Field(field.to_owned());
        if let Some(node) = self.below.get_mut(&step) {
            node.is_member = false;
            if node.is_empty() {
                self.below.remove(&step);
            }
        }
        self
    }

    /// Without members that `other` has something below of.
    pub(crate) fn without_parents_of(mut self, other: &Self) -> Self {
        self.below.retain(|step, node| {
            if let Some(theirs) = other.below.get(step) {
                node.is_member &= theirs.set.is_empty();
                node.set = std::mem::take(&mut node.set).without_parents_of(&theirs.set);
            }
            !node.is_empty()
        });
        self
    }

    /// The wire form.
    pub(crate) fn encode(&self) -> Value {
        let mut map = Map::new();
        for (step, node) in &self.below {
            let mut below = match node.set.encode() {
                Value::Object(below) => below,
                _ => Map::new(),
            };
            if node.is_member && !below.is_empty() {
                below.insert(".".to_owned(), Value::Object(Map::new()));
            }
            map.insert(step.encode(), Value::Object(below));
        }
        Value::Object(map)
    }

    /// Reads the wire form; steps of unknown form are left out.
    pub(crate) fn decode(wire: &Value) -> Self {
        let mut below = BTreeMap::new();
        for (text, value) in wire.as_object().into_iter().flatten() {
            let Some(step) = Step::decode(text) else { continue };
            let is_leaf = value.as_object().is_none_or(Map::is_empty);
            let is_member = is_leaf || value.get(".").is_some();
            below.insert(step, Node { is_member, set: Self::decode(value) });
        }
        Self { below }
    }

    /// Members in words: `.spec.replicas`, as conflicts name them.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, above: &str, into: &mut Vec<String>) {
        for (step, node) in &self.below {
            let path = match step {
                Step::Field(name) => format!("{above}.{name}"),
                Step::Key(key) => format!("{above}[{}]", words(key)),
                Step::Value(value) => format!("{above}[={value}]"),
            };
            if node.is_member {
                into.push(path.clone());
            }
            node.set.collect(&path, into);
        }
    }
}

/// `{"name":"a","port":1}` → `name="a",port=1`.
fn words(key: &str) -> String {
    let Ok(Value::Object(map)) = serde_json::from_str(key) else { return key.to_owned() };
    let parts: Vec<String> = map.iter().map(|(name, value)| format!("{name}={value}")).collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_wire_form_is_read_as_it_was_written() {
        let wire = json!({"f:spec": {"f:list": {".": {}, "k:{\"name\":\"a\"}": {".": {}, "f:name": {}}, "v:3": {}}}});
        let set = FieldSet::decode(&wire);
        assert_eq!(set.encode(), wire);
        assert_eq!(
            set.paths(),
            [".spec.list", ".spec.list[name=\"a\"]", ".spec.list[name=\"a\"].name", ".spec.list[=3]"]
        );
    }

    #[test]
    fn membership_of_a_parent_is_not_that_of_its_children() {
        let parent = FieldSet::decode(&json!({"f:a": {}}));
        let child = FieldSet::decode(&json!({"f:a": {"f:b": {}}}));
        assert!(parent.intersection(&child).is_empty());
        assert_eq!(parent.clone().union(&child).encode(), json!({"f:a": {".": {}, "f:b": {}}}));
        assert_eq!(parent.clone().union(&child).difference(&parent), child);
    }
}
