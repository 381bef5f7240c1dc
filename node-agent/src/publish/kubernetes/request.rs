//! One request to the API server, with a deadline, and what its answer means for the queue.

use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, header::RETRY_AFTER};
use http_body_util::{BodyExt as _, Limited};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Client, client::Body, core::Status};
use netprecursor_kit::{Failure, no_answer};
use serde::Deserialize;

use crate::publish::queue::Outcome;

/// A request that takes longer has failed: kube's default is to wait for ever.
const DEADLINE: Duration = Duration::from_secs(10);

/// An answer larger than this is not one of ours.
const MAX_ANSWER: usize = 1 << 20;

/// What is of interest in an object.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    metadata: ObjectMeta,
}

/// Makes a request. Whatever goes wrong is an outcome; beside it, what was answered.
pub(super) async fn send(
    client: &Client,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> (Outcome, Bytes) {
    let request = match request {
        Ok(request) => request.map(Body::from),
        Err(error) => return (Outcome::Refused { reason: crate::error::chain(&error) }, Bytes::new()),
    };
    let answered = tokio::time::timeout(DEADLINE, async {
        let response = client.send(request).await.map_err(|error| crate::error::chain(&error))?;
        let status = response.status();
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        Ok::<_, String>((status, wait.map(Duration::from_secs), body.to_bytes()))
    })
    .await;
    match answered {
        Err(_) => (Outcome::Down { reason: no_answer(DEADLINE), wait: None }, Bytes::new()),
        Ok(Err(reason)) => (Outcome::Down { reason, wait: None }, Bytes::new()),
        Ok(Ok((status, wait, body))) => (outcome(status, wait, &body), body),
    }
}

/// The metadata of the object that was answered; empty where none was.
pub(super) fn metadata(body: &[u8]) -> ObjectMeta {
    serde_json::from_slice::<Object>(body).unwrap_or_default().metadata
}

/// What an answer means.
fn outcome(code: StatusCode, wait: Option<Duration>, body: &[u8]) -> Outcome {
    if code.is_success() {
        return Outcome::Done { uid: metadata(body).uid };
    }
    // Not every answer is JSON: a proxy's or a rate limiter's is plain text.
    let status = serde_json::from_slice::<Status>(body).unwrap_or_default().with_code(code.as_u16());
    let failure = Failure::of(&status);
    let reason = Some(status.message).filter(|words| !words.is_empty());
    let reason = reason.unwrap_or_else(|| format!("the API server answered {code}"));
    match failure {
        Failure::Missing => Outcome::Missing,
        Failure::Ending => Outcome::Gone,
        Failure::Exists => Outcome::Done { uid: None },
        Failure::Conflict => Outcome::Outdated { reason },
        Failure::Invalid => Outcome::Refused { reason },
        Failure::Busy { retry_after } => Outcome::Down { reason, wait: wait.or(retry_after) },
        _ => Outcome::Failed { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Outcome {
        outcome(StatusCode::from_u16(status).unwrap(), None, body.as_bytes())
    }

    #[test]
    fn answers_mean_what_the_api_means_by_them() {
        let failure =
            |reason: &str| format!(r#"{{"kind":"Status","status":"Failure","message":"no","reason":"{reason}"}}"#);
        let table = [
            (200, r#"{"metadata":{"uid":"u"}}"#.to_owned(), Outcome::Done { uid: Some("u".to_owned()) }),
            (201, String::new(), Outcome::Done { uid: None }),
            (409, failure("AlreadyExists"), Outcome::Done { uid: None }),
            (409, failure("Conflict"), Outcome::Outdated { reason: "no".to_owned() }),
            (404, failure("NotFound"), Outcome::Missing),
            (403, failure("Forbidden"), Outcome::Failed { reason: "no".to_owned() }),
            (422, failure("Invalid"), Outcome::Refused { reason: "no".to_owned() }),
            (500, failure("InternalError"), Outcome::Down { reason: "no".to_owned(), wait: None }),
            (401, failure("Unauthorized"), Outcome::Down { reason: "no".to_owned(), wait: None }),
        ];
        for (status, body, expected) in table {
            assert_eq!(answered(status, &body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_namespace_that_ends_is_gone() {
        let body = r#"{"message":"no","reason":"Forbidden","details":{"causes":[{"reason":"NamespaceTerminating"}]}}"#;
        assert_eq!(answered(403, body), Outcome::Gone);
    }

    #[test]
    fn the_server_says_how_long_it_wants_to_be_left_alone() {
        let busy = |header, body: &str| outcome(StatusCode::TOO_MANY_REQUESTS, header, body.as_bytes());
        let waits = |outcome| match outcome {
            Outcome::Down { wait, .. } => wait,
            other => panic!("{other:?}"),
        };
        assert_eq!(waits(busy(Some(Duration::from_secs(7)), "Too many requests")), Some(Duration::from_secs(7)));
        assert_eq!(waits(busy(None, r#"{"details":{"retryAfterSeconds":3}}"#)), Some(Duration::from_secs(3)));
        assert_eq!(waits(busy(None, "<html>")), None);
    }
}
