//! Where the cluster is: the networks of its pods, Services and nodes, which rules class peers by. Those that the chart
//! names, or those of nodes and ServiceCIDRs where these say all of it, or else every address for private networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netprecursor_kit::{
    Networks,
    networks::{MAX_NETWORKS, Origin},
};
use thiserror::Error;

use super::Due;
use crate::{
    config::Settings,
    observe::{Key, Observed},
};

/// A node that is younger may still get its podCIDR, and says nothing about the others until then.
const YOUNG_SECONDS: i64 = 60;

/// RFC 1918, RFC 6598 and RFC 4193.
const PRIVATE_RANGES: [IpNet; 5] = [
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
];

/// Why nodes and ServiceCIDRs do not say where the cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
enum Gap {
    /// Nothing is there to look at.
    #[error("there are no nodes")]
    NoNodes,
    /// The network plugin has its own list.
    #[error("node {0} has no podCIDR")]
    NoPodNetwork(String),
    /// The kind is not there, or nobody may look at it.
    #[error("the API server serves no ServiceCIDRs (Kubernetes before 1.33), or the operator may not list them")]
    Unserved,
    /// There is no object of it.
    #[error("there are no ServiceCIDRs")]
    NoServiceNetwork,
    /// More than agents take.
    #[error("nodes and ServiceCIDRs have {0} networks, expected at most {MAX_NETWORKS}")]
    TooMany(usize),
    /// Nobody shows whether the network plugin keeps to nodes' podCIDRs.
    #[error("no agent pod has an address yet that is in its node's podCIDR")]
    Unconfirmed,
    /// The network plugin ignores nodes' podCIDRs.
    #[error(
        "agent pod {pod} has {address}, which is outside of the nodes' podCIDRs: the network plugin assigns others"
    )]
    Elsewhere {
        /// The pod.
        pod: String,
        /// Its address.
        address: IpAddr,
    },
}

/// The networks of the cluster, and where they come from.
pub(super) fn networks(observed: &Observed, settings: &Settings, due: &mut Due) -> Networks {
    if !settings.cluster_networks.is_empty() {
        return Networks { from: Origin::Given, reason: None, networks: settings.cluster_networks.clone() };
    }
    match found(observed, due) {
        Ok(networks) => Networks { from: Origin::Nodes, reason: None, networks },
        Err(gap) => Networks {
            from: Origin::PrivateRanges,
            reason: Some(format!(
                "{gap}; set `clusterNetworks` of the chart to the networks of pods, Services and nodes"
            )),
            networks: PRIVATE_RANGES.to_vec(),
        },
    }
}

/// The networks that nodes and ServiceCIDRs show, if that is all of them.
fn found(observed: &Observed, due: &mut Due) -> Result<Vec<IpNet>, Gap> {
    if observed.nodes.is_empty() {
        return Err(Gap::NoNodes);
    }
    let mut without = observed.nodes.iter().filter(|(_, node)| node.value.pod_networks.is_empty());
    if let Some((key, _)) =
        without.find(|(_, node)| node.value.created.is_none_or(|created| due.passed(created, YOUNG_SECONDS)))
    {
        return Err(Gap::NoPodNetwork(key.name.clone()));
    }
    if !observed.serves_service_cidrs {
        return Err(Gap::Unserved);
    }
    let services: Vec<IpNet> = observed.service_cidrs.iter().flat_map(|(_, seen)| &seen.value).copied().collect();
    if services.is_empty() {
        return Err(Gap::NoServiceNetwork);
    }
    let pods = observed.nodes.iter().flat_map(|(_, node)| &node.value.pod_networks).copied();
    let hosts = observed.nodes.iter().flat_map(|(_, node)| &node.value.addresses).copied().map(IpNet::from);
    let networks = IpNet::aggregate(&services.into_iter().chain(pods).chain(hosts).collect());
    if networks.len() > MAX_NETWORKS {
        return Err(Gap::TooMany(networks.len()));
    }
    // Pods of nodes that are gone stay for a while: their networks do not.
    let here = observed.agents.iter().filter(|(_, pod)| observed.nodes.find(&Key::new("", &pod.value.node)).is_some());
    let addresses: Vec<(&Key, IpAddr)> =
        here.flat_map(|(key, pod)| pod.value.addresses.iter().map(move |address| (key, *address))).collect();
    if let Some((key, address)) = addresses.iter().find(|(_, address)| !holds(&networks, address)) {
        return Err(Gap::Elsewhere { pod: key.name.clone(), address: *address });
    }
    if addresses.is_empty() && !were_found(observed) {
        return Err(Gap::Unconfirmed);
    }
    Ok(networks)
}

/// Whether what is dealt is what nodes show: agents' pods that come and go do not change that.
fn were_found(observed: &Observed) -> bool {
    let dealt = observed.shares.iter().next().and_then(|(_, dealt)| dealt.value.networks.as_deref());
    dealt.and_then(|text| Networks::read(text).ok()).is_some_and(|networks| networks.from == Origin::Nodes)
}

/// Whether one of the networks holds an address. Aggregated, they are in order and do not overlap.
fn holds(networks: &[IpNet], address: &IpAddr) -> bool {
    let after = networks.partition_point(|net| net.network() <= *address);
    networks[..after].last().is_some_and(|net| net.contains(address))
}
