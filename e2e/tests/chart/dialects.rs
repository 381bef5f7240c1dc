//! YAML 1.1 and 1.2 differ in what is a number or a switch. kubectl and Helm read the one, the operator reads the other: what
//! the chart renders means the same in both, whatever users put into it.

use std::fs;

use serde_json::{Map, Value, json};

use crate::{
    helm::{Helm, NAMESPACE, RELEASE, chart, everything},
    objects::{self, find, identity},
};

/// Words that some version of YAML takes for something else than a text, and that may name a release or a namespace.
const NAMES: [&str; 15] =
    ["123", "1e5", "true", "false", "null", "yes", "no", "on", "off", "y", "n", "0x1f", "0o17", "0b11", "2001-01-01"];
/// Likewise, where any text may stand.
const TEXTS: [&str; 10] = ["~", "=", "<<", "1_000", "12:30:45", "010", ".5", ".inf", "a: b # c", "- \"x\"\\n"];

/// Values that put `name` and `text` wherever a user may write.
fn values(name: &str, text: &str) -> Value {
    let workload = json!({
        "image": {"tag": name},
        "resources": {"limits": {name: text}},
        "nodeSelector": {name: text},
        "tolerations": [{"key": name, "operator": "Equal", "value": text}],
        "affinity": {"podAffinity": {name: [{text: text}, [text, [], {}]]}},
        "topologySpreadConstraints": [
            {"topologyKey": name, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {name: text}}],
        "priorityClassName": name,
        "env": [{"name": name, "value": text}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": name, "key": text}}}],
        "annotations": {name: text}, "labels": {name: text},
        "podAnnotations": {name: text}, "podLabels": {name: text},
        "securityContext": {
            "seccompProfile": {"type": "Localhost", "localhostProfile": text}, "seLinuxOptions": {"type": text, "user": name}},
        "serviceAccount": {"annotations": {name: text}},
    });
    let mut agent = workload.clone();
    agent["otlp"] = json!({"headersSecret": name});
    json!({
        "commonLabels": {name: text},
        "imageRegistry": name,
        "imagePullSecrets": [{"name": name}],
        "clusterName": text,
        "logLevel": name,
        "crds": {"annotations": {name: text}},
        "operator": workload,
        "agent": agent,
        "models": {"namespaces": [name]},
        "monitoring": {"serviceMonitor": {"labels": {name: text}}, "podMonitor": {"labels": {name: text}}},
        "networkPolicy": {"metricsFrom": [{"podSelector": {"matchLabels": {name: text}}}]},
    })
}

/// What a value becomes when every `from` in it, keys included, is a `to`.
fn with(value: &Value, replacements: &[(&str, &str)]) -> Value {
    let text = |text: &str| replacements.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    match value {
        Value::String(old) => Value::String(text(old)),
        Value::Array(entries) => entries.iter().map(|entry| with(entry, replacements)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (text(key), with(value, replacements))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// The documents of a text, which have to be the same in both dialects, in an order of their own.
fn read(helm: &Helm, text: &str) -> Vec<Value> {
    let [mut old, mut new] = [helm.read(text), objects::read(text)];
    for documents in [&mut old, &mut new] {
        documents.sort_by_key(identity);
    }
    assert_eq!(old, new, "YAML 1.1 and 1.2 differ in {text}");
    new
}

/// The objects with these values, the operator's configuration as a value.
fn render(helm: &Helm, values: &Value) -> Vec<Value> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), values.to_string()).unwrap();
    let (everything, values) = (everything(), file.path());
    let files = ["--values", everything.to_str().unwrap(), "--values", values.to_str().unwrap()];
    let mut objects = read(helm, &helm.manifest(RELEASE, NAMESPACE, &chart(), &files));
    for object in &mut objects {
        if let Some(text) = object.pointer("/data/operator.yaml").and_then(Value::as_str) {
            object["data"]["operator.yaml"] = read(helm, text).remove(0);
        }
        // A digest of the configuration, which differs.
        if let Some(annotations) = object.pointer_mut("/spec/template/metadata/annotations") {
            annotations["netprecursor.io/configuration"] = Value::Null;
        }
    }
    objects
}

#[test]
fn a_text_of_the_user_arrives_as_that_text() {
    let helm = Helm::current();
    let plain = render(&helm, &values("plainname", "plaintext"));
    let texts = NAMES.iter().chain(&TEXTS);
    for (name, text) in NAMES.iter().cycle().zip(texts) {
        let mut expected: Vec<Value> =
            plain.iter().map(|object| with(object, &[("plainname", name), ("plaintext", text)])).collect();
        expected.sort_by_key(identity);
        for (got, expected) in render(&helm, &values(name, text)).iter().zip(&expected) {
            assert_eq!(got, expected, "{name:?} {text:?}");
        }
    }
}

#[test]
fn a_release_and_a_namespace_may_have_any_name_that_kubernetes_takes() {
    let helm = Helm::current();
    let everything = everything();
    let arguments = ["--values", everything.to_str().unwrap(), "--set", "fullnameOverride="];
    for name in NAMES {
        for object in read(&helm, &helm.manifest(name, name, &chart(), &arguments)) {
            assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/instance"], name, "{}", identity(&object));
            let (kind, namespace) = (&object["kind"], &object["metadata"]["namespace"]);
            // Who the front proxy is says a ConfigMap there.
            let is_elsewhere = kind == "RoleBinding" && namespace == "kube-system";
            let is_ours = [name, "shop", "lab"].iter().any(|one| namespace == one);
            assert!(namespace.is_null() || is_ours || is_elsewhere, "{object}");
        }
    }
}

#[test]
fn what_the_chart_sets_itself_comes_once_and_stays() {
    let keys = [
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
        "app.kubernetes.io/part-of",
        "app.kubernetes.io/version",
        "app.kubernetes.io/managed-by",
        "app.kubernetes.io/component",
        "helm.sh/chart",
        "rbac.authorization.k8s.io/aggregate-to-view",
        "netprecursor.io/configuration",
        "helm.sh/resource-policy",
    ];
    let theirs: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), "theirs".into())).collect();
    let env =
        json!([{"name": "POD_NAME", "value": "theirs"}, {"name": "A", "value": "1"}, {"name": "A", "value": "2"}]);
    let workload = json!({
        "labels": theirs, "podLabels": theirs, "podAnnotations": theirs, "annotations": {"a": "b"}, "env": env,
    });
    let values = json!({
        "commonLabels": theirs, "operator": workload, "agent": {"env": env}, "crds": {"annotations": theirs},
        "monitoring": {"serviceMonitor": {"labels": theirs}, "podMonitor": {"labels": theirs}},
    });
    let helm = Helm::current();
    let ours = render(&helm, &json!({}));
    let both = render(&helm, &values);
    assert_eq!(ours.len(), both.len());
    for (ours, both) in ours.iter().zip(&both) {
        for place in ["/metadata/labels", "/metadata/annotations", "/spec/selector", "/spec/template/metadata/labels"] {
            let Some(ours) = ours.pointer(place).and_then(Value::as_object) else { continue };
            for (key, value) in ours {
                assert_eq!(&both.pointer(place).unwrap()[key], value, "{} {place}", identity(both));
            }
        }
    }
    let container = &find(&both, "Deployment", "np-operator")["spec"]["template"]["spec"]["containers"][0];
    let names: Vec<_> = container["env"].as_array().unwrap().iter().map(|variable| &variable["name"]).collect();
    assert_eq!(names, ["POD_NAME", "POD_NAMESPACE", "A"]);
    assert_eq!(container["env"][2]["value"], "2");
    let agent = &find(&both, "ConfigMap", "np-operator")["data"]["operator.yaml"]["agent"];
    assert_eq!(agent["env"], json!([{"name": "POD_NAME", "value": "theirs"}, {"name": "A", "value": "2"}]));
}
