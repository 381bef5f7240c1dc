//! The HTTP interface: `/api/v1/` in JSON ([`routes`]), `/metrics`, `/healthz`, `/readyz`, and the page of its status.

#[cfg(test)]
mod openapi;
mod routes;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use netprecursor_kit::{Access, access::guarded};
use netprecursor_models::detect::serve::Endpoint;
use tokio::sync::watch;

use super::{
    metrics,
    page::{POLICY, Page},
    stream::Stream,
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
    /// What scores posted rows, sequences and signals.
    pub detect: Endpoint,
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

/// All routes, for whoever is on this host, or in the agent's pod, at `address`.
pub fn router(shared: Shared, address: SocketAddr) -> Router {
    let routes = Router::new()
        .route("/", get(page))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .merge(routes::routes())
        .method_not_allowed_fallback(|| async { routes::wrong_method() })
        .fallback(|| async { routes::not_found() })
        .with_state(shared);
    if address.ip().is_loopback() { routes.layer(middleware::from_fn(of_this_machine)) } else { routes }
}

/// A page elsewhere can have its own name resolve to 127.0.0.1, and would read what is served here (DNS rebinding).
async fn of_this_machine(request: Request, next: Next) -> Response {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = match named.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => named,
    };
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback()) {
        return next.run(request).await;
    }
    let shown: String = named.chars().take(80).collect();
    routes::refused(
        StatusCode::MISDIRECTED_REQUEST,
        format!("got host {shown:?}, expected one of this machine, such as 127.0.0.1"),
    )
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
