//! Trials from request to answer, over a router without a socket.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use netprecursor_core::signal::{Signal, Signals};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{
    Desk, MOST_BYTES, Shelf,
    asked::Asked,
    work::{self, Failure},
};
use crate::{
    backtest::tests::{backtested, event_seconds},
    dashboard::{
        api::{Shared, router},
        assets::Assets,
        guard::Guard,
        store::Frame,
        tests::{HOST, SECRET, fields, target},
        token::Token,
    },
    recording::tests::record_rtt,
};

/// What the page expects.
const TYPES: &str = include_str!("../../../../dashboard/src/trial.ts");

/// Unix time of the first second that is kept.
const BEGUN: u64 = 1_700_000_000;

fn request(change: impl FnOnce(&mut Value)) -> Value {
    let mut request = json!({
        "page": "p1",
        "rule": {"name": "rtt", "thresholdUs": 100_000, "confidencePercent": 20, "model": "damped-holt"},
        "policy": {"kind": "PrecursorPolicy", "name": "tried"}
    });
    change(&mut request);
    request
}

/// The plain request.
pub(super) fn asked() -> Asked {
    Asked::read(&serde_json::to_vec(&request(|_| {})).unwrap()).unwrap()
}

fn shared() -> Arc<Shared> {
    Arc::new(Shared::new("http://127.0.0.1:9470"))
}

/// A dashboard that has kept the RTT of `a` in the first seconds of the eventful recording.
fn kept(seconds: u64) -> Arc<Shared> {
    let shared = shared();
    for (tick, _, rtt) in event_seconds().filter(|(tick, name, _)| *name == "a" && *tick < seconds) {
        let mut signals = Signals::ABSENT;
        signals.set(Signal::RttMax, rtt.unwrap());
        let frame = Frame {
            tick,
            unix: BEGUN + tick,
            targets: serde_json::from_value(json!([target("a", 1.0)])).unwrap(),
            signals: vec![("u-a".to_owned(), signals)],
            ..Frame::default()
        };
        shared.take(frame, 0, Instant::now());
    }
    shared
}

/// The same seconds, or all of them and of both targets, as a recording called `r`.
fn recorded(directory: &Path, seconds: Option<u64>) {
    let is_wanted =
        |(tick, name, _): &(u64, &str, Option<f32>)| seconds.is_none_or(|seconds| *name == "a" && *tick < seconds);
    record_rtt(&directory.join("r.parquet"), event_seconds().filter(is_wanted));
}

fn routes(shared: Arc<Shared>, shelf: Option<Shelf>, token: Option<&str>) -> Router {
    let guard = Guard::of(HOST.parse().unwrap(), &HOST.parse().unwrap(), token.and_then(Token::of));
    router(shared, Arc::new(Assets::load().unwrap()), guard, Desk::new(shelf))
}

