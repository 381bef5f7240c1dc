//! The dashboard's own HTTP interface: the page, `/api/v1/` in JSON, and one stream of events. Nothing that is asked changes
//! anything; what is posted is tried or scored, and forgotten.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::{RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response, sse::Sse},
    routing::{get, post},
};
use netprecursor_models::detect::serve::Endpoint;
use serde::Serialize;
use tokio::sync::{Semaphore, watch};

use super::{
    assets::{Assets, POLICY},
    document,
    fleet::{ALONE, Fleet},
    guard::{Guard, Refusal},
    live, models, past,
    past::Past,
    query::{Query, View},
    store::{Frame, Look},
    trial::{self, Desk},
    views,
};
use crate::history::HistoryError;

/// Streams that may be open at a time: tabs of a few people.
const STREAMS: usize = 64;

/// Seconds of signals without a word of how many.
const SECONDS: u64 = 600;

/// What the follower writes and the handlers read.
pub(super) struct Shared {
    fleet: Mutex<Fleet>,
    past: Past,
    changes: watch::Sender<()>,
    streams: Arc<Semaphore>,
}

impl Shared {
    /// Of the agent at `url`, of which nothing is kept.
    #[cfg(test)]
    pub(super) fn new(url: &str) -> Self {
        Self::of(Fleet::of_agent(url, unix_ms()), Past::none())
    }

    /// Of the agent at `url`, with what was kept of it before.
    pub(super) fn keeping(url: &str, past: Past) -> Result<Self, HistoryError> {
        let begun = unix_ms();
        let mut fleet = Fleet::of_agent(url, begun);
        if let Some(store) = fleet.store(ALONE) {
            past.remember(store, begun / 1_000)?;
        }
        Ok(Self::of(fleet, past))
    }

    /// Of the cluster whose API server is at `url`.
    pub(super) fn of_cluster(url: &str, past: Past) -> Self {
        Self::of(Fleet::of_cluster(url, unix_ms()), past)
    }

    fn of(fleet: Fleet, past: Past) -> Self {
        let (changes, streams) = (watch::Sender::new(()), Arc::new(Semaphore::new(STREAMS)));
        Self { fleet: Mutex::new(fleet), past, changes, streams }
    }

    fn lock(&self) -> MutexGuard<'_, Fleet> {
        // A handler that panicked left nothing half written: it only reads.
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is known.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Fleet) -> T) -> T {
        read(&self.lock())
    }

    /// Takes in something, and says that there is something new.
    pub(super) fn change(&self, change: impl FnOnce(&mut Fleet)) {
        change(&mut self.lock());
        self.changes.send_replace(());
    }

    /// See [`Fleet::look`].
    pub(super) fn look(&self, look: &Look) {
        self.lock().look(look, Instant::now());
    }

    /// What lies further back.
    pub(super) const fn past(&self) -> &Past {
        &self.past
    }

    /// Resolves whenever something has changed.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// The last second that is known of the one agent, Unix s.
    pub(super) fn unix(&self) -> u64 {
        self.lock().unix_of(ALONE)
    }

    /// See [`Store::connected`](super::store::Store::connected).
    pub(super) fn connected(&self, agent_version: Option<String>, kernel: Option<String>) {
        if let Some(store) = self.lock().store(ALONE) {
            store.connected(agent_version, kernel);
        }
    }

    /// See [`Store::disconnected`](super::store::Store::disconnected).
    pub(super) fn disconnected(&self, reason: &str) {
        self.change(|fleet| {
            if let Some(store) = fleet.store(ALONE) {
                store.disconnected(reason.to_owned(), unix_ms() / 1_000);
            }
        });
    }

    /// See [`Store::take`](super::store::Store::take).
    pub(super) fn take(&self, frame: Frame, lost: u64, heard: Instant) {
        self.past.take(&frame);
        self.change(|fleet| {
            if let Some(store) = fleet.store(ALONE) {
                store.take(frame, lost, heard);
                self.past.describe(store);
            }
        });
    }
}

/// This program's own clock.
pub(super) fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or_default()
}

/// What handlers are given.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    assets: Arc<Assets>,
    guard: Arc<Guard>,
    detect: Endpoint,
}

/// All routes, behind the guard.
pub(super) fn router(shared: Arc<Shared>, assets: Arc<Assets>, guard: Guard, desk: Desk) -> Router {
    let trial = trial::routes(Arc::clone(&shared), desk);
    let context = Context { shared, assets, guard: Arc::new(guard), detect: Endpoint::default() };
    Router::new()
        .route("/api/v1/about", get(|| async { said(&views::About::this()) }))
        .route("/api/v1/overview", get(overview))
        .route("/api/v1/sparks", get(sparks))
        .route("/api/v1/target", get(target))
        .route("/api/v1/signals", get(signals))
        .route("/api/v1/range", get(past::range))
        .route("/api/v1/alerts", get(past::alerts))
        .route("/api/v1/policies", get(policies))
        .route("/api/v1/nodes", get(nodes))
        .route("/api/v1/models", get(about_models))
        .route("/api/v1/live", get(stream))
        .route("/api/v1/detect", post(detect))
        .route("/api/v1/openapi.json", get(openapi))
        .route("/api/v1/session", post(session))
        .merge(trial)
        .method_not_allowed_fallback(|| async {
            let words = "got another method, expected the one of the header Allow";
            refused(StatusCode::METHOD_NOT_ALLOWED, words.to_owned())
        })
        .fallback(page)
        .layer(middleware::from_fn_with_state(context.clone(), guarded))
        .with_state(context)
}

