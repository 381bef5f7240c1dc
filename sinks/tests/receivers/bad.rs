//! Receivers that do not do what they should.

use std::time::Duration;

use axum::http::header;

use crate::fixture::{Answer, Running, Server, alertmanager, firing, limits, resolved, start, until, webhook};

async fn failure(running: &Running) -> String {
    until("a failure", || running.health()[0].error.is_some()).await;
    running.health()[0].error.clone().unwrap()
}

#[tokio::test]
async fn one_that_hangs_is_given_up_and_asked_again() {
    let server = Server::start().await;
    server.answers([Answer::Hang, Answer::Hang]);
    let running = start(alertmanager(&[&server.url("")]), limits());
    running.put(firing("a"));
    assert_eq!(failure(&running).await, "no answer within 500 ms");
    until("the alert", || running.health()[0].sent == 1).await;
    assert_eq!(server.count(), 3);
    assert_eq!((running.health()[0].failures, running.health()[0].dropped), (0, 0));
}

#[tokio::test]
async fn one_that_fails_is_asked_again_until_it_works() {
    for is_webhook in [false, true] {
        let server = Server::start().await;
        let url = server.url("");
        // Also one whose password was replaced, or whose proxy has lost it for a while.
        let codes = [500, 502, 503, 408, 401, 403, 404, 302];
        server.answers(codes.map(|code| Answer::Status(code, "out of order\n")));
        let given = if is_webhook { webhook(&url) } else { alertmanager(&[&url]) };
        let running = start(given, limits());
        running.put(firing("a"));
        assert!(failure(&running).await.contains("500 Internal Server Error: out of order"));
        until("the alert", || running.health()[0].sent == 1).await;
        assert_eq!((server.count(), running.health()[0].dropped), (codes.len() + 1, 0));
    }
}

#[tokio::test]
async fn one_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
    let server = Server::start().await;
    server.answers([Answer::Header(429, header::RETRY_AFTER, "1".to_owned())]);
    let running = start(alertmanager(&[&server.url("")]), limits());
    running.put(firing("a"));
    until("the alert", || server.count() == 2).await;
    let requests = server.requests();
    let waited = requests[1].at - requests[0].at;
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
}

#[tokio::test]
async fn what_is_refused_is_not_sent_again_at_once_and_counted() {
    let server = Server::start().await;
    server.answers([Answer::Status(400, "no such field")]);
    let running = start(webhook(&server.url("/hook")), limits());
    running.put(firing("a"));
    assert!(failure(&running).await.ends_with("HTTP status 400 Bad Request: no such field"));
    running.put(resolved("a"));
    until("the next message", || running.health()[0].sent == 1).await;
    assert_eq!((server.count(), running.health()[0].dropped), (2, 1));
    let server = Server::start().await;
    server.answers([Answer::Status(400, "bad alert")]);
    let running = start(alertmanager(&[&server.url("")]), limits());
    running.put(firing("a"));
    assert!(failure(&running).await.ends_with("bad alert"));
    running.put(firing("b"));
    until("the next alert", || running.health()[0].sent == 1).await;
    // The first has its turn again when a minute is over.
    assert_eq!((server.count(), running.health()[0].dropped), (2, 1));
    assert_eq!(server.requests()[1].json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_without_end_is_read_no_further_than_its_first_words() {
    let server = Server::start().await;
    server.answers([Answer::Endless(500), Answer::Silent(500), Answer::Endless(200)]);
    let limits = netprecursor_sinks::receivers::Limits { attempt: Duration::from_secs(10), ..limits() };
    let running = start(alertmanager(&[&server.url("")]), limits);
    running.put(firing("a"));
    let reason = failure(&running).await;
    assert!(reason.starts_with("HTTP status 500") && reason.len() < 300, "{reason}");
    // Its status is what counts.
    until("the alert", || running.health()[0].sent == 1).await;
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_redirect_is_not_followed_but_named() {
    let elsewhere = Server::start().await;
    let server = Server::start().await;
    server.answers_always(Answer::Header(308, header::LOCATION, elsewhere.url("/x?token=hush")));
    for (given, shown) in [(alertmanager(&[&server.url("")]), "/x?…"), (webhook(&server.url("/hook")), "/…")] {
        let running = start(given, limits());
        running.put(firing("a"));
        let reason = failure(&running).await;
        let expected = format!("redirected to {}; expected that URL", elsewhere.url(shown));
        assert!(reason.contains(&expected), "{expected}: {reason}");
        running.end().await;
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn the_path_of_a_webhook_is_not_shown_though_its_receiver_repeats_it() {
    let server = Server::start().await;
    server.answers_always(Answer::Status(404, "no POST /hooks/T0/secret?key=hush here"));
    let running = start(webhook(&server.url("/hooks/T0/secret?key=hush")), limits());
    running.put(firing("a"));
    assert_eq!(failure(&running).await, "HTTP status 404 Not Found: no POST … here");
}
