use std::{net::Ipv4Addr, time::Instant};

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request},
};
use netprecursor_core::{
    features::COUNT,
    policy::Labels,
    signal::{Signal, Signals},
    source::RttFrom,
    tick::Tick,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{routes::Route, *};
use crate::{
    serve::stream,
    tick::{
        frames::{Frame, Roster},
        snapshot::{Counters, Moment, Point, Recent, SensorState as Sensors, TargetState},
        target::{About, Origin},
    },
};

const UNIX: u64 = 1_700_000_000;

/// An address that others can reach, where any host is answered.
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9_470);

/// A second of one target, after its first tick.
pub(super) fn snapshot() -> Snapshot {
    let about = Arc::new(About {
        name: "web-1".to_owned(),
        aliases: Vec::new(),
        uid: "u-1".to_owned(),
        origin: Origin::Namespace { inode: 1 },
        labels: Labels::new(),
        since: Tick(UNIX),
    });
    let roster: Roster = [Arc::clone(&about)].into();
    let mut signals = Signals::ABSENT;
    signals.set(Signal::RttMax, 21_000.0);
    let mut recent = Recent::default();
    let point = Point { measured_us: Some(21_000.0), ..Point::default() };
    recent.points.push(Arc::new(Frame { unix: UNIX, roster: Arc::clone(&roster), values: [point].into() }));
    recent.signals.push(Arc::new(Frame { unix: UNIX, roster: Arc::clone(&roster), values: [signals].into() }));
    recent.features = Some(Arc::new(Frame { unix: UNIX, roster, values: [[0.5; COUNT]].into() }));
    let target = TargetState { about, coverage: None, rtt_from: RttFrom::Clean, ceiling_us: None, watches: Vec::new() };
    Snapshot {
        tick: Tick(UNIX),
        moment: Moment { unix_ms: UNIX * 1_000, monotonic_ns: 1, instant: Instant::now() },
        targets: vec![target],
        policies: Vec::new(),
        alerts: Arc::from([]),
        alerts_evicted: 0,
        selection: None,
        counters: Counters { ticks: 1, ..Counters::default() },
        networks: Arc::default(),
        sensors: Sensors::default(),
        recent,
    }
}

fn shared() -> Shared {
    Shared {
        // Readers keep what was sent last, also when nobody sends any more.
        latest: watch::channel(Arc::new(snapshot())).1,
        stream: Stream::default(),
        kernel: "6.12".into(),
        boards: Arc::from([Board::new("otlp", "http://collector:4317".to_owned())]),
        access: None,
        detect: Endpoint::default(),
    }
}

async fn asked(routes: &Router, request: Request<Body>) -> Response {
    routes.clone().oneshot(request).await.unwrap()
}

