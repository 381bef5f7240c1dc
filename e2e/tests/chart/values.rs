//! What Helm does to values on their way: a `null` takes a default away, and a chart that is part of another is given more than
//! its own.

use std::{fs, os::unix::fs::symlink, path::Path};

use serde_json::{Value, json};

use crate::{
    helm::{Helm, NAMESPACE, chart},
    objects::{find, identities},
};

/// A place in the values, as given to `--set`, with what is there by default.
struct Place {
    path: String,
    key: String,
    default: Value,
}

/// Every section and every value, from the top. What is below a value is the user's own.
fn places() -> Vec<Place> {
    fn walk(schema: &Value, values: &Value, above: &str, found: &mut Vec<Place>) {
        for (key, default) in values.as_object().unwrap() {
            let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
            let schema = &schema["properties"][key];
            found.push(Place { path: path.clone(), key: key.clone(), default: default.clone() });
            // Only values are described.
            if schema.get("description").is_none() {
                walk(schema, default, &path, found);
            }
        }
    }
    let read = |name: &str| fs::read_to_string(chart().join(name)).unwrap();
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    let mut found = Vec::new();
    walk(&serde_json::from_str(&read("values.schema.json")).unwrap(), &values, "", &mut found);
    assert!(found.len() > 80, "only {} values", found.len());
    found
}

fn is_empty(value: &Value) -> bool {
    [json!(false), json!(""), json!([]), json!({})].contains(value)
}

#[test]
fn null_is_the_default_where_that_is_empty_and_refused_by_name_elsewhere() {
    let chart = chart();
    let chart = chart.to_str().unwrap();
    for helm in [Helm::current(), Helm::oldest()] {
        let (empty, other): (Vec<_>, Vec<_>) = places().into_iter().partition(|place| is_empty(&place.default));
        assert!(!empty.is_empty() && !other.is_empty());
        let nulls: Vec<String> = empty.iter().map(|place| format!("{}=null", place.path)).collect();
        assert_eq!(helm.template(&["--set", &nulls.join(",")]), helm.template(&[]));
        for Place { path, key, .. } in other {
            let set = format!("{path}=null");
            let error = helm.refusal(&["template", "x", chart, "--kube-version", "1.32.0", "--set", &set]);
            assert!(error.contains(&key), "{set}: {error}");
        }
    }
}

#[test]
fn below_a_value_null_removes_an_entry() {
    let set = "operator.resources.limits=null,operator.nodeSelector.kubernetes\\.io/os=null";
    for helm in [Helm::current(), Helm::oldest()] {
        let objects = helm.template(&["--set", set]);
        let pod = &find(&objects, "Deployment", "netprecursor-operator")["spec"]["template"]["spec"];
        let resources = &pod["containers"][0]["resources"];
        assert_eq!((&pod["nodeSelector"], &resources["limits"]), (&Value::Null, &Value::Null));
        assert_eq!(resources["requests"], json!({"cpu": "10m", "memory": "64Mi"}));
    }
}

/// A chart that has this one as a dependency, under a name of its choice.
fn umbrella(directory: &Path, alias: Option<&str>, values: &Value) {
    let name = alias.unwrap_or("netprecursor");
    let mut dependency = json!({"name": "netprecursor", "version": env!("CARGO_PKG_VERSION"), "repository": "",
        "condition": format!("{name}.enabled")});
    if let Some(alias) = alias {
        dependency["alias"] = alias.into();
    }
    let description = json!({"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [dependency]});
    fs::create_dir_all(directory.join("charts")).unwrap();
    fs::create_dir_all(directory.join("templates")).unwrap();
    symlink(chart().canonicalize().unwrap(), directory.join("charts/netprecursor")).unwrap();
    for (file, content) in [
        ("Chart.yaml", description),
        ("values.yaml", values.clone()),
        ("templates/own.yaml", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own"}})),
    ] {
        fs::write(directory.join(file), content.to_string()).unwrap();
    }
}

#[test]
fn the_chart_can_be_part_of_another() {
    for helm in [Helm::current(), Helm::oldest()] {
        let alone = identities(&helm.release("netprecursor", NAMESPACE, &chart(), &[]));
        for (alias, is_on) in [(None, true), (None, false), (Some("warnings"), true), (Some("Net_Warnings"), true)] {
            let name = alias.unwrap_or("netprecursor");
            let values = json!({
                "global": {"imageRegistry": "images.example.com", "nested": {"a": [1]}},
                name: {"enabled": is_on, "fullnameOverride": "netprecursor", "global": {"more": true}},
            });
            let directory = tempfile::tempdir().unwrap();
            umbrella(directory.path(), alias, &values);
            let mut rendered = identities(&helm.release("shop", NAMESPACE, directory.path(), &[]));
            assert!(rendered.remove("ConfigMap /own"), "{rendered:?}");
            assert_eq!(rendered, if is_on { alone.clone() } else { [].into() }, "{alias:?}");
        }
    }
}

#[test]
fn an_alias_makes_valid_names_too() {
    let helm = Helm::current();
    let directory = tempfile::tempdir().unwrap();
    umbrella(directory.path(), Some("Net_Warnings"), &json!({}));
    let deployments = helm.release(
        "shop",
        NAMESPACE,
        directory.path(),
        &["--set", "Net_Warnings.monitoring.serviceMonitor.enabled=true"],
    );
    let service = deployments.iter().find(|object| object["kind"] == "Service").unwrap();
    let name = service["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("shop-net-warnings-") && name.ends_with("-operator"), "{name}");
}

#[test]
fn a_release_of_its_own_is_not_switched_off_without_a_word() {
    let error = Helm::current().refusal(&["template", "x", chart().to_str().unwrap(), "--set", "enabled=false"]);
    assert!(error.contains("enabled"), "{error}");
}
