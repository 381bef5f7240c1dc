//! The network of a scenario: servers and clients on the two sides of a router whose inner link is the path.
//!
//! ```text
//! web1 ─ eth0 ┐                 router                  ┌ eth0 ─ client1
//! web2 ─ eth0 ┼─ to-clients ═ relay (or veth) ═ to-servers ─┼ eth0 ─ client2
//! ```
//! What enters from a server is routed into `to-clients`, comes out of `to-servers` and goes on to the clients by the
//! main table; the way back is the mirror image. A shared bottleneck is the queue of `to-clients`.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use super::{
    Namespace, iproute,
    link::Bucket,
    ownership::{Claim, Record},
    relay::{Counts, Relay},
};
use crate::{
    LabError,
    fault::Conditions,
    scenario::{Addresses, Bottleneck, CongestionControl, Resolved},
};

const TO_CLIENTS: &str = "to-clients";
const TO_SERVERS: &str = "to-servers";
/// Where the networks of the two sides differ.
const CLIENTS: u8 = 1;
const SERVERS: u8 = 2;
const NEIGHBOUR: &str = "neighbour";
const FROM_SERVERS_TABLE: u32 = 100;
const FROM_CLIENTS_TABLE: u32 = 200;

/// Where something listens.
pub(crate) type Address = IpAddr;

/// A built network. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Network {
    // The relay's devices go before the namespace that they are in.
    relay: Option<Relay>,
    pub(crate) servers: Vec<Namespace>,
    pub(crate) clients: Vec<Namespace>,
    /// A host at the servers' side that is no target, where the scenario has one.
    pub(crate) neighbour: Option<Namespace>,
    router: Namespace,
    bottleneck: Bottleneck,
    bucket: Bucket,
    base_rtt: Duration,
    applied: Conditions,
    /// Congestion control that the servers really have.
    pub(crate) congestion_control: &'static str,
    claim: Claim,
}

/// Names of all namespaces of a lab.
fn names(id: &str, scenario: &Resolved) -> Vec<String> {
    let numbered = |role: &'static str, count| (1..=count).map(move |n| format!("npl{id}-{role}{n}"));
    numbered("web", scenario.servers())
        .chain(numbered("client", scenario.clients()))
        .chain(numbered(NEIGHBOUR, scenario.has_neighbour().into()))
        .chain([router_name(id)])
        .collect()
}

fn router_name(id: &str) -> String {
    format!("npl{id}-router")
}

/// Address of the n-th (from 0) server.
pub(crate) fn server_address(kind: Addresses, n: usize) -> Address {
    host_address(kind, SERVERS, n)
}

/// Address of the host beside the servers: after the last of them.
fn neighbour_address(kind: Addresses, servers: usize) -> Address {
    server_address(kind, servers)
}

/// Address of the n-th (from 0) client.
pub(crate) fn client_address(kind: Addresses, n: usize) -> Address {
    host_address(kind, CLIENTS, n)
}

/// Each host has a network of its own: a private one (RFC 1918), or a unique local one (RFC 4193).
fn host_address(kind: Addresses, side: u8, n: usize) -> Address {
    let network = n as u8 + 1;
    match kind {
        Addresses::Ipv4 => Ipv4Addr::new(10, side, network, 2).into(),
        Addresses::Ipv6 => Ipv6Addr::new(0xfd00, side.into(), network.into(), 0, 0, 0, 0, 2).into(),
    }
}

