//! The script on real API servers: what they answer is what the fake one is compared with. `cargo xtask bless` writes it anew.
#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

use std::time::Duration;

use http::{Request, header};
use kube::{Client, client::Body};
use netprecursor_e2e::{ApiServer, Version};
use netprecursor_fakeapi::script;
use serde_json::Value;

const OBSERVATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/observations.json");

/// For the definition of the kind to be served.
const PATIENCE: Duration = Duration::from_secs(60);

async fn define(client: &Client) {
    let request = Request::post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(script::gadgets().to_string().into_bytes()))
        .unwrap();
    let made = client.send(request).await.unwrap().status();
    assert!(made.is_success(), "{made}");
    let served = async {
        loop {
            let request = Request::get("/apis/test.netprecursor.io/v1/gadgets").body(Body::empty()).unwrap();
            if client.send(request).await.unwrap().status().is_success() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, served).await.unwrap();
}

async fn play(version: Version) -> Vec<(&'static str, Value)> {
    // With the controller manager: what is owned goes with its owner.
    let server = ApiServer::builder(version).controller_manager().start().await.unwrap();
    let client = server.client().await.unwrap();
    define(&client).await;
    let namespace = server.namespace().await.unwrap();
    script::run(&client, &namespace).await.unwrap()
}

async fn compare(version: Version) {
    let seen = play(version).await;
    if std::env::var_os("BLESS").is_some() && version == Version::DEFAULT {
        let text = serde_json::to_string_pretty(&script::to_json(&seen)).unwrap();
        std::fs::write(OBSERVATIONS, text + "\n").unwrap();
    }
    let expected = serde_json::from_str(&std::fs::read_to_string(OBSERVATIONS).unwrap()).unwrap();
    let differences = script::differences(&seen, &expected);
    assert!(
        differences.is_empty(),
        "{} of {} steps differ from tests/observations.json; run cargo xtask bless api if the server is right:\n{}",
        differences.len(),
        seen.len(),
        differences.join("\n")
    );
}

#[tokio::test]
async fn the_oldest_server_answers_the_script_as_recorded() {
    compare(Version::OLDEST).await;
}

#[tokio::test]
async fn the_default_server_answers_the_script_as_recorded() {
    compare(Version::DEFAULT).await;
}

#[tokio::test]
async fn the_newest_server_answers_the_script_as_recorded() {
    compare(Version::NEWEST).await;
}
