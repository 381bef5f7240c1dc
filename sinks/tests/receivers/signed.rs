//! Messages of a webhook as whoever receives them checks and shows them.

use std::fs;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use netprecursor_sinks::settings::{Given, GivenWebhook};
use ring::hmac::{HMAC_SHA256, Key, verify};

use crate::fixture::{Answer, Request, Server, firing, limits, resolved, start, until};

/// As docs/alerting.md explains the check.
fn is_signed_with(secret: &[u8], request: &Request) -> bool {
    let header = |name| request.header(name).unwrap();
    let mut signed = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(&request.body);
    let key = Key::new(HMAC_SHA256, secret);
    let mut signatures = header("webhook-signature").split(' ').filter_map(|one| one.strip_prefix("v1,"));
    signatures.any(|one| verify(&key, &signed, &BASE64_STANDARD.decode(one).unwrap()).is_ok())
}

#[tokio::test]
async fn messages_come_in_order_signed_and_with_words_for_a_chat() {
    let directory = tempfile::tempdir().unwrap();
    let [url_file, secret_file] = ["url", "secret"].map(|name| directory.path().join(name));
    let server = Server::start().await;
    fs::write(&url_file, server.url("/hooks/T0/secret")).unwrap();
    let [old, new] = [[1; 32], [2; 32]];
    let line = |secret: &[u8]| format!("whsec_{}\n", BASE64_STANDARD.encode(secret));
    fs::write(&secret_file, line(&old)).unwrap();
    server.answers([Answer::Status(503, "")]);
    let webhook =
        GivenWebhook { url_file: Some(url_file), secret_file: Some(secret_file.clone()), ..GivenWebhook::default() };
    let running = start(Given { webhook, ..Given::default() }, limits());
    running.put(firing("a"));
    until("both attempts", || server.count() == 2).await;
    // Both secrets for a while.
    fs::write(&secret_file, line(&new) + &line(&old)).unwrap();
    running.put(resolved("a"));
    until("its end", || server.count() == 3).await;
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.path == "/hooks/T0/secret" && is_signed_with(&old, request)));
    assert!(is_signed_with(&new, &requests[2]) && !is_signed_with(&new, &requests[1]));
    let [first, again, end] = [0, 1, 2].map(|index| requests[index].json());
    assert_eq!(first, again);
    assert_eq!(requests[0].header("webhook-id"), first["id"].as_str());
    assert_ne!(first["id"], end["id"]);
    let starts = |body: &serde_json::Value, words: &str| body["text"].as_str().unwrap().starts_with(words);
    assert!(starts(&first, "[FIRING] critical: a on host1: RTT has a 74 % chance of exceeding 200ms"), "{first}");
    assert!(starts(&end, "[RESOLVED] critical: a on host1"), "{end}");
}

#[tokio::test]
async fn nothing_is_sent_unsigned_that_should_be_signed() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    fs::write(&secret, "hunter2").unwrap();
    let server = Server::start().await;
    let webhook =
        GivenWebhook { url: Some(server.url("/hook")), secret_file: Some(secret.clone()), ..GivenWebhook::default() };
    let running = start(Given { webhook, ..Given::default() }, limits());
    running.put(firing("a"));
    until("the failure", || running.health()[0].failures > 0).await;
    let error = running.health()[0].error.clone().unwrap();
    assert!(error.contains("--webhook-secret-file (") && !error.contains("hunter2"), "{error}");
    assert_eq!(server.count(), 0);
    fs::write(&secret, format!("whsec_{}", BASE64_STANDARD.encode([7; 32]))).unwrap();
    until("the message", || server.count() == 1).await;
    assert!(is_signed_with(&[7; 32], &server.requests()[0]));
}
