//! What the agent makes of what the API server says, over kube's own client and watches.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect by unwrapping")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use netprecursor_agent::{
    cluster::{models::Shelf, networks::NetworksFile, recall::Recall, watching},
    desired::{Desired, Published},
};
use netprecursor_core::watch::Ledger;
use netprecursor_fakeapi::{Kind, Kinds, Server, fault::Outage};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Kinds whose objects are stored as they are: also those that a later release wrote.
fn kinds() -> Kinds {
    let custom = |plural: &str, kind: &str, scope: &str| {
        let definition = json!({"spec": {
            "group": "netprecursor.io", "scope": scope, "names": {"plural": plural, "kind": kind},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        }});
        Kind::custom(&definition).expect("a whole definition")
    };
    Kinds::builtin().with(custom("precursorpolicies", "PrecursorPolicy", "Namespaced")).with(custom(
        "clusterprecursorpolicies",
        "ClusterPrecursorPolicy",
        "Cluster",
    ))
}

struct Following {
    server: Server,
    desired: watch::Receiver<Arc<Desired>>,
}

impl Following {
    fn start() -> Self {
        let server = Server::new(kinds(), 7);
        server.create(&namespace("shop", "shop")).unwrap();
        let (sender, desired) = watch::channel(Arc::default());
        let client = server.client("agent", "netprecursor-system");
        let shelf = Shelf::new(client.clone(), "netprecursor-system".to_owned());
        tokio::spawn(async move {
            let recall = Recall::new(Arc::new(|_, _| Some(counted(7))));
            watching::follow(client, shelf, recall, NetworksFile::new(None), "node1", sender).await;
        });
        Self { server, desired }
    }

    /// Waits until what is desired is as wanted; time passes as fast as it can.
    async fn until(&mut self, what: &str, mut is_it: impl FnMut(&Desired) -> bool) -> Arc<Desired> {
        let wanted = self.desired.wait_for(|desired| is_it(desired));
        let found = tokio::time::timeout(Duration::from_secs(600), wanted).await;
        let found = found.map(|found| Arc::clone(&found.unwrap())).ok();
        found.unwrap_or_else(|| panic!("in vain: {what}; {:?}", self.desired.borrow()))
    }
}

fn counted(alerts: u64) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.scorecard.alerts = alerts;
    ledger
}

fn namespace(name: &str, team: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": team}}})
}

fn policy(name: &str, rule: &Value) -> Value {
    json!({
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorPolicy",
        "metadata": {"namespace": "shop", "name": name},
        "spec": {"target": {"podSelector": {"matchLabels": {"app": "web"}}}, "rules": [rule]},
    })
}

fn rule() -> Value {
    json!({"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}})
}

fn pod(name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "shop", "name": name, "labels": {"app": "web"}},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}], "hostIP": "192.0.2.1"},
    })
}

