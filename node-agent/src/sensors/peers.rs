//! Which peer sets an address is in. Rules name their peers by scope or networks; each distinct choice is a set with a bit of
//! its own, and the kernel finds the bits of an address by its longest prefix.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netprecursor_agent_common::view::{MAX_PEER_SETS, MAX_PREFIXES};
use netprecursor_core::policy::{MAX_NETWORKS, Peers};
use netprecursor_kit::networks::MAX_NETWORKS as MAX_DEALT;
use thiserror::Error;

/// Networks of the cluster that are followed.
const MAX_CLUSTER: usize = MAX_PREFIXES as usize - 2 - MAX_PEER_SETS as usize * 2 * MAX_NETWORKS;

// All that the operator deals have room.
const _: () = assert!(MAX_DEALT <= MAX_CLUSTER);

/// Every bit is taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "got more than {MAX_PEER_SETS} different `peers` on this node, expected fewer: use the same networks in several rules"
)]
pub struct Crowded;

/// The sets in use, and the networks of the cluster.
#[derive(Debug, Clone, Default)]
pub struct PeerSets {
    /// By bit, with the number of users.
    sets: [Option<(Peers, usize)>; MAX_PEER_SETS as usize],
    cluster: Vec<IpNet>,
    /// Whether the prefixes are others than when that was asked last.
    is_changed: bool,
}

impl PeerSets {
    /// One more user of a set; its bit, or `None` for all peers.
    ///
    /// # Errors
    /// There are too many already.
    pub fn take(&mut self, peers: &Peers) -> Result<Option<u32>, Crowded> {
        if *peers == Peers::All {
            return Ok(None);
        }
        if let Some(known) = self.position(peers) {
            if let Some((_, users)) = &mut self.sets[known] {
                *users += 1;
            }
            return Ok(Some(known as u32));
        }
        let free = self.sets.iter().position(Option::is_none).ok_or(Crowded)?;
        self.sets[free] = Some((peers.clone(), 1));
        self.is_changed = true;
        Ok(Some(free as u32))
    }

    /// One fewer user.
    pub fn give_back(&mut self, peers: &Peers) {
        let Some(known) = self.position(peers) else { return };
        if let Some((_, users)) = &mut self.sets[known] {
            *users -= 1;
            if *users == 0 {
                self.sets[known] = None;
                self.is_changed = true;
            }
        }
    }

    /// The networks of the cluster from now on; of too many the largest.
    pub fn know(&mut self, mut cluster: Vec<IpNet>) {
        cluster.sort_unstable_by_key(|net| (net.prefix_len(), *net));
        if cluster.len() > MAX_CLUSTER {
            let got = cluster.len();
            tracing::warn!(
                got,
                most = MAX_CLUSTER,
                "too many networks of the cluster: peers in the smallest are external"
            );
        }
        cluster.truncate(MAX_CLUSTER);
        self.is_changed |= self.cluster != cluster;
        self.cluster = cluster;
    }

    /// The prefixes, if they are others than when this was asked last.
    pub fn news(&mut self) -> Option<BTreeMap<IpNet, u32>> {
        std::mem::take(&mut self.is_changed).then(|| self.prefixes())
    }

    /// Whether it is known where the cluster is.
    pub const fn knows_cluster(&self) -> bool {
        !self.cluster.is_empty()
    }

    fn position(&self, peers: &Peers) -> Option<usize> {
        self.sets.iter().position(|set| set.as_ref().is_some_and(|(known, _)| known == peers))
    }

