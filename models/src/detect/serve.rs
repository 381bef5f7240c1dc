//! `POST /api/v1/detect`: the [`Detector`] behind HTTP, alike in the agent and in the dashboard. It holds up nobody: scoring
//! has threads of its own, few requests are read at a time, and what comes beyond them is told to come again.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::LengthLimitError;
use serde::Serialize;
use tokio::{sync::Semaphore, task, time::timeout};

use super::{Answer, BODY_BYTES, Detector, Problem};

/// Requests that are read or scored at a time: with their bodies and lines a few MB each.
const AT_A_TIME: usize = 2;

/// For a body to come: a client that dawdles keeps others out no longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers the route; a clone shares the models.
#[derive(Debug, Clone)]
pub struct Endpoint {
    detector: Arc<Detector>,
    permits: Arc<Semaphore>,
}

/// The body of every answer that is not 200.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "DetectError"))]
pub struct ErrorBody {
    /// What was got, what was expected, and what to do.
    error: String,
    /// The field of the request that is wrong, such as `rows[3][17]`; empty when it is the body as a whole. Absent when it is
    /// not the body that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// Why a request is not answered as it wished.
#[derive(Debug)]
enum Failure {
    Type(String),
    Busy,
    Slow,
    Long,
    /// The connection broke, or its framing is wrong.
    Unread(String),
    Problem(Problem),
    Panicked,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self { detector: Arc::default(), permits: Arc::new(Semaphore::new(AT_A_TIME)) }
    }
}

impl Endpoint {
    /// Answers a request.
    pub async fn answer(&self, request: Request) -> Response {
        match self.detect(request).await {
            Ok(answer) => json(StatusCode::OK, &answer),
            Err(failure) => failure.into_response(),
        }
    }

    async fn detect(&self, request: Request) -> Result<Answer, Failure> {
        is_json(request.headers())?;
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| Failure::Busy)?;
        let body = read(request.into_body()).await?;
        let detector = Arc::clone(&self.detector);
        let scoring = task::spawn_blocking(move || {
            let answer = detector.detect(&body);
            // Also when nobody waits for the answer any more.
            drop(permit);
            answer
        });
        scoring.await.map_err(|_| Failure::Panicked)?.map_err(Failure::Problem)
    }
}

/// A form on a page elsewhere can post text, but not JSON, without being allowed to.
fn is_json(headers: &HeaderMap) -> Result<(), Failure> {
    let named = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let named = named.unwrap_or_default();
    let essence = named.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::Type(named.chars().take(80).collect()))
}

async fn read(body: Body) -> Result<Bytes, Failure> {
    let read = timeout(PATIENCE, to_bytes(body, BODY_BYTES)).await.map_err(|_| Failure::Slow)?;
    read.map_err(|error| {
        let error = error.into_inner();
        if error.is::<LengthLimitError>() { Failure::Long } else { Failure::Unread(error.to_string()) }
    })
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::Type(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Long => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unread(_) => StatusCode::BAD_REQUEST,
            Self::Problem(problem) if problem.field().is_some() => StatusCode::BAD_REQUEST,
            Self::Problem(_) | Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Type(got) => format!("got content type {got:?}, expected application/json"),
            Self::Busy => format!("{AT_A_TIME} requests are being scored, expected fewer: try again in a second"),
            Self::Slow => format!("got no whole body within {} s, expected one: try again", PATIENCE.as_secs()),
            Self::Long => {
                format!("got a body of more than {BODY_BYTES} bytes, expected at most that: post it in parts")
            }
            Self::Unread(reason) => format!("got a body that cannot be read ({reason}), expected JSON"),
            Self::Problem(problem) => problem.to_string(),
            Self::Panicked => "scoring failed: this is a defect, please report it with the request".to_owned(),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let field = match &self {
            Self::Problem(problem) => problem.field().map(str::to_owned),
            _ => None,
        };
        let mut response = json(self.status(), &ErrorBody { error: self.words(), field });
        if matches!(self, Self::Busy) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let about = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    match serde_json::to_vec(value) {
        Ok(body) => (status, about, body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::http;
    use futures_util::stream::pending;
    use serde_json::{Value, json};

    use super::*;

    const NAIVE: &str = r#"{"model": "last", "thresholdUs": 200000, "signals": [[{"rtt_max_us": 20000}]]}"#;

    fn post(body: impl Into<Body>, content_type: &str) -> Request {
        http::Request::post("/api/v1/detect").header(header::CONTENT_TYPE, content_type).body(body.into()).unwrap()
    }

    async fn answered(endpoint: &Endpoint, request: Request) -> (StatusCode, Value) {
        let response = endpoint.answer(request).await;
        let status = response.status();
        let body = to_bytes(response.into_body(), BODY_BYTES).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn what_is_posted_is_scored_and_what_is_wrong_is_named() {
        let endpoint = Endpoint::default();
        let (status, answer) = answered(&endpoint, post(NAIVE, "application/json; charset=utf-8")).await;
        assert_eq!((status, &answer["model"]["name"]), (StatusCode::OK, &json!("last")), "{answer}");
        let wrong = r#"{"model": "last", "signals": [[{"rtt_max_us": "fast"}]]}"#;
        let (status, answer) = answered(&endpoint, post(wrong, "application/json")).await;
        assert_eq!(
            (status, &answer["field"]),
            (StatusCode::BAD_REQUEST, &json!("signals[0][0].rtt_max_us")),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn what_is_no_json_by_its_header_is_not_read() {
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
            let (status, _) = answered(&Endpoint::default(), post(NAIVE, content_type)).await;
            assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_refused() {
        let long = " ".repeat(BODY_BYTES) + NAIVE;
        let (status, answer) = answered(&Endpoint::default(), post(long, "application/json")).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_dawdles_keeps_others_out_for_a_while_and_no_longer() {
        let endpoint = Endpoint::default();
        // Bodies that never come.
        let dawdling: Vec<_> = (0..AT_A_TIME)
            .map(|_| {
                let (endpoint, body) = (endpoint.clone(), Body::from_stream(pending::<Result<Bytes, Infallible>>()));
                tokio::spawn(async move { endpoint.answer(post(body, "application/json")).await.status() })
            })
            .collect();
        task::yield_now().await;
        let response = endpoint.answer(post(NAIVE, "application/json")).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        for dawdler in dawdling {
            assert_eq!(dawdler.await.unwrap(), StatusCode::REQUEST_TIMEOUT);
        }
        assert_eq!(endpoint.answer(post(NAIVE, "application/json")).await.status(), StatusCode::OK);
    }
}
