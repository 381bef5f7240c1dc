//! What the plan needs of nodes, ServiceCIDRs and pods to find out where the cluster is: their networks and addresses.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::api::{
    core::v1::{Node as NodeObject, PodStatus},
    networking::v1::ServiceCIDR,
};
use kube::core::DeserializeGuard;
use netprecursor_core::policy::network;

/// A node, as far as it shows where the cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// Networks of its pods; empty where it has none, or one that is malformed.
    pub pod_networks: Vec<IpNet>,
    /// Its own addresses inside the cluster.
    pub addresses: Vec<IpAddr>,
    /// When it came; `None` where that is not known.
    pub created: Option<Timestamp>,
}

/// What is kept of a node. One that cannot be parsed is there all the same.
pub(crate) fn node(object: DeserializeGuard<NodeObject>) -> Option<Node> {
    let object = object.0.unwrap_or_default();
    let spec = object.spec.unwrap_or_default();
    let texts = spec.pod_cidrs.filter(|texts| !texts.is_empty());
    let texts = texts.unwrap_or_else(|| spec.pod_cidr.into_iter().collect());
    let pod_networks = texts.iter().map(|text| network(text).ok()).collect::<Option<Vec<IpNet>>>();
    let all = object.status.and_then(|status| status.addresses).unwrap_or_default();
    let internal = all.iter().filter(|address| address.type_ == "InternalIP");
    Some(Node {
        pod_networks: pod_networks.unwrap_or_default(),
        addresses: internal.filter_map(|internal| address(&internal.address)).collect(),
        created: object.metadata.creation_timestamp.map(|time| time.0),
    })
}

/// What is kept of a ServiceCIDR.
pub(crate) fn service_networks(object: DeserializeGuard<ServiceCIDR>) -> Option<Vec<IpNet>> {
    let texts = object.0.ok()?.spec?.cidrs?;
    Some(texts.iter().filter_map(|text| network(text).ok()).collect())
}

/// The addresses of a pod.
pub(super) fn of_pod(status: &PodStatus) -> Vec<IpAddr> {
    let all = status.pod_ips.iter().flatten().map(|address| &address.ip).chain(&status.pod_ip);
    let mut addresses: Vec<IpAddr> = all.filter_map(|text| address(text)).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn kept(object: Value) -> Node {
        node(serde_json::from_value(object).unwrap()).unwrap()
    }

    fn with_spec(spec: Value) -> Node {
        kept(json!({"metadata": {"name": "a"}, "spec": spec}))
    }

    #[test]
    fn of_a_node_its_pods_networks_and_its_inner_addresses_are_kept() {
        let addresses = json!([
            {"type": "InternalIP", "address": "192.0.2.7"},
            {"type": "InternalIP", "address": "2001:db8::7"},
            {"type": "InternalIP", "address": "unknown"},
            {"type": "ExternalIP", "address": "198.51.100.7"},
            {"type": "Hostname", "address": "a"},
        ]);
        let node = kept(json!({
            "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:1::/64"]},
            "status": {"addresses": addresses},
        }));
        assert_eq!(node.pod_networks, ["10.244.1.0/24", "fd00:1::/64"].map(|text| text.parse::<IpNet>().unwrap()));
        assert_eq!(node.addresses, ["192.0.2.7", "2001:db8::7"].map(|text| text.parse::<IpAddr>().unwrap()));
        assert_eq!(node.created, Some("2026-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_node_with_a_malformed_network_counts_as_one_without() {
        assert_eq!(with_spec(json!({"podCIDR": "10.244.1.0/24"})).pod_networks.len(), 1);
        for spec in [
            json!({}),
            json!({"podCIDR": "everywhere"}),
            json!({"podCIDRs": ["10.244.1.0/24", "10.244.1.0/33"]}),
            json!({"podCIDRs": []}),
            json!({"podCIDR": 7}),
        ] {
            assert_eq!(with_spec(spec.clone()).pod_networks, [], "{spec}");
        }
    }

    #[test]
    fn of_a_service_cidr_its_networks_are_kept() {
        let kept = |spec: Value| {
            let object = json!({"metadata": {"name": "kubernetes"}, "spec": spec});
            service_networks(serde_json::from_value(object).unwrap())
        };
        let both = kept(json!({"cidrs": ["10.96.0.0/12", "fd00:2::/112"]})).unwrap();
        assert_eq!(both, ["10.96.0.0/12", "fd00:2::/112"].map(|text| text.parse::<IpNet>().unwrap()));
        assert_eq!((kept(json!({})), kept(json!({"cidrs": 7}))), (None, None));
    }

    #[test]
    fn an_address_that_a_pod_names_twice_is_one() {
        let status = json!({"podIP": "10.244.1.7", "podIPs": [{"ip": "10.244.1.7"}, {"ip": "fd00:1::7"}]});
        let expected = ["10.244.1.7", "fd00:1::7"].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!(of_pod(&serde_json::from_value(status).unwrap()), expected);
    }
}
