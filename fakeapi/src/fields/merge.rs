//! Putting an applied configuration into an object, and taking fields out of it.

use serde_json::{Map, Value};

use super::{
    set::{FieldSet, Step},
    walk::items,
};
use crate::structure::{Shape, Structure};

/// `live` with everything that `config` states.
pub(crate) fn merge(live: &Value, config: &Value, structure: &Structure) -> Value {
    match (structure.shape(config), live, config) {
        (Shape::Map(map), Value::Object(live), Value::Object(config)) => {
            let mut merged = live.clone();
            for (name, theirs) in config {
                let value = match live.get(name) {
                    Some(ours) => merge(ours, theirs, map.field(name)),
                    None => theirs.clone(),
                };
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Shape::Set, Value::Array(live), Value::Array(config)) => {
            merge_items(live, config, |item| Some(Step::value(item)), |_, theirs| theirs.clone())
        }
        (Shape::Keyed { keys, item: structure }, Value::Array(live), Value::Array(config)) => {
            merge_items(live, config, |item| Step::key(item, keys), |ours, theirs| merge(ours, theirs, structure))
        }
        _ => config.clone(),
    }
}

/// Items of both lists: those that both have in the order of `config`, the others where they were.
fn merge_items(
    live: &[Value],
    config: &[Value],
    step: impl Fn(&Value) -> Option<Step>,
    merge: impl Fn(&Value, &Value) -> Value,
) -> Value {
    let ours: Vec<_> = live.iter().map(|item| (step(item), item)).collect();
    let theirs: Vec<_> = config.iter().map(|item| (step(item), item)).collect();
    let in_ours = |step: &Option<Step>| ours.iter().find(|(at, _)| at == step).map(|(_, item)| *item);
    let in_theirs = |step: &Option<Step>| theirs.iter().any(|(at, _)| at == step);
    let mut shared = theirs.iter().map(|(step, _)| step).filter(|step| in_ours(step).is_some()).peekable();
    let mut merged = Vec::with_capacity(ours.len().max(theirs.len()));
    let mut taken: Vec<&Option<Step>> = Vec::new();
    let (mut left, mut right) = (0, 0);
    while left < ours.len() || right < theirs.len() {
        if let (Some((our_step, our_item)), Some((their_step, their_item))) = (ours.get(left), theirs.get(right)) {
            if our_step == their_step {
                merged.push(merge(our_item, their_item));
                taken.push(their_step);
                (left, right) = (left + 1, right + 1);
                shared.next();
                continue;
            }
            if in_theirs(our_step) && shared.peek().is_some_and(|next| *next != our_step) {
                // Shared, but config wants another shared one first.
                left += 1;
                continue;
            }
        }
        if let Some((our_step, our_item)) = ours.get(left) {
            if !in_theirs(our_step) {
                merged.push((*our_item).clone());
                left += 1;
                continue;
            }
            if taken.contains(&our_step) {
                left += 1;
            }
        }
        if let Some((their_step, their_item)) = theirs.get(right) {
            merged.push(in_ours(their_step).map_or_else(|| (*their_item).clone(), |ours| merge(ours, their_item)));
            taken.push(their_step);
            right += 1;
            if shared.peek().is_some_and(|next| *next == their_step) {
                shared.next();
            }
        }
    }
    Value::Array(merged)
}

/// `value` without the members of `set`. A container that loses its last entry is removed too.
pub(crate) fn remove(value: &Value, set: &FieldSet, structure: &Structure) -> Option<Value> {
    match structure.shape(value) {
        Shape::Leaf => Some(value.clone()),
        Shape::Map(map) => {
            let fields = value.as_object()?;
            let mut kept = Map::new();
            for (name, value) in fields {
                let step = Step::Field(name.clone());
                if set.has(&step) {
                    continue;
                }
                let value = match set.under(&step) {
                    Some(below) => remove(value, below, map.field(name)),
                    None => Some(value.clone()),
                };
                if let Some(value) = value {
                    kept.insert(name.clone(), value);
                }
            }
            (!kept.is_empty() || fields.is_empty()).then_some(Value::Object(kept))
        }
        Shape::Set => remove_items(value, set, &Structure::Atomic, |item| Some(Step::value(item))),
        Shape::Keyed { keys, item } => remove_items(value, set, item, |item| Step::key(item, keys)),
    }
}

fn remove_items(
    value: &Value,
    set: &FieldSet,
    structure: &Structure,
    step: impl Fn(&Value) -> Option<Step>,
) -> Option<Value> {
    let mut kept = Vec::new();
    for item in items(value) {
        let Some(step) = step(item) else { continue };
        if set.has(&step) {
            continue;
        }
        let item = match set.under(&step) {
            Some(below) => remove(item, below, structure),
            None => Some(item.clone()),
        };
        kept.extend(item);
    }
    (!kept.is_empty() || items(value).next().is_none()).then_some(Value::Array(kept))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keyed() -> Structure {
        Structure::from_paths(&["l[name]"])
    }

    fn named(names: &[&str]) -> Value {
        json!({"l": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()})
    }

    #[test]
    fn items_that_both_have_follow_the_configuration_and_others_stay_where_they_were() {
        let table: &[(&[&str], &[&str], &[&str])] = &[
            (&["a", "b", "c"], &["c", "a"], &["b", "c", "a"]),
            (&["a"], &["b"], &["a", "b"]),
            (&["a", "b"], &["a", "x", "b"], &["a", "x", "b"]),
            (&[], &["a"], &["a"]),
            (&["a", "b"], &["b"], &["a", "b"]),
        ];
        for (live, config, expected) in table {
            assert_eq!(merge(&named(live), &named(config), &keyed()), named(expected), "{live:?} + {config:?}");
        }
    }

    #[test]
    fn a_list_without_keys_is_replaced() {
        assert_eq!(merge(&json!({"x": [1, 2]}), &json!({"x": [3]}), &keyed()), json!({"x": [3]}));
    }

    #[test]
    fn a_container_goes_with_its_last_entry_and_an_empty_one_stays() {
        let set = FieldSet::decode(&json!({"f:a": {"f:b": {}}, "f:l": {"k:{\"name\":\"a\"}": {}}}));
        let value = json!({"a": {"b": 1}, "c": {}, "l": [{"name": "a"}, {"name": "b"}]});
        assert_eq!(remove(&value, &set, &keyed()), Some(json!({"c": {}, "l": [{"name": "b"}]})));
    }
}
