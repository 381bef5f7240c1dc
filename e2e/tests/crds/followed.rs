//! The hints in the API server's refusals work: each, as it is written, is accepted through kubectl.

use std::collections::BTreeSet;

use netprecursor_crds::schema;
use serde_json::{Value, json};

use crate::{
    Cluster, VERSIONS,
    kubectl::Kubectl,
    refused::{edited, mistakes},
};

/// What `model` in a ConfigMap is called in hints, and such a model.
const REFERENCE: &str = "{name, key, sha256}";

/// Where no other test has anything.
const NAMESPACE: &str = "followed";

/// What stands in a policy where a hint goes.
const PLACE: &str = "the hint goes here";

/// A policy in which what was wrong is corrected, with the hint pasted as text.
struct Corrected {
    policy: Value,
    hint: String,
}

impl Corrected {
    /// As somebody would type it.
    fn yaml(&self) -> String {
        let mut yaml = "---\n".to_owned();
        for (field, value) in self.policy.as_object().unwrap() {
            yaml += &format!("{field}: {value}\n");
        }
        let place = json!(PLACE).to_string();
        // Behind a name without quotes a colon needs a space.
        yaml.replace(&format!("{place}:"), &format!("{}: ", self.hint)).replace(&place, &self.hint)
    }
}

/// `spec.rules[0].name` as a JSON pointer.
fn pointer(field: &str) -> String {
    format!("/{}", field.replace(['.', '['], "/").replace(']', ""))
}

/// The alternatives that a message offers behind `write`.
fn hints(message: &str) -> Vec<String> {
    let Some((_, hints)) = message.rsplit_once("write ") else { return Vec::new() };
    let hints = hints.trim_start_matches("for example ");
    let hints = hints.split(" for one of ").next().unwrap_or_default();
    let digest = "ab".repeat(32);
    match hints.contains(REFERENCE) {
        true => vec![hints.replace(REFERENCE, &format!("{{name: rtt-models, key: model.onnx.gz, sha256: {digest}}}"))],
        // In braces a comma divides no alternatives.
        false if hints.contains('{') => vec![hints.to_owned()],
        false => hints.replace(" or ", ", ").split(", ").map(str::to_owned).collect(),
    }
}

/// `policy` with the hint in place of what `field` has; `name: value` goes beside or in it.
fn write(mut policy: Value, field: &str, hint: &str) -> Corrected {
    let place = json!(PLACE);
    let named = hint.split_once(": ").filter(|(name, _)| name.chars().all(char::is_alphanumeric));
    match named {
        Some((name, value)) => {
            let at = field.strip_suffix(name).map_or(field, |parent| parent.trim_end_matches('.'));
            // Of a union only one member stays.
            let others = at.ends_with(".model");
            let parent = policy.pointer_mut(&pointer(at)).unwrap();
            if others {
                *parent = json!({});
            }
            parent[name] = place;
            Corrected { policy, hint: value.to_owned() }
        }
        None if field.ends_with(".matchLabels") => {
            *policy.pointer_mut(&pointer(field)).unwrap() = json!({PLACE: "b"});
            Corrected { policy, hint: hint.to_owned() }
        }
        None => {
            *policy.pointer_mut(&pointer(field)).unwrap() = place;
            Corrected { policy, hint: hint.to_owned() }
        }
    }
}

/// The other remedies of a message, one by one.
fn deeds(policy: &Value, field: &str, message: &str) -> Vec<Corrected> {
    let without = |field: &str| {
        let mut policy = policy.clone();
        let (parent, name) = field.rsplit_once('.').unwrap();
        policy.pointer_mut(&pointer(parent)).unwrap().as_object_mut().unwrap().remove(name);
        Corrected { policy, hint: String::new() }
    };
    let with = |field: &str, value: Value| {
        let mut policy = policy.clone();
        let (parent, name) = field.rsplit_once('.').unwrap();
        policy.pointer_mut(&pointer(parent)).unwrap()[name] = value;
        Corrected { policy, hint: String::new() }
    };
    let operator = field.replace("values", "operator");
    match message {
        _ if message.contains("lower it, or leave it out") => vec![with(field, json!("150ms")), without(field)],
        _ if message.contains("remove one of them") => {
            vec![without(field), without(&field.replace("debounce", "holdFor"))]
        }
        _ if message.contains("add values, or use Exists") => {
            vec![with(field, json!(["a"])), with(&operator, json!("Exists")), with(&operator, json!("DoesNotExist"))]
        }
        _ if message.contains("remove them, or use In") => {
            vec![without(field), with(&operator, json!("In")), with(&operator, json!("NotIn"))]
        }
        _ if message.contains("or add the network they are an exception from") => vec![without(field)],
        _ if message.contains("64 hexadecimal digits") => vec![with(field, json!("AB".repeat(32)))],
        _ => Vec::new(),
    }
}

