//! The dashboard from an agent's answers to its own: over a router without a socket, and once over the wire.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
    response::Response,
    routing::get,
};
use http_body_util::BodyExt as _;
use netprecursor_core::signal::{Signal, Signals};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use super::{
    agent::Agent,
    api::{Shared, router},
    assets::Assets,
    follow,
    guard::Guard,
    store::{Frame, Look, Store},
    token::Token,
    trial::Desk,
};
use crate::stream;

pub(super) const HOST: &str = "127.0.0.1:9471";
pub(super) const SECRET: &str = "0123456789abcdef";
/// What the page expects.
pub(super) const TYPES: &str = include_str!("../../../dashboard/src/api.ts");

pub(super) fn target(name: &str, measured_us: f32) -> Value {
    json!({
        "target": name, "uid": format!("u-{name}"), "labels": {"app": "demo"}, "measuredUs": measured_us, "predictedUs": 250_000.0,
        "chance": 0.75, "firing": true,
        "rules": [{
            "policyKind": "PrecursorPolicy", "policyNamespace": "shop", "policy": "demo", "rule": "rtt", "rtt": "RTT",
            "thresholdUs": 200_000, "state": "Firing", "model": {"name": "damped-holt"}
        }]
    })
}

pub(super) fn forecast(name: &str, tick: u64) -> Value {
    json!({
        "target": name, "policyKind": "PrecursorPolicy", "policyNamespace": "shop", "policy": "demo", "rule": "rtt",
        "model": {"name": "damped-holt"}, "tick": tick, "horizonSeconds": 10, "quantilesUs": [250_000.0, 300_000.0, 400_000.0],
        "ceilingUs": null, "chance": 0.75, "needed": 0.5
    })
}

pub(super) fn history(name: &str, unix: u64, measured_us: f32) -> Value {
    let point =
        json!({"unix": unix, "measuredUs": measured_us, "predictedUs": 250_000.0, "chance": 0.75, "firing": true});
    json!({"target": name, "points": [point]})
}

fn alert(fired: u64) -> Value {
    json!({
        "name": "demo-1", "policyKind": "PrecursorPolicy", "policyNamespace": "shop", "policy": "demo", "rule": "rtt", "target": "web1",
        "targetUid": "u-web1", "severity": "Warning", "state": "Firing", "trigger": "Forecast", "rtt": "RTT", "rttFrom": "Clean",
        "thresholdUs": 200_000, "resolveUs": 160_000, "predictedUs": 250_000.0, "chance": 0.75, "measuredUs": 120_000.0,
        "leadSeconds": null, "confirmed": "Unknown", "judgedUnix": null, "count": 1, "firedUnix": fired, "resolvedUnix": null,
        "resolution": null, "causes": [], "model": {"name": "damped-holt"}
    })
}

/// A second of one target.
pub(super) fn frame(unix: u64, measured_us: f32) -> Frame {
    let tick = unix - 1_000;
    let score = json!({
        "policyKind": "PrecursorPolicy", "policyNamespace": "shop", "policy": "demo", "rule": "rtt", "neededPercent": 50.0,
        "reachablePercent": 75.0, "precisionPercent": 80, "recallPercent": null
    });
    let mut signals = Signals::ABSENT;
    signals.set(Signal::Retransmits, 3.0);
    Frame {
        tick,
        unix,
        targets: serde_json::from_value(json!([target("web1", measured_us)])).unwrap(),
        forecasts: serde_json::from_value(json!([forecast("web1", tick)])).unwrap(),
        history: serde_json::from_value(json!([history("web1", unix, measured_us)])).unwrap(),
        signals: vec![("u-web1".to_owned(), signals)],
        alerts: serde_json::from_value(json!([alert(2_000)])).unwrap(),
        scores: Some((json!([score]), vec![serde_json::from_value(score).unwrap()])),
        health: None,
    }
}

pub(super) fn routes(shared: &Arc<Shared>, token: Option<&str>) -> Router {
    let guard = Guard::of(HOST.parse().unwrap(), &HOST.parse().unwrap(), token.and_then(Token::of));
    router(Arc::clone(shared), Arc::new(Assets::load().unwrap()), guard, Desk::new(None))
}

