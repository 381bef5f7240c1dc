//! The script on this server against what a real one answered (`tests/observations.json`, written by the test of the
//! same name that has a real one: `cargo xtask bless`).

use netprecursor_fakeapi::{Kind, Kinds, Server, script};
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn the_fake_server_answers_as_the_real_one_did() {
    let server = Server::new(Kinds::builtin().with(Kind::custom(&script::gadgets()).unwrap()), 1);
    server.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "script-namespace"}})).unwrap();
    let seen = script::run(&server.client("script", "default"), "script-namespace").await.unwrap();
    let expected: Value = serde_json::from_str(include_str!("observations.json")).unwrap();
    let differences = script::differences(&seen, &expected);
    assert!(
        differences.is_empty(),
        "{} of {} steps differ:\n{}",
        differences.len(),
        seen.len(),
        differences.join("\n")
    );
}

#[tokio::test(start_paused = true)]
async fn a_different_answer_is_found() {
    let server = Server::new(Kinds::builtin().with(Kind::custom(&script::gadgets()).unwrap()), 1);
    server.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})).unwrap();
    let mut seen = script::run(&server.client("script", "default"), "a").await.unwrap();
    let expected = script::to_json(&seen);
    assert_eq!(script::differences(&seen, &expected), Vec::<String>::new());
    seen[1].1["body"]["spec"]["mode"] = json!("Shadow");
    assert_eq!(script::differences(&seen, &expected).len(), 1);
    seen.pop();
    assert_eq!(script::differences(&seen, &expected).len(), 2);
}