impl Network {
    /// Builds it.
    pub(crate) fn build(scenario: &Resolved, seed: u64) -> Result<Self, LabError> {
        let claim = Claim::new(|id| names(id, scenario))?;
        let Record { id, namespaces, .. } = claim.record();
        let (id, all) = (id.clone(), namespaces.clone());
        let router_name = router_name(&id);
        let (web_names, rest) = all.split_at(scenario.servers());
        let (client_names, rest) = rest.split_at(scenario.clients());
        let neighbour_names = &rest[..scenario.has_neighbour().into()];

        let base_rtt = Duration::from_secs_f64(scenario.topology.base_rtt_ms / 1e3);
        let ends = ends(web_names, "web").chain(ends(client_names, "client")).chain(ends(neighbour_names, NEIGHBOUR));
        create(&all, &ends.collect::<Vec<_>>(), &router_name, base_rtt.is_zero())?;

        let open = |names: &[String]| names.iter().map(|name| Namespace::open(name)).collect::<Result<Vec<_>, _>>();
        let (servers, clients, router) = (open(web_names)?, open(client_names)?, Namespace::open(&router_name)?);
        router.set(&[
            ("ipv4/ip_forward", "1"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
        ])?;
        let kind = scenario.topology.addresses;
        if kind == Addresses::Ipv6 {
            router.set(&[("ipv6/conf/all/forwarding", "1")])?;
        }
        let ip = |namespace: &Namespace, lines: &[String]| {
            let version = if kind == Addresses::Ipv6 { "-6" } else { "-4" };
            iproute::batch("ip", &[version, "-n", namespace.name()], lines)
        };
        let relay = match base_rtt.is_zero() {
            true => None,
            false => Some(Relay::start(&router, [TO_CLIENTS, TO_SERVERS], base_rtt, seed)?),
        };
        let congestion_control = congestion_control(scenario);
        // By the route: the default of a namespace may only be an algorithm that the host allows to everybody.
        let by_route = format!("congctl {congestion_control}");
        for (n, server) in servers.iter().enumerate() {
            ip(server, &end_lines(server_address(kind, n), &by_route))?;
            server.set(&[("ipv4/tcp_no_metrics_save", "1"), ("ipv4/ping_group_range", "0 2147483647")])?;
        }
        for (n, client) in clients.iter().enumerate() {
            ip(client, &end_lines(client_address(kind, n), ""))?;
            client.set(&[("ipv4/tcp_no_metrics_save", "1"), ("ipv4/icmp_ratelimit", "0")])?;
        }
        let neighbour = open(neighbour_names)?.pop();
        if let Some(neighbour) = &neighbour {
            ip(neighbour, &end_lines(neighbour_address(kind, servers.len()), &by_route))?;
        }
        ip(&router, &router_lines(scenario, relay.is_none()))?;

        let network = Self {
            relay,
            servers,
            clients,
            neighbour,
            router,
            bottleneck: scenario.topology.bottleneck,
            bucket: Bucket::new(scenario.topology.rate_mbit, scenario.topology.queue_ms),
            base_rtt,
            applied: Conditions::CALM,
            congestion_control,
            claim,
        };
        network.set_bucket(network.bucket)?;
        Ok(network)
    }

    pub(crate) fn record(&self) -> &Record {
        self.claim.record()
    }

    /// Makes the path as the conditions say; does nothing where it already is.
    pub(crate) fn apply(&mut self, conditions: &Conditions) -> Result<(), LabError> {
        if (conditions.capacity - self.applied.capacity).abs() > 1e-6 {
            self.set_bucket(self.bucket.with_capacity(conditions.capacity))?;
        }
        if let Some(relay) = &self.relay {
            relay.set_round_trip(self.base_rtt + Duration::from_secs_f64(conditions.extra_rtt_ms / 1e3));
            relay.set_loss(conditions.loss);
            relay.set_bursts(conditions.bursts);
        }
        self.applied = *conditions;
        Ok(())
    }

    /// Counters of the relay; zero without one.
    pub(crate) fn relay_counts(&self) -> Counts {
        self.relay.as_ref().map_or_else(Counts::default, Relay::counts)
    }

    /// Removes it. The error lists what could not be removed.
    pub(crate) fn remove(self) -> Result<(), LabError> {
        let Self { relay, servers, clients, neighbour, router, claim, .. } = self;
        drop((relay, servers, clients, neighbour, router));
        claim.release()
    }

    fn set_bucket(&self, bucket: Bucket) -> Result<(), LabError> {
        let replace = |namespace: &Namespace, device| {
            iproute::command(
                "tc",
                &format!("-n {} qdisc replace dev {device} {}", namespace.name(), bucket.arguments()),
            )
        };
        match self.bottleneck {
            Bottleneck::Router => replace(&self.router, TO_CLIENTS),
            Bottleneck::Server => self.servers.iter().try_for_each(|server| replace(server, "eth0")),
        }
    }
}

/// Each end's namespace and the name of its port at the router.
fn ends<'a>(names: &'a [String], role: &'a str) -> impl Iterator<Item = (&'a String, String)> {
    names.iter().enumerate().map(move |(n, name)| (name, format!("{role}{}", n + 1)))
}

