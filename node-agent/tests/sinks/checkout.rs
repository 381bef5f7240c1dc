//! The policy that the made-up alerts are of, as an API server has it.

use netprecursor_core::alert::PolicyRef;
use netprecursor_fakeapi::{Kind, Kinds, Server};
use serde_json::{Value, json};

use super::reference;

/// The policy.
pub(crate) fn policy() -> Value {
    json!({
        "apiVersion": "netprecursor.io/v1alpha1",
        "kind": "PrecursorPolicy",
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {
            "target": {"podSelector": {"matchLabels": {"app": "checkout"}}},
            "rules": [{"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}}],
        },
    })
}

/// A fake API server that knows our kinds and has the policy.
pub(crate) fn server(seed: u64) -> (Server, PolicyRef) {
    with_definitions(seed, |_| {})
}

/// One on which alerts have a subresource for their status.
pub(crate) fn server_of_before(seed: u64) -> (Server, PolicyRef) {
    with_definitions(seed, |definition| {
        let version = &mut definition["spec"]["versions"][0];
        version["subresources"] = json!({"status": {}});
        version["schema"]["openAPIV3Schema"]["required"] = json!(["spec"]);
    })
}

fn with_definitions(seed: u64, change: impl Fn(&mut Value)) -> (Server, PolicyRef) {
    let definitions = netprecursor_crds::schema::definitions().unwrap();
    let kinds = definitions.iter().map(|definition| {
        let mut definition = serde_json::to_value(definition).unwrap();
        if definition["spec"]["names"]["kind"] == "PrecursorAlert" {
            change(&mut definition);
        }
        Kind::custom(&definition).unwrap()
    });
    let server = Server::new(kinds.fold(Kinds::builtin(), Kinds::with), seed);
    server.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})).unwrap();
    let policy = server.create(&policy()).unwrap();
    (server, reference(policy["metadata"]["uid"].as_str().unwrap()))
}
