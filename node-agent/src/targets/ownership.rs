//! Whose a network namespace is: decided from what its sockets showed (addresses, cgroups) and what the API lists of the
//! pods, purely.
//!
//! Addresses come back, cookies of namespaces never do. So a namespace that is known to be a pod's stays that pod's, for
//! good; an address is evidence for a pod only while the pod has it; and where the cgroups of sockets are known, an address
//! alone is not believed: a namespace that outlives its pod may still use an address that is another pod's by now.

mod evidence;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

/// Namespaces whose owner is not known, at once; the one silent for longest goes first.
const MAX_OPEN: usize = 1024;
/// Addresses and cgroups remembered of one of them.
const MAX_SIGNS: usize = 32;
/// Namespaces of pods that are gone, remembered so that nobody else gets them.
const MAX_RETIRED: usize = 4096;
/// A namespace of unknown owner is forgotten after this silence.
const FORGET: Duration = Duration::from_secs(600);

/// A pod as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// Its UID.
    pub uid: String,
    /// What cgroup paths call it, where that is not the UID.
    pub static_uid: Option<String>,
    /// Its addresses; those of the node if it is on the host's network.
    pub addresses: Vec<IpAddr>,
    /// Whether it shares the node's namespace.
    pub host_network: bool,
}

/// Something that became known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The namespace is this pod's.
    Bound {
        /// The namespace's cookie.
        namespace: u64,
        /// The pod's UID.
        uid: String,
    },
    /// The namespace is the node's own.
    Host {
        /// Its cookie.
        namespace: u64,
    },
    /// Another namespace claims the address that this one was bound by: it is nobody's until that one falls silent, or
    /// until its cgroup shows it.
    Doubted {
        /// The namespace's cookie.
        namespace: u64,
        /// The pod's UID.
        uid: String,
    },
}

/// Numbers for status and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Namespaces that are some pod's.
    pub bound: usize,
    /// Namespaces whose owner is not known.
    pub open: usize,
    /// How often two namespaces claimed the address of one pod.
    pub doubts: u64,
    /// Namespaces forgotten before their owner was known, to make room.
    pub forgotten: u64,
}

#[derive(Debug)]
struct Known {
    /// Since when it has each address, ns.
    addresses: BTreeMap<Ipv6Addr, u64>,
    static_uid: Option<String>,
    host_network: bool,
}

/// What a namespace showed.
#[derive(Debug, Default)]
struct Open {
    /// When a socket had this address last, ns.
    claims: BTreeMap<Ipv6Addr, u64>,
    /// Pods, as cgroup paths call them.
    members: BTreeSet<String>,
    last_ns: u64,
}

/// How a namespace came to its owner.
#[derive(Debug)]
struct Bond {
    uid: String,
    /// The address, when it is the only evidence.
    by_address: Option<Ipv6Addr>,
}

/// Which pod owns which network namespace, as far as known.
#[derive(Debug, Default)]
pub struct Ownership {
    pods: BTreeMap<String, Known>,
    host_addresses: BTreeSet<Ipv6Addr>,
    open: BTreeMap<u64, Open>,
    bonds: BTreeMap<u64, Bond>,
    hosts: BTreeSet<u64>,
    /// Namespaces of pods that are gone, oldest first.
    retired: VecDeque<u64>,
    retired_set: BTreeSet<u64>,
    doubts: u64,
    forgotten: u64,
}

/// An address as the kernel notes it.
fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

impl Ownership {
    /// The pods that there are, at `now_ns`; those left out are gone.
    pub fn settle_pods(&mut self, pods: &[Resident], host_addresses: &[IpAddr], now_ns: u64) {
        self.host_addresses = host_addresses.iter().copied().map(mapped).collect();
        let present: BTreeSet<&str> = pods.iter().map(|pod| pod.uid.as_str()).collect();
        self.pods.retain(|uid, _| present.contains(uid.as_str()));
        for pod in pods {
            let known = self.pods.entry(pod.uid.clone()).or_insert_with(|| Known {
                addresses: BTreeMap::new(),
                static_uid: None,
                host_network: false,
            });
            known.static_uid.clone_from(&pod.static_uid);
            known.host_network = pod.host_network;
            let addresses: BTreeSet<Ipv6Addr> = pod.addresses.iter().copied().map(mapped).collect();
            known.addresses.retain(|address, _| addresses.contains(address));
            for address in addresses {
                known.addresses.entry(address).or_insert(now_ns);
            }
        }
        let gone: Vec<u64> = self
            .bonds
            .iter()
            .filter(|(_, bond)| !self.pods.contains_key(&bond.uid))
            .map(|(cookie, _)| *cookie)
            .collect();
        for namespace in gone {
            self.bonds.remove(&namespace);
            self.retire(namespace);
        }
    }

    fn retire(&mut self, namespace: u64) {
        if self.retired_set.insert(namespace) {
            self.retired.push_back(namespace);
        }
        if self.retired.len() > MAX_RETIRED
            && let Some(oldest) = self.retired.pop_front()
        {
            self.retired_set.remove(&oldest);
        }
    }

