//! What is made of the types, compared with what is committed. `cargo xtask bless` writes it anew.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod definitions;
mod reference;
mod troubleshooting;
mod yaml11;

use std::{env, fs, path::Path};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use netprecursor_crds::schema;
use serde_json::Value;

/// A definition, the text that is committed, and of that text the schema.
struct Definition {
    object: CustomResourceDefinition,
    yaml: String,
    schema: Value,
}

fn definitions() -> Vec<Definition> {
    let read_back = |object: CustomResourceDefinition| {
        let yaml = schema::yaml(&object).unwrap();
        let value: Value = serde_saphyr::from_str(&yaml).unwrap();
        let schema = value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        Definition { object, yaml, schema }
    };
    schema::definitions().unwrap().into_iter().map(read_back).collect()
}

/// Compares a file below the repository with what it should hold, or writes it.
fn assert_committed(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if env::var_os("BLESS").is_some() {
        fs::write(&file, expected).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    let first = committed.lines().zip(expected.lines()).position(|(a, b)| a != b);
    assert!(
        committed == expected,
        "{path} differs from the types from line {} on; cargo xtask bless writes it anew",
        first.unwrap_or_else(|| committed.lines().count().min(expected.lines().count())) + 1
    );
}

/// Every schema in `schema` with its path, the outer ones first.
fn walk<'a>(path: &str, schema: &'a Value, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(format!("{path}.{name}").trim_start_matches('.'), property, visit);
    }
    if schema["items"].is_object() {
        walk(&format!("{path}[]"), &schema["items"], visit);
    }
    if schema["additionalProperties"].is_object() {
        walk(&format!("{path}.*"), &schema["additionalProperties"], visit);
    }
}
