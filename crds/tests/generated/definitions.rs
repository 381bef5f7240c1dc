//! The definitions: what `kubectl apply` gets.

use std::{fs, path::Path};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use crate::{assert_committed, definitions, walk};

/// Far below what etcd takes, and what an annotation of client-side apply may hold.
const MAX_BYTES: usize = 256 * 1024;

#[test]
fn the_committed_definitions_are_those_of_the_types() {
    let mut names = Vec::new();
    for definition in definitions() {
        let names_of = &definition.object.spec.names;
        let name = format!("netprecursor.io_{}.yaml", names_of.plural);
        let text = format!("# Made from the types in crds/src; do not edit.\n---\n{}", definition.yaml);
        assert!(text.len() < MAX_BYTES, "{name}: {} bytes", text.len());
        assert_committed(&format!("crds/yaml/{name}"), &text);
        let read: CustomResourceDefinition = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(read, definition.object, "{name} reads as something else");
        names.push(name);
    }
    names.sort();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut there: Vec<_> = entries.collect();
    there.sort();
    assert_eq!(there, names, "files of no kind");
}

#[test]
fn names_are_those_that_people_type() {
    let told: Vec<_> = definitions()
        .iter()
        .map(|definition| {
            let names = &definition.object.spec.names;
            let short = names.short_names.clone().unwrap_or_default().join(",");
            let categories = names.categories.clone().unwrap_or_default().join(",");
            format!("{} {short} {categories} {}", names.plural, definition.object.spec.scope)
        })
        .collect();
    assert_eq!(
        told,
        [
            "precursorpolicies npp netprecursor Namespaced",
            "clusterprecursorpolicies cnpp netprecursor Cluster",
            "precursoralerts npa netprecursor Namespaced",
            "precursornodereports npn netprecursor Cluster",
        ]
    );
}

#[test]
fn every_field_says_what_it_is() {
    for definition in definitions() {
        let mut count = 0;
        walk("", &definition.schema, &mut |path, schema| {
            let is_value = path.ends_with(".*") || (path.ends_with("[]") && schema["type"] != "object");
            let description = schema["description"].as_str().unwrap_or_default();
            let kind = &definition.object.spec.names.kind;
            assert!(is_value || description.len() > 8, "{kind} {path} has no description");
            assert!(!description.contains("[`"), "{kind} {path} links to Rust: {description}");
            count += 1;
        });
        assert!(count > 15, "only {count} fields");
    }
}

#[test]
fn everything_is_bounded_and_nothing_is_a_float_or_null() {
    for definition in definitions() {
        walk("", &definition.schema, &mut |path, schema| {
            let has = |key: &str| !schema[key].is_null();
            let place = format!("{} {path}: {schema}", definition.object.spec.names.kind);
            match schema["type"].as_str() {
                Some("string") => {
                    assert!(has("maxLength") || has("enum") || schema["format"] == "date-time", "{place}");
                }
                Some("array") => assert!(has("maxItems") && has("x-kubernetes-list-type"), "{place}"),
                Some("integer") => {
                    assert!(schema["format"] == "int64" && (path.ends_with("Generation") || has("minimum")), "{place}");
                }
                Some("object") => assert!(!has("additionalProperties") || has("maxProperties"), "{place}"),
                Some("boolean") => {}
                other => panic!("{place}: {other:?}"),
            }
            for key in ["nullable", "oneOf", "anyOf", "allOf", "title", "$ref", "x-kubernetes-preserve-unknown-fields"]
            {
                assert!(!has(key), "{place}: {key}");
            }
        });
    }
}

#[test]
fn checks_say_what_to_write() {
    let mut count = 0;
    for definition in definitions() {
        walk("", &definition.schema, &mut |path, schema| {
            for check in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                let message = check["message"].as_str().unwrap_or_default();
                assert!(message.len() > 20 && !message.ends_with('.'), "{path}: {check}");
                let says_what = check["messageExpression"].is_string();
                assert_eq!(says_what, schema["type"] == "string", "{path}: {check}");
                count += 1;
            }
        });
    }
    assert!(count > 30, "only {count} checks");
}
