//! What the API server takes.

use std::{fs, path::Path};

use netprecursor_crds::{PrecursorAlert, PrecursorNodeReport, policy::MAX_RULES};
use serde_json::{Value, json};

use crate::{CHECKOUT, Cluster, VERSIONS, document, documents, words};

fn files(directory: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push((path.display().to_string(), fs::read_to_string(&path).unwrap())),
        }
    }
    files
}

#[tokio::test]
async fn every_example_is_applied_and_those_for_hosts_are_refused_with_the_way_out() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policies");
    let files = files(&directory);
    assert!(files.len() >= 5, "{files:?}");
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        for (path, yaml) in &files {
            for mut object in documents(yaml) {
                if object["kind"] == "PrecursorPolicy" && object["metadata"]["namespace"].is_null() {
                    object["metadata"]["namespace"] = json!("lab");
                }
                if !path.contains("/standalone/") {
                    cluster.apply(&object).await;
                    continue;
                }
                let message = words(cluster.try_out(&object).await.expect_err(path));
                assert!(message.contains("write configMapKeyRef: {name, key, sha256}"), "{path}: {message}");
            }
        }
    }
}

/// As many networks as there can be, in the longest notation.
fn networks() -> Vec<String> {
    (0..32).map(|index| format!("2001:{index:04x}:0000:0000:0000:0000:0000:0000/32")).collect()
}

/// As many exceptions, all from the last of [`networks`], and none with its first address.
fn exceptions() -> Vec<String> {
    (1..=32).map(|index| format!("2001:001f:{index:04x}:0000:0000:0000:0000:0000/64")).collect()
}

/// A policy of `count` rules, each as long as it can be.
fn large(count: usize) -> Value {
    let mut policy = document(CHECKOUT);
    let requirement = |index: usize| {
        let values: Vec<_> = (0..64).map(|value| format!("{:x<63}", value)).collect();
        json!({"key": format!("{}/{:k<63}", ["p"; 126].join("."), index), "operator": "In", "values": values})
    };
    let rule = |index: usize| {
        json!({
            "name": format!("r{index:r>62}"),
            "signal": "RttForecast",
            "rttForecast": {
                "threshold": "000200000us",
                "resolveThreshold": "0h0m0s199ms999us",
                "measure": "Inflation",
                "statistic": "P99",
                "peers": {"cidrs": networks(), "except": exceptions()},
            },
            "debounce": {"k": 59, "of": 60},
            "keepFiringFor": "0h59m60s",
            "severity": "Critical",
            "alertPer": "Pod",
            "model": {"configMapKeyRef": {"name": "n".repeat(253), "key": "k".repeat(253), "sha256": "ab".repeat(32)}},
            "minConfidencePercent": 99,
            "maxFalseAlertsPerDay": u32::MAX,
        })
    };
    policy["metadata"]["name"] = json!(format!("large-{count}"));
    policy["spec"]["target"]["podSelector"]["matchExpressions"] = (0..32).map(requirement).collect();
    policy["spec"]["rules"] = (0..count).map(rule).collect();
    policy
}

#[tokio::test]
async fn the_largest_policy_stays_within_the_cost_limits() {
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        cluster.apply(&large(MAX_RULES)).await;
        let message = words(cluster.try_out(&large(MAX_RULES + 1)).await.expect_err("65 rules"));
        assert!(message.contains("spec.rules") && message.contains("at most 64 items"), "{version}: {message}");
    }
}

#[tokio::test]
async fn defaults_are_those_of_the_reference_and_nothing_else_is_written() {
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        let mut policy = document(CHECKOUT);
        policy["metadata"]["name"] = json!("bare");
        policy["spec"]["rules"] =
            json!([{"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}}]);
        let stored = cluster.apply(&policy).await.data["spec"].clone();
        policy["spec"]["mode"] = json!("Active");
        policy["spec"]["rules"][0]["severity"] = json!("Warning");
        policy["spec"]["rules"][0]["alertPer"] = json!("Workload");
        assert_eq!(stored, policy["spec"], "{version}");
    }
}

/// Everything that an alert can say.
pub(crate) fn alert(name: &str) -> PrecursorAlert {
    serde_json::from_value(json!({
        "apiVersion": "netprecursor.io/v1alpha1",
        "kind": "PrecursorAlert",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "u1"},
            "rule": "rtt",
            "podRef": {"name": "checkout-x2", "uid": "u2"},
            "nodeName": "node1",
        },
        "status": {
            "observedGeneration": 3,
            "state": "Firing",
            "severity": "Warning",
            "threshold": "200ms",
            "resolveThreshold": "160ms",
            "podCount": 2,
            "firingPodCount": 1,
            "pods": [
                {"name": "checkout-x2", "uid": "u2", "state": "Firing", "predicted": "231ms", "measured": "244ms"},
                {"name": "checkout-y7", "uid": "u3", "state": "Resolved"},
            ],
            "predicted": "231ms",
            "chancePercent": 74,
            "measured": "244ms",
            "lead": "6s",
            "count": 2,
            "firedAt": "2026-01-02T03:04:05Z",
            "resolvedAt": "2026-01-02T03:05:05Z",
            "trigger": "Forecast",
            "resolution": "Recovered",
            "causes": [{
                "group": "Queue", "feature": "standing_queue", "unit": "bytes", "value": "182k", "baseline": "9k",
                "sharePercent": 61,
            }],
            "model": {"name": "rtt-xgboost", "sha256": "ab".repeat(32), "fallback": "none fits"},
            "conditions": [{
                "type": "Firing", "status": "True", "reason": "Forecast", "message": "", "observedGeneration": 1,
                "lastTransitionTime": "2026-01-02T03:04:05Z",
            }],
        },
    }))
    .unwrap()
}

