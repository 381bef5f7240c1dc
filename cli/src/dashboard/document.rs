//! What programs may rely on of the dashboard's API, in OpenAPI 3.1: the routes that it shares with the agent, cut out of the
//! agent's document. The others are the page's own, and change with it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The agent's document.
const AGENT: &str = include_str!("../../../docs/openapi.json");

/// Routes that are the agent's as well.
const SHARED: [&str; 2] = ["/api/v1/detect", "/api/v1/openapi.json"];

/// The document.
///
/// # Errors
/// The agent's document is no JSON, which a test rules out.
pub(super) fn document() -> serde_json::Result<Value> {
    let mut document: Value = serde_json::from_str(AGENT)?;
    keep(&mut document, "/paths", |path| SHARED.contains(&path));
    let (mut used, mut open) = (BTreeSet::new(), Vec::new());
    find_references(&document["paths"], &mut open);
    while let Some(reference) = open.pop() {
        if let Some(schema) = document.pointer(&reference) {
            find_references(schema, &mut open);
        }
        used.insert(reference);
        open.retain(|reference| !used.contains(reference));
    }
    keep(&mut document, "/components/schemas", |name| used.contains(&format!("/components/schemas/{name}")));
    if let Some(Value::Object(info)) = document.get_mut("info") {
        info.insert("title".to_owned(), "netprecursor dashboard".into());
        info.insert("summary".to_owned(), "Scores what you post. All else is the page's own.".into());
    }
    if let Some(document) = document.as_object_mut() {
        document.remove("servers");
    }
    Ok(document)
}

/// Keeps some of the fields of the object at `pointer`.
fn keep(document: &mut Value, pointer: &str, is_kept: impl Fn(&str) -> bool) {
    if let Some(fields) = document.pointer_mut(pointer).and_then(Value::as_object_mut) {
        let all: Map<String, Value> = std::mem::take(fields);
        fields.extend(all.into_iter().filter(|(name, _)| is_kept(name)));
    }
}

/// Pointers to the schemas that are referred to.
fn find_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let reference = fields.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
            found.extend(reference.map(str::to_owned));
            fields.values().for_each(|field| find_references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| find_references(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_what_is_shared_and_all_that_it_refers_to() {
        let document = document().unwrap();
        let paths: Vec<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(paths, SHARED);
        let mut references = Vec::new();
        find_references(&document, &mut references);
        assert!(references.iter().all(|reference| document.pointer(reference).is_some()), "{references:?}");
        let schemas = document["components"]["schemas"].as_object().unwrap();
        assert!(schemas.contains_key("DetectRequest") && !schemas.contains_key("Target"), "{:?}", schemas.keys());
    }
}