fn bare(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

async fn answer(routes: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = asked(routes, request).await;
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {body:?}")))
}

/// The method that a route answers.
fn method(route: Route) -> Method {
    if route == Route::Detect { Method::POST } else { Method::GET }
}

#[tokio::test]
async fn on_a_loopback_address_only_requests_that_name_this_machine_are_answered() {
    let routes = router(shared(), "127.0.0.1:9470".parse().unwrap());
    let ask = async |host: &str| {
        let request = Request::get("/api/v1/targets").header(header::HOST, host).body(Body::empty()).unwrap();
        asked(&routes, request).await.status()
    };
    for host in ["127.0.0.1:9470", "localhost", "localhost:1", "[::1]:9470", "127.0.0.2"] {
        assert_eq!(ask(host).await, StatusCode::OK, "{host}");
    }
    for host in ["evil.example:9470", "evil.example", "127.0.0.1.evil.example", "192.0.2.1", ""] {
        assert_eq!(ask(host).await, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
}

#[tokio::test]
async fn every_route_is_answered_by_its_method_and_by_no_other() {
    let routes = router(shared(), ELSEWHERE);
    for route in Route::ALL {
        let status = asked(&routes, bare(method(route), route.path())).await.status();
        assert!(!matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED), "{route:?}: {status}");
        let status = asked(&routes, bare(Method::DELETE, route.path())).await.status();
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{route:?}");
    }
}

#[tokio::test]
async fn on_the_pods_address_there_is_nothing_of_the_api() {
    let routes = probes(shared());
    for route in Route::ALL {
        let status = asked(&routes, bare(method(route), route.path())).await.status();
        assert_eq!(status, StatusCode::NOT_FOUND, "{route:?}");
    }
}

#[tokio::test]
async fn a_wrong_request_is_refused_in_json() {
    let routes = router(shared(), ELSEWHERE);
    let table = [
        ("/api/v1/window", StatusCode::BAD_REQUEST, "missing field `target`"),
        ("/api/v1/window?target=db", StatusCode::NOT_FOUND, "got target \"db\", which is not watched"),
        ("/api/v1/window?target=web-1&since=1", StatusCode::BAD_REQUEST, "unknown field `since`"),
        ("/api/v1/history?since=yesterday", StatusCode::BAD_REQUEST, "since: invalid digit"),
        ("/api/v1/stream?features=some", StatusCode::BAD_REQUEST, "features: provided string was not"),
        ("/api/v1/nothing", StatusCode::NOT_FOUND, "expected one of /api/v1/{targets,"),
    ];
    for (path, status, words) in table {
        let (got, body) = answer(&routes, bare(Method::GET, path)).await;
        assert_eq!(got, status, "{path}: {body}");
        assert!(body["error"].as_str().unwrap().contains(words), "{path}: {body}");
    }
}

#[tokio::test]
async fn the_example_of_the_document_is_scored() {
    let request = Request::post(Route::Detect.path()).header(header::CONTENT_TYPE, "application/json");
    let (status, body) = answer(&router(shared(), ELSEWHERE), request.body(openapi::example().into()).unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let forecast = &body["forecasts"][0];
    assert!(forecast["quantilesUs"][0].as_f64().unwrap() > 1_000.0, "{body}");
    assert_eq!((&body["kind"], &body["model"]["name"]), (&json!("RttForecast"), &json!("damped-holt")));
}

#[tokio::test]
async fn a_target_is_shown_with_its_last_second() {
    let routes = router(shared(), ELSEWHERE);
    let (_, targets) = answer(&routes, bare(Method::GET, "/api/v1/targets")).await;
    assert_eq!((&targets[0]["target"], &targets[0]["measuredUs"]), (&json!("web-1"), &json!(21_000.0)));
    let (_, window) = answer(&routes, bare(Method::GET, "/api/v1/window?target=web-1")).await;
    assert_eq!(window["signals"][Signal::RttMax.name()], json!([21_000.0]));
    let (_, sensors) = answer(&routes, bare(Method::GET, "/api/v1/sensors")).await;
    assert_eq!((&sensors["kernel"], &sensors["rttSource"]), (&json!("6.12"), &json!("Measured")));
}

/// The status that a request gets, for properties, which are no async tests.
fn status(request: Request<Body>) -> StatusCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { asked(&router(shared(), ELSEWHERE), request).await.status() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000 * Route::ALL.len() as u32))]

    #[test]
    fn whatever_is_asked_is_answered_or_refused(
        route in prop::sample::select(Route::ALL.to_vec()),
        // What a URI may have behind its `?` (RFC 3986), with our own parameters often among it.
        query in "((target|since|features)=)?[a-z0-9%&=+/?:@!$'()*,;._~-]{0,40}",
    ) {
        let status = status(bare(method(route), &format!("{}?{query}", route.path())));
        prop_assert!(!status.is_server_error(), "{route:?}?{query}: {status}");
    }

    #[test]
    fn whatever_is_posted_is_answered_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let request = Request::post(Route::Detect.path()).header(header::CONTENT_TYPE, "application/json");
        prop_assert_eq!(status(request.body(body.into()).unwrap()), StatusCode::BAD_REQUEST);
    }
}

#[test]
fn the_document_that_is_served_is_json() {
    let document: Value = serde_json::from_str(routes::DOCUMENT).unwrap();
    let paths: Vec<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut known = Route::ALL.map(Route::path);
    known.sort_unstable();
    assert_eq!(paths, known);
    let stream = &document["paths"][Route::Stream.path()]["get"]["responses"]["200"];
    assert!(stream["content"][stream::CONTENT_TYPE].is_object(), "{stream}");
}