/// Everything that a node can report.
pub(crate) fn report() -> PrecursorNodeReport {
    serde_json::from_value(json!({
        "apiVersion": "netprecursor.io/v1alpha1",
        "kind": "PrecursorNodeReport",
        "metadata": {"name": "node1"},
        "status": {
            "agentVersion": "0.1.0",
            "kernel": "6.18.4",
            "rttSource": "Measured",
            "socketCoveragePercent": 97,
            "overhead": {"cpu": "4m", "memory": "31Mi"},
            "sensors": [{"name": "sched", "need": "Optional", "state": "Unavailable", "reason": "no tracefs"}],
            "targets": 12,
            "targetsOverCapacity": 1,
            "queue": {"pending": 3, "dropped": 4},
            "models": [{"policyUID": "u1", "rule": "rtt", "name": "max-10", "ready": false, "reason": "wrong digest"}],
            "rules": [{
                "policyUID": "u1", "policyName": "checkout", "policyNamespace": "shop", "rule": "rtt", "ruleHash": "0f",
                "since": "2026-01-02T03:04:05Z", "targets": 12, "throttled": 1, "neededPercent": 62,
                "reachablePercent": 31, "skillPercent": {"q50": 20, "q90": -8}, "leadingExpert": "hour", "alerts": 4, "confirmed": 3, "late": 1,
                "unconfirmed": 1, "unjudged": 1, "incidents": 3, "warned": 2, "missed": 1, "ongoing": 1, "gated": 1,
                "leadSeconds": [0, 1, 1], "targetSeconds": 9,
            }],
            "omitted": 2,
            "conditions": [],
            "heartbeat": "2026-01-02T03:04:05Z",
        },
    }))
    .unwrap()
}

/// What is written comes back, field by field: nothing is pruned, nothing is made up.
async fn round_trip(cluster: &Cluster, object: Value) {
    cluster.write(&object).await;
    let name = object["metadata"]["name"].as_str().unwrap();
    let api = cluster.api_of(&object).await;
    let stored = api.get(name).await.unwrap();
    assert_eq!(stored.data["status"], object["status"], "{} {name}", cluster.version);
    assert_eq!(stored.data.get("spec"), object.get("spec"), "{} {name}", cluster.version);
}

#[tokio::test]
async fn alerts_and_reports_come_back_as_they_were_written() {
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        round_trip(&cluster, serde_json::to_value(alert("checkout-0123456789")).unwrap()).await;
        let mut report = serde_json::to_value(report()).unwrap();
        // An empty list of conditions is left out.
        report["status"].as_object_mut().unwrap().remove("conditions");
        round_trip(&cluster, report).await;
    }
}

#[tokio::test]
async fn a_policys_status_comes_back_as_it_was_written() {
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        let mut policy = document(CHECKOUT);
        policy["metadata"]["name"] = json!("with-status");
        policy["spec"]["mode"] = json!("Shadow");
        let score = |window: &str| {
            json!({
                "name": "rtt", "window": window, "since": "2026-01-02T03:04:05Z", "alerts": 9, "confirmed": 7, "late": 1,
                "unconfirmed": 1, "unjudged": 0, "incidents": 8, "warned": 7, "missed": 1, "precisionPercent": 87,
                "recallPercent": 87, "leadMedian": "6s", "leadP10": "2s", "falseAlertsPerPodDay": "0.25",
                "neededPercent": 62, "reachablePercent": 31, "skillPercent": {"q50": 20, "q99": -999},
                "leadingExpert": "hour",
            })
        };
        policy["status"] = json!({
            "observedGeneration": 1, "targets": 12, "firing": 1, "rules": [score("24h"), score("SinceChange")],
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Followed", "message": "", "observedGeneration": 1,
                "lastTransitionTime": "2026-01-02T03:04:05Z",
            }],
        });
        let typed: netprecursor_crds::PrecursorPolicy = serde_json::from_value(policy.clone()).unwrap();
        round_trip(&cluster, serde_json::to_value(typed).unwrap()).await;
    }
}
