//! The networks of the cluster, as nodes, ServiceCIDRs and agents' pods show them.

use ipnet::IpNet;
use netprecursor_kit::{
    Networks,
    networks::{MAX_NETWORKS, Origin},
};

use super::super::{Plan, Write};
use super::cluster::{Cluster, at};

/// The networks that a plan deals, if any.
fn dealt(plan: &Plan) -> Option<Networks> {
    let mut manifests = plan.writes.iter().filter_map(|write| match write {
        Write::DealShare { manifest } => Some(manifest),
        _ => None,
    });
    manifests.next().map(|manifest| Networks::read(manifest["data"]["networks.json"].as_str().unwrap()).unwrap())
}

/// A cluster of two nodes and one ServiceCIDR, with agents on both nodes.
fn cluster() -> Cluster {
    let mut cluster = Cluster::with_policy();
    cluster.service_cidr("kubernetes", &["10.96.0.0/12"]);
    for (node, host, pods, agent) in
        [("a", "192.0.2.1", "10.244.0.0/24", "10.244.0.7"), ("b", "192.0.2.2", "10.244.1.0/24", "10.244.1.9")]
    {
        cluster.node(node, &[pods], &[host]);
        cluster.agent_at(node, &[agent]);
    }
    cluster
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Where the networks come from that are dealt now, and which they are.
fn found(cluster: &mut Cluster) -> (Origin, Vec<IpNet>) {
    let networks = dealt(&cluster.plan(at(0))).unwrap();
    assert_eq!(networks.reason, None);
    (networks.from, networks.networks)
}

/// Why nodes do not say where the cluster is.
fn reason(cluster: &mut Cluster) -> String {
    let networks = dealt(&cluster.plan(at(0))).unwrap();
    assert_eq!((networks.from, networks.networks.len()), (Origin::PrivateRanges, 5));
    let reason = networks.reason.unwrap();
    let (gap, advice) = reason.split_once("; ").unwrap();
    assert_eq!(advice, "set `clusterNetworks` of the chart to the networks of pods, Services and nodes");
    gap.to_owned()
}

#[test]
fn networks_of_nodes_and_services_are_found_and_put_together() {
    let expected = nets(&["10.96.0.0/12", "10.244.0.0/23", "192.0.2.1/32", "192.0.2.2/32"]);
    assert_eq!(found(&mut cluster()), (Origin::Nodes, expected));
}

#[test]
fn both_families_are_found() {
    let mut cluster = Cluster::with_policy();
    cluster.service_cidr("kubernetes", &["10.96.0.0/12", "fd00:2::/112"]);
    cluster.node("a", &["10.244.0.0/24", "fd00:1::/64"], &["192.0.2.1", "2001:db8::1"]);
    cluster.agent_at("a", &["10.244.0.7", "fd00:1::7"]);
    let expected = ["10.96.0.0/12", "10.244.0.0/24", "192.0.2.1/32", "2001:db8::1/128", "fd00:1::/64", "fd00:2::/112"];
    assert_eq!(found(&mut cluster), (Origin::Nodes, nets(&expected)));
}

#[test]
fn networks_that_the_chart_names_are_used_as_given() {
    let mut cluster = cluster();
    cluster.settings.cluster_networks = nets(&["10.0.0.0/8", "203.0.113.0/24"]);
    assert_eq!(found(&mut cluster), (Origin::Given, nets(&["10.0.0.0/8", "203.0.113.0/24"])));
}

#[test]
fn without_nodes_nothing_is_found() {
    assert_eq!(reason(&mut Cluster::with_policy()), "there are no nodes");
}

#[test]
fn a_node_without_a_pod_network_is_named() {
    let mut cluster = cluster();
    cluster.node("c", &[], &["192.0.2.3"]);
    assert_eq!(reason(&mut cluster), "node c has no podCIDR");
}

#[test]
fn a_node_that_has_just_come_may_be_without_a_pod_network_for_a_minute() {
    let mut cluster = cluster();
    cluster.young_node("c", at(-20));
    let plan = cluster.plan(at(0));
    assert_eq!(dealt(&plan).unwrap().from, Origin::Nodes);
    cluster.settled(at(0));
    assert_eq!(dealt(&cluster.plan(at(39))), None);
    assert_eq!(cluster.plan(at(39)).again.as_secs(), 1);
    assert_eq!(dealt(&cluster.plan(at(40))).unwrap().reason.unwrap().split(';').next(), Some("node c has no podCIDR"));
}

#[test]
fn an_api_server_without_service_cidrs_leaves_services_unknown() {
    const UNSERVED: &str =
        "the API server serves no ServiceCIDRs (Kubernetes before 1.33), or the operator may not list them";
    let mut before = cluster();
    before.observed.serves_service_cidrs = false;
    assert_eq!(reason(&mut before), UNSERVED);
    let mut empty = cluster();
    empty.service_cidr("kubernetes", &[]);
    assert_eq!(reason(&mut empty), "there are no ServiceCIDRs");
}

#[test]
fn an_agent_outside_of_the_pod_networks_shows_that_the_network_plugin_ignores_them() {
    let mut cluster = cluster();
    cluster.agent_at("b", &["10.4.3.2"]);
    let expected =
        "agent pod agent-b has 10.4.3.2, which is outside of the nodes' podCIDRs: the network plugin assigns others";
    assert_eq!(reason(&mut cluster), expected);
    // The last address before a network and the first one after it are outside as well.
    for address in ["10.95.255.255", "10.243.255.255", "10.244.2.0", "192.0.2.0", "192.0.2.3", "fd00::1", "0.0.0.0"] {
        cluster.agent_at("b", &[address]);
        assert!(reason(&mut cluster).contains(address), "{address}");
    }
    for address in ["10.96.0.0", "10.111.255.255", "10.244.0.0", "10.244.1.255", "192.0.2.2"] {
        cluster.agent_at("b", &[address]);
        assert_eq!(found(&mut cluster).0, Origin::Nodes, "{address}");
    }
}

#[test]
fn without_an_agent_that_shows_it_nodes_are_believed_only_if_they_were_before() {
    let mut cluster = cluster();
    let leave = |cluster: &mut Cluster| ["a", "b"].iter().for_each(|node| cluster.remove_agent(node));
    leave(&mut cluster);
    assert_eq!(reason(&mut cluster), "no agent pod has an address yet that is in its node's podCIDR");
    cluster.agent_at("a", &["10.244.0.7"]);
    cluster.settled(at(0));
    leave(&mut cluster);
    assert_eq!(dealt(&cluster.plan(at(20))), None, "agents that are replaced change nothing");
    cluster.agent_at("a", &["10.4.3.2"]);
    cluster.settled(at(20));
    leave(&mut cluster);
    assert!(dealt(&cluster.plan(at(40))).is_none_or(|networks| networks.from == Origin::PrivateRanges));
}

#[test]
fn an_agent_whose_node_is_gone_says_nothing() {
    let mut cluster = cluster();
    cluster.remove_node("b");
    let expected = nets(&["10.96.0.0/12", "10.244.0.0/24", "192.0.2.1/32"]);
    assert_eq!(found(&mut cluster), (Origin::Nodes, expected));
}

#[test]
fn more_networks_than_agents_take_are_counted() {
    let mut cluster = cluster();
    for number in 0..MAX_NETWORKS {
        let host = format!("198.18.{}.{}", number / 100, number % 100 * 2 + 1);
        cluster.node(&format!("n{number}"), &["10.244.2.0/24"], &[host.as_str()]);
    }
    // One of the Services, two of the pods, and each host has its own.
    let got = 1 + 2 + 2 + MAX_NETWORKS;
    let expected = format!("nodes and ServiceCIDRs have {got} networks, expected at most {MAX_NETWORKS}");
    assert_eq!(reason(&mut cluster), expected);
}

#[test]
fn nodes_that_come_and_go_change_the_networks_and_never_the_agents() {
    let mut cluster = cluster();
    cluster.settled(at(0));
    cluster.node("c", &["10.244.2.0/24"], &["192.0.2.3"]);
    // As often as shares, at most.
    let early = cluster.plan(at(4));
    assert_eq!((dealt(&early), early.again.as_secs()), (None, 6));
    let plan = cluster.plan(at(20));
    let expected = ["10.96.0.0/12", "10.244.0.0/23", "10.244.2.0/24", "192.0.2.1/32", "192.0.2.2/31"];
    assert_eq!(dealt(&plan).unwrap().networks, nets(&expected));
    assert!(!plan.writes.iter().any(|write| matches!(write, Write::ApplyAgents { .. })));
    cluster.settled(at(20));
    assert_eq!(dealt(&cluster.plan(at(40))), None);
}

#[test]
fn networks_that_others_change_or_that_an_earlier_release_did_not_deal_are_dealt() {
    for meddled in [Some("everywhere".to_owned()), None] {
        let mut cluster = cluster();
        cluster.settled(at(0));
        cluster.observed.shares.iter_mut().for_each(|(_, seen)| seen.value.networks.clone_from(&meddled));
        assert_eq!(dealt(&cluster.plan(at(10))).unwrap().from, Origin::Nodes, "{meddled:?}");
    }
}
