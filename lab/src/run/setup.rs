//! The lab of one episode as it is built: its network and its processes.

use std::thread;

use crate::{
    LabError,
    load::{self, BULK_PORT},
    scenario::{Effect, Load, Resolved},
    topology::{Address, Network, Running, client_address, server_address},
};

/// A lab: its network and its processes.
pub(super) struct Episode<'a> {
    pub(super) scenario: &'a Resolved,
    pub(super) seed: u64,
    // Children end before their namespaces are removed.
    pub(super) children: Vec<Running>,
    /// The processes that receive bulk transfers at the first client.
    pub(super) readers: Vec<Running>,
    pub(super) addresses: Vec<Address>,
    pub(super) network: Network,
}

impl<'a> Episode<'a> {
    pub(super) fn build(scenario: &'a Resolved, seed: u64) -> Result<Self, LabError> {
        let network = Network::build(scenario, seed)?;
        let mut episode = Self {
            scenario,
            seed,
            children: Vec::new(),
            readers: Vec::new(),
            addresses: (0..scenario.servers()).map(|n| server_address(scenario.topology.addresses, n)).collect(),
            network,
        };
        let scratch = episode.network.record().scratch.clone();
        for server in &episode.network.servers {
            let cpu = scenario.topology.pin_servers.then(|| pinned_cpu(seed));
            episode.children.push(load::start_nginx(&scratch, server, scenario.topology.addresses, cpu)?);
        }
        for (child, address) in episode.children.iter().zip(&episode.addresses) {
            load::wait_until_ready(child, *address, &episode.network.clients[0])?;
        }
        for port in bulk_ports(scenario) {
            episode.readers.push(load::start_bulk_receiver(&scratch, &episode.network.clients[0], port)?);
        }
        Ok(episode)
    }

    pub(super) fn first_client(&self) -> Address {
        client_address(self.scenario.topology.addresses, 0)
    }
}

/// One port for each steady bulk load, and one more where a fault brings greedy flows.
pub(super) fn bulk_ports(scenario: &Resolved) -> std::ops::Range<u16> {
    let steady = scenario.loads.iter().filter(|load| matches!(load, Load::Bulk(_))).count() as u16;
    let greedy = scenario.faults.iter().any(|fault| matches!(fault.effect, Effect::Bulk { .. }));
    BULK_PORT..BULK_PORT + steady + u16::from(greedy)
}

/// The CPU that servers and spinners share, where the scenario pins them.
pub(super) fn pinned_cpu(seed: u64) -> usize {
    let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (seed % cpus as u64) as usize
}
