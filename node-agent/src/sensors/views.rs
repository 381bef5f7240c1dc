//! What else the kernel counts of targets: RTT above each connection's floor, or that of some peers, each in a slot of its own.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use aya::{
    Ebpf,
    maps::{LpmTrie, MapData, MapError, lpm_trie::Key},
};
use ipnet::IpNet;
use netprecursor_agent_common::{
    names::map,
    view::{MAX_VIEWS, View},
};
use netprecursor_core::policy::{Measure, Peers};
use thiserror::Error;

use super::{
    mapped::{Mapped, MappedError},
    peers::{Crowded, PeerSets},
};
use crate::desired::ClusterNetworks;

/// Bits in front of an IPv4 address that is written as v4-mapped IPv6.
const MAPPED_BITS: u32 = 96;

/// Why the views cannot be counted.
#[derive(Debug, Error)]
pub enum ViewsError {
    /// A map cannot be read.
    #[error(transparent)]
    Mapped(#[from] MappedError),
    /// The object has no such table.
    #[error("the BPF object has no table of peers; the agent and its BPF object are from different builds")]
    Missing,
    /// Of another kind.
    #[error("the BPF object's map PEERS is no LPM trie; the agent and its BPF object are from different builds")]
    Kind(#[source] MapError),
}

/// Why a set of peers cannot be classed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PeersError {
    /// Every bit is taken.
    #[error(transparent)]
    Crowded(#[from] Crowded),
    /// The cluster may be anywhere.
    #[error("the networks of the cluster are not known: {0}")]
    ClusterUnknown(String),
}

/// A further slot of a target, and what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tap {
    /// The slot.
    pub slot: u32,
    /// The peer set; `None`: all peers.
    pub peers: Option<u32>,
    /// What is measured.
    pub measure: Measure,
}

/// The tables of the kernel side.
#[derive(Debug)]
pub struct Views {
    words: Mapped<View>,
    table: LpmTrie<MapData, [u8; 16], u32>,
    version: Mapped<u32>,
    sets: PeerSets,
    cluster: Arc<ClusterNetworks>,
    written: BTreeMap<IpNet, u32>,
    /// Prefixes that the kernel's table refused.
    refused: usize,
}

impl Views {
    /// Takes the tables of the loaded object.
    pub fn take(bpf: &mut Ebpf) -> Result<Self, ViewsError> {
        let table = bpf.take_map(map::PEERS).ok_or(ViewsError::Missing)?;
        let table = LpmTrie::try_from(table).map_err(ViewsError::Kind)?;
        Ok(Self {
            words: Mapped::take(bpf, map::VIEWS)?,
            table,
            version: Mapped::take(bpf, map::PEERS_VERSION)?,
            sets: PeerSets::default(),
            cluster: Arc::default(),
            written: BTreeMap::new(),
            refused: 0,
        })
    }

    /// One more user of a set of peers; its bit, or `None` for all peers.
    ///
    /// # Errors
    /// There are too many, or the cluster's networks are not known.
    pub fn take_peers(&mut self, peers: &Peers) -> Result<Option<u32>, PeersError> {
        if matches!(peers, Peers::Cluster | Peers::External) && !self.sets.knows_cluster() {
            return Err(PeersError::ClusterUnknown(self.cluster.why_unknown().to_owned()));
        }
        let bit = self.sets.take(peers)?;
        self.write();
        Ok(bit)
    }

    /// One fewer user of a set of peers.
    pub fn give_peers_back(&mut self, peers: &Peers) {
        self.sets.give_back(peers);
        self.write();
    }

    /// The networks of the cluster from now on.
    pub fn know(&mut self, cluster: Arc<ClusterNetworks>) {
        self.sets.know(cluster.list().to_vec());
        self.cluster = cluster;
        self.write();
    }

    /// Networks that the kernel's table refused: their peers are in no class.
    pub const fn refused(&self) -> usize {
        self.refused
    }

    /// Sets the further slots of the target in `slot`.
    pub fn set(&self, slot: u32, taps: &[Tap]) {
        // From the last to the first: the kernel stops at the first that is not there.
        for index in (0..MAX_VIEWS).rev() {
            let view = taps
                .get(index as usize)
                .map_or_else(View::default, |tap| View::new(tap.slot, tap.peers, tap.measure == Measure::Inflation));
            self.words.write((slot * MAX_VIEWS + index) as usize, view);
        }
    }

    /// What the target of `slot` is counted in besides.
    pub fn of(&self, slot: u32) -> impl Iterator<Item = View> {
        let words = (0..MAX_VIEWS).filter_map(move |index| self.words.read((slot * MAX_VIEWS + index) as usize));
        words.take_while(|view| view.is_there())
    }

    /// Brings the kernel's table to the sets in use. Sockets look their peers up anew once that is done.
    fn write(&mut self) {
        let Some(wanted) = self.sets.news() else { return };
        let number = wanted.len();
        let mut written = BTreeMap::new();
        for net in self.written.keys().filter(|net| !wanted.contains_key(*net)) {
            // Gone already is gone.
            let _ = self.table.remove(&key(net));
        }
        for (net, bits) in wanted {
            if self.written.get(&net) == Some(&bits) {
                written.insert(net, bits);
                continue;
            }
            match self.table.insert(&key(&net), bits, 0) {
                Ok(()) => _ = written.insert(net, bits),
                Err(error) => {
                    // What it was in before, it is not in now.
                    let _ = self.table.remove(&key(&net));
                    let error = crate::error::chain(&error);
                    tracing::warn!(%net, error, "the kernel's table of peers refused a network: its peers are in no class");
                }
            }
        }
        self.refused = number - written.len();
        self.written = written;
        // Zero is the version that no socket has looked up.
        let next = self.version.read(0).unwrap_or_default().wrapping_add(1).max(1);
        self.version.write(0, next);
    }
}

/// A network as the kernel's table has it: IPv4 as v4-mapped IPv6.
fn key(net: &IpNet) -> Key<[u8; 16]> {
    match net.addr() {
        IpAddr::V4(v4) => Key::new(MAPPED_BITS + u32::from(net.prefix_len()), v4.to_ipv6_mapped().octets()),
        IpAddr::V6(v6) => Key::new(net.prefix_len().into(), v6.octets()),
    }
}
