//! `/healthz` and `/readyz` for everybody, `/metrics` for those who may.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use netprecursor_kit::{Access, access::guarded};
use tokio::time::Instant;

use crate::metrics::Metrics;

/// The process hangs when the loop has not come round for so long. A round may take minutes when there are thousands of
/// writes, so it is the loop of the lease that counts.
const STUCK: Duration = Duration::from_secs(60);

/// How the process is doing, as its loops say.
#[derive(Debug, Clone)]
pub struct Health {
    alive: Arc<Mutex<Instant>>,
    ready: Arc<AtomicBool>,
    refusal: Arc<Mutex<Option<String>>>,
    metrics: Metrics,
}

impl Health {
    /// Alive, not ready yet.
    pub fn new(metrics: Metrics) -> Self {
        let alive = Arc::new(Mutex::new(Instant::now()));
        Self { alive, ready: Arc::default(), refusal: Arc::default(), metrics }
    }

    /// The loop came round.
    pub fn is_alive(&self) {
        *self.alive.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Why the process may not work at all; it is not ready then.
    pub fn is_refused(&self, why: Option<&str>) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = why.map(str::to_owned);
    }

    /// Whether the process does its work, or could take it over.
    pub fn is_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }
}

/// The routes. `access` decides who may read metrics; without it, everybody may.
pub fn router(health: Health, access: Option<Arc<Access>>) -> Router {
    let counted = access.clone();
    let metrics = get(async move |State(health): State<Health>| metrics(&health, counted.as_deref()));
    let metrics = guarded(metrics, access);
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", metrics)
        .with_state(health)
}

async fn alive(State(health): State<Health>) -> Response {
    let since = health.alive.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
    if since < STUCK {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("no sign of life for {} s\n", since.as_secs())).into_response()
}

async fn ready(State(health): State<Health>) -> Response {
    let refusal = health.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(why) = refusal {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("this operator does not work: {why}\n")).into_response();
    }
    if health.ready.load(Ordering::Relaxed) {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "the API server was not reached yet\n").into_response()
}

fn metrics(health: &Health, access: Option<&Access>) -> Response {
    if let Some(access) = access {
        health.metrics.requested(&access.counts());
    }
    match health.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
