//! Names of objects: valid for every kind, of whatever the release is called.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    helm::{Helm, NAMESPACE, chart, everything},
    objects::{identities, identity, text},
};

/// The longest name that Helm takes for a release.
const LONGEST: usize = 53;

/// What RFC 1035 calls a label: the strictest of Kubernetes' rules, that of Services.
fn is_label_of_dns(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(fits)
}

fn is_label_value(value: &str) -> bool {
    let ends = |text: &str| text.starts_with(char::is_alphanumeric) && text.ends_with(char::is_alphanumeric);
    value.len() <= 63 && value.is_ascii() && ends(value) && !value.contains([' ', '/', '+'])
}

fn objects_of(helm: &Helm, release: &str, arguments: &[&str]) -> Vec<Value> {
    let everything = everything();
    let given = ["--values", everything.to_str().unwrap(), "--set", "fullnameOverride="];
    let arguments = [&given[..], arguments].concat();
    helm.release(release, NAMESPACE, &chart(), &arguments)
}

fn check(objects: &[Value], release: &str) {
    assert_eq!(identities(objects).len(), objects.len(), "{release}");
    // Their names are those of groups.
    let is_of_group = |kind: &str| ["CustomResourceDefinition", "APIService"].contains(&kind);
    for object in objects.iter().filter(|object| !is_of_group(text(object, "/kind"))) {
        assert!(is_label_of_dns(text(object, "/metadata/name")), "{release}: {}", identity(object));
        for (key, value) in object["metadata"]["labels"].as_object().unwrap() {
            assert!(is_label_value(value.as_str().unwrap()), "{release}: {}: {key}: {value}", identity(object));
        }
    }
}

#[test]
fn every_release_that_helm_takes_gets_valid_names_of_its_own() {
    let helm = Helm::current();
    let long = |start: &str| start.to_owned() + &"x".repeat(LONGEST - start.len());
    let (dotted, hyphens) = ("a.".repeat(26) + "b", "b-".repeat(26) + "c");
    let releases = [
        "a.b",
        "a-b",
        "1",
        "123",
        "0.1",
        "v1.2.3",
        "netprecursor.prod",
        "prod.netprecursor",
        &dotted,
        &hyphens,
        &long("a"),
        &format!("{}y", &long("a")[..LONGEST - 1]),
        &long("1"),
    ];
    let mut names = BTreeSet::new();
    for release in releases {
        let objects = objects_of(&helm, release, &[]);
        check(&objects, release);
        let deployment = objects.iter().find(|object| text(object, "/kind") == "Deployment").unwrap();
        assert!(names.insert(text(deployment, "/metadata/name").to_owned()), "{release}: a name was there before");
    }
}

#[test]
fn a_name_that_was_valid_all_along_is_not_touched() {
    let helm = Helm::current();
    for (release, expected) in
        [("netprecursor", "netprecursor"), ("my-netprecursor", "my-netprecursor"), ("x", "x-netprecursor")]
    {
        let objects = objects_of(&helm, release, &[]);
        let name = format!("Deployment {NAMESPACE}/{expected}-operator");
        assert!(identities(&objects).contains(&name), "{release}: {:?}", identities(&objects));
    }
}

#[test]
fn names_that_the_user_chooses_are_made_valid_or_refused_by_name() {
    let helm = Helm::current();
    let (longest, too_long) = ("x".repeat(63), "x".repeat(64));
    for value in ["nameOverride", "fullnameOverride"] {
        for name in ["123", "true", "np.prod", &longest] {
            check(&objects_of(&helm, "r", &["--set-string", &format!("{value}={name}")]), name);
        }
        for name in ["A", "a_b", "-a", &too_long] {
            let (chart, set) = (chart(), format!("{value}={name}"));
            let error = helm.refusal(&["template", "r", chart.to_str().unwrap(), "--set-string", &set]);
            assert!(error.contains(value), "{set}: {error}");
        }
    }
}
