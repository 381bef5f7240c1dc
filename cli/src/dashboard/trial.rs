//! *Try a policy*: what a rule would have warned of, over what the dashboard keeps or over recordings on disk.
//!
//! A request becomes a policy in YAML ([`policy`]), and the rule that is tried is the one that this YAML reads as ([`asked`]). It
//! runs through the fold of `netprecursor backtest`, which is the agent's ([`work`]), over seconds in memory ([`kept`]) or a file
//! of the directory of recordings ([`shelf`]), bounded and stopped from outside ([`bounded`]). The [`desk`] decides who may; the
//! [`answer`] is what the page draws.

mod answer;
mod asked;
mod bounded;
mod desk;
mod kept;
mod lines;
mod policy;
mod shelf;
#[cfg(test)]
mod tests;
mod work;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    response::Response,
    routing::get,
};
use tokio::task::spawn_blocking;

use super::api::{Shared, refused, said};
use answer::Choices;
use asked::Asked;
pub(super) use desk::Desk;
pub(crate) use shelf::Shelf;

/// Seconds, summed over targets, that one trial plays at most: an hour of 27 targets, or 16 minutes of 100. With the
/// `adaptive` model that takes a few seconds of one core.
const MOST_SECONDS: usize = 100_000;

/// Targets of what is kept that one trial plays at most, so that each has at least a quarter of an hour.
const MOST_TARGETS: usize = 100;

/// Bytes of a request: as many identifiers as it may have, and the rule.
const MOST_BYTES: usize = 128 << 10;

/// What the routes share.
#[derive(Clone)]
struct Bench {
    shared: Arc<Shared>,
    desk: Arc<Desk>,
}

/// The routes of the page.
pub(super) fn routes<S>(shared: Arc<Shared>, desk: Desk) -> Router<S> {
    Router::new()
        .route("/api/v1/try", get(choices).post(attempt))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(Bench { shared, desk: Arc::new(desk) })
}

/// What can be tried.
async fn choices(State(Bench { desk, .. }): State<Bench>) -> Response {
    match spawn_blocking(move || Choices::of(desk.shelf())).await {
        Ok(Ok(choices)) => said(&choices),
        Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Tries a rule.
async fn attempt(
    State(Bench { shared, desk }): State<Bench>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    // A page elsewhere can have a browser send forms and plain text here, but not JSON, for which browsers ask first.
    if !is_json(&headers) {
        let got = headers.get(header::CONTENT_TYPE).map_or("none", |value| value.to_str().unwrap_or("no text"));
        let got: String = got.chars().take(80).collect();
        let words = format!("got content type {got:?}, expected the header `content-type: application/json`");
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, words);
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            let words = format!("{}; expected at most {MOST_BYTES} bytes", rejection.body_text());
            return refused(rejection.status(), words);
        }
    };
    let asked = match Asked::read(&body) {
        Ok(asked) => asked,
        Err(wrong) => return refused(StatusCode::BAD_REQUEST, wrong.to_string()),
    };
    let Some(turn) = desk.turn(asked.page()) else { return refused(StatusCode::SERVICE_UNAVAILABLE, desk::full()) };
    let Some(place) = desk.place().await else { return refused(StatusCode::SERVICE_UNAVAILABLE, desk::full()) };
    let stop = turn.stop();
    let tried = spawn_blocking(move || {
        let tried = work::attempt(&asked, &shared, desk.shelf(), &stop);
        // A trial that was overtaken keeps its place until it has really ended.
        drop(place);
        tried
    });
    match tried.await {
        Ok(Ok(answer)) => said(&answer),
        Ok(Err(failure)) => refused(failure.status(), failure.to_string()),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, format!("the trial ended: {error}")),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let named = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    named.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
