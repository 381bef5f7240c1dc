//! What the plan needs of a policy of either kind.

use jiff::Timestamp;
use kube::core::{DeserializeGuard, ObjectMeta};
use netprecursor_core::policy;
use netprecursor_crds::{
    alert::PolicyKind,
    policy::{ClusterPrecursorPolicy, PrecursorPolicy, PrecursorPolicyStatus, Rule},
};

use crate::{models::Source, owned::MANAGER};

/// A policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Which of the two kinds.
    pub kind: PolicyKind,
    /// The generation of its spec.
    pub generation: i64,
    /// What it asks for, or in words why that makes no sense.
    pub spec: Result<Spec, String>,
    /// Its status, as we last wrote it.
    pub status: PrecursorPolicyStatus,
    /// When we last wrote its status.
    pub written: Option<Timestamp>,
}

/// What a policy asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// As the domain has it.
    pub policy: policy::Policy,
    /// Users' models, by rule.
    pub models: Vec<(String, Source)>,
}

/// What is kept of a policy of one namespace.
pub(crate) fn namespaced(object: DeserializeGuard<PrecursorPolicy>) -> Option<Policy> {
    match object.0 {
        Ok(object) => {
            let spec = policy::Policy::try_from(&object).map_err(|refusal| refusal.to_string());
            let namespace = object.metadata.namespace.clone().unwrap_or_default();
            let spec = spec.map(|policy| Spec { policy, models: sources(&namespace, &object.spec.rules) });
            Some(kept(PolicyKind::Namespaced, &object.metadata, spec, object.status.unwrap_or_default()))
        }
        Err(broken) => Some(not_understood(PolicyKind::Namespaced, &broken.metadata, &broken.error)),
    }
}

/// What is kept of a policy of several namespaces. Its models are in the namespace of the install, which is not known
/// here: theirs is left empty.
pub(crate) fn cluster(object: DeserializeGuard<ClusterPrecursorPolicy>) -> Option<Policy> {
    match object.0 {
        Ok(object) => {
            let spec = policy::Policy::try_from(&object).map_err(|refusal| refusal.to_string());
            let spec = spec.map(|policy| Spec { policy, models: sources("", &object.spec.rules) });
            Some(kept(PolicyKind::Cluster, &object.metadata, spec, object.status.unwrap_or_default()))
        }
        Err(broken) => Some(not_understood(PolicyKind::Cluster, &broken.metadata, &broken.error)),
    }
}

fn kept(kind: PolicyKind, metadata: &ObjectMeta, spec: Result<Spec, String>, status: PrecursorPolicyStatus) -> Policy {
    Policy { kind, generation: metadata.generation.unwrap_or(0), spec, status, written: written(metadata) }
}

fn not_understood(kind: PolicyKind, metadata: &ObjectMeta, error: &str) -> Policy {
    tracing::warn!(?kind, name = metadata.name, namespace = metadata.namespace, error, "cannot parse a policy");
    let spec = Err(format!("this release cannot parse the policy: {error}"));
    kept(kind, metadata, spec, PrecursorPolicyStatus::default())
}

/// When our last write of the status was taken in, as the API server remembers it: known after a restart as well.
fn written(metadata: &ObjectMeta) -> Option<Timestamp> {
    let fields = metadata.managed_fields.iter().flatten();
    let ours = fields
        .filter(|entry| entry.manager.as_deref() == Some(MANAGER) && entry.subresource.as_deref() == Some("status"));
    ours.filter_map(|entry| entry.time.as_ref().map(|time| time.0)).max()
}

fn sources(namespace: &str, rules: &[Rule]) -> Vec<(String, Source)> {
    let source = |rule: &Rule| {
        let reference = rule.model.as_ref()?.config_map_key_ref.as_ref()?;
        let source = Source {
            namespace: namespace.to_owned(),
            name: reference.name.clone(),
            key: reference.key.clone(),
            sha256: reference.sha256.to_ascii_lowercase(),
        };
        Some((rule.name.clone(), source))
    };
    rules.iter().filter_map(source).collect()
}
