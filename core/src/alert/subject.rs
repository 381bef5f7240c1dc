//! What an alert is about, as objects of the API.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::policy::Kind;

/// A policy object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; none for a cluster's policy.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Never reused, unlike the name.
    pub uid: String,
}

/// A pod object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PodRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Never reused, unlike the name and the address.
    pub uid: String,
    /// What runs it, as far as its owner shows: the Deployment for a ReplicaSet's pod.
    pub workload: Option<Workload>,
    /// The object that controls it: the ReplicaSet itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<Controller>,
}

/// An object that controls others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Controller {
    /// Group and version of its kind, such as `apps/v1`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Never reused, unlike the name.
    pub uid: String,
}

/// What a pod is one of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Workload {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `Job`…
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A policy and a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Subject {
    /// The policy.
    pub policy: PolicyRef,
    /// The pod.
    pub pod: Arc<PodRef>,
}
