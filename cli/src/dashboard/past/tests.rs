//! The past by the dashboard's API: with a history on disk, across restarts, and without one.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::dashboard::tests::{TYPES, ask, fields, frame, routes};

fn dashboard(store: &Path) -> Arc<Shared> {
    let past = Past::kept(store, "8MiB".parse().unwrap()).unwrap();
    Arc::new(Shared::keeping("http://127.0.0.1:9470", past).unwrap())
}

/// A dashboard that has seen twenty seconds, and its file.
fn seen() -> (TempDir, PathBuf, Arc<Shared>) {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("history.db");
    let shared = dashboard(&store);
    (2_000..2_020).for_each(|unix| shared.take(frame(unix, 120_000.0), 0, Instant::now()));
    shared.past().flush();
    (directory, store, shared)
}

fn names(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn a_range_has_the_band_of_the_forecast_and_who_the_target_is_before_the_agent_is_there_again() {
    let (_directory, store, shared) = seen();
    drop(shared);
    let routes = routes(&dashboard(&store), None);
    let (status, range) = ask(&routes, "/api/v1/range?uid=u-web1&from=2000&until=2019&step=10").await;
    assert_eq!((status, &range["target"]["name"], &range["from"]), (StatusCode::OK, &json!("web1"), &json!("Store")));
    assert_eq!((&range["start"], &range["step"], &range["next"]), (&json!(2_000), &json!(10), &Value::Null));
    let near = |column: &str, us: f64| (range[column][1].as_f64().unwrap() - us).abs() <= us / 4_096.0;
    assert!(near("measuredUs", 120_000.0) && near("q90Us", 300_000.0) && near("thresholdUs", 200_000.0), "{range}");
    assert_eq!(range["firing"], json!([true, true]));
    assert_eq!(names(&range), fields(TYPES, &["RangeAnswer"]));
}

#[tokio::test]
async fn alerts_come_from_disk_with_parameters_and_are_remembered_without() {
    let (_directory, store, shared) = seen();
    drop(shared);
    let routes = routes(&dashboard(&store), None);
    for path in ["/api/v1/alerts", "/api/v1/alerts?limit=10", "/api/v1/alerts?from=2000&until=2000"] {
        let (status, alerts) = ask(&routes, path).await;
        assert_eq!(
            (status, &alerts["alerts"][0]["name"], &alerts["next"]),
            (StatusCode::OK, &json!("demo-1"), &Value::Null)
        );
        assert_eq!(names(&alerts), fields(TYPES, &["Alerts"]));
    }
    let (_, page) = ask(&routes, "/api/v1/alerts?limit=1").await;
    let next = page["next"].as_str().unwrap().to_owned();
    assert_eq!(ask(&routes, &format!("/api/v1/alerts?limit=1&after={next}")).await.1["alerts"], json!([]));
}

#[tokio::test]
async fn a_wrong_question_is_refused_by_the_name_of_what_is_wrong() {
    let (_directory, _store, shared) = seen();
    let routes = routes(&shared, None);
    for (path, expected, words) in [
        ("/api/v1/range?uid=u-web1&step=0", StatusCode::BAD_REQUEST, "got step"),
        ("/api/v1/range?uid=u-web1&from=x", StatusCode::BAD_REQUEST, "got from"),
        ("/api/v1/range", StatusCode::BAD_REQUEST, "got no uid"),
        ("/api/v1/range?uid=nobody", StatusCode::NOT_FOUND, "nothing is kept"),
        ("/api/v1/alerts?limit=0", StatusCode::BAD_REQUEST, "got limit"),
    ] {
        let (status, body) = ask(&routes, path).await;
        assert!(status == expected && body["error"].as_str().unwrap().contains(words), "{path}: {status} {body}");
    }
}

#[tokio::test]
async fn without_a_history_a_range_is_refused_with_how_to_keep_one() {
    let shared = Arc::new(Shared::new("http://127.0.0.1:9470"));
    shared.take(frame(2_000, 1.0), 0, Instant::now());
    let routes = routes(&shared, None);
    let (status, body) = ask(&routes, "/api/v1/range?uid=u-web1").await;
    assert!(status == StatusCode::NOT_FOUND && body["error"].as_str().unwrap().contains("--store FILE"), "{body}");
    let (_, alerts) = ask(&routes, "/api/v1/alerts?limit=10").await;
    assert_eq!(alerts["alerts"].as_array().unwrap().len(), 1);
    assert!(shared.past().status().is_empty());
}

#[tokio::test]
async fn a_prometheus_that_does_not_answer_is_said_and_not_hidden_behind_the_file() {
    let directory = tempfile::tempdir().unwrap();
    // A port that nobody listens on: it was free a moment ago.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let args = PastArgs {
        store: Some(directory.path().join("history.db")),
        history_size: "8MiB".parse().unwrap(),
        prometheus: PrometheusArgs { prometheus: Some(format!("http://{nobody}")), prometheus_token_file: None },
    };
    let shared = Arc::new(Shared::keeping("http://127.0.0.1:9470", Past::open(&args).unwrap()).unwrap());
    shared.take(frame(2_000, 1.0), 0, Instant::now());
    shared.past().flush();
    let (status, body) = ask(&routes(&shared, None), "/api/v1/range?uid=u-web1").await;
    assert!(status == StatusCode::BAD_GATEWAY && body["error"].as_str().unwrap().contains("is it running"), "{body}");
    let status = serde_json::to_value(shared.past().status()).unwrap();
    assert_eq!((&status[0]["from"], &status[0]["state"]), (&json!("Prometheus"), &json!("Failing")));
    assert_eq!((&status[1]["from"], &status[1]["state"]), (&json!("Store"), &json!("Good")));
    assert_eq!(names(&status[0]), fields(TYPES, &["History"]));
}

#[tokio::test]
async fn the_last_hour_is_there_again_with_the_first_second_of_the_agent() {
    let directory = tempfile::tempdir().unwrap();
    let (store, now) = (directory.path().join("history.db"), unix_ms() / 1_000);
    let before = dashboard(&store);
    before.take(frame(now - 20, 150_000.0), 0, Instant::now());
    before.past().flush();
    drop(before);
    let shared = dashboard(&store);
    shared.take(frame(now, 120_000.0), 0, Instant::now());
    let (_, target) = ask(&routes(&shared, None), "/api/v1/target?uid=u-web1").await;
    assert_eq!((&target["start"], target["measuredUs"].as_array().unwrap().len()), (&json!(now - 20), 21));
}
