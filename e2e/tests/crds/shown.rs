//! What kubectl shows and selects by.

use kube::api::ListParams;
use serde_json::{Value, json};

use crate::{Cluster, VERSIONS, accepted, document};

async fn get(cluster: &Cluster, path: &str, accept: &str) -> Value {
    let request = http::Request::get(path).header("accept", accept).body(Vec::new()).unwrap();
    cluster.client.request(request).await.unwrap_or_else(|error| panic!("{}: {path}: {error}", cluster.version))
}

/// The columns and the first row of what `kubectl get` prints for one object.
async fn table(cluster: &Cluster, path: &str) -> (Vec<String>, Vec<Value>) {
    let table = get(cluster, path, "application/json;as=Table;v=v1;g=meta.k8s.io").await;
    let columns = table["columnDefinitions"].as_array().unwrap().iter();
    let names = columns
        .map(|column| {
            let name = column["name"].as_str().unwrap().to_uppercase();
            if column["priority"] == 0 { name } else { format!("[{name}]") }
        })
        .collect();
    (names, table["rows"][0]["cells"].as_array().unwrap().clone())
}

const API: &str = "/apis/netprecursor.io/v1alpha1";

#[tokio::test]
async fn alerts_are_listed_with_what_counts() {
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        cluster.write(&serde_json::to_value(accepted::alert("shown-0123456789")).unwrap()).await;
        let (columns, cells) =
            table(&cluster, &format!("{API}/namespaces/shop/precursoralerts/shown-0123456789")).await;
        let expected = "NAME SEVERITY RULE POD PODS PREDICTED CHANCE MEASURED LEAD STATE [CONFIRMED] [WORKLOAD] [POLICY] [NODE] [COUNT] AGE";
        assert_eq!(columns.join(" "), expected, "{version}");
        let shown =
            json!(["shown-0123456789", "Warning", "rtt", "checkout-x2", 2, "231ms", 74, "244ms", "6s", "Firing"]);
        assert_eq!(json!(cells[..10]), shown, "{version}");
        assert_eq!(json!(cells[12..15]), json!(["checkout", "node1", 2]), "{version}");
    }
}

#[tokio::test]
async fn policies_and_reports_are_listed_with_what_counts() {
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        let mut policy = document(crate::CHECKOUT);
        policy["metadata"]["name"] = json!("shown");
        let time = "2026-01-02T03:04:05Z";
        policy["status"] = json!({
            "targets": 12, "firing": 1,
            "rules": [
                {"name": "rtt", "window": "SinceChange", "precisionPercent": 1, "recallPercent": 2, "leadMedian": "1s"},
                {"name": "rtt", "window": "24h", "precisionPercent": 78, "recallPercent": 87, "leadMedian": "6s"},
            ],
            "conditions": [
                {"type": "Ready", "status": "False", "reason": "Invalid", "message": "", "lastTransitionTime": time},
            ],
        });
        cluster.write(&policy).await;
        let (columns, cells) = table(&cluster, &format!("{API}/namespaces/shop/precursorpolicies/shown")).await;
        let expected = "NAME MODE READY TARGETS FIRING PRECISION RECALL [LEAD] [REASON] AGE";
        assert_eq!(columns.join(" "), expected, "{version}");
        let shown = json!(["shown", "Active", "False", 12, 1, 78, 87, "6s", "Invalid"]);
        assert_eq!(json!(cells[..9]), shown, "{version}");

        cluster.write(&serde_json::to_value(accepted::report()).unwrap()).await;
        let (columns, cells) = table(&cluster, &format!("{API}/precursornodereports/node1")).await;
        let expected = "NAME READY VERSION KERNEL RTT COVERAGE TARGETS [CPU] [MEMORY] [PENDING] HEARTBEAT AGE";
        assert_eq!(columns.join(" "), expected, "{version}");
        assert_eq!(json!(cells[2..10]), json!(["0.1.0", "6.18.4", "Measured", 97, 12, "4m", "31Mi", 3]), "{version}");
    }
}