/// Refuses who may not ask, and says to browsers what the page may do.
async fn guarded(State(Context { guard, .. }): State<Context>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    // The page itself is no secret: it asks for the token.
    let is_open = !request.uri().path().starts_with("/api/");
    let checked = guard.check_host(headers).and_then(|()| if is_open { Ok(()) } else { guard.check_token(headers) });
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(Refusal::Host(words)) => refused(StatusCode::MISDIRECTED_REQUEST, words),
        Err(Refusal::Token(words)) => {
            let mut response = refused(StatusCode::UNAUTHORIZED, words.to_owned());
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
    };
    let headers = response.headers_mut();
    let rules = [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ];
    for (name, value) in rules {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn page(State(Context { assets, .. }): State<Context>, method: Method, request: Request) -> Response {
    let is_read = method == Method::GET || method == Method::HEAD;
    let file = if is_read { assets.answer(request.uri().path(), request.headers()) } else { None };
    file.unwrap_or_else(|| {
        let files = Assets::paths().collect::<Vec<_>>().join(", ");
        let api = "/api/v1/{about,overview,sparks,target,range,signals,alerts,policies,nodes,models,live,try,detect,session,\
                   openapi.json}";
        refused(StatusCode::NOT_FOUND, format!("no such path; expected one of {api}, {files}"))
    })
}

async fn overview(State(Context { shared, .. }): State<Context>) -> Response {
    shared.read(|fleet| said(&fleet.overview(Instant::now())))
}

async fn policies(State(Context { shared, .. }): State<Context>) -> Response {
    shared.read(|fleet| said(&fleet.policies()))
}

/// Off the thread that serves: what was never loaded takes a moment.
async fn about_models() -> Response {
    match tokio::task::spawn_blocking(models::cards).await {
        Ok(cards) => said(&cards),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn nodes(State(Context { shared, .. }): State<Context>) -> Response {
    shared.read(|fleet| said(&fleet.nodes(Instant::now())))
}

async fn sparks(State(Context { shared, .. }): State<Context>, RawQuery(query): RawQuery) -> Response {
    match parsed(query) {
        Ok(query) => shared.read(|fleet| said(&fleet.sparks(query.uids.iter().map(String::as_str)))),
        Err(words) => refused(StatusCode::BAD_REQUEST, words),
    }
}

async fn target(State(Context { shared, .. }): State<Context>, RawQuery(query): RawQuery) -> Response {
    about_one(query, |_, uid| shared.read(|fleet| fleet.target(uid).map(|history| said(&history))))
}

async fn signals(State(Context { shared, .. }): State<Context>, RawQuery(query): RawQuery) -> Response {
    about_one(query, |query, uid| {
        let seconds = query.seconds.unwrap_or(SECONDS);
        shared.read(|fleet| fleet.signals(uid, query.until, seconds).map(|history| said(&history)))
    })
}

/// Answers a request about one target.
fn about_one(query: Option<String>, answer: impl FnOnce(&Query, &str) -> Option<Response>) -> Response {
    let query = match parsed(query) {
        Ok(query) => query,
        Err(words) => return refused(StatusCode::BAD_REQUEST, words),
    };
    let uid = match query.uid() {
        Ok(uid) => uid,
        Err(words) => return refused(StatusCode::BAD_REQUEST, words),
    };
    answer(&query, uid).unwrap_or_else(|| {
        let shown: String = uid.chars().take(80).collect();
        refused(
            StatusCode::NOT_FOUND,
            format!("got target {shown:?}, which is not known; /api/v1/overview lists those that are"),
        )
    })
}

async fn stream(State(Context { shared, .. }): State<Context>, RawQuery(query): RawQuery) -> Response {
    let look = parsed(query).and_then(|query| match query.view {
        Some(View::Overview) if query.nodes.is_empty() => Ok(Look::Overview),
        Some(View::Overview) => Ok(Look::Nodes(query.nodes)),
        Some(View::Target) => query.uid().map(|uid| Look::Target(uid.to_owned())),
        Some(View::Alerts | View::Policies | View::Nodes) => Ok(Look::Rest),
        None => Err("got no view, expected overview, target, alerts, policies or nodes".to_owned()),
    });
    let look = match look {
        Ok(look) => look,
        Err(words) => return refused(StatusCode::BAD_REQUEST, words),
    };
    match Arc::clone(&shared.streams).try_acquire_owned() {
        Ok(permit) => Sse::new(live::events(shared, look, permit)).into_response(),
        Err(_) => {
            let words = format!("{STREAMS} pages follow already, expected fewer: close some of them");
            refused(StatusCode::SERVICE_UNAVAILABLE, words)
        }
    }
}

async fn openapi() -> Response {
    match document::document() {
        Ok(document) => said(&document),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// As the agent does.
async fn detect(State(Context { detect, .. }): State<Context>, request: Request) -> Response {
    detect.answer(request).await
}

/// Gives a browser that has shown the token a cookie instead.
async fn session(State(Context { guard, .. }): State<Context>) -> Response {
    let mut headers = HeaderMap::new();
    if let Some(cookie) = guard.session() {
        headers.insert(header::SET_COOKIE, cookie);
    }
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn parsed(query: Option<String>) -> Result<Query, String> {
    Query::parse(query.as_deref().unwrap_or_default())
}

/// JSON that no cache keeps.
pub(super) fn said(value: &impl Serialize) -> Response {
    let about = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    match serde_json::to_vec(value) {
        Ok(body) => (about, body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Why there is nothing else.
pub(super) fn refused(status: StatusCode, error: String) -> Response {
    let mut response = said(&views::Refusal { error });
    *response.status_mut() = status;
    response
}
