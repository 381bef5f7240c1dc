//! The HTTP interface: `/api/v1/` in JSON, `/metrics`, `/healthz`, `/readyz`, and the page of its status.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use netprecursor_core::alert::Alert;
use netprecursor_kit::{Access, access::guarded};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_stream::{StreamExt, wrappers::BroadcastStream};

use super::{
    metrics,
    page::{POLICY, Page},
    stream::{self, Stream},
    views::{forecasts, history, scores, targets},
};
use crate::{
    health::{Board, Health},
    metrics::seen::{By, Seen},
    status::{Need, State as SensorState, Status},
    tick::snapshot::Snapshot,
};

/// The tick thread is stuck when it has not done a tick for this long.
const STUCK: Duration = Duration::from_secs(5);

/// What the handlers see.
#[derive(Clone)]
pub struct Shared {
    /// The last second.
    pub latest: watch::Receiver<Arc<Snapshot>>,
    /// The stream of ticks.
    pub stream: Stream,
    /// Release of the kernel.
    pub kernel: Arc<str>,
    /// How the sinks are doing.
    pub boards: Arc<[Board]>,
    /// Who may read metrics from outside the pod; everybody where there is nothing to decide it.
    pub access: Option<Arc<Access>>,
}

impl Shared {
    /// The last second.
    pub fn read(&self) -> Arc<Snapshot> {
        Arc::clone(&self.latest.borrow())
    }

    /// How the sinks are doing.
    pub fn health(&self) -> Vec<Health> {
        self.boards.iter().map(Board::read).collect()
    }

    /// What metrics show of the last `seconds`.
    pub fn seen(&self, seconds: u64, by: By) -> Seen {
        let scrapes = self.access.as_ref().map(|access| access.counts().into()).unwrap_or_default();
        Seen { scrapes, ..Seen::of(&self.read(), seconds, self.health(), self.stream.lost(), by) }
    }

    fn is_alive(&self) -> bool {
        self.latest.borrow().is_fresh(STUCK)
    }
}

/// What probes and scrapes ask, alone: metrics name every watched pod, so not everybody who reaches the address reads them.
pub fn probes(shared: Shared) -> Router {
    let metrics = guarded(get(metrics_text), shared.access.clone());
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", metrics)
        .with_state(shared)
}

/// All routes, for whoever is on this host, or in the agent's pod.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .route("/api/v1/targets", get(|State(shared): State<Shared>| async move { Json(targets::targets(&shared.read())) }))
        .route("/api/v1/selection", get(|State(shared): State<Shared>| async move { Json(shared.read().selection()) }))
        .route("/api/v1/window", get(window))
        .route("/api/v1/history", get(history))
        .route("/api/v1/forecast", get(|State(shared): State<Shared>| async move { Json(forecasts::forecasts(&shared.read())) }))
        .route("/api/v1/alerts", get(|State(shared): State<Shared>| async move { Json(alerts(&shared.read())) }))
        .route("/api/v1/scores", get(|State(shared): State<Shared>| async move { Json(scores::scores(&shared.read())) }))
        .route("/api/v1/sensors", get(|State(shared): State<Shared>| async move { Json(sensors(&shared)) }))
        .route("/api/v1/sinks", get(|State(shared): State<Shared>| async move { Json(shared.health()) }))
        .route("/api/v1/stream", get(streamed))
        .fallback(|| async {
            let known =
                "/api/v1/{targets,selection,window,history,forecast,alerts,scores,sensors,sinks,stream}, /metrics, /healthz, /readyz";
            (StatusCode::NOT_FOUND, Json(ApiError { error: format!("no such path; expected one of {known}") }))
        })
        .with_state(shared)
}

#[derive(Serialize)]
struct ApiError {
    error: String,
}

