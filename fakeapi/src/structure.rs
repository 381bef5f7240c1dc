//! The structure of a kind's values: which lists have keys, which maps are atomic. Server-side apply is
//! defined on this.

use std::collections::BTreeMap;

use serde_json::Value;

/// The shape of a value as far as merging needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Structure {
    /// A scalar, or anything that has one owner as a whole.
    Atomic,
    /// A map or struct whose fields have owners of their own.
    Map(Box<Fields>),
    /// A list used as a set of scalars.
    Set,
    /// A list whose items are identified by the values of `keys`.
    Keyed {
        /// The fields that identify an item.
        keys: Vec<KeyField>,
        /// The shape of an item.
        item: Box<Structure>,
    },
    /// Not declared: maps are granular, lists atomic.
    Deduced,
}

/// A field that identifies items of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyField {
    pub(crate) name: String,
    /// Its default.
    pub(crate) default: Option<Value>,
}

/// The fields of a granular map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fields {
    named: BTreeMap<String, Structure>,
    others: Structure,
}

/// `Structure` with the ambiguity of [`Structure::Deduced`] resolved by a value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape<'a> {
    Leaf,
    Map(&'a Structure),
    Set,
    Keyed { keys: &'a [KeyField], item: &'a Structure },
}

impl Structure {
    /// Of `metadata`, the same for all kinds.
    pub(crate) fn of_metadata() -> Self {
        Self::from_paths(&["ownerReferences[uid]{}", "finalizers[]"])
    }

    /// Resolves what is not declared by looking at a value.
    pub(crate) fn shape<'a>(&'a self, value: &Value) -> Shape<'a> {
        match (self, value) {
            (Self::Map(_) | Self::Deduced, Value::Object(_)) => Shape::Map(self),
            (Self::Set, Value::Array(_)) => Shape::Set,
            (Self::Keyed { keys, item }, Value::Array(_)) => Shape::Keyed { keys, item },
            _ => Shape::Leaf,
        }
    }

    /// The structure of the field `name`.
    pub(crate) fn field(&self, name: &str) -> &Self {
        match self {
            Self::Map(fields) => fields.named.get(name).unwrap_or(&fields.others),
            _ => &Self::Deduced,
        }
    }

    /// A granular map with these declared fields; others are [`Structure::Deduced`].
    pub(crate) fn map(named: impl IntoIterator<Item = (String, Self)>) -> Self {
        Self::Map(Box::new(Fields { named: named.into_iter().collect(), others: Self::Deduced }))
    }

    /// Builds a structure from paths of what is not the default (maps granular, lists atomic): `a.b[name]` is a list of
    /// maps with that key, `a[x,y=z]` has two keys of which one has a default, `a{}` is a map owned as a whole, `a[x]{}` a
    /// list of such, `a[]` a set.
    pub(crate) fn from_paths(paths: &[&str]) -> Self {
        let mut root = Self::map([]);
        for path in paths {
            root.declare(path);
        }
        root
    }

    fn declare(&mut self, path: &str) {
        let (step, rest) = path.split_once('.').unwrap_or((path, ""));
        let Self::Map(fields) = self else { return };
        let (step, is_atomic) = step.strip_suffix("{}").map_or((step, false), |step| (step, true));
        if let Some(name) = step.strip_suffix("[]") {
            fields.named.insert(name.to_owned(), Self::Set);
        } else if let Some((name, keys)) = step.strip_suffix(']').and_then(|step| step.split_once('[')) {
            let keyed = fields.named.entry(name.to_owned()).or_insert_with(|| Self::Keyed {
                keys: keys.split(',').map(KeyField::read).collect(),
                item: Box::new(if is_atomic { Self::Atomic } else { Self::map([]) }),
            });
            if let (Self::Keyed { item, .. }, false) = (keyed, rest.is_empty()) {
                item.declare(rest);
            }
        } else if is_atomic {
            fields.named.insert(step.to_owned(), Self::Atomic);
        } else {
            let below = fields.named.entry(step.to_owned()).or_insert_with(|| Self::map([]));
            if !rest.is_empty() {
                below.declare(rest);
            }
        }
    }

    /// Reads the structure that a CRD's OpenAPI schema declares.
    pub(crate) fn from_schema(schema: &Value) -> Self {
        let is_atomic = |key: &str| schema[key] == "atomic";
        match schema["type"].as_str() {
            Some("object") if is_atomic("x-kubernetes-map-type") => Self::Atomic,
            Some("object") => {
                let named = schema["properties"].as_object().into_iter().flatten();
                let named = named.map(|(name, schema)| (name.clone(), Self::from_schema(schema))).collect();
                let others = match &schema["additionalProperties"] {
                    others @ Value::Object(_) => Self::from_schema(others),
                    _ => Self::Deduced,
                };
                Self::Map(Box::new(Fields { named, others }))
            }
            Some("array") => match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => Self::Set,
                Some("map") => Self::Keyed {
                    keys: strings(&schema["x-kubernetes-list-map-keys"])
                        .map(|name| KeyField {
                            name: name.to_owned(),
                            default: schema["items"]["properties"][name].get("default").cloned(),
                        })
                        .collect(),
                    item: Box::new(Self::from_schema(&schema["items"])),
                },
                _ => Self::Atomic,
            },
            Some(_) => Self::Atomic,
            None if schema["x-kubernetes-int-or-string"] == true => Self::Atomic,
            None => Self::Deduced,
        }
    }

    /// Declares field `name` of a map.
    pub(crate) fn with(mut self, name: &str, structure: Self) -> Self {
        if let Self::Map(fields) = &mut self {
            fields.named.insert(name.to_owned(), structure);
        }
        self
    }
}

impl KeyField {
    fn read(text: &str) -> Self {
        match text.split_once('=') {
            Some((name, default)) => Self { name: name.to_owned(), default: Some(Value::from(default)) },
            None => Self { name: text.to_owned(), default: None },
        }
    }
}

fn strings(values: &Value) -> impl Iterator<Item = &str> {
    values.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_and_a_schema_that_say_the_same_give_the_same_structure() {
        let schema = json!({"type": "object", "properties": {
            "selector": {"type": "object", "x-kubernetes-map-type": "atomic"},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {"type": "object", "properties": {"tags": {"type": "array", "x-kubernetes-list-type": "set"}}}},
        }});
        let paths = Structure::from_paths(&["selector{}", "ports[port,protocol]", "ports[port,protocol].tags[]"]);
        assert_eq!(Structure::from_schema(&schema), paths);
    }

    #[test]
    fn what_is_not_declared_follows_the_value() {
        let structure = Structure::Deduced;
        assert!(matches!(structure.shape(&json!({})), Shape::Map(_)));
        assert!(matches!(structure.shape(&json!([1])), Shape::Leaf));
    }
}
