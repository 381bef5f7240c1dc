//! Which pod an event belongs to, as a sensor with a status: without it no measurement is attributed to a pod.

use std::{io, net::IpAddr, path::PathBuf, sync::Arc};

use aya::{
    Ebpf,
    maps::{HashMap, Map, MapError},
};
use netprecursor_agent_common::names;
use thiserror::Error;

use crate::{
    status::State,
    targets::{
        cgroups::Index,
        identifier::{Identifier, Namespaces, Report, Seat, Tables},
        ownership::Resident,
    },
};

/// Why pods cannot be identified.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The object has no such map.
    #[error("the BPF object has no map {0}; the agent and its BPF object are from different builds")]
    Missing(&'static str),
    /// A map is of another kind.
    #[error("cannot use the map {name}")]
    Map {
        /// The map.
        name: &'static str,
        /// Why.
        #[source]
        source: MapError,
    },
    /// No thread.
    #[error("cannot start the thread that identifies pods")]
    Thread(#[source] io::Error),
}

/// The sensor.
#[derive(Debug)]
pub struct Identity {
    identifier: Identifier,
    has_members: bool,
    seats: usize,
    host_network_seats: Vec<String>,
}

fn table<K: aya::Pod, V: aya::Pod>(
    bpf: &mut Ebpf,
    name: &'static str,
) -> Result<HashMap<aya::maps::MapData, K, V>, IdentityError> {
    let map: Map = bpf.take_map(name).ok_or(IdentityError::Missing(name))?;
    HashMap::try_from(map).map_err(|source| IdentityError::Map { name, source })
}

impl Identity {
    /// Starts identifying pods. `has_members`: the kernel knows the cgroups of a namespace's sockets; `cgroups`: the
    /// root of the hierarchy.
    pub fn start(
        bpf: &mut Ebpf,
        namespaces: Option<&Namespaces>,
        has_members: bool,
        cgroups: Option<PathBuf>,
    ) -> Result<Self, IdentityError> {
        let tables = Tables {
            claims: table(bpf, names::map::CLAIMS)?,
            members: table(bpf, names::map::MEMBERS)?,
            namespaces: Arc::clone(namespaces.ok_or(IdentityError::Missing(names::map::NETNS_SLOTS))?),
            cgroups: table(bpf, names::map::CGROUP_SLOTS)?,
            has_members,
        };
        let identifier = Identifier::start(tables, cgroups).map_err(IdentityError::Thread)?;
        Ok(Self { identifier, has_members, seats: 0, host_network_seats: Vec::new() })
    }

    /// As [`Identifier::know`].
    pub fn know(&self, pods: Vec<Resident>, host_addresses: Vec<IpAddr>) {
        self.identifier.know(pods, host_addresses);
    }

    /// As [`Identifier::seat`].
    pub fn seat(&mut self, uid: &str, seat: Seat) {
        self.seats += 1;
        if seat.host_network {
            self.host_network_seats.push(uid.to_owned());
        }
        self.identifier.seat(uid, seat);
    }

    /// As [`Identifier::unseat`].
    pub fn unseat(&mut self, uid: &str) {
        self.seats = self.seats.saturating_sub(1);
        self.host_network_seats.retain(|seated| seated != uid);
        self.identifier.unseat(uid);
    }

    /// The cgroups of pods, as last listed.
    pub fn index(&self) -> Arc<Index> {
        self.identifier.index()
    }

    /// The latest report of the thread.
    pub fn report(&self) -> Report {
        self.identifier.report()
    }

    /// How well it works; `lost` notes of the kernel found no room.
    pub fn state(&self, lost: u64) -> State {
        let report = self.report();
        let mut reasons = Vec::new();
        if let Some(refused) = &report.refused {
            reasons.push(format!("the kernel's table of namespaces refused an entry: {refused}"));
        }
        if let Some(blind) = &report.blind {
            reasons.push(format!(
                "pods are identified by address only: {blind}; the agent reads the hierarchy at the node's /sys/fs/cgroup"
            ));
        } else if report.pods_with_cgroup == 0 && self.seats > 0 && report.has_looked {
            reasons.push(
                "pods are identified by address only: no pod's cgroup was found in the hierarchy at the node's /sys/fs/cgroup"
                    .to_owned(),
            );
        } else if !self.has_members {
            reasons.push(
                "pods are identified by address only: this kernel's cgroup_skb does not know a packet's namespace (before 6.3)"
                    .to_owned(),
            );
        }
        if !self.host_network_seats.is_empty() {
            reasons.push(format!(
                "{} watched pods use the host's network: handshakes of connections to them are not counted as theirs, and their \
                 sockets are not listed",
                self.host_network_seats.len()
            ));
        }
        if report.tally.doubts > 0 {
            reasons.push(format!("two namespaces claimed the same pod address {} times", report.tally.doubts));
        }
        if lost > 0 {
            reasons.push(format!("{lost} new namespaces were recorded late because the table was full"));
        }
        if reasons.is_empty() { State::Active } else { State::Degraded(reasons.join("; ")) }
    }
}