/// All messages of checks of policies' specs.
fn messages(schema: &Value, found: &mut BTreeSet<String>) {
    let checks = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    found.extend(checks.filter_map(|check| check["message"].as_str()).map(str::to_owned));
    match schema {
        Value::Object(fields) => fields.values().for_each(|value| messages(value, found)),
        Value::Array(items) => items.iter().for_each(|value| messages(value, found)),
        _ => {}
    }
}

/// Policies with a mistake, and with a debounce of no sense.
fn wrong() -> Vec<Value> {
    let mut wrong: Vec<Value> = mistakes().into_iter().map(|(pointer, value, _)| edited(&pointer, value)).collect();
    for (place, value) in
        [("debounce", json!({"k": 6, "of": 5})), ("keepFiringFor", json!("10")), ("keepFiringFor", json!("1.5m"))]
    {
        let mut policy = edited("/spec/rules/0/holdFor", None);
        policy["spec"]["rules"][0][place] = value;
        wrong.push(policy);
    }
    wrong.iter_mut().for_each(|policy| policy["metadata"]["namespace"] = json!(NAMESPACE));
    wrong
}

#[tokio::test]
async fn whoever_does_what_the_server_says_is_not_refused_again() {
    let definitions = serde_json::to_value(schema::definitions().unwrap()).unwrap();
    let mut open = BTreeSet::new();
    messages(&definitions[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], &mut open);
    // Only another signal than the one that there is could bring it about.
    open.retain(|message| !message.contains("the rule's signal only"));
    assert!(open.len() > 15, "{open:?}");
    for version in VERSIONS {
        let (cluster, kubectl) = (Cluster::new(version).await, Kubectl::on(version).await);
        cluster.namespace(NAMESPACE).await;
        let (mut followed, mut refused) = (BTreeSet::new(), Vec::new());
        for policy in wrong() {
            let Err(kube::Error::Api(status)) = cluster.try_out(&policy).await else { panic!("accepted: {policy}") };
            for cause in status.details.iter().flat_map(|details| &details.causes) {
                let (field, message) = (&cause.field, &cause.message);
                let Some(known) = open.iter().find(|known| message.contains(known.as_str())).cloned() else { continue };
                let written = hints(message).into_iter().map(|hint| write(policy.clone(), field, &hint));
                let corrected: Vec<_> = written.chain(deeds(&policy, field, message)).collect();
                for one in &corrected {
                    if let Err(error) = kubectl.run(&["create", "--dry-run=server", "-f", "-"], &one.yaml()) {
                        refused.push(format!("{field}: {message}\ndone: {}\n{error}", one.yaml()));
                    }
                }
                if !corrected.is_empty() {
                    followed.insert(known);
                }
            }
        }
        assert!(refused.is_empty(), "{version}: {}", refused.join("\n"));
        assert_eq!(followed, open, "{version}");
    }
}

/// The field that a reader of YAML 1.1 took for `false` is gone, and the server names the one that is there.
#[tokio::test]
async fn a_debounce_without_of_is_told_of_it() {
    for version in VERSIONS {
        let (cluster, kubectl) = (Cluster::new(version).await, Kubectl::on(version).await);
        cluster.namespace(NAMESPACE).await;
        let mut policy = edited("/spec/rules/0/holdFor", None);
        policy["metadata"]["namespace"] = json!(NAMESPACE);
        let policy = policy.to_string();
        let of = |debounce: &str| policy.replace(r#""name":"rtt""#, &format!(r#""name":"rtt","debounce":{debounce}"#));
        let run = |yaml: &str| kubectl.run(&["create", "--dry-run=server", "--validate=warn", "-f", "-"], yaml);
        let error = run(&of("{k: 3, n: 5}")).unwrap_err();
        assert!(error.contains("spec.rules[0].debounce.of: Required value"), "{version}: {error}");
        assert!(run(&of("{k: 3, of: 5}")).is_ok(), "{version}");
    }
}