async fn page(State(shared): State<Shared>) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let snapshot = shared.read();
    let page = Page {
        is_alive: shared.is_alive(),
        kernel: &shared.kernel,
        targets: snapshot.targets.len(),
        firing: snapshot.targets.iter().filter(|target| target.is_firing()).count(),
        last_tick: snapshot.counters.last,
        sensors: &snapshot.sensors.statuses,
        sinks: &shared.health(),
    };
    (headers, Html(page.render())).into_response()
}

async fn health(State(shared): State<Shared>) -> Response {
    if shared.is_alive() {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("no tick for {} s\n", STUCK.as_secs())).into_response()
    }
}

async fn ready(State(shared): State<Shared>) -> Response {
    let missing = missing(&shared.read().sensors.statuses);
    match (shared.is_alive(), missing.is_empty()) {
        (true, true) => "ok\n".into_response(),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "no tick yet\n").into_response(),
        (true, false) => (StatusCode::SERVICE_UNAVAILABLE, missing + "\n").into_response(),
    }
}

/// What is required and missing, a line each.
pub fn missing(statuses: &[Status]) -> String {
    let is_missing =
        |status: &&Status| status.need == Need::Required && matches!(status.state, SensorState::Unavailable(_));
    let lines = statuses.iter().filter(is_missing).map(|status| format!("{}: {}", status.name, status.state));
    lines.collect::<Vec<_>>().join("\n")
}

async fn metrics_text(State(shared): State<Shared>) -> Response {
    let seen = shared.seen(1, By::Target);
    let text = metrics::encode(&seen);
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowQuery {
    target: String,
}

async fn window(State(shared): State<Shared>, Query(query): Query<WindowQuery>) -> Response {
    let Some(view) = history::window(&shared.read(), &query.target) else {
        let error =
            format!("got target {:?}, which is not watched; /api/v1/targets lists those that are", query.target);
        return (StatusCode::NOT_FOUND, Json(ApiError { error })).into_response();
    };
    Json(view).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    /// Unix time, s: only what came later.
    #[serde(default)]
    since: u64,
}

/// One request per second draws any number of targets.
async fn history(State(shared): State<Shared>, Query(query): Query<HistoryQuery>) -> Response {
    Json(history::history(&shared.read(), query.since)).into_response()
}

fn alerts(snapshot: &Snapshot) -> Vec<Alert> {
    // Readers name targets by name.
    let alerts = snapshot.alerts.iter().map(|alert| Alert { subject: None, ..Alert::clone(alert) });
    let mut alerts: Vec<Alert> = alerts.collect();
    alerts.sort_by_key(|alert| std::cmp::Reverse(alert.fired_unix));
    alerts
}

fn sensors(shared: &Shared) -> serde_json::Value {
    let snapshot = shared.read();
    let Snapshot { sensors, counters, .. } = snapshot.as_ref();
    let rtt_source = match sensors.counter(netprecursor_agent_common::Counter::SmoothedSample) {
        0 => "Measured",
        _ => "Smoothed",
    };
    serde_json::json!({
        "kernel": &*shared.kernel,
        "rttSource": rtt_source,
        "sensors": sensors.statuses,
        "surveyFailures": sensors.survey_failures,
        "ticks": counters.ticks,
        "ticksSkipped": counters.skipped,
        "lastTickMicroseconds": counters.last.as_micros() as u64,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamQuery {
    #[serde(default = "yes")]
    features: bool,
}

const fn yes() -> bool {
    true
}

async fn streamed(State(shared): State<Shared>, Query(query): Query<StreamQuery>) -> Response {
    let header = stream::header(&shared.kernel, query.features);
    let sender = shared.stream.clone();
    let lines = BroadcastStream::new(shared.stream.listen()).map(move |line| match line {
        Ok(snapshot) => stream::line(&snapshot, query.features),
        Err(tokio_stream::wrappers::errors::BroadcastStreamRecvError::Lagged(ticks)) => {
            sender.lose(ticks);
            format!("{{\"lost\":{ticks}}}\n")
        }
    });
    let body = Body::from_stream(tokio_stream::once(header).chain(lines).map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}
