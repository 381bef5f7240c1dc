//! The routes of `/api/v1`. The router is made of [`Route`] alone, and so is the document (`openapi.rs`): no route without
//! a description. It describes each in a `match`, and is compared with the file that is published and served.

use std::convert::Infallible;

use axum::{
    Json, Router,
    body::Body,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use serde::{Deserialize, Serialize};
use tokio_stream::{StreamExt, wrappers::BroadcastStream};

use super::Shared;
use crate::serve::{
    stream,
    views::{alerts, forecasts, history, scores, sensors, targets},
};

/// What describes the routes: OpenAPI 3.1.
pub(super) const DOCUMENT: &str = include_str!("../../../../docs/openapi.json");

/// What begins the path of each.
const PREFIX: &str = "/api/v1/";

/// A path that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Targets,
    Selection,
    Window,
    History,
    Forecast,
    Alerts,
    Scores,
    Sensors,
    Sinks,
    Stream,
    Detect,
    Document,
}

impl Route {
    pub(super) const ALL: [Self; 12] = [
        Self::Targets,
        Self::Selection,
        Self::Window,
        Self::History,
        Self::Forecast,
        Self::Alerts,
        Self::Scores,
        Self::Sensors,
        Self::Sinks,
        Self::Stream,
        Self::Detect,
        Self::Document,
    ];

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Targets => "/api/v1/targets",
            Self::Selection => "/api/v1/selection",
            Self::Window => "/api/v1/window",
            Self::History => "/api/v1/history",
            Self::Forecast => "/api/v1/forecast",
            Self::Alerts => "/api/v1/alerts",
            Self::Scores => "/api/v1/scores",
            Self::Sensors => "/api/v1/sensors",
            Self::Sinks => "/api/v1/sinks",
            Self::Stream => "/api/v1/stream",
            Self::Detect => "/api/v1/detect",
            Self::Document => "/api/v1/openapi.json",
        }
    }

    fn handler(self) -> MethodRouter<Shared> {
        match self {
            Self::Targets => get(|State(shared): State<Shared>| async move { Json(targets::targets(&shared.read())) }),
            Self::Selection => get(|State(shared): State<Shared>| async move { Json(shared.read().selection()) }),
            Self::Window => get(window),
            Self::History => get(history),
            Self::Forecast => {
                get(|State(shared): State<Shared>| async move { Json(forecasts::forecasts(&shared.read())) })
            }
            Self::Alerts => get(|State(shared): State<Shared>| async move { Json(alerts::alerts(&shared.read())) }),
            Self::Scores => get(|State(shared): State<Shared>| async move {
                let snapshot = shared.read();
                Json(scores::scores(&snapshot)).into_response()
            }),
            Self::Sensors => get(|State(shared): State<Shared>| async move {
                let snapshot = shared.read();
                Json(sensors::sensors(&shared.kernel, &snapshot)).into_response()
            }),
            Self::Sinks => get(|State(shared): State<Shared>| async move { Json(shared.health()) }),
            Self::Stream => get(streamed),
            Self::Detect => {
                post(
                    |State(shared): State<Shared>, request: Request| async move { shared.detect.answer(request).await },
                )
            }
            Self::Document => get(|| async { ([(header::CONTENT_TYPE, "application/json")], DOCUMENT) }),
        }
    }
}

/// All of them.
pub(super) fn routes() -> Router<Shared> {
    Route::ALL.into_iter().fold(Router::new(), |router, route| router.route(route.path(), route.handler()))
}

/// For a method that a path does not answer.
pub(super) fn wrong_method() -> Response {
    refused(StatusCode::METHOD_NOT_ALLOWED, "got another method, expected the one of the header Allow".to_owned())
}

/// For a path that is none.
pub(super) fn not_found() -> Response {
    let known = Route::ALL.map(|route| route.path().trim_start_matches(PREFIX)).join(",");
    refused(
        StatusCode::NOT_FOUND,
        format!("no such path; expected one of {PREFIX}{{{known}}}, /metrics, /healthz, /readyz"),
    )
}

/// The body of every answer that is not 200.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Error"))]
pub(super) struct ApiError {
    /// What was got, what was expected, and what to do.
    error: String,
}

pub(super) fn refused(status: StatusCode, error: String) -> Response {
    (status, Json(ApiError { error })).into_response()
}

/// What is behind the `?`, or why it cannot be read.
type Asked<T> = Result<Query<T>, QueryRejection>;

fn misread(rejection: &QueryRejection) -> Response {
    let expected = "expected the parameters that /api/v1/openapi.json describes";
    refused(StatusCode::BAD_REQUEST, format!("{}; {expected}", rejection.body_text()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowQuery {
    target: String,
}

async fn window(State(shared): State<Shared>, query: Asked<WindowQuery>) -> Response {
    let Query(WindowQuery { target }) = match query {
        Ok(query) => query,
        Err(rejection) => return misread(&rejection),
    };
    let Some(view) = history::window(&shared.read(), &target) else {
        let shown: String = target.chars().take(80).collect();
        let error = format!("got target {shown:?}, which is not watched; /api/v1/targets lists those that are");
        return refused(StatusCode::NOT_FOUND, error);
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
async fn history(State(shared): State<Shared>, query: Asked<HistoryQuery>) -> Response {
    match query {
        Ok(Query(HistoryQuery { since })) => Json(history::history(&shared.read(), since)).into_response(),
        Err(rejection) => misread(&rejection),
    }
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

async fn streamed(State(shared): State<Shared>, query: Asked<StreamQuery>) -> Response {
    let Query(StreamQuery { features }) = match query {
        Ok(query) => query,
        Err(rejection) => return misread(&rejection),
    };
    let header = stream::header(&shared.kernel, features);
    let sender = shared.stream.clone();
    let lines = BroadcastStream::new(shared.stream.listen()).map(move |line| match line {
        Ok(snapshot) => stream::line(&snapshot, features),
        Err(tokio_stream::wrappers::errors::BroadcastStreamRecvError::Lagged(ticks)) => {
            sender.lose(ticks);
            stream::lost(ticks)
        }
    });
    let body = Body::from_stream(tokio_stream::once(header).chain(lines).map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, stream::CONTENT_TYPE)], body).into_response()
}
