//! Who is on call: an HTTP server that Alertmanager notifies.

use std::{
    collections::BTreeMap,
    sync::mpsc,
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use serde::Deserialize;
use tokio::net::TcpListener;

type Labels = BTreeMap<String, String>;

/// What it is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Notification {
    pub(crate) status: String,
    pub(crate) group_labels: Labels,
    pub(crate) alerts: Vec<Told>,
}

/// An alert in a notification.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Told {
    pub(crate) status: String,
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
}

impl Notification {
    /// Whether it has an alert about this pod.
    pub(crate) fn is_about(&self, pod: &str) -> bool {
        self.alerts.iter().any(|alert| alert.labels["pod"] == pod)
    }
}

/// It keeps what it is told.
#[derive(Debug)]
pub(crate) struct OnCall {
    url: String,
    incoming: mpsc::Receiver<Notification>,
    heard: Vec<Notification>,
}

impl OnCall {
    /// One that answers as long as the test's runtime lives.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (told, incoming) = mpsc::channel();
        let router = Router::new().route("/", post(take)).with_state(told);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, incoming, heard: Vec::new() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The first notification that is so, which it has heard or waits for.
    pub(crate) fn hears(&mut self, what: &str, limit: Duration, is_it: impl Fn(&Notification) -> bool) -> Notification {
        let end = Instant::now() + limit;
        loop {
            if let Some(found) = self.heard.iter().find(|notification| is_it(notification)) {
                return found.clone();
            }
            let Ok(next) = self.incoming.recv_timeout(end.saturating_duration_since(Instant::now())) else {
                panic!("waited {limit:?} in vain to hear of {what}; heard {:#?}", self.heard);
            };
            self.heard.push(next);
        }
    }

    /// All that it heard so far.
    pub(crate) fn heard(&self) -> &[Notification] {
        &self.heard
    }
}

async fn take(State(told): State<mpsc::Sender<Notification>>, body: Bytes) {
    // The test may be over.
    let _ = told.send(serde_json::from_slice(&body).unwrap());
}
