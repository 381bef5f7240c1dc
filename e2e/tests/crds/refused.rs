//! Objects that the API server refuses, with a message that says what to write instead.

use kube::api::PatchParams;
use netprecursor_core::policy::Policy;
use netprecursor_crds::PrecursorPolicy;
use serde_json::{Value, json};

use crate::{CHECKOUT, Cluster, VERSIONS, accepted, document, words};

const THRESHOLD: &str = "/spec/rules/0/rttForecast/threshold";
const RESOLVE: &str = "/spec/rules/0/rttForecast/resolveThreshold";
const MEASURE: &str = "/spec/rules/0/rttForecast/measure";
const PEERS: &str = "/spec/rules/0/rttForecast/peers";
const RULE: &str = "/spec/rules/0";
const SELECTOR: &str = "/spec/target/podSelector";

/// The checkout example with `value` (or nothing) at `pointer`.
pub(crate) fn edited(pointer: &str, value: Option<Value>) -> Value {
    let mut policy = document(CHECKOUT);
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = policy.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match (parent, value) {
        (Value::Array(items), Some(value)) => items[key.parse::<usize>().unwrap()] = value,
        (Value::Object(fields), Some(value)) => drop(fields.insert(key.to_owned(), value)),
        (Value::Object(fields), None) => assert!(fields.remove(key).is_some(), "{pointer}"),
        (other, _) => panic!("{pointer}: {other}"),
    }
    policy
}