#[tokio::test(start_paused = true)]
async fn pods_of_this_node_are_watched_by_the_policies_that_select_them() {
    let mut following = Following::start();
    following.until("everything is listed", |desired| desired.synced && desired.policies.is_empty()).await;
    let server = following.server.clone();
    server.create(&policy("web", &rule())).unwrap();
    let created = server.create(&pod("web-1", "node1")).unwrap();
    server.create(&pod("web-2", "node2")).unwrap();
    let desired = following
        .until("the pod is watched", |desired| desired.pods.iter().any(|pod| !pod.watched_by.is_empty()))
        .await;
    assert_eq!(desired.pods.len(), 1);
    let pod = &desired.pods[0];
    assert_eq!(pod.reference.uid, created["metadata"]["uid"].as_str().unwrap());
    assert_eq!(pod.watched_by, [desired.policies[0].policy.uid.clone()]);
    assert_eq!(pod.addresses, ["10.0.0.7".parse::<std::net::IpAddr>().unwrap()]);
    let watching_policy = &desired.policies[0];
    let remembered = watching_policy.policy.rules.iter().map(|rule| watching_policy.take_remembered(rule));
    assert_eq!(remembered.collect::<Vec<_>>(), [Some(counted(7))]);

    // Labels, phases and policies change; nothing is restarted.
    server.patch(&created, "", &json!({"metadata": {"labels": {"app": "db"}}})).unwrap();
    following.until("the label decides", |desired| desired.pods.iter().all(|pod| pod.watched_by.is_empty())).await;
    server.patch(&created, "", &json!({"metadata": {"labels": {"app": "web"}}})).unwrap();
    following
        .until("the label decides again", |desired| desired.pods.iter().any(|pod| !pod.watched_by.is_empty()))
        .await;
    server.patch(&created, "status", &json!({"status": {"phase": "Succeeded"}})).unwrap();
    following.until("a pod that ended is none", |desired| desired.pods.is_empty()).await;
    server.delete(&policy("web", &rule())).unwrap();
    following.until("the policy is gone", |desired| desired.policies.is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_stops_no_other() {
    let mut following = Following::start();
    let server = following.server.clone();
    server.create(&policy("later", &json!({"name": "scan", "signal": "PortScan", "portScan": {}}))).unwrap();
    server
        .create(&policy(
            "invalid",
            &json!({"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "0ms"}}),
        ))
        .unwrap();
    server.create(&policy("good", &rule())).unwrap();
    let desired = following.until("the good one is followed", |desired| !desired.policies.is_empty()).await;
    assert_eq!(desired.policies.len(), 1);
    assert_eq!(desired.policies[0].reference.name, "good");
    // A good one that is spoilt is as good as gone; another one comes.
    server.patch(&policy("good", &rule()), "", &json!({"spec": {"rules": "none"}})).unwrap();
    server.create(&policy("other", &rule())).unwrap();
    following
        .until("only the other is left", |desired| {
            desired.policies.len() == 1 && desired.policies[0].reference.name == "other"
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn while_the_api_server_is_away_what_is_known_goes_on_and_afterwards_all_that_changed_arrives() {
    let mut following = Following::start();
    let server = following.server.clone();
    server.create(&policy("web", &rule())).unwrap();
    server.create(&pod("web-1", "node1")).unwrap();
    following.until("the pod is watched", |desired| desired.pods.iter().any(|pod| !pod.watched_by.is_empty())).await;

    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    server.set_faults(Outage::new("agent", move || down.load(Ordering::Relaxed)));
    // Longer than any watch lasts: what was open has ended, and nothing can be listed.
    tokio::time::sleep(Duration::from_secs(900)).await;
    server.delete(&pod("web-1", "node1")).unwrap();
    server.create(&pod("web-3", "node1")).unwrap();
    // History is forgotten meanwhile: watches cannot go on where they stopped.
    server.compact();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let names = |desired: &Desired| desired.pods.iter().map(|pod| pod.reference.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&following.desired.borrow_and_update()), ["web-1"]);
    is_down.store(false, Ordering::Relaxed);
    following.until("what changed has arrived", |desired| names(desired) == ["web-3"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_not_published_or_is_another_is_refused_with_the_reason() {
    let mut following = Following::start();
    let server = following.server.clone();
    server.create(&namespace("netprecursor-system", "us")).unwrap();
    let digest = "ab".repeat(32);
    let mut model = rule();
    model["model"] = json!({"configMapKeyRef": {"name": "mine", "key": "m.onnx", "sha256": digest}});
    server.create(&policy("web", &model)).unwrap();
    server.create(&pod("web-1", "node1")).unwrap();
    let reason = |desired: &Desired| match desired.models.get(&[0xab; 32]).map(AsRef::as_ref) {
        Some(Published::Refused(reason)) => reason.clone(),
        _ => String::new(),
    };
    following
        .until("it is missing", |desired| reason(desired).contains("has not published a copy of mine/m.onnx"))
        .await;
    let copy = format!("netprecursor-model-{}", "ab".repeat(20));
    server
        .create(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "netprecursor-system", "name": copy},
            "binaryData": {"model.onnx": "bW9kZWw="},
        }))
        .unwrap();
    following.until("it is another", |desired| reason(desired).contains("got a model of digest")).await;
    // Without a pod here that wants it, it is forgotten.
    server.delete(&pod("web-1", "node1")).unwrap();
    following.until("it is forgotten", |desired| desired.models.is_empty()).await;
}
