//! What is dealt to agents: what each may write to the API server, and the networks of the cluster. A ConfigMap that agents
//! mount, so that the kubelet brings it and no agent has to watch, restart or be granted anything for it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use netprecursor_kit::{Networks, Share};
use serde_json::{Value, json};

use crate::{config::Settings, owned};

/// Where agents find it, and the keys of the ConfigMap.
pub(super) const DIRECTORY: &str = "/etc/netprecursor/share";
pub(super) const SHARE: &str = "share.json";
pub(super) const NETWORKS: &str = "networks.json";

/// What was dealt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dealt {
    /// The share as agents read it, whoever wrote it.
    pub share: Option<String>,
    /// Likewise the networks of the cluster; `None` where an earlier release's operator dealt.
    pub networks: Option<String>,
    /// When the operator last wrote either.
    pub applied: Option<Timestamp>,
}

impl Dealt {
    /// Whether this is what agents read.
    pub fn is(&self, share: Share, networks: &Networks) -> bool {
        self.share.as_deref() == Some(&share.text()) && self.networks.as_deref() == Some(&networks.text())
    }
}

/// What is kept of the ConfigMap.
pub fn dealt(map: ConfigMap) -> Option<Dealt> {
    let applied = owned::applied(map.metadata.managed_fields.as_deref().unwrap_or_default());
    let mut data = map.data.unwrap_or_default();
    Some(Dealt { share: data.remove(SHARE), networks: data.remove(NETWORKS), applied })
}

/// Its name.
pub fn name(settings: &Settings) -> String {
    format!("{}-share", settings.config.agent.name)
}

/// The ConfigMap. `anchor` is the UID of the object that owns it.
pub fn manifest(settings: &Settings, anchor: &str, share: Share, networks: &Networks) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name(settings),
            "namespace": settings.namespace,
            "labels": owned::labels(),
            "ownerReferences": [owned::reference(&settings.config.anchor, anchor)],
        },
        "data": {SHARE: share.text(), NETWORKS: networks.text()},
    })
}
