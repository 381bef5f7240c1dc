//! Which fields a value has, and which differ between two values.

use serde_json::Value;

use super::set::{FieldSet, Step};
use crate::structure::{Shape, Structure};

/// Fields that differ between two values.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }
}

/// The fields that whoever sends `value` states.
pub(crate) fn stated(value: &Value, structure: &Structure) -> FieldSet {
    let mut set = FieldSet::default();
    state(value, structure, &mut Vec::new(), &mut set);
    set
}

fn state(value: &Value, structure: &Structure, path: &mut Vec<Step>, set: &mut FieldSet) {
    match structure.shape(value) {
        Shape::Leaf => set.insert(path),
        Shape::Map(map) => {
            for (name, value) in value.as_object().into_iter().flatten() {
                path.push(Step::Field(name.clone()));
                state(value, map.field(name), path, set);
                if value.as_object().is_some_and(serde_json::Map::is_empty) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        Shape::Set => {
            for item in items(value) {
                path.push(Step::value(item));
                set.insert(path);
                path.pop();
            }
        }
        Shape::Keyed { keys, item: structure } => {
            for item in items(value) {
                let Some(step) = Step::key(item, keys) else { continue };
                path.push(step);
                state(item, structure, path, set);
                set.insert(path);
                path.pop();
            }
        }
    }
}

/// The differences between `old` and `new`.
pub(crate) fn changes(old: &Value, new: &Value, structure: &Structure) -> Changes {
    let mut changes = Changes::default();
    compare(Some(old), Some(new), structure, &mut Vec::new(), &mut changes);
    changes
}

fn compare(
    old: Option<&Value>,
    new: Option<&Value>,
    structure: &Structure,
    path: &mut Vec<Step>,
    changes: &mut Changes,
) {
    let Some(seen) = new.or(old) else { return };
    if let (Some(old), Some(new)) = (old, new)
        && (old == new || std::mem::discriminant(old) != std::mem::discriminant(new))
    {
        if old != new {
            changes.modified.insert(path);
        }
        return;
    }
    // Nothing against nothing of a container is a leaf, so that an empty map has an owner.
    let is_empty = |value: Option<&Value>| value.is_none_or(is_empty_container);
    let shape = if is_empty(old) && is_empty(new) { Shape::Leaf } else { structure.shape(seen) };
    match shape {
        Shape::Leaf => match (old, new) {
            (None, _) => changes.added.insert(path),
            (_, None) => changes.removed.insert(path),
            _ => changes.modified.insert(path),
        },
        Shape::Map(map) => {
            let fields = |value: Option<&Value>| -> Vec<String> {
                value.and_then(Value::as_object).into_iter().flat_map(|map| map.keys().cloned()).collect()
            };
            let mut names = fields(old);
            names.extend(fields(new).into_iter().filter(|name| old.and_then(|old| old.get(name)).is_none()));
            for name in names {
                let structure = map.field(&name);
                let (old, new) = (old.and_then(|old| old.get(&name)), new.and_then(|new| new.get(&name)));
                path.push(Step::Field(name));
                compare(old, new, structure, path, changes);
                path.pop();
            }
            both_or_container(old, new, path, changes);
        }
        Shape::Set => {
            compare_items(old, new, &Structure::Atomic, |item| Some(Step::value(item)), path, changes);
            both_or_container(old, new, path, changes);
        }
        Shape::Keyed { keys, item } => {
            compare_items(old, new, item, |item| Step::key(item, keys), path, changes);
            both_or_container(old, new, path, changes);
        }
    }
}

fn compare_items(
    old: Option<&Value>,
    new: Option<&Value>,
    structure: &Structure,
    step: impl Fn(&Value) -> Option<Step>,
    path: &mut Vec<Step>,
    changes: &mut Changes,
) {
    let indexed = |list: Option<&'_ Value>| -> Vec<(Step, Value)> {
        list.into_iter().flat_map(items).filter_map(|item| Some((step(item)?, item.clone()))).collect()
    };
    let (old, new) = (indexed(old), indexed(new));
    let find =
        |list: &[(Step, Value)], step: &Step| list.iter().find(|(at, _)| at == step).map(|(_, item)| item.clone());
    let mut steps: Vec<Step> = old.iter().map(|(step, _)| step.clone()).collect();
    steps.extend(new.iter().map(|(step, _)| step.clone()).filter(|step| find(&old, step).is_none()));
    for step in steps {
        let (old, new) = (find(&old, &step), find(&new, &step));
        path.push(step);
        compare(old.as_ref(), new.as_ref(), structure, path, changes);
        path.pop();
    }
}

fn both_or_container(old: Option<&Value>, new: Option<&Value>, path: &[Step], changes: &mut Changes) {
    match (old, new) {
        (None, Some(_)) => changes.added.insert(path),
        (Some(_), None) => changes.removed.insert(path),
        _ => {}
    }
}

fn is_empty_container(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// The path of a list with two items that its key cannot tell apart.
pub(crate) fn repeated(value: &Value, structure: &Structure) -> Option<String> {
    let (steps, item): (Vec<Option<Step>>, &Structure) = match structure.shape(value) {
        Shape::Leaf => return None,
        Shape::Map(map) => {
            return value.as_object().into_iter().flatten().find_map(|(name, value)| {
                let below = repeated(value, map.field(name))?;
                Some(if below.is_empty() { name.clone() } else { format!("{name}.{below}") })
            });
        }
        Shape::Set => (items(value).map(|item| Some(Step::value(item))).collect(), &Structure::Atomic),
        Shape::Keyed { keys, item } => (items(value).map(|item| Step::key(item, keys)).collect(), item),
    };
    if steps.iter().enumerate().any(|(index, step)| steps[..index].contains(step)) {
        return Some(String::new());
    }
    items(value).find_map(|value| repeated(value, item))
}

pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn structure() -> Structure {
        Structure::from_paths(&["spec.ports[port]", "spec.selector{}"])
    }

    #[test]
    fn what_is_stated_are_leaves_and_items_but_no_parents() {
        let value = json!({"spec": {"ports": [{"port": 1, "name": "a"}], "selector": {"x": "y"}, "list": [1, 2]}});
        let expected = json!({"f:spec": {
            "f:ports": {"k:{\"port\":1}": {".": {}, "f:name": {}, "f:port": {}}}, "f:selector": {}, "f:list": {},
        }});
        assert_eq!(stated(&value, &structure()).encode(), expected);
    }

    #[test]
    fn what_is_added_includes_its_parents() {
        let old = json!({"spec": {}});
        let new = json!({"spec": {"ports": [{"port": 1}]}});
        let found = changes(&old, &new, &structure());
        let expected = json!({"f:spec": {"f:ports": {".": {}, "k:{\"port\":1}": {".": {}, "f:port": {}}}}});
        assert_eq!(found.added.encode(), expected);
        assert!(found.modified.is_empty() && found.removed.is_empty());
        assert_eq!(changes(&new, &old, &structure()).removed.encode(), expected);
    }

    #[test]
    fn a_change_inside_what_is_owned_as_a_whole_is_a_change_of_the_whole() {
        let found = changes(
            &json!({"spec": {"selector": {"a": "b"}}}),
            &json!({"spec": {"selector": {"a": "c"}}}),
            &structure(),
        );
        assert_eq!(found.modified.encode(), json!({"f:spec": {"f:selector": {}}}));
    }
}