async fn send(routes: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = routes.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 8 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn post(routes: &Router, request: &Value) -> (StatusCode, Value) {
    let head = Request::post("/api/v1/try").header(header::HOST, HOST);
    let head = head.header(header::CONTENT_TYPE, "application/json");
    send(routes, head.body(Body::from(request.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_trial_over_a_recording_has_the_figures_of_a_backtest_with_the_policy_that_it_writes() {
    let directory = tempfile::tempdir().unwrap();
    recorded(directory.path(), None);
    let routes = routes(shared(), Some(Shelf::open(directory.path()).unwrap()), None);
    for (model, named) in [("damped-holt", "naive:damped-holt"), ("adaptive", "adaptive")] {
        let request = request(|request| {
            request["recording"] = json!("r");
            request["rule"]["model"] = json!(model);
            request["rule"]["holdSeconds"] = json!(2);
        });
        let (status, answer) = post(&routes, &request).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        // Offsets of the rules of thumb, and what adaptive begins with, are those of the release in both.
        let card = backtested(answer["yaml"].as_str().unwrap(), &directory.path().join("r.parquet"), named);
        let figures = &answer["figures"];
        let counts = ["alerts", "confirmed", "unconfirmed", "late", "incidents", "warned", "missed", "targetSeconds"];
        assert_eq!(
            counts.map(|name| figures[name].as_u64().unwrap()),
            [
                card.alerts,
                card.confirmed,
                card.unconfirmed,
                card.late,
                card.incidents,
                card.warned,
                card.missed,
                card.target_seconds
            ],
            "{model}"
        );
        assert!(card.alerts > 0 && card.incidents > 0, "{card:?}");
        let daily = figures["falseAlarmsPerTargetDay"].as_f64().unwrap();
        assert!((daily - card.false_alerts_per_day().unwrap()).abs() < 1e-9 * daily.max(1.0), "{daily}");
        assert_eq!(figures["leadMedianSeconds"].as_u64(), card.median_lead());
        let own = |list: &str, name: &str, value: u64| {
            let mut found = answer[list].as_array().unwrap().iter();
            found.find(|each| each[name].as_u64() == Some(value)).unwrap()["figures"].clone()
        };
        assert_eq!(&own("confidences", "confidencePercent", 20), figures);
        assert_eq!(&own("thresholds", "thresholdUs", 100_000), figures);
        assert_eq!((&answer["targets"], &answer["cut"], &answer["missing"]), (&json!(2), &Value::Null, &Value::Null));
    }
}

#[tokio::test]
async fn what_is_kept_is_tried_as_a_recording_of_the_same_seconds_is() {
    let directory = tempfile::tempdir().unwrap();
    recorded(directory.path(), Some(700));
    let routes = routes(kept(700), Some(Shelf::open(directory.path()).unwrap()), None);
    let (status, from_memory) = post(&routes, &request(|request| request["uids"] = json!(["u-a"]))).await;
    assert_eq!(status, StatusCode::OK, "{from_memory}");
    let (_, from_disk) = post(&routes, &request(|request| request["recording"] = json!("r"))).await;
    assert_eq!(from_memory["figures"], from_disk["figures"]);
    assert!(from_memory["figures"]["alerts"].as_u64() > Some(0), "{from_memory}");
    assert_eq!(from_memory["seconds"], json!(700));
    let lines = &from_memory["lines"];
    assert_eq!((&lines["axis"]["isUnix"], &lines["axis"]["start"]), (&json!(true), &json!(BEGUN)));
    let fired = lines["alerts"][0]["fired"].as_u64().unwrap();
    let started = lines["incidents"][0]["start"].as_u64().unwrap();
    assert!((BEGUN..BEGUN + 700).contains(&fired) && (BEGUN..BEGUN + 700).contains(&started), "{fired} {started}");
    assert_eq!(from_disk["lines"]["axis"]["isUnix"], json!(false), "this recording has no clock");
}

#[tokio::test]
async fn what_is_too_short_is_said_and_nothing_is_not_an_error() {
    let (status, answer) = post(&routes(kept(30), None, None), &request(|_| {})).await;
    assert_eq!((status, &answer["figures"]["precision"]), (StatusCode::OK, &Value::Null));
    assert!(answer["missing"].as_str().unwrap().contains("got 30 s of a target at most"), "{answer}");
    let (status, answer) = post(&routes(shared(), None, None), &request(|_| {})).await;
    assert_eq!((status, &answer["targets"]), (StatusCode::OK, &json!(0)));
    assert!(answer["missing"].as_str().unwrap().contains("got 0 s"), "{answer}");
}

#[tokio::test]
async fn what_cannot_be_tried_is_refused_with_the_field() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("broken.parquet"), "x").unwrap();
    let (without, with) =
        (routes(kept(30), None, None), routes(kept(30), Some(Shelf::open(directory.path()).unwrap()), None));
    let (bad, unfit) = (StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY);
    let table = [
        (&without, "recording", json!("r"), bad, "recording: got \"r\", expected none: start the dashboard with"),
        (&with, "recording", json!("../r"), bad, "recording: got \"../r\", expected one of those"),
        (&with, "recording", json!("broken"), unfit, "broken.parquet"),
        (&with, "uids", json!(["nobody"]), bad, "uids: got none that is watched now"),
        (&with, "page", json!(""), bad, "page: got 0 bytes, expected"),
    ];
    for (routes, field, value, expected, words) in table {
        let (status, body) = post(routes, &request(|request| request[field] = value)).await;
        assert!(status == expected && body["error"].as_str().unwrap().contains(words), "{field}: {status} {body}");
    }
    let long = request(|request| request["page"] = json!("x".repeat(MOST_BYTES)));
    let (status, body) = post(&with, &long).await;
    assert!(status == StatusCode::PAYLOAD_TOO_LARGE && body["error"].is_string(), "{status} {body}");
}

#[tokio::test]
async fn a_page_elsewhere_can_post_nothing() {
    let routes = routes(kept(30), None, Some(SECRET));
    let bearer = format!("Bearer {SECRET}");
    let ask = async |headers: &[(header::HeaderName, &str)]| {
        let head = Request::post("/api/v1/try").header(header::HOST, HOST);
        let head = headers.iter().fold(head, |head, (name, value)| head.header(name, *value));
        send(&routes, head.body(Body::from(request(|_| {}).to_string())).unwrap()).await.0
    };
    let json_type = (header::CONTENT_TYPE, "application/json; charset=utf-8");
    let token = (header::AUTHORIZATION, bearer.as_str());
    assert_eq!(ask(&[json_type.clone(), token.clone()]).await, StatusCode::OK);
    assert_eq!(ask(&[json_type]).await, StatusCode::UNAUTHORIZED);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "text/plain; application/json", ""] {
        let status = ask(&[(header::CONTENT_TYPE, kind), token.clone()]).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    assert_eq!(ask(&[token]).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn recordings_and_models_can_be_chosen_from() {
    let directory = tempfile::tempdir().unwrap();
    recorded(directory.path(), Some(10));
    let ask = async |shelf: Option<Shelf>| {
        let request = Request::get("/api/v1/try").header(header::HOST, HOST).body(Body::empty()).unwrap();
        send(&routes(shared(), shelf, None), request).await.1
    };
    let choices = ask(Some(Shelf::open(directory.path()).unwrap())).await;
    assert_eq!((&choices["recordings"][0]["name"], &choices["defaultModel"]), (&json!("r"), &json!("adaptive")));
    assert!(choices["models"].as_array().unwrap().contains(&json!("damped-holt")));
    assert_eq!(ask(None).await["recordings"], Value::Null);
}

#[test]
fn a_trial_that_is_stopped_has_no_answer() {
    let failure = work::attempt(&asked(), &kept(200), None, &AtomicBool::new(true)).unwrap_err();
    assert!(matches!(failure, Failure::Overtaken) && failure.status() == StatusCode::CONFLICT, "{failure}");
}

#[tokio::test]
async fn answers_have_the_fields_that_the_page_expects() {
    let directory = tempfile::tempdir().unwrap();
    recorded(directory.path(), Some(700));
    let routes = routes(kept(700), Some(Shelf::open(directory.path()).unwrap()), None);
    let (_, answer) = post(&routes, &request(|_| {})).await;
    let get = Request::get("/api/v1/try").header(header::HOST, HOST).body(Body::empty()).unwrap();
    let (_, choices) = send(&routes, get).await;
    let lines = &answer["lines"];
    let table = [
        (&choices, "Choices"),
        (&choices["recordings"][0], "RecordingChoice"),
        (&answer, "Answer"),
        (&answer["figures"], "Figures"),
        (&answer["confidences"][0], "AtConfidence"),
        (&answer["thresholds"][0], "AtThreshold"),
        (lines, "Lines"),
        (&lines["axis"], "Axis"),
        (&lines["targets"][0], "TargetLine"),
        (&lines["alerts"][0], "AlertMark"),
        (&lines["incidents"][0], "IncidentMark"),
    ];
    for (value, interface) in table {
        let names: BTreeSet<String> = value.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, fields(TYPES, &[interface]), "{interface}");
    }
}
