//! Rendered objects as values.

use std::collections::BTreeSet;

use serde_json::Value;

/// The objects of a text of several documents. A key that comes twice in one is an error.
pub(crate) fn read(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    let documents: Vec<Value> = documents.into_iter().filter(|document| !document.is_null()).collect();
    assert!(!documents.is_empty(), "nothing was rendered");
    documents
}

/// A field's text, empty when it is not there.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Kind, namespace and name, as one text.
pub(crate) fn identity(object: &Value) -> String {
    let part = |pointer| text(object, pointer);
    format!("{} {}/{}", part("/kind"), part("/metadata/namespace"), part("/metadata/name"))
}

/// The identities of all.
pub(crate) fn identities(objects: &[Value]) -> BTreeSet<String> {
    objects.iter().map(identity).collect()
}

/// The one object of a kind and name.
pub(crate) fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects.iter().find(|object| text(object, "/kind") == kind && text(object, "/metadata/name") == name);
    found.unwrap_or_else(|| panic!("no {kind} {name} in {:?}", identities(objects)))
}
