//! What the agent needs of a Pod object, as a small value: the object itself is not kept.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use k8s_openapi::{
    api::core::v1::Pod as Object,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use netprecursor_core::{
    alert::{Controller, PodRef, Workload},
    policy::Labels,
};

/// A pod's own configuration hash, which is in its cgroup's name instead of the UID of its mirror in the API.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";
/// Marks such a mirror.
const CONFIG_MIRROR: &str = "kubernetes.io/config.mirror";
/// Letters of what an alert names, as the API bounds them.
const MAX_KIND: usize = 63;
const MAX_NAME: usize = 253;
const MAX_UID: usize = 64;
/// What a Deployment adds to the names of its ReplicaSets.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// A pod that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// The object.
    pub reference: Arc<PodRef>,
    /// Its labels.
    pub labels: Labels,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The node's.
    pub host_addresses: Vec<IpAddr>,
    /// Whether it shares the node's network namespace.
    pub host_network: bool,
    /// What cgroup paths call it, where that is not the UID.
    pub static_uid: Option<String>,
}

impl Pod {
    /// From the object; `None` when it has ended, or has no UID to know it by.
    pub fn read(object: &Object) -> Option<Self> {
        let status = object.status.clone().unwrap_or_default();
        if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
            return None;
        }
        let metadata = &object.metadata;
        let labels = metadata.labels.clone().unwrap_or_default();
        let parse = |text: String| text.parse::<IpAddr>().ok();
        // The singular fields are the first of the plural ones; older servers and fakes may give only those.
        let pod_ips = status.pod_ips.unwrap_or_default().into_iter().map(|address| address.ip);
        let host_ips = status.host_ips.unwrap_or_default().into_iter().map(|address| address.ip);
        let addresses: BTreeSet<IpAddr> = pod_ips.chain(status.pod_ip).filter_map(parse).collect();
        let host_addresses: BTreeSet<IpAddr> = host_ips.chain(status.host_ip).filter_map(parse).collect();
        let annotation = |key: &str| metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
        let static_uid = annotation(CONFIG_MIRROR).and_then(|_| annotation(CONFIG_HASH)).cloned();
        let owner = controller(metadata);
        Some(Self {
            reference: Arc::new(PodRef {
                namespace: metadata.namespace.clone()?,
                name: metadata.name.clone()?,
                uid: metadata.uid.clone()?,
                workload: owner.map(|owner| workload(owner, &labels)),
                controller: owner.map(|owner| Controller {
                    api_version: owner.api_version.clone(),
                    kind: owner.kind.clone(),
                    name: owner.name.clone(),
                    uid: owner.uid.clone(),
                }),
            }),
            labels,
            addresses: addresses.into_iter().collect(),
            host_addresses: host_addresses.into_iter().collect(),
            host_network: object.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or(false),
            static_uid,
        })
    }
}

/// What controls the pod. A node, which controls static pods, is no workload, and nothing else in the core group is but
/// ReplicationControllers. Owners are free text: what no alert could name is no workload either.
fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    let owner = metadata.owner_references.as_ref()?.iter().find(|owner| owner.controller == Some(true))?;
    let is_workload = owner.api_version.contains('/') || owner.kind == "ReplicationController";
    let OwnerReference { api_version, kind, name, uid, .. } = owner;
    let bounds = [(api_version, 253), (kind, MAX_KIND), (name, MAX_NAME), (uid, MAX_UID)];
    let is_bounded = bounds.iter().all(|(text, max)| !text.is_empty() && text.len() <= *max);
    (is_workload && is_bounded).then_some(owner)
}

/// The controller; for a ReplicaSet that a Deployment made, the Deployment.
fn workload(owner: &OwnerReference, labels: &Labels) -> Workload {
    let deployment = labels.get(TEMPLATE_HASH).and_then(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'));
    let (kind, name) = match deployment {
        Some(name) if owner.kind == "ReplicaSet" && !name.is_empty() => ("Deployment", name),
        _ => (owner.kind.as_str(), owner.name.as_str()),
    };
    Workload { kind: kind.to_owned(), name: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: serde_json::Value) -> Object {
        serde_json::from_value(json!({
            "metadata": {
                "namespace": "shop", "name": "web-7d4b9c-x2", "uid": "u1",
                "labels": {"app": "web", "pod-template-hash": "7d4b9c"},
                "ownerReferences": [
                    {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9c", "uid": "r", "controller": true},
                ],
            },
            "spec": {"containers": []},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn what_is_no_workload_controls_no_pod() {
        let owned = |owner: serde_json::Value| {
            let mut object = pod(json!({}));
            object.metadata.owner_references = Some(vec![serde_json::from_value(owner).unwrap()]);
            Pod::read(&object).unwrap().reference.workload.clone()
        };
        let owner = |version: &str, kind: &str| {
            owned(json!({"apiVersion": version, "kind": kind, "name": "one", "uid": "u", "controller": true}))
        };
        assert_eq!(owner("v1", "Node"), None, "as of static pods");
        assert!(owner("v1", "ReplicationController").is_some());
        assert!(owner("example.com/v1", "Game").is_some());
        assert_eq!(owner("example.com/v1", &"K".repeat(64)), None);
    }

    #[test]
    fn a_pod_has_its_addresses_in_both_families_and_its_deployment() {
        let status = json!({"phase": "Running", "podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}, {"ip": "fd00::7"}],
                            "hostIP": "192.0.2.1"});
        let pod = Pod::read(&pod(status)).unwrap();
        assert_eq!(pod.addresses, ["10.0.0.7".parse::<IpAddr>().unwrap(), "fd00::7".parse().unwrap()]);
        assert_eq!(pod.host_addresses, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(pod.reference.workload, Some(Workload { kind: "Deployment".into(), name: "web".into() }));
        assert!(!pod.host_network && pod.static_uid.is_none());
    }

    #[test]
    fn a_pod_that_has_ended_is_none_and_one_without_address_is_one() {
        for phase in ["Succeeded", "Failed"] {
            assert_eq!(Pod::read(&pod(json!({"phase": phase}))), None);
        }
        assert_eq!(Pod::read(&pod(json!({"phase": "Pending"}))).unwrap().addresses, [] as [IpAddr; 0]);
    }

    #[test]
    fn a_static_pods_cgroup_is_named_after_its_configuration() {
        let mut object = pod(json!({}));
        let annotations = [(CONFIG_HASH, "abc"), (CONFIG_MIRROR, "abc")];
        object.metadata.annotations =
            Some(annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect());
        assert_eq!(Pod::read(&object).unwrap().static_uid.as_deref(), Some("abc"));
    }
}
