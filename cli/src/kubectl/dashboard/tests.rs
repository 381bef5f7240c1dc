//! The watches on an API server inside the test: what a picture has, what of it is missing without a right, and what happens
//! while the server is away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use netprecursor_fakeapi::{Kind, Kinds, Rule, Server, fault::Outage};
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};

use super::follow;
use crate::{
    dashboard::cluster::Picture,
    kubectl::{connect::Cluster, dashboard::dial::Agents},
};

/// Where the role is that a user needs besides the chart's.
const DOCUMENTATION: &str = include_str!("../../../../docs/dashboard.md");
/// The chart as it renders by default.
const MANIFESTS: &str = include_str!("../../../../deploy/kustomize/netprecursor.yaml");

const INSTALL: &str = "netprecursor-system";
const USER: &str = "jane";

/// Watches end after minutes, and only then is a server missed that does not answer any more.
const PATIENCE: Duration = Duration::from_secs(3_600);

fn create(server: &Server, object: &Value) {
    server.create(object).unwrap_or_else(|refusal| panic!("{}: {object}", refusal.message));
}

/// A node with an agent, a policy that is not ready, and an alert that is firing.
fn server() -> Server {
    let definitions = netprecursor_crds::schema::definitions().unwrap();
    let kinds = definitions.iter().fold(Kinds::builtin(), |kinds, definition| {
        kinds.with(Kind::custom(&serde_json::to_value(definition).unwrap()).unwrap())
    });
    let server = Server::new(kinds, 11);
    for namespace in [INSTALL, "shop"] {
        create(&server, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
    }
    create(&server, &json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}}));
    create(
        &server,
        &json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "agent-1", "namespace": INSTALL, "labels": {"app.kubernetes.io/name": "netprecursor-agent"}},
            "spec": {"nodeName": "node1", "containers": [{"name": "agent", "image": "agent:1"}]}, "status": {"phase": "Running"},
        }),
    );
    let condition = |type_: &str, status: &str, reason: &str, message: &str| json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2025-06-15T15:06:40Z"});
    create(
        &server,
        &json!({
            "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorNodeReport", "metadata": {"name": "node1"},
            "status": {
                "agentVersion": "0.1.0", "kernel": "6.18.4", "rttSource": "Measured", "socketCoveragePercent": 97, "targets": 12,
                "queue": {"pending": 0, "dropped": 3}, "overhead": {"cpu": "4m", "memory": "31Mi"}, "heartbeat": "2025-06-15T15:06:40Z",
                "sensors": [{"name": "tcp", "need": "Required", "state": "Active"}],
            },
        }),
    );
    let refused = condition("Ready", "False", "Invalid", "rules[0]: got a threshold of 0s");
    create(
        &server,
        &json!({
            "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorPolicy", "metadata": {"name": "checkout", "namespace": "shop"},
            "spec": {
                "target": {"podSelector": {"matchLabels": {"app": "checkout"}}},
                "rules": [{"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}}],
            },
            "status": {"observedGeneration": 1, "targets": 12, "conditions": [refused]},
        }),
    );
    create(
        &server,
        &json!({
            "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorAlert", "metadata": {"name": "checkout-1", "namespace": "shop"},
            "spec": {
                "policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "p-1"}, "rule": "rtt",
                "podRef": {"name": "checkout-x2", "uid": "u-1"}, "nodeName": "node1",
            },
            "status": {
                "state": "Firing", "severity": "Warning", "threshold": "200ms", "predicted": "231ms", "chancePercent": 74, "count": 1,
                "firedAt": "2025-06-15T15:06:40Z", "trigger": "Forecast", "model": {"name": "adaptive"},
                "conditions": [condition("Firing", "True", "RttBreachForecast", "")],
            },
        }),
    );
    server
}

/// Follows the cluster as [`USER`] and hands each picture to `look` until that is content. Namespace `shop` is the user's own.
async fn until(server: &Server, mut look: impl FnMut(&Picture) -> bool) -> Arc<Picture> {
    let cluster = Cluster::of(server.client(USER, "shop"), "shop");
    let (pictures, mut shown) = watch::channel(Arc::new(Picture::default()));
    let (agents, _known) = watch::channel(Arc::new(Agents::default()));
    let seen = async {
        loop {
            shown.changed().await.unwrap();
            let picture = Arc::clone(&shown.borrow_and_update());
            if look(&picture) {
                return picture;
            }
        }
    };
    tokio::select! {
        ended = follow(&cluster, false, pictures, agents) => panic!("{ended:?}"),
        picture = timeout(PATIENCE, seen) => picture.expect("a picture that never comes"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_picture_has_nodes_policies_and_alerts_of_the_cluster() {
    let picture = until(&server(), |_| true).await;
    assert_eq!((picture.trouble.as_ref(), picture.with_agent.as_slice()), (None, ["node1".to_owned()].as_slice()));
    assert!(picture.notes.iter().all(|note| !note.contains("not permitted")), "{:?}", picture.notes);
    let node = &picture.nodes.nodes[0];
    assert_eq!((node.targets, node.firing, node.cpu.as_deref()), (Some(12), Some(1), Some("4m")));
    assert_eq!(node.losses.iter().map(|loss| loss.count).collect::<Vec<_>>(), [3]);
    let policy = &picture.policies[0];
    assert_eq!((policy.ready, policy.reason.as_str(), policy.targets), (false, "Invalid", Some(12)));
    assert!(policy.findings[0].message.contains("a threshold of 0s"), "{:?}", policy.findings);
    let alerts = picture.alerts.as_ref().unwrap();
    assert_eq!(
        (alerts.len(), alerts[0].alert.target.as_str(), alerts[0].node.as_str()),
        (1, "shop/checkout-x2", "node1")
    );
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_missing_is_named_with_what_still_works() {
    let server = server();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let rule = Rule {
        verbs: words(&["list", "watch"]),
        api_groups: words(&["netprecursor.io"]),
        resources: words(&["precursoralerts"]),
        resource_names: Vec::new(),
    };
    server.grant(USER, Some("shop"), rule);
    let picture = until(&server, |picture| picture.alerts.is_some()).await;
    assert_eq!(picture.alerts.as_ref().map(Vec::len), Some(1));
    let notes = picture.notes.join("\n");
    for part in [
        "precursoralerts of all namespaces",
        "not permitted to list and watch precursorpolicies",
        "not permitted to list and watch pods of the install namespace",
        "nodes are shown without what their agents report",
    ] {
        assert!(notes.contains(part), "{part} is not in\n{notes}");
    }
    assert_eq!(picture.trouble, None, "a right that is missing is no failure that passes");
}

/// Grants the rules of a role or cluster role.
fn grant(server: &Server, namespace: Option<&str>, role: &Value) {
    for rule in role["rules"].as_array().unwrap() {
        server.grant(USER, namespace, serde_json::from_value(rule.clone()).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn the_role_of_the_documentation_and_the_charts_view_are_enough() {
    let server = server();
    let (_, role) = DOCUMENTATION.split_once("```yaml\n").unwrap();
    let (role, _) = role.split_once("```").unwrap();
    grant(&server, Some(INSTALL), &serde_saphyr::from_str(role).unwrap());
    let mut objects = MANIFESTS.split("\n---").map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
    let is_view = |object: &Value| object["kind"] == "ClusterRole" && object["metadata"]["name"] == "netprecursor-view";
    grant(&server, None, &objects.find(is_view).unwrap());
    let picture = until(&server, |_| true).await;
    assert!(picture.notes.iter().all(|note| !note.contains("not permitted")), "{:?}", picture.notes);
    assert_eq!(picture.with_agent, ["node1"]);
}

#[tokio::test(start_paused = true)]
async fn while_the_server_is_away_what_is_known_stays_and_is_said_to_be_old() {
    let server = server();
    let is_down = Arc::new(AtomicBool::new(false));
    let down = Arc::clone(&is_down);
    server.set_faults(Outage::new(USER, move || down.load(Ordering::Relaxed)));
    let mut saw_trouble = false;
    let picture = until(&server, |picture| {
        match (&picture.trouble, saw_trouble) {
            (None, false) => is_down.store(true, Ordering::Relaxed),
            (Some(_), _) => {
                assert_eq!(picture.alerts.as_ref().map(Vec::len), Some(1));
                saw_trouble = true;
                is_down.store(false, Ordering::Relaxed);
            }
            (None, true) => return true,
        }
        false
    })
    .await;
    assert_eq!(picture.alerts.as_ref().map(Vec::len), Some(1));
}
