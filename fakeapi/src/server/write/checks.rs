//! Checks of a write before anything is stored.

use serde_json::{Value, json};

use super::super::State;
use crate::{
    cause::Cause,
    kind::Rules,
    refusal::Refusal,
    request::{Call, Content, Verb},
};

impl State {
    pub(super) fn check_type(&self, call: &Call, object: &Value) -> Result<(), Refusal> {
        let expected = (call.kind.api_version(), call.kind.kind.clone());
        let got = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        let got = (got("apiVersion"), got("kind"));
        // Built-in kinds are decoded by their path if the object has no kind.
        let may_be_silent = call.content == Content::Object && matches!(call.kind.rules, Rules::Builtin(_));
        if got == expected || (may_be_silent && got == (String::new(), String::new())) {
            return Ok(());
        }
        let message = format!("got {} {}, expected {} {}", got.0, got.1, expected.0, expected.1);
        if matches!(call.kind.rules, Rules::Builtin(_)) || call.content == Content::Apply {
            return Err(Refusal::bad_request(message));
        }
        let field = if got.1 == expected.1 { "apiVersion" } else { "kind" };
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let mut refusal = Refusal::invalid(&call.kind, name, &[Cause::new(field, "FieldValueInvalid", message)]);
        refusal.details["kind"] = Value::from(got.1);
        Err(refusal)
    }

    /// A version or UID in the request must match the current object.
    pub(super) fn check_preconditions(&self, call: &Call, old: &Value, object: &Value) -> Result<(), Refusal> {
        let wanted = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if !matches!(wanted, "" | "0") && *wanted != old["metadata"]["resourceVersion"] {
            return Err(Refusal::modified(&call.kind, &call.name));
        }
        if let Some(uid) = object["metadata"]["uid"].as_str()
            && old["metadata"]["uid"] != uid
        {
            if call.verb == Verb::Update {
                let theirs = old["metadata"]["uid"].as_str().unwrap_or_default();
                return Err(Refusal::precondition(&call.kind, &call.name, "UID", uid, theirs));
            }
            let cause = Cause::new("metadata.uid", "FieldValueInvalid", "Invalid value: field is immutable");
            return Err(Refusal::invalid(&call.kind, &call.name, &[cause]));
        }
        Ok(())
    }
}

/// Strict requests may not have fields that the kind does not know.
pub(super) fn refuse_unknown(call: &Call, object: &Value) -> Result<(), Refusal> {
    if call.parameter("fieldValidation") != "Strict" {
        return Ok(());
    }
    match call.kind.undeclared(object).first() {
        Some(field) => Err(Refusal::bad_request(format!("strict decoding error: unknown field {field:?}"))),
        None => Ok(()),
    }
}

/// Writes the namespace of the path into the object.
pub(super) fn place(call: &Call, object: &mut Value) -> Result<(), Refusal> {
    let Some(map) = object.as_object_mut() else {
        return Err(Refusal::bad_request("got no object, expected one"));
    };
    map.insert("apiVersion".to_owned(), Value::from(call.kind.api_version()));
    map.insert("kind".to_owned(), Value::from(call.kind.kind.as_str()));
    let metadata = map.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else {
        return Err(Refusal::bad_request("metadata: got no object, expected one"));
    };
    if !call.kind.is_namespaced {
        metadata.remove("namespace");
        return Ok(());
    }
    match metadata.get("namespace").and_then(Value::as_str) {
        None | Some("") => metadata.insert("namespace".to_owned(), Value::from(call.namespace.as_str())),
        Some(namespace) if namespace == call.namespace => None,
        Some(_) => {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Refusal::bad_request(message));
        }
    };
    Ok(())
}

/// A name must be a DNS subdomain.
pub(super) fn name_fault(name: &str) -> Option<Cause> {
    let is_end =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    let is_label = |label: &str| {
        is_end(label.chars().next())
            && is_end(label.chars().last())
            && label.chars().all(|letter| is_end(Some(letter)) || letter == '-')
    };
    let is_good = name.len() <= 253 && name.split('.').all(is_label);
    let message = format!("Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case letters");
    (!is_good).then(|| Cause::new("metadata.name", "FieldValueInvalid", message))
}