/// A dashboard that has seen two seconds.
fn seen() -> Arc<Shared> {
    let shared = Arc::new(Shared::new("http://127.0.0.1:9470"));
    shared.take(frame(2_000, 120_000.0), 0, Instant::now());
    shared.take(frame(2_001, 240_000.0), 0, Instant::now());
    shared
}

async fn response(routes: &Router, request: axum::http::request::Builder) -> Response {
    routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

pub(super) async fn ask(routes: &Router, path: &str) -> (StatusCode, Value) {
    let response = response(routes, Request::get(path).header(header::HOST, HOST)).await;
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn the_overview_has_each_target_with_its_last_second() {
    let (status, overview) = ask(&routes(&seen(), None), "/api/v1/overview").await;
    assert_eq!((status, &overview["targets"][0]["name"]), (StatusCode::OK, &json!("web1")));
    assert_eq!(overview["targets"][0]["rules"][0]["needed"], json!(0.5));
    let latest = &overview["latest"];
    assert_eq!((&latest["measuredUs"], &latest["standing"]), (&json!([240_000.0]), &json!(["Trouble"])));
    assert_eq!((&overview["counts"]["trouble"], &overview["source"]["state"]), (&json!(1), &json!("Live")));
}

#[tokio::test]
async fn a_target_has_its_seconds_with_the_band_of_its_forecast() {
    let routes = routes(&seen(), None);
    let (_, target) = ask(&routes, "/api/v1/target?uid=u-web1").await;
    assert_eq!((&target["start"], &target["measuredUs"]), (&json!(2_000), &json!([120_000.0, 240_000.0])));
    assert_eq!((&target["q90Us"], &target["firing"]), (&json!([300_000.0, 300_000.0]), &json!([true, true])));
    let (_, signals) = ask(&routes, "/api/v1/signals?uid=u-web1&seconds=1").await;
    assert_eq!((&signals["start"], &signals["signals"][Signal::Retransmits as usize]), (&json!(2_001), &json!([3.0])));
    assert_eq!(signals["signals"][Signal::RttMax as usize], json!([null]));
}

#[tokio::test]
async fn a_wrong_request_is_refused_with_what_is_expected() {
    let routes = routes(&seen(), None);
    let table = [
        ("/api/v1/target?uid=nobody", StatusCode::NOT_FOUND, "lists those that are"),
        ("/api/v1/target", StatusCode::BAD_REQUEST, "expected one"),
        ("/api/v1/signals?uid=u-web1&seconds=9999", StatusCode::BAD_REQUEST, "up to 3600"),
        ("/api/v1/live", StatusCode::BAD_REQUEST, "got no view"),
        ("/api/v1/live?view=target", StatusCode::BAD_REQUEST, "expected one"),
        ("/api/v1/nothing", StatusCode::NOT_FOUND, "expected one of"),
    ];
    for (path, expected, words) in table {
        let (status, body) = ask(&routes, path).await;
        assert!(status == expected && body["error"].as_str().unwrap().contains(words), "{path}: {status} {body}");
    }
}

#[tokio::test]
async fn sparklines_leave_out_who_is_not_known() {
    let (_, answer) = ask(&routes(&seen(), None), "/api/v1/sparks?uid=nobody&uid=u-web1").await;
    let sparks = answer["sparks"].as_array().unwrap();
    assert_eq!((sparks.len(), &sparks[0]["uid"]), (1, &json!("u-web1")));
}

#[tokio::test]
async fn the_stream_begins_at_once_with_what_is_looked_at() {
    let routes = routes(&seen(), None);
    for (view, has, has_not) in
        [("overview", "latest", "point"), ("target&uid=u-web1", "point", "latest"), ("alerts", "roster", "point")]
    {
        let path = format!("/api/v1/live?view={view}");
        let response = response(&routes, Request::get(path).header(header::HOST, HOST)).await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        let frame = response.into_body().frame().await.unwrap().unwrap().into_data().unwrap();
        let text = std::str::from_utf8(&frame).unwrap().trim();
        let event: Value = serde_json::from_str(text.strip_prefix("data: ").unwrap()).unwrap();
        assert!(!event[has].is_null() && event.get(has_not).is_none(), "{view}: {event}");
    }
}

#[tokio::test]
async fn a_rebound_name_reads_nothing_and_a_page_may_do_nothing_else() {
    let routes = routes(&seen(), None);
    let rebound = response(&routes, Request::get("/api/v1/overview").header(header::HOST, "evil.example:9471")).await;
    assert_eq!(rebound.status(), StatusCode::MISDIRECTED_REQUEST);
    let page = response(&routes, Request::get("/").header(header::HOST, HOST)).await;
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
}

#[tokio::test]
async fn a_token_is_exchanged_for_a_cookie() {
    let routes = routes(&seen(), Some(SECRET));
    let get = |path: &str| Request::get(path).header(header::HOST, HOST);
    assert_eq!(response(&routes, get("/")).await.status(), StatusCode::OK);
    assert_eq!(response(&routes, get("/api/v1/overview")).await.status(), StatusCode::UNAUTHORIZED);
    let sign_in = Request::post("/api/v1/session").header(header::HOST, HOST);
    let wrong = response(&routes, sign_in.header(header::AUTHORIZATION, "Bearer wrong-wrong-wrong")).await;
    assert_eq!((wrong.status(), wrong.headers().get(header::SET_COOKIE)), (StatusCode::UNAUTHORIZED, None));
    let sign_in = Request::post("/api/v1/session").header(header::HOST, HOST);
    let right = response(&routes, sign_in.header(header::AUTHORIZATION, format!("Bearer {SECRET}"))).await;
    assert_eq!(right.status(), StatusCode::NO_CONTENT);
    let cookie = right.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    assert_eq!(
        response(&routes, get("/api/v1/overview").header(header::COOKIE, cookie)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn what_is_posted_is_scored_for_whoever_may_ask() {
    const POSTED: &str = r#"{"model": "last", "signals": [[{"rtt_max_us": 20000}]]}"#;
    let [open, locked] = [None, Some(SECRET)].map(|token| routes(&seen(), token));
    let table = [
        (&open, HOST, "application/json", StatusCode::OK, r#""kind":"RttForecast""#),
        // What a form on another page can post.
        (&open, HOST, "text/plain", StatusCode::UNSUPPORTED_MEDIA_TYPE, "expected application/json"),
        (&open, "evil.example:9471", "application/json", StatusCode::MISDIRECTED_REQUEST, "got host"),
        (&locked, HOST, "application/json", StatusCode::UNAUTHORIZED, "got no token"),
    ];
    for (routes, host, content_type, status, words) in table {
        let request = Request::post("/api/v1/detect").header(header::HOST, host);
        let request = request.header(header::CONTENT_TYPE, content_type).body(Body::from(POSTED)).unwrap();
        let response = routes.clone().oneshot(request).await.unwrap();
        let got = response.status();
        let body = String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().into()).unwrap();
        assert!(got == status && body.contains(words), "{host} {content_type}: {got} {body}");
    }
}

#[test]
fn an_agent_that_is_silent_or_gone_is_stale_with_the_reason() {
    let mut store = Store::new("http://127.0.0.1:9470", 1_990_000);
    let begun = Instant::now();
    let source = |store: &Store, after: u64| {
        let overview = serde_json::to_value(store.overview(begun + Duration::from_secs(after))).unwrap();
        (overview["source"]["state"].clone(), overview["source"]["reason"].clone())
    };
    assert_eq!(source(&store, 0), (json!("Connecting"), Value::Null));
    store.take(frame(2_000, 1.0), 0, begun);
    assert_eq!(source(&store, 4), (json!("Live"), Value::Null));
    assert_eq!(source(&store, 9), (json!("Stale"), json!("got no tick for 9 s, expected one each second")));
    store.disconnected("got the end of the stream".to_owned(), 2_001);
    assert_eq!(source(&store, 0), (json!("Stale"), json!("got the end of the stream")));
    store.take(frame(2_002, 1.0), 0, begun);
    assert_eq!(source(&store, 0), (json!("Live"), Value::Null));
}

#[test]
fn an_agents_clock_that_is_set_back_begins_a_new_history() {
    let mut store = Store::new("http://127.0.0.1:9470", 2_000_000);
    for unix in [9_000, 9_001, 2_000] {
        store.take(frame(unix, 1.0), 0, Instant::now());
    }
    let target = serde_json::to_value(store.target("u-web1").unwrap()).unwrap();
    assert_eq!((&target["start"], target["measuredUs"].as_array().unwrap().len()), (&json!(2_000), 1));
}

#[test]
fn a_forecast_is_drawn_at_its_own_tick_or_not_at_all() {
    let q90 = |ticks_off: i64| {
        let mut store = Store::new("http://127.0.0.1:9470", 2_000_000);
        for unix in 2_000..=2_012 {
            store.take(Frame { forecasts: Vec::new(), ..frame(unix, 1.0) }, 0, Instant::now());
        }
        let mut late = frame(2_012, 1.0);
        late.forecasts[0].tick = late.tick.saturating_add_signed(ticks_off);
        store.take(late, 0, Instant::now());
        let target = serde_json::to_value(store.target("u-web1").unwrap()).unwrap();
        let (start, values) = (target["start"].as_u64().unwrap(), target["q90Us"].as_array().unwrap());
        let at = values.iter().position(|value| !value.is_null());
        at.map(|at| start + at as u64)
    };
    assert_eq!([q90(0), q90(1), q90(-2)], [Some(2_012), Some(2_013), Some(2_010)]);
    assert_eq!([q90(11), q90(-11)], [None, None]);
}

#[test]
fn a_target_that_is_gone_keeps_its_charts_but_has_no_last_second() {
    let mut store = Store::new("http://127.0.0.1:9470", 2_000_000);
    store.take(frame(2_000, 1.0), 0, Instant::now());
    store.take(Frame { unix: 2_001, tick: 1_001, ..Frame::default() }, 0, Instant::now());
    let live = serde_json::to_value(store.live(&Look::Target("u-web1".to_owned()), Instant::now())).unwrap();
    assert_eq!(live.get("point"), Some(&Value::Null));
    assert!(store.target("u-web1").is_some());
}

#[test]
fn a_program_that_is_started_anew_has_other_versions_for_the_same_seconds() {
    let versions = |begun_unix_ms: u64| {
        let mut store = Store::new("http://127.0.0.1:9470", begun_unix_ms);
        store.take(frame(2_000, 1.0), 0, Instant::now());
        let live = serde_json::to_value(store.live(&Look::Rest, Instant::now())).unwrap();
        (live["roster"].as_u64().unwrap(), live["alerts"].as_u64().unwrap())
    };
    let (before, after) = (versions(1_990_000), versions(1_995_000));
    assert!(before.0 < after.0 && before.1 < after.1, "{before:?}, {after:?}");
}

fn sensors() -> Value {
    json!({
        "kernel": "6.18.4", "rttSource": "Measured", "surveyFailures": 0, "ticks": 9, "ticksSkipped": 1, "lastTickMicroseconds": 90,
        "sensors": [{"name": "tcp", "need": "Required", "state": "Active"}]
    })
}

/// An agent with canned answers, whose stream ends after a tick.
async fn canned_agent() -> String {
    let lines = format!("{}\n{}\n", stream::tests::header(), stream::tests::tick(1_000, &[("web1", 120_000.0)]));
    let answers = [
        ("/api/v1/stream", lines),
        ("/api/v1/targets", json!([target("web1", 120_000.0)]).to_string()),
        ("/api/v1/forecast", json!([forecast("web1", 1_000)]).to_string()),
        ("/api/v1/history", json!([history("web1", 1_005, 120_000.0)]).to_string()),
        ("/api/v1/alerts", json!([alert(1_004)]).to_string()),
        ("/api/v1/scores", "[]".to_owned()),
        ("/api/v1/sensors", sensors().to_string()),
        ("/api/v1/sinks", "[]".to_owned()),
    ];
    let routes = answers
        .into_iter()
        .fold(Router::<()>::new(), |routes, (path, body)| routes.route(path, get(move || async move { body })));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

#[tokio::test]
async fn an_agent_is_followed_to_the_end_of_its_stream() {
    let url = canned_agent().await;
    let shared = Arc::new(Shared::new(&url));
    let mut changes = shared.changes();
    follow::start(Agent::new(&url).unwrap(), Arc::clone(&shared)).unwrap();
    let routes = routes(&shared, None);
    let overview = loop {
        let (_, overview) = ask(&routes, "/api/v1/overview").await;
        if overview["source"]["state"] == "Stale" {
            break overview;
        }
        tokio::time::timeout(Duration::from_secs(20), changes.changed()).await.unwrap().unwrap();
    };
    assert_eq!((&overview["unix"], &overview["latest"]["measuredUs"]), (&json!(1_005), &json!([120_000.0])));
    let reason = overview["source"]["reason"].as_str().unwrap();
    assert!(reason.contains("is gone"), "{reason}");
    let (_, nodes) = ask(&routes, "/api/v1/nodes").await;
    let node = &nodes["nodes"][0];
    assert_eq!((&node["standing"], &node["sensors"][0]["name"]), (&json!("Ready"), &json!("tcp")));
    assert_eq!(node["losses"], json!([{"what": "ticks skipped", "count": 1}]));
    let kinds: [(&Value, &str); 4] =
        [(&nodes, "Nodes"), (node, "NodeView"), (&node["sensors"][0], "SensorView"), (&node["stream"], "StreamView")];
    for (value, interface) in kinds {
        let names: BTreeSet<String> = value.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, fields(TYPES, &[interface]), "{interface}");
    }
}

/// Fields of interfaces in the page's types, without those that may be absent.
pub(super) fn fields(types: &str, interfaces: &[&str]) -> BTreeSet<String> {
    let body = |name: &&str| {
        let (_, rest) = types.split_once(&format!("export interface {name} ")).unwrap();
        let (_, rest) = rest.split_once("{\n").unwrap();
        rest.split_once("\n}").unwrap().0
    };
    let lines = interfaces.iter().flat_map(|name| body(name).lines());
    lines
        .filter_map(|line| line.trim().split_once(": "))
        .filter(|(name, _)| name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[tokio::test]
async fn answers_have_the_fields_that_the_page_expects() {
    let routes = routes(&seen(), None);
    let answer = async |path: &str| ask(&routes, path).await.1;
    let (overview, about) = (answer("/api/v1/overview").await, answer("/api/v1/about").await);
    let (target, signals) = (answer("/api/v1/target?uid=u-web1").await, answer("/api/v1/signals?uid=u-web1").await);
    let (sparks, policies) = (answer("/api/v1/sparks?uid=u-web1").await, answer("/api/v1/policies").await);
    let (alerts, refusal) = (answer("/api/v1/alerts").await, answer("/api/v1/nothing").await);
    let models = answer("/api/v1/models").await;
    let table: [(&Value, &[&str]); 17] = [
        (&overview, &["Overview"]),
        (&overview["source"], &["Source"]),
        (&overview["counts"], &["Counts"]),
        (&overview["latest"], &["Latest"]),
        (&overview["targets"][0], &["Target"]),
        (&overview["targets"][0]["rules"][0], &["Rule", "PolicyIdentity"]),
        (&about, &["About"]),
        (&about["signals"][0], &["SignalMeta"]),
        (&target, &["TargetHistory"]),
        (&signals, &["SignalHistory"]),
        (&sparks["sparks"][0], &["Spark"]),
        (&policies, &["Policies"]),
        (&policies["trends"][0], &["Trend", "PolicyIdentity"]),
        (&alerts, &["Alerts"]),
        (&refusal, &["Refusal"]),
        (&models, &["Models"]),
        (&models["models"][0], &["ModelCard"]),
    ];
    for (value, interfaces) in table {
        let mut names: BTreeSet<String> = value.as_object().unwrap().keys().cloned().collect();
        // The one that may be absent.
        names.remove("policyNamespace");
        assert_eq!(names, fields(TYPES, interfaces), "{interfaces:?}");
    }
    let live = seen()
        .read(|store| serde_json::to_value(store.live(&Look::Target("u-web1".to_owned()), Instant::now())).unwrap());
    let point: BTreeSet<String> = live["point"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(point, fields(TYPES, &["Point"]));
    let alert: BTreeSet<String> = alerts["alerts"][0].as_object().unwrap().keys().cloned().collect();
    assert!(fields(TYPES, &["Alert", "PolicyIdentity"]).is_subset(&alert), "{alert:?}");
}
