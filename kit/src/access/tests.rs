//! Requests before an API server of three tokens.

use std::sync::atomic::AtomicUsize;

use axum::{Router, body::Body, routing::get};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

/// Answers reviews: `reader` may, `other` may not, all else is no token. It counts the questions.
fn server(asked: Arc<AtomicUsize>) -> Client {
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        asked.fetch_add(1, Ordering::Relaxed);
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut review: Value = serde_json::from_slice(&body).unwrap();
            let status = match review["kind"].as_str() {
                Some("TokenReview") => match review["spec"]["token"].as_str() {
                    Some(user @ ("reader" | "other")) => {
                        json!({"authenticated": true, "user": {"username": user, "groups": ["g"]}})
                    }
                    _ => json!({"authenticated": false}),
                },
                _ => {
                    let wanted = json!({"path": "/metrics", "verb": "get"});
                    let is_whole =
                        review["spec"]["nonResourceAttributes"] == wanted && review["spec"]["groups"][0] == "g";
                    json!({"allowed": is_whole && review["spec"]["user"] == "reader"})
                }
            };
            review["status"] = status;
            Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(review.to_string())))
        }
    });
    Client::new(service, "default")
}

fn routes(access: &Arc<Access>) -> Router {
    Router::new()
        .route(PATH, guarded(get(|| async { "series" }), Some(Arc::clone(access))))
        .route("/healthz", get(|| async { "ok" }))
}

async fn ask(access: &Arc<Access>, path: &str, authorization: Option<&str>) -> (u16, String) {
    let request = authorization
        .into_iter()
        .fold(http::Request::get(path), |request, value| request.header(header::AUTHORIZATION, value));
    let answer = routes(access).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn metrics_are_for_those_who_may_get_them_and_health_is_for_everybody() {
    let access = Access::with(server(Arc::default()));
    assert_eq!(ask(&access, "/healthz", None).await, (200, "ok".to_owned()));
    assert_eq!(ask(&access, PATH, Some("Bearer reader")).await, (200, "series".to_owned()));
    for (authorization, status, words) in [
        (None, 401, "got no Authorization header"),
        (Some("Basic reader"), 401, "another scheme"),
        (Some("Bearer "), 401, "an empty token"),
        (Some("Bearer forged"), 401, "does not accept"),
        (Some("Bearer other"), 403, "user other may not get /metrics"),
    ] {
        let (got, body) = ask(&access, PATH, authorization).await;
        assert_eq!(got, status, "{body}");
        assert!(body.contains(words) && body.contains("-metrics-reader"), "{body}");
    }
    let long = format!("Bearer {}", "x".repeat(LONGEST_TOKEN + 1));
    assert_eq!(ask(&access, PATH, Some(&long)).await.0, 401);
    let counts = [("allowed", 1), ("unauthenticated", 5), ("forbidden", 1), ("throttled", 0), ("undecided", 0)];
    assert_eq!(access.counts(), counts);
}

#[tokio::test]
async fn the_api_server_is_asked_once_a_minute_for_each_token() {
    let asked = Arc::new(AtomicUsize::new(0));
    let access = Access::with(server(Arc::clone(&asked)));
    for _ in 0..50 {
        assert_eq!(ask(&access, PATH, Some("Bearer reader")).await.0, 200);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2, "one question who it is, one whether they may");
}

#[tokio::test]
async fn strangers_do_not_make_the_program_flood_the_api_server() {
    let asked = Arc::new(AtomicUsize::new(0));
    let access = Access::with(server(Arc::clone(&asked)));
    let mut throttled = 0;
    for number in 0..200 {
        throttled += u32::from(ask(&access, PATH, Some(&format!("Bearer forged-{number}"))).await.0 == 503);
    }
    assert!(throttled > 150 && asked.load(Ordering::Relaxed) < 50, "{throttled} throttled, {asked:?} asked");
    assert_eq!(access.counts()[3].1, u64::from(throttled));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_let_in_while_the_api_server_does_not_answer() {
    let silent = tower::service_fn(|_: http::Request<kube::client::Body>| {
        std::future::pending::<Result<http::Response<Body>, std::convert::Infallible>>()
    });
    let access = Access::with(Client::new(silent, "default"));
    let (status, body) = ask(&access, PATH, Some("Bearer reader")).await;
    assert_eq!((status, access.counts()[4]), (503, ("undecided", 1)), "{body}");
}

#[tokio::test]
async fn without_access_control_everybody_reads() {
    let routes: Router = Router::new().route(PATH, guarded(get(|| async { "series" }), None));
    let answer = routes.oneshot(http::Request::get(PATH).body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}
