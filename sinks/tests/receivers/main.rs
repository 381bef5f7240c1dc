//! Receivers as they are, over real connections: those that take alerts, and those that are slow, dead or lying.
//!
//! What a real Alertmanager makes of the alerts, the tier `observability` shows (`e2e/tests/observability/alertmanager.rs`).

#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod bad;
mod fixture;
mod secured;
mod signed;

use std::time::Duration;

use fixture::{Answer, Server, alertmanager, firing, limits, resolved, start, until};
use netprecursor_kit::Backoff;
use netprecursor_sinks::receivers::Limits;

#[tokio::test]
async fn every_replica_is_sent_every_alert_when_it_fires_and_when_it_resolves() {
    let replicas = [Server::start().await, Server::start().await];
    let running = start(alertmanager(&[&replicas[0].url(""), &replicas[1].url("/am/")]), limits());
    running.put(firing("a"));
    for (replica, path) in replicas.iter().zip(["/api/v2/alerts", "/am/api/v2/alerts"]) {
        until("the alert", || replica.count() == 1).await;
        let request = &replica.requests()[0];
        assert_eq!((request.path.as_str(), request.header("content-type")), (path, Some("application/json")));
        let alert = &request.json()[0];
        assert_eq!((&alert["labels"]["target"], &alert["labels"]["cluster"]), (&"a".into(), &"c1".into()));
        assert!(alert["endsAt"].as_str() > alert["startsAt"].as_str(), "{alert}");
    }
    running.put(resolved("a"));
    for replica in &replicas {
        until("its end", || replica.count() == 2).await;
        let alert = &replica.requests()[1].json()[0];
        assert_eq!(alert["endsAt"], fixture::time(fixture::fired() + 10));
    }
    until("the status", || running.health().iter().all(|health| health.sent == 2)).await;
    assert!(running.health().iter().all(|health| health.pending == 0 && health.error.is_none()));
}

#[tokio::test]
async fn a_dead_replica_keeps_no_other_waiting() {
    let alive = Server::start().await;
    let dead = fixture::nobody().await;
    let running = start(alertmanager(&[&dead, &alive.url("")]), limits());
    running.put(firing("a"));
    until("the alert", || alive.count() == 1).await;
    until("the failure", || running.health()[0].failures > 0).await;
    let health = running.health();
    assert!(health[0].error.as_ref().unwrap().contains("refused"), "{health:?}");
    assert_eq!((health[0].pending, health[1].pending), (1, 0));
}

#[tokio::test]
async fn what_is_due_at_the_end_is_sent_first() {
    let server = Server::start().await;
    let running = start(alertmanager(&[&server.url("")]), limits());
    running.put(firing("a"));
    running.end().await;
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn alerts_that_come_together_go_together() {
    let server = Server::start().await;
    server.answers([Answer::Status(503, "")]);
    let backoff = Backoff::between(Duration::from_millis(200), Duration::from_millis(200));
    let running = start(alertmanager(&[&server.url("")]), Limits { backoff, ..limits() });
    running.put(firing("a"));
    until("the refusal", || server.count() == 1).await;
    for target in ["b", "c"] {
        running.put(firing(target));
    }
    until("all of them", || server.count() == 2).await;
    assert_eq!(server.requests()[1].json().as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn whoever_hands_in_alerts_never_waits_and_what_finds_no_room_is_counted() {
    let server = Server::start().await;
    server.answers_always(Answer::Hang);
    let running = start(fixture::webhook(&server.url("/hook")), Limits { capacity: 4, ..limits() });
    for number in 0..100 {
        running.put(firing(&number.to_string()));
    }
    until("the losses", || running.health()[0].dropped >= 92).await;
    assert!(running.health()[0].pending <= 4, "{:?}", running.health());
}
