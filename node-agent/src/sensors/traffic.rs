//! Bytes and packets of each target, from the cgroup_skb programs.

use aya::{
    Ebpf,
    programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, ProgramError},
};
use netprecursor_agent_common::{
    MAX_SLOTS,
    names::{map, program},
    traffic::TrafficSlot,
};
use netprecursor_core::signal::{Signal, Signals};
use thiserror::Error;

use super::{
    cgroup,
    mapped::{Mapped, MappedError},
};
use crate::status::State;

/// Why the sensor does not work.
#[derive(Debug, Error)]
pub enum TrafficError {
    /// No cgroup2 root.
    #[error(transparent)]
    Cgroup(#[from] cgroup::CgroupError),
    /// Its map cannot be read.
    #[error(transparent)]
    Mapped(#[from] MappedError),
    /// The object has no such program.
    #[error("the BPF object has no program {0}; the agent and its BPF object are from different builds")]
    Missing(&'static str),
    /// The kernel refused the program.
    #[error("the kernel refused the cgroup_skb program {program} (needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON)")]
    Load {
        /// The program.
        program: &'static str,
        /// Why.
        #[source]
        source: ProgramError,
    },
    /// Attaching was refused.
    #[error("cannot attach {program} to the cgroup2 root")]
    Attach {
        /// The program.
        program: &'static str,
        /// Why.
        #[source]
        source: ProgramError,
    },
}

/// Programs for one way of distinguishing targets.
struct Variant {
    ingress: &'static str,
    egress: &'static str,
}

const BY_NAMESPACE: Variant = Variant { ingress: program::TRAFFIC_INGRESS, egress: program::TRAFFIC_EGRESS };
const BY_SOCKET: Variant =
    Variant { ingress: program::TRAFFIC_INGRESS_BY_SOCKET, egress: program::TRAFFIC_EGRESS_BY_SOCKET };

/// The sensor: the attached programs, their slots and their last values.
#[derive(Debug)]
pub struct Traffic {
    slots: Mapped<TrafficSlot>,
    cpus: usize,
    before: Vec<TrafficSlot>,
    /// How well it works.
    pub state: State,
    /// Whether the programs know the namespace of a packet, and so the cgroups of a namespace's sockets.
    pub knows_namespaces: bool,
}

const NOTHING: TrafficSlot = TrafficSlot { rx_bytes: 0, tx_bytes: 0, rx_packets: 0, tx_packets: 0 };

impl Traffic {
    /// Attaches to the cgroup2 root, by the best way that the kernel has.
    pub fn start(bpf: &mut Ebpf, cpus: u32) -> Result<Self, TrafficError> {
        let state = match attach(bpf, &BY_NAMESPACE) {
            Ok(()) => State::Active,
            Err(TrafficError::Load { .. }) => {
                attach(bpf, &BY_SOCKET)?;
                State::Degraded(
                    "this kernel's cgroup_skb has no network namespace: only packets of TCP sockets that the tcp \
                     sensor has seen are counted, and sockets older than the agent have no RTT"
                        .to_owned(),
                )
            }
            Err(error) => return Err(error),
        };
        let slots = Mapped::take(bpf, map::TRAFFIC_SLOTS)?;
        let knows_namespaces = state == State::Active;
        Ok(Self { slots, cpus: cpus as usize, before: vec![NOTHING; MAX_SLOTS as usize], state, knows_namespaces })
    }

    /// Forgets what the slot counted for its previous target.
    pub fn watch(&mut self, slot: u32) {
        let now = self.sum(slot);
        if let Some(before) = self.before.get_mut(slot as usize) {
            *before = now;
        }
    }

    /// What `slot` counted since it was read last.
    pub fn read(&mut self, slot: u32, signals: &mut Signals) {
        let now = self.sum(slot);
        let Some(before) = self.before.get_mut(slot as usize) else { return };
        signals.set(Signal::RxBytes, now.rx_bytes.wrapping_sub(before.rx_bytes) as f32);
        signals.set(Signal::TxBytes, now.tx_bytes.wrapping_sub(before.tx_bytes) as f32);
        signals.set(Signal::RxPackets, now.rx_packets.wrapping_sub(before.rx_packets) as f32);
        signals.set(Signal::TxPackets, now.tx_packets.wrapping_sub(before.tx_packets) as f32);
        *before = now;
    }

    fn sum(&self, slot: u32) -> TrafficSlot {
        let mut sum = NOTHING;
        for counts in (0..self.cpus).filter_map(|cpu| self.slots.read(slot as usize * self.cpus + cpu)) {
            sum.rx_bytes = sum.rx_bytes.wrapping_add(counts.rx_bytes);
            sum.tx_bytes = sum.tx_bytes.wrapping_add(counts.tx_bytes);
            sum.rx_packets = sum.rx_packets.wrapping_add(counts.rx_packets);
            sum.tx_packets = sum.tx_packets.wrapping_add(counts.tx_packets);
        }
        sum
    }
}

fn attach(bpf: &mut Ebpf, variant: &Variant) -> Result<(), TrafficError> {
    let root = cgroup::root()?;
    let directions = [(variant.ingress, CgroupSkbAttachType::Ingress), (variant.egress, CgroupSkbAttachType::Egress)];
    // Both are loaded before one is attached: a half-counted target would be worse than none.
    for (program, _) in directions {
        skb(bpf, program)?.load().map_err(|source| TrafficError::Load { program, source })?;
    }
    for (program, direction) in directions {
        skb(bpf, program)?
            .attach(&root, direction, CgroupAttachMode::Single)
            .map_err(|source| TrafficError::Attach { program, source })?;
    }
    Ok(())
}

fn skb<'a>(bpf: &'a mut Ebpf, program: &'static str) -> Result<&'a mut CgroupSkb, TrafficError> {
    bpf.program_mut(program)
        .ok_or(TrafficError::Missing(program))?
        .try_into()
        .map_err(|source| TrafficError::Load { program, source })
}
