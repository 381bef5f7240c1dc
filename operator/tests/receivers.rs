//! Alerts as Alertmanager gets them from the operator that leads: its own watch, a fake API server, and a receiver over HTTP.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use futures::FutureExt as _;
use netprecursor_fakeapi::{Kind, Kinds, Server};
use netprecursor_operator::{
    config::{Settings, parse},
    election::Leadership,
    metrics::Metrics,
    notify::Notifier,
    reconcile::Context,
};
use serde_json::{Value, json};

const INSTALL: &str = "netprecursor-system";

/// All alerts that were posted, in order.
type Posted = Arc<Mutex<Vec<Value>>>;

async fn receiver() -> (String, Posted) {
    let posted = Posted::default();
    let take = |State(posted): State<Posted>, body: Bytes| async move {
        let alerts: Vec<Value> = serde_json::from_slice(&body).unwrap();
        posted.lock().unwrap().extend(alerts);
    };
    let router = Router::new().route("/api/v2/alerts", post(take)).with_state(Arc::clone(&posted));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, posted)
}

/// With the definitions of a newer release, which knows one more severity.
fn server() -> Server {
    const SEVERITIES: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/severity/enum";
    let definitions = netprecursor_crds::schema::definitions().unwrap();
    let kinds = definitions.iter().map(|definition| {
        let mut definition = serde_json::to_value(definition).unwrap();
        if let Some(severities) = definition.pointer_mut(SEVERITIES) {
            severities.as_array_mut().unwrap().push("Fatal".into());
        }
        Kind::custom(&definition).unwrap()
    });
    let server = Server::new(kinds.fold(Kinds::builtin(), Kinds::with), 7);
    server.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})).unwrap();
    server
}

/// An alert on a Deployment of this name fires.
fn fire(server: &Server, name: &str) -> Value {
    let condition = json!({
        "type": "Firing", "status": "True", "reason": "RttBreachForecast", "message": "RTT is forecast to reach 231ms.",
        "lastTransitionTime": "2025-06-15T15:06:40Z",
    });
    let alert = json!({
        "apiVersion": "netprecursor.io/v1alpha1",
        "kind": "PrecursorAlert",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "p"},
            "rule": "rtt",
            "workloadRef": {"kind": "Deployment", "name": name},
            "nodeName": "node1",
        },
        "status": {
            "state": "Firing", "severity": "Warning", "threshold": "200ms", "predicted": "231ms", "chancePercent": 74,
            "count": 1, "firedAt": "2025-06-15T15:06:40Z", "trigger": "Forecast", "model": {"name": "adaptive"},
            "conditions": [condition],
        },
    });
    server.create(&alert).unwrap()
}

fn lead(server: &Server, url: &str, leadership: Leadership) -> Notifier {
    let config = format!(
        "anchor: a\nleaseName: l\nclusterName: east\nalertmanager: {{urls: ['{url}']}}\nagent: {{name: agent, \
         serviceAccountName: agent, image: agent:1}}\n"
    );
    let settings = Settings::new(parse(&config).unwrap(), INSTALL.to_owned(), "operator-0".to_owned()).unwrap();
    let client = server.client("operator", INSTALL);
    let now = server.clone();
    let context = Context {
        client: client.clone(),
        settings: Arc::new(settings),
        leadership,
        clock: Arc::new(move || now.now()),
        checker: Arc::new(|_| futures::future::ready(Ok(())).boxed()),
        metrics: Metrics::default(),
    };
    Notifier::start(&client, &context).unwrap()
}

/// The alerts about this workload, as they were posted.
fn about(posted: &Posted, workload: &str) -> Vec<Value> {
    posted.lock().unwrap().iter().filter(|alert| alert["labels"]["workload"] == workload).cloned().collect()
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < limit, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn alerts_are_sent_when_they_fire_and_when_they_are_over_or_gone() {
    let (server, (url, posted)) = (server(), receiver().await);
    let before = fire(&server, "before");
    let _notifier = lead(&server, &url, Leadership::alone());
    until("the alert that was there", || about(&posted, "before").len() == 1).await;
    let alert = &about(&posted, "before")[0];
    assert_eq!((&alert["labels"]["namespace"], &alert["labels"]["cluster"]), (&"shop".into(), &"east".into()));
    assert_eq!(alert["startsAt"], "2025-06-15T15:06:40Z");
    assert_eq!(alert["annotations"]["description"], "RTT is forecast to reach 231ms.");
    let over = json!({"status": {"state": "Resolved", "resolvedAt": "2025-06-15T15:07:10Z"}});
    server.patch(&before, "", &over).unwrap();
    until("its end", || about(&posted, "before").len() == 2).await;
    assert_eq!(about(&posted, "before")[1]["endsAt"], "2025-06-15T15:07:10Z");
    let later = fire(&server, "later");
    until("another alert", || about(&posted, "later").len() == 1).await;
    server.delete(&later).unwrap();
    until("the end of one that is gone", || about(&posted, "later").len() == 2).await;
    let end = &about(&posted, "later")[1];
    assert!(end["annotations"]["description"].as_str().unwrap().contains("object was deleted"), "{end}");
}

#[tokio::test]
async fn whoever_leads_next_sends_all_that_fires_and_whoever_led_before_nothing_more() {
    let server = server();
    let [(first, from_first), (second, from_second)] = [receiver().await, receiver().await];
    fire(&server, "a");
    let notifier = lead(&server, &first, Leadership::alone());
    until("the alert", || about(&from_first, "a").len() == 1).await;
    drop(notifier);
    let _next = lead(&server, &second, Leadership::alone());
    fire(&server, "b");
    until("both alerts", || about(&from_second, "a").len() == 1 && about(&from_second, "b").len() == 1).await;
    assert_eq!(from_first.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_object_of_a_newer_release_ends_no_alert() {
    let (server, (url, posted)) = (server(), receiver().await);
    let alert = fire(&server, "a");
    let _notifier = lead(&server, &url, Leadership::alone());
    until("the alert", || about(&posted, "a").len() == 1).await;
    server.patch(&alert, "", &json!({"status": {"severity": "Fatal"}})).unwrap();
    fire(&server, "b");
    until("the next alert", || about(&posted, "b").len() == 1).await;
    assert_eq!(about(&posted, "a").len(), 1);
}

#[tokio::test]
async fn nothing_is_sent_once_the_lead_has_run_out() {
    let server = server();
    let [(first, from_first), (second, from_second)] = [receiver().await, receiver().await];
    let end = tokio::time::Instant::now() + Duration::from_millis(300);
    let mut notifier = lead(&server, &first, Leadership::until(end));
    notifier.ended().await;
    fire(&server, "a");
    let _next = lead(&server, &second, Leadership::alone());
    until("the alert", || about(&from_second, "a").len() == 1).await;
    assert_eq!(from_first.lock().unwrap().len(), 0);
}