    /// A socket of `namespace` had `address` at `at_ns`.
    pub fn claim(&mut self, namespace: u64, address: Ipv6Addr, at_ns: u64) {
        if let Some(open) = self.open_mut(namespace, at_ns) {
            open.claims.insert(address, at_ns);
            if open.claims.len() > MAX_SIGNS
                && let Some(oldest) = open.claims.iter().min_by_key(|(_, at_ns)| **at_ns).map(|(address, _)| *address)
            {
                open.claims.remove(&oldest);
            }
        }
    }

    /// A socket of `namespace` was made in a cgroup of the pod that cgroup paths call `pod`, seen at `at_ns`.
    pub fn member(&mut self, namespace: u64, pod: &str, at_ns: u64) {
        if let Some(open) = self.open_mut(namespace, at_ns)
            && open.members.len() < MAX_SIGNS
            && !open.members.contains(pod)
        {
            open.members.insert(pod.to_owned());
        }
    }

    /// What is remembered of a namespace whose owner is not known; nothing of others. A namespace bound by its address
    /// alone is still looked at, since another may claim that address.
    fn open_mut(&mut self, namespace: u64, at_ns: u64) -> Option<&mut Open> {
        if self.bonds.contains_key(&namespace)
            || self.hosts.contains(&namespace)
            || self.retired_set.contains(&namespace)
        {
            return None;
        }
        if self.open.len() >= MAX_OPEN && !self.open.contains_key(&namespace) {
            let silent = self.open.iter().min_by_key(|(_, open)| open.last_ns).map(|(cookie, _)| *cookie);
            if let Some(silent) = silent {
                self.open.remove(&silent);
                self.forgotten += 1;
            }
        }
        let open = self.open.entry(namespace).or_default();
        open.last_ns = open.last_ns.max(at_ns);
        Some(open)
    }

    /// Decides what can be decided at `now_ns`. `knows_cgroups`: the cgroups of sockets are known on this machine, so that
    /// an address without its pod's cgroup is not believed.
    pub fn decide(&mut self, knows_cgroups: bool, now_ns: u64) -> Vec<Finding> {
        let forget = u64::try_from(FORGET.as_nanos()).unwrap_or(u64::MAX);
        self.open.retain(|_, open| now_ns.saturating_sub(open.last_ns) < forget);
        let mut findings = Vec::new();
        let namespaces: Vec<u64> = self.open.keys().copied().collect();
        for namespace in namespaces {
            let Some(open) = self.open.get(&namespace) else { continue };
            if self.is_host(open) {
                self.open.remove(&namespace);
                self.hosts.insert(namespace);
                findings.push(Finding::Host { namespace });
                continue;
            }
            let owner = if knows_cgroups {
                self.by_cgroup(open).map(|uid| (uid, None))
            } else {
                self.by_address(namespace, open).map(|(uid, address)| (uid, Some(address)))
            };
            let Some((uid, by_address)) = owner else { continue };
            // Of what an address alone has bound to the pod, a cgroup takes everything back, and the same address leaves
            // nothing that could be believed.
            let rivals = self.rivals(&uid, by_address);
            let is_contested = by_address.is_some() && !rivals.is_empty();
            for rival in rivals {
                self.doubt(namespace, rival, now_ns, &mut findings);
            }
            if !is_contested {
                self.open.remove(&namespace);
                self.bonds.insert(namespace, Bond { uid: uid.clone(), by_address });
                findings.push(Finding::Bound { namespace, uid });
            }
        }
        findings
    }

    /// The namespaces that were bound to the pod by nothing but an address: by this one, or by any.
    fn rivals(&self, uid: &str, address: Option<Ipv6Addr>) -> Vec<u64> {
        let is_rival = |bond: &Bond| {
            bond.uid == uid && bond.by_address.is_some_and(|by| address.is_none_or(|address| address == by))
        };
        self.bonds.iter().filter(|(_, bond)| is_rival(bond)).map(|(cookie, _)| *cookie).collect()
    }

    /// Takes the rival's bond back: of two namespaces with one address at most one is the pod's.
    fn doubt(&mut self, namespace: u64, rival: u64, now_ns: u64, findings: &mut Vec<Finding>) {
        let Some(bond) = self.bonds.remove(&rival) else { return };
        self.doubts += 1;
        let mut open = Open { last_ns: now_ns, ..Open::default() };
        open.claims.extend(bond.by_address.map(|address| (address, now_ns)));
        self.open.insert(rival, open);
        tracing::warn!(
            pod = bond.uid,
            namespace,
            rival,
            "two network namespaces use the address of one pod: what only the address speaks for is not counted"
        );
        findings.push(Finding::Doubted { namespace: rival, uid: bond.uid });
    }

    /// Numbers.
    pub fn tally(&self) -> Tally {
        Tally { bound: self.bonds.len(), open: self.open.len(), doubts: self.doubts, forgotten: self.forgotten }
    }

    /// Namespaces with the UIDs of their pods.
    pub fn bonds(&self) -> impl Iterator<Item = (u64, &str)> {
        self.bonds.iter().map(|(namespace, bond)| (*namespace, bond.uid.as_str()))
    }

    /// Namespaces that are the node's own.
    pub fn hosts(&self) -> impl Iterator<Item = u64> + '_ {
        self.hosts.iter().copied()
    }
}

#[cfg(test)]
mod tests;