/// Creates all namespaces, the links between the hosts and the router, and, without a relay, the link inside the router.
fn create(
    namespaces: &[String],
    ends: &[(&String, String)],
    router: &str,
    has_inner_link: bool,
) -> Result<(), LabError> {
    let mut lines: Vec<String> = namespaces.iter().map(|name| format!("netns add {name}")).collect();
    for (name, port) in ends {
        lines.push(format!("link add eth0 netns {name} type veth peer name {port} netns {router}"));
    }
    if has_inner_link {
        lines.push(format!(
            "link add {TO_CLIENTS} netns {router} address 02:00:00:00:00:01 type veth \
             peer name {TO_SERVERS} address 02:00:00:00:00:02 netns {router}"
        ));
    }
    iproute::batch("ip", &[], &lines)
}

fn gateway(address: Address) -> Address {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() - 1).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() - 1).into(),
    }
}

/// The network that a host shares with its gateway. No other host can have the address: it needs no detection of duplicates,
/// which would take a second.
fn network(address: Address) -> &'static str {
    if address.is_ipv6() { "64 nodad" } else { "24" }
}

fn end_lines(address: Address, route: &str) -> Vec<String> {
    vec![
        "link set lo up".into(),
        format!("addr add {address}/{} dev eth0", network(address)),
        "link set eth0 up".into(),
        // The network of the gateway is not there yet where version 6 waits for the other end of the link.
        format!("route add default via {} dev eth0 onlink {route}", gateway(address)),
    ]
}

fn router_lines(scenario: &Resolved, without_relay: bool) -> Vec<String> {
    let (kind, servers, clients) = (scenario.topology.addresses, scenario.servers(), scenario.clients());
    let mut lines = vec!["link set lo up".into()];
    for device in [TO_CLIENTS, TO_SERVERS] {
        lines.push(format!("link set {device} txqueuelen 2000 up"));
    }
    for (table, device, neighbour) in
        [(FROM_SERVERS_TABLE, TO_CLIENTS, "02:00:00:00:00:02"), (FROM_CLIENTS_TABLE, TO_SERVERS, "02:00:00:00:00:01")]
    {
        if without_relay {
            let via = if kind == Addresses::Ipv6 { "fe80::1" } else { "169.254.0.1" };
            lines.push(format!("neigh add {via} lladdr {neighbour} dev {device} nud permanent"));
            lines.push(format!("route add default via {via} dev {device} onlink table {table}"));
        } else {
            lines.push(format!("route add default dev {device} table {table}"));
        }
    }
    let neighbour = (scenario.has_neighbour())
        .then(|| (format!("{NEIGHBOUR}1"), neighbour_address(kind, servers), FROM_SERVERS_TABLE));
    let servers = (0..servers).map(|n| (format!("web{}", n + 1), server_address(kind, n), FROM_SERVERS_TABLE));
    let clients = (0..clients).map(|n| (format!("client{}", n + 1), client_address(kind, n), FROM_CLIENTS_TABLE));
    for (port, address, table) in servers.chain(clients).chain(neighbour) {
        lines.push(format!("addr add {}/{} dev {port}", gateway(address), network(address)));
        lines.push(format!("link set {port} up"));
        lines.push(format!("rule add iif {port} lookup {table}"));
    }
    lines
}

/// The wanted congestion control where the kernel has it, else cubic, which every kernel has.
fn congestion_control(scenario: &Resolved) -> &'static str {
    let wanted = match scenario.topology.congestion_control.first() {
        Some(CongestionControl::Reno) => "reno",
        Some(CongestionControl::Bbr) => "bbr",
        Some(CongestionControl::Cubic) | None => "cubic",
    };
    let available = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control").unwrap_or_default();
    if available.split_whitespace().any(|name| name == wanted) { wanted } else { "cubic" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_in_the_network_of_its_host() {
        for (kind, host, at) in
            [(Addresses::Ipv4, "10.2.3.2", "10.2.3.1"), (Addresses::Ipv6, "fd00:2:3::2", "fd00:2:3::1")]
        {
            assert_eq!(server_address(kind, 2).to_string(), host);
            assert_eq!(gateway(server_address(kind, 2)).to_string(), at);
            assert_ne!(client_address(kind, 2), server_address(kind, 2));
        }
    }
}