/// JSON pointer, value, and parts of the server's message: the place and the remedy.
pub(crate) fn mistakes() -> Vec<(String, Option<Value>, [&'static str; 2])> {
    let rule = |field: &str| format!("{RULE}/{field}");
    let hold = "spec.rules[0].holdFor";
    let threshold = "spec.rules[0].rttForecast.threshold";
    let resolve = "spec.rules[0].rttForecast.resolveThreshold";
    let peers = "spec.rules[0].rttForecast.peers";
    let model = "spec.rules[0].model";
    let reference = |name: &str, key: &str, sha256: &str| {
        Some(json!({"configMapKeyRef": {"name": name, "key": key, "sha256": sha256}}))
    };
    let digest = "ab".repeat(32);
    let expression = |value: Value| Some(json!({"matchExpressions": [value]}));
    vec![
        (THRESHOLD.into(), Some(json!("200")), [threshold, "got \"200\", expected numbers with units"]),
        (THRESHOLD.into(), Some(json!(200)), [threshold, "must be of type string"]),
        (THRESHOLD.into(), Some(json!("soon")), [threshold, "numbers with units"]),
        (THRESHOLD.into(), Some(json!("1.5s")), [threshold, "numbers with units"]),
        (THRESHOLD.into(), Some(json!("-5s")), [threshold, "numbers with units"]),
        (THRESHOLD.into(), Some(json!("1s1s1s1s1s1s")), [threshold, "numbers with units"]),
        (THRESHOLD.into(), Some(json!("0ms")), [threshold, "more than 0"]),
        (THRESHOLD.into(), Some(json!("15m1us")), [threshold, "at most 900s"]),
        (THRESHOLD.into(), None, [threshold, "Required value"]),
        (RESOLVE.into(), Some(json!("200ms")), [resolve, "less than threshold: lower it"]),
        (RESOLVE.into(), Some(json!("200001us")), [resolve, "less than threshold: lower it"]),
        (RESOLVE.into(), Some(json!("160")), [resolve, "numbers with units"]),
        (MEASURE.into(), Some(json!("rtt")), ["spec.rules[0].rttForecast.measure", "\"Rtt\", \"Inflation\""]),
        (PEERS.into(), Some(json!({})), [peers, "expected scope or cidrs"]),
        (PEERS.into(), Some(json!({"scope": "All", "cidrs": ["10.0.0.0/8"]})), [peers, "expected scope or cidrs"]),
        (PEERS.into(), Some(json!({"scope": "Internet"})), ["peers.scope", "\"All\", \"Cluster\", \"External\""]),
        (
            PEERS.into(),
            Some(json!({"cidrs": ["10.0.0.0"]})),
            ["peers.cidrs[0]", "got \"10.0.0.0\", expected a network"],
        ),
        (PEERS.into(), Some(json!({"cidrs": ["10.0.0.1/8"]})), ["peers.cidrs[0]", "no bits behind the prefix"]),
        (
            PEERS.into(),
            Some(json!({"cidrs": ["10.0.0.0/8"], "except": ["11.0.0.0/8"]})),
            ["peers.except", "inside one of cidrs"],
        ),
        (
            PEERS.into(),
            Some(json!({"scope": "All", "except": ["11.0.0.0/8"]})),
            ["peers.except", "inside one of cidrs"],
        ),
        (PEERS.into(), Some(json!({"cidrs": vec!["10.0.0.0/8"; 33]})), ["peers.cidrs", "at most 32"]),
        (rule("rttForecast"), None, ["spec.rules[0].rttForecast", "write rttForecast: {threshold: 200ms}"]),
        (rule("signal"), Some(json!("Rtt")), ["spec.rules[0].signal", "supported values: \"RttForecast\""]),
        (rule("signal"), None, ["spec.rules[0].signal", "Required value"]),
        (rule("debounce"), Some(json!({"k": 1, "of": 2})), ["spec.rules[0].debounce", "remove one of them"]),
        (rule("holdFor"), Some(json!("1500ms")), [hold, "whole seconds"]),
        (rule("holdFor"), Some(json!("1s1us")), [hold, "whole seconds"]),
        (rule("holdFor"), Some(json!("2m")), [hold, "at most 60s"]),
        (rule("holdFor"), Some(json!("2")), [hold, "numbers with units"]),
        (rule("keepFiringFor"), Some(json!("2h")), ["spec.rules[0].keepFiringFor", "at most 3600s"]),
        (rule("keepFiringFor"), Some(json!("1ms")), ["spec.rules[0].keepFiringFor", "whole seconds"]),
        (rule("severity"), Some(json!("warning")), ["spec.rules[0].severity", "\"Info\", \"Warning\", \"Critical\""]),
        (rule("maxFalseAlertsPerDay"), Some(json!(0)), ["spec.rules[0].maxFalseAlertsPerDay", "to 1"]),
        (rule("maxFalseAlertsPerDay"), Some(json!(0.5)), ["spec.rules[0].maxFalseAlertsPerDay", "type integer"]),
        (
            rule("maxFalseAlertsPerDay"),
            Some(json!(1_u64 << 32)),
            ["maxFalseAlertsPerDay", "less than or equal to 4294967295"],
        ),
        (rule("minConfidencePercent"), Some(json!(4)), ["spec.rules[0].minConfidencePercent", "or equal to 5"]),
        (rule("minConfidencePercent"), Some(json!(0)), ["spec.rules[0].minConfidencePercent", "or equal to 5"]),
        (rule("minConfidencePercent"), Some(json!(-50)), ["spec.rules[0].minConfidencePercent", "or equal to 5"]),
        (rule("minConfidencePercent"), Some(json!(100)), ["spec.rules[0].minConfidencePercent", "or equal to 99"]),
        (rule("minConfidencePercent"), Some(json!(0.5)), ["spec.rules[0].minConfidencePercent", "type integer"]),
        (rule("minConfidencePercent"), Some(json!("50%")), ["spec.rules[0].minConfidencePercent", "type integer"]),
        (rule("name"), Some(json!("RTT")), ["spec.rules[0].name", "lower-case"]),
        (rule("name"), Some(json!("")), ["spec.rules[0].name", "at least 1 chars"]),
        (rule("name"), Some(json!("r".repeat(64))), ["spec.rules[0].name", "63"]),
        (rule("name"), None, ["spec.rules[0].name", "Required value"]),
        (rule("model"), Some(json!({})), [model, "exactly one of builtin and configMapKeyRef"]),
        (rule("model"), Some(json!({"file": "a.onnx"})), [model, "put the model into a ConfigMap"]),
        (
            rule("model"),
            Some(json!({"builtin": "max-10", "sha256": digest})),
            [model, "put the model into a ConfigMap"],
        ),
        (
            rule("model"),
            Some(json!({"builtin": "a", "configMapKeyRef": {"name": "a", "key": "b", "sha256": digest}})),
            [model, "exactly one"],
        ),
        (rule("model"), Some(json!({"configMapKeyRef": {"name": "a", "key": "b"}})), ["sha256", "Required value"]),
        (rule("model"), reference("a", "b", "ab"), ["configMapKeyRef.sha256", "64 hexadecimal digits"]),
        (rule("model"), reference("A", "b", &digest), ["configMapKeyRef.name", "lower-case"]),
        (rule("model"), reference("a", "b/c", &digest), ["configMapKeyRef.key", "write for example model.onnx.gz"]),
        ("/spec/mode".into(), Some(json!("Loud")), ["spec.mode", "\"Active\", \"Shadow\""]),
        ("/spec/rules".into(), Some(json!([])), ["spec.rules", "at least 1 items"]),
        ("/spec/rules".into(), None, ["spec.rules", "Required value"]),
        ("/spec/target".into(), None, ["spec.target", "Required value"]),
        (SELECTOR.into(), None, ["spec.target.podSelector", "Required value"]),
        (SELECTOR.into(), Some(json!({"matchLabels": {"-a": "b"}})), ["podSelector.matchLabels", "a label's key"]),
        (SELECTOR.into(), Some(json!({"matchLabels": {"a": "b c"}})), ["podSelector.matchLabels", "should match"]),
        (SELECTOR.into(), expression(json!({"key": "a", "operator": "In"})), ["[0].values", "at least one value"]),
        (
            SELECTOR.into(),
            expression(json!({"key": "a", "operator": "Exists", "values": ["b"]})),
            ["[0].values", "expected no values"],
        ),
        (SELECTOR.into(), expression(json!({"key": "a b", "operator": "Exists"})), ["[0].key", "a label's key"]),
        (SELECTOR.into(), expression(json!({"key": "a", "operator": "Is"})), ["[0].operator", "\"DoesNotExist\""]),
        ("/spec/target/podSelektor".into(), Some(json!({})), ["unknown field", "spec.target.podSelektor"]),
    ]
}

#[tokio::test]
async fn every_mistake_is_told_with_its_place_and_what_to_write() {
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        let mut wrong = Vec::new();
        for (pointer, value, expected) in mistakes() {
            let policy = edited(&pointer, value.clone());
            match cluster.try_out(&policy).await {
                Ok(_) => wrong.push(format!("{pointer} {value:?}: accepted")),
                Err(error) => {
                    let message = words(error);
                    let missing = expected.iter().any(|text| !message.contains(text));
                    if missing || message.contains("evaluat") {
                        wrong.push(format!("{pointer} {value:?}: expected {expected:?}, got {message}"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{version}: {}", wrong.join("\n"));
    }
}

#[test]
fn what_the_server_refuses_does_not_convert_either() {
    for (pointer, value, _) in mistakes() {
        let mut policy = edited(&pointer, value.clone());
        policy["metadata"]["uid"] = json!("0f1");
        let converted = serde_json::from_value::<PrecursorPolicy>(policy)
            .map_err(|error| error.to_string())
            .and_then(|policy| Policy::try_from(&policy).map_err(|refusal| refusal.to_string()));
        // Fields that types do not have are lost before the conversion sees them.
        assert!(converted.is_err() || pointer.ends_with("podSelektor"), "{pointer} {value:?} converts");
    }
}

#[tokio::test]
async fn two_rules_of_one_name_are_refused() {
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        let mut policy = document(CHECKOUT);
        let rule = policy["spec"]["rules"][0].clone();
        policy["spec"]["rules"].as_array_mut().unwrap().push(rule);
        let message = words(cluster.try_out(&policy).await.expect_err("two of one name"));
        assert!(message.contains("spec.rules[1]: Duplicate value"), "{version}: {message}");
    }
}

#[tokio::test]
async fn an_alert_is_about_a_pod_or_a_workload_and_never_about_both_or_neither() {
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        for is_both in [true, false] {
            let mut alert = serde_json::to_value(accepted::alert("subject-0123456789")).unwrap();
            let spec = alert["spec"].as_object_mut().unwrap();
            if is_both {
                spec.insert("workloadRef".to_owned(), json!({"kind": "Deployment", "name": "checkout"}));
            } else {
                spec.remove("podRef");
            }
            let parameters = PatchParams::apply("test").force();
            let message = words(cluster.patch(&alert, &parameters).await.expect_err("two subjects or none"));
            assert!(message.contains("either workloadRef or podRef"), "{version}: {message}");
        }
    }
}

#[tokio::test]
async fn an_alert_stays_with_whom_it_warns_of() {
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        let mut alert = serde_json::to_value(accepted::alert("immutable-0123456789")).unwrap();
        cluster.apply(&alert).await;
        alert["spec"]["podRef"]["name"] = json!("another");
        let parameters = PatchParams::apply("test").force();
        let message = words(cluster.patch(&alert, &parameters).await.expect_err("another pod"));
        assert!(
            message.contains("spec: Invalid value") && message.contains("delete the alert"),
            "{version}: {message}"
        );
    }
}