#[tokio::test]
async fn alerts_are_selected_by_policy_pod_node_severity_and_state() {
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        let mut alert = serde_json::to_value(accepted::alert("selected-0123456789")).unwrap();
        alert["metadata"]["namespace"] = json!("selected");
        cluster.write(&alert).await;
        alert["metadata"]["name"] = json!("selected-9876543210");
        alert["spec"] = json!({
            "policyRef": {"kind": "PrecursorPolicy", "name": "other", "uid": "u3"},
            "rule": "rtt", "podRef": {"name": "other", "uid": "u4"}, "nodeName": "node2",
        });
        let mut on_workload = alert.clone();
        on_workload["metadata"]["name"] = json!("selected-of-a-workload");
        on_workload["spec"].as_object_mut().unwrap().remove("podRef");
        on_workload["spec"]["workloadRef"] = json!({"kind": "Deployment", "name": "shop"});
        on_workload["spec"]["policyRef"]["name"] = json!("third");
        alert["status"]["severity"] = json!("Critical");
        alert["status"]["state"] = json!("Resolved");
        cluster.write(&alert).await;
        on_workload["spec"]["nodeName"] = json!("node3");
        cluster.write(&on_workload).await;
        let api = cluster.api_of(&alert).await;
        let found = api.list(&ListParams::default().fields("spec.workloadRef.name=shop")).await.unwrap();
        let names: Vec<_> = found.items.iter().filter_map(|alert| alert.metadata.name.as_deref()).collect();
        assert_eq!(names, ["selected-of-a-workload"], "{version}");
        for selector in [
            "spec.policyRef.name=other",
            "spec.podRef.name=other",
            "spec.nodeName=node2",
            "status.severity=Critical",
            "status.state=Resolved",
            "status.state!=Firing",
        ] {
            let found = api.list(&ListParams::default().fields(selector)).await.unwrap();
            let names: Vec<_> = found.items.iter().filter_map(|alert| alert.metadata.name.as_deref()).collect();
            assert_eq!(names, ["selected-9876543210"], "{version}: {selector}");
        }
    }
}

/// What `kubectl explain` prints for a field: the description in the published schema.
fn explained<'a>(schemas: &'a Value, kind: &str, path: &str) -> &'a str {
    let root = format!("io.netprecursor.v1alpha1.{kind}");
    let mut field = &schemas["components"]["schemas"][&root];
    for name in path.split('.') {
        field = &field["properties"][name];
        if field["items"].is_object() && !path.ends_with(name) {
            field = &field["items"];
        }
    }
    field["description"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn kubectl_explains_every_field() {
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        let schemas = get(&cluster, "/openapi/v3/apis/netprecursor.io/v1alpha1", "application/json").await;
        for (kind, path, text) in [
            ("PrecursorPolicy", "spec.rules.rttForecast.threshold", "RTT above this value is in breach"),
            ("PrecursorPolicy", "spec.rules.severity", "- `Critical`: Look at it now."),
            ("PrecursorPolicy", "spec.rules.minConfidencePercent", "Defaults to `50`"),
            ("PrecursorPolicy", "status.rules.reachablePercent", "The highest recent forecast chance"),
            ("PrecursorAlert", "status.chancePercent", "of a breach within ten seconds"),
            ("ClusterPrecursorPolicy", "spec.target.namespaceSelector", "all namespaces if absent"),
            ("PrecursorAlert", "status.causes.sharePercent", "in percent"),
            ("PrecursorNodeReport", "status.sensors.reason", "what to do"),
        ] {
            let output = explained(&schemas, kind, path);
            assert!(output.contains(text), "{version}: {kind} {path}: {output:?}");
        }
    }
}

#[tokio::test]
async fn the_status_is_written_by_its_own_door() {
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        let mut policy = document(crate::CHECKOUT);
        policy["metadata"]["name"] = json!("two-doors");
        policy["status"] = json!({"targets": 3});
        let stored = cluster.apply(&policy).await;
        assert!(stored.data["status"].is_null(), "{version}: {stored:?}");
        cluster.write(&policy).await;
        let api = cluster.api_of(&policy).await;
        let stored = api.get("two-doors").await.unwrap();
        assert_eq!((&stored.data["status"]["targets"], stored.metadata.generation), (&json!(3), Some(1)), "{version}");
    }
}
