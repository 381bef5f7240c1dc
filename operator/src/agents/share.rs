//! What each agent may write to the API server: a ConfigMap that agents mount, so that the kubelet brings it and no agent has
//! to watch, restart or be granted anything for it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use netprecursor_kit::Share;
use serde_json::{Value, json};

use crate::{config::Settings, owned};

/// Where agents find it, and the key of the ConfigMap.
pub(super) const DIRECTORY: &str = "/etc/netprecursor/share";
pub(super) const KEY: &str = "share.json";

/// A share that was dealt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dealt {
    /// As agents read it, whoever wrote it.
    pub text: Option<String>,
    /// When the operator last wrote it.
    pub applied: Option<Timestamp>,
}

/// What is kept of the ConfigMap.
pub fn dealt(map: ConfigMap) -> Option<Dealt> {
    let applied = owned::applied(map.metadata.managed_fields.as_deref().unwrap_or_default());
    Some(Dealt { text: map.data.and_then(|mut data| data.remove(KEY)), applied })
}

/// Its name.
pub fn name(settings: &Settings) -> String {
    format!("{}-share", settings.config.agent.name)
}

/// The ConfigMap. `anchor` is the UID of the object that owns it.
pub fn manifest(settings: &Settings, anchor: &str, share: Share) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name(settings),
            "namespace": settings.namespace,
            "labels": owned::labels(),
            "ownerReferences": [owned::reference(&settings.config.anchor, anchor)],
        },
        "data": {KEY: share.text()},
    })
}