    /// The bits of the sets for each prefix that any of them names. An address has those of its longest prefix: whatever
    /// set names a prefix that contains the address, that prefix contains the longest one too.
    fn prefixes(&self) -> BTreeMap<IpNet, u32> {
        let sets = || self.sets.iter().enumerate().filter_map(|(bit, set)| set.as_ref().map(|(peers, _)| (bit, peers)));
        let mut prefixes = BTreeMap::new();
        for (_, peers) in sets() {
            match peers {
                Peers::All => {}
                Peers::Networks(networks) => {
                    prefixes.extend(networks.cidrs().iter().chain(networks.except()).map(|net| (*net, 0)));
                }
                Peers::Cluster | Peers::External => {
                    let everything = [IpNet::from(Ipv4Net::default()), IpNet::from(Ipv6Net::default())];
                    prefixes.extend(self.cluster.iter().copied().chain(everything).map(|net| (net, 0)));
                }
            }
        }
        // The kernel's table holds IPv4 as v4-mapped IPv6, which lies in `::/0`: without a prefix of its own, IPv4 would be in
        // whatever IPv6 is.
        if !prefixes.is_empty() {
            prefixes.entry(IpNet::from(Ipv4Net::default())).or_insert(0);
        }
        for (net, bits) in &mut prefixes {
            let in_cluster = self.cluster.iter().any(|cluster| cluster.contains(net));
            for (bit, peers) in sets() {
                let is_in = match peers {
                    Peers::All => true,
                    Peers::Networks(networks) => networks.contains(net),
                    Peers::Cluster => in_cluster,
                    Peers::External => !in_cluster,
                };
                *bits |= u32::from(is_in) << bit;
            }
        }
        prefixes
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use netprecursor_core::policy::{Networks, network};
    use proptest::prelude::*;

    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| network(text).unwrap()).collect()
    }

    fn networks(cidrs: &[&str], except: &[&str]) -> Peers {
        Peers::Networks(Networks::new(nets(cidrs), nets(except)).unwrap().into())
    }

    /// What the kernel finds, for which every address is one of IPv6.
    fn bits(prefixes: &BTreeMap<IpNet, u32>, address: IpAddr) -> u32 {
        let mapped = |address| match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let key = |net: &IpNet| {
            let bits = if net.addr().is_ipv4() { 96 } else { 0 };
            Ipv6Net::new(mapped(net.addr()), bits + net.prefix_len()).unwrap()
        };
        let holding = prefixes.iter().map(|(net, bits)| (key(net), bits));
        let longest = holding.filter(|(key, _)| key.contains(&mapped(address))).max_by_key(|(key, _)| key.prefix_len());
        longest.map_or(0, |(_, bits)| *bits)
    }

    fn found(sets: &PeerSets, address: &str) -> u32 {
        bits(&sets.prefixes(), address.parse().unwrap())
    }

    #[test]
    fn an_address_is_in_every_set_whose_networks_hold_it_and_no_exception_does() {
        let mut sets = PeerSets::default();
        sets.know(nets(&["10.0.0.0/8", "fd00::/8"]));
        let all = [
            Peers::Cluster,
            Peers::External,
            networks(&["10.0.0.0/8", "10.1.0.0/16"], &["10.1.2.0/24"]),
            networks(&["0.0.0.0/0"], &["10.0.0.0/8", "192.168.0.0/16"]),
        ];
        for (bit, peers) in all.iter().enumerate() {
            assert_eq!(sets.take(peers), Ok(Some(bit as u32)));
        }
        for (address, expected) in [
            ("10.1.1.1", 0b0101),
            ("10.1.2.3", 0b0001),
            ("192.168.1.1", 0b0010),
            ("8.8.8.8", 0b1010),
            ("fd12::1", 0b0001),
            ("2001:db8::1", 0b0010),
        ] {
            assert_eq!(found(&sets, address), expected, "{address}");
        }
    }

    #[test]
    fn networks_of_the_cluster_that_change_change_what_is_in_it_and_outside() {
        let mut sets = PeerSets::default();
        sets.know(nets(&["10.0.0.0/8"]));
        let bits = [Peers::Cluster, Peers::External].map(|peers| sets.take(&peers).unwrap());
        assert_eq!((bits, found(&sets, "10.1.1.1"), found(&sets, "172.16.0.1")), ([Some(0), Some(1)], 0b01, 0b10));
        assert!(sets.news().is_some());
        sets.know(nets(&["10.0.0.0/8"]));
        assert_eq!(sets.news(), None);
        sets.know(nets(&["10.244.0.0/16", "172.16.0.0/12"]));
        assert!(sets.news().is_some());
        assert_eq!((found(&sets, "10.1.1.1"), found(&sets, "172.16.0.1")), (0b10, 0b01));
    }

    #[test]
    fn all_of_ipv6_is_nothing_of_ipv4() {
        let mut sets = PeerSets::default();
        sets.take(&networks(&["::/0"], &[])).unwrap();
        assert_eq!([found(&sets, "8.8.8.8"), found(&sets, "2001:db8::1")], [0, 1]);
    }

    #[test]
    fn a_set_is_kept_as_long_as_somebody_uses_it_and_its_bit_is_given_to_the_next() {
        let mut sets = PeerSets::default();
        let (one, other) = (networks(&["10.0.0.0/8"], &[]), networks(&["11.0.0.0/8"], &[]));
        assert_eq!((sets.take(&one), sets.take(&one), sets.take(&other)), (Ok(Some(0)), Ok(Some(0)), Ok(Some(1))));
        sets.give_back(&one);
        assert_eq!(found(&sets, "10.0.0.1"), 1);
        sets.give_back(&one);
        sets.give_back(&one);
        assert_eq!(found(&sets, "10.0.0.1"), 0);
        assert_eq!((sets.take(&Peers::All), sets.take(&Peers::External)), (Ok(None), Ok(Some(0))));
    }

    #[test]
    fn as_many_sets_and_networks_as_there_may_be_fit_into_the_kernels_table() {
        let mut sets = PeerSets::default();
        let net = |first, number: usize| format!("{first}.{}.{}.0/24", number / 256, number % 256);
        for set in 1..MAX_PEER_SETS as usize {
            let cidrs: Vec<String> = (0..MAX_NETWORKS).map(|number| net(10, set * MAX_NETWORKS + number)).collect();
            let except: Vec<String> = cidrs.iter().map(|cidr| cidr.replace("/24", "/25")).collect();
            let texts = |list: &[String]| nets(&list.iter().map(String::as_str).collect::<Vec<_>>());
            let networks = Networks::new(texts(&cidrs), texts(&except)).unwrap();
            sets.take(&Peers::Networks(networks.into())).unwrap();
        }
        sets.know((0..5000).map(|number| network(&net(11, number)).unwrap()).collect());
        sets.take(&Peers::Cluster).unwrap();
        assert_eq!(sets.take(&Peers::External), Err(Crowded));
        let prefixes = sets.prefixes().len();
        assert!((3000..=MAX_PREFIXES as usize).contains(&prefixes), "{prefixes}");
    }

    proptest! {
        #[test]
        fn the_longest_prefix_says_what_the_networks_say(
            cidrs in prop::collection::vec((any::<u32>(), 0..=32_u8), 1..8),
            cut in prop::collection::vec((any::<u32>(), 0..=32_u8, any::<prop::sample::Index>()), 0..6),
            address in any::<u32>(),
            near in any::<prop::sample::Index>(),
        ) {
            let net = |address: u32, length| Ipv4Net::new(address.into(), length).unwrap().trunc();
            let cidrs: Vec<Ipv4Net> = cidrs.into_iter().map(|(address, length)| net(address, length)).collect();
            let except: Vec<Ipv4Net> = cut.into_iter().map(|(address, length, inside)| {
                let cidr = inside.get(&cidrs);
                let mask = u32::from(cidr.netmask());
                net(u32::from(cidr.addr()) | address & !mask, length.max(cidr.prefix_len()))
            }).collect();
            let near = near.get(&cidrs);
            let address = u32::from(near.addr()) | address & !u32::from(near.netmask());
            let is_in = |list: &[Ipv4Net]| list.iter().any(|net| net.contains(&std::net::Ipv4Addr::from(address)));
            let expected = is_in(&cidrs) && !is_in(&except);
            let into = |list: Vec<Ipv4Net>| list.into_iter().map(IpNet::from).collect();
            let mut sets = PeerSets::default();
            sets.take(&networks(&["0.0.0.0/1"], &["64.0.0.0/2"])).unwrap();
            sets.take(&Peers::Networks(Networks::new(into(cidrs), into(except)).unwrap().into())).unwrap();
            let got = bits(&sets.prefixes(), IpAddr::from(std::net::Ipv4Addr::from(address))) & 2 != 0;
            prop_assert_eq!(got, expected);
        }
    }
}
