//! The sensors that are programs of the BPF object, and what they share.

use std::sync::{Arc, Mutex};

use aya::maps::{HashMap, Map, MapData, PerCpuArray};
use netprecursor_agent_common::names::map;
use netprecursor_core::source::Smoothed;

use super::{
    super::{
        identity::Identity,
        mapped::Mapped,
        object::{Descriptions, Object},
        older::Older,
        sched::Sched,
        sockets::Lines,
        tcp::Tcp,
        traffic::Traffic,
        views::Views,
    },
    Setting,
};
use crate::{
    status::{IDENTITY, Need, State, Status},
    targets::identifier::Namespaces,
};

/// What could be started.
#[derive(Default)]
pub(super) struct Programs {
    /// Stamp by cookie: which namespaces the kernel counts, and where.
    pub(super) namespaces: Option<Namespaces>,
    /// How often each slot was given out or taken back.
    pub(super) generations: Option<Mapped<u32>>,
    /// Identifies pods, in a cluster.
    pub(super) identity: Option<Identity>,
    pub(super) tcp: Option<Tcp>,
    pub(super) traffic: Option<Traffic>,
    pub(super) sched: Option<Sched>,
    /// The tables of further slots.
    pub(super) views: Option<Views>,
    pub(super) lines: Option<Arc<Lines>>,
    /// The RTT of sockets that are older than the agent.
    pub(super) older: Option<Older>,
    pub(super) counters: Option<PerCpuArray<MapData, u64>>,
    // Dropping it detaches every program.
    _object: Option<Object>,
}

impl Programs {
    /// Loads the object and starts each sensor that can be; with their states.
    pub(super) fn start(setting: Setting, descriptions: &Descriptions) -> (Self, Vec<Status>) {
        let mut object = match Object::load_with(descriptions) {
            Ok(object) => object,
            Err(error) => return (Self::default(), lost(&setting, &crate::error::chain(&error))),
        };
        let mut states = Vec::new();
        let state = |states: &mut Vec<Status>, name, need, state| states.push(Status::new(name, need, state));
        let bpf = &mut object.bpf;
        let tcp = Tcp::start(bpf, object.cpus);
        state(&mut states, "tcp", Need::Required, State::of(&tcp));
        let traffic = Traffic::start(bpf, object.cpus);
        let works = traffic.as_ref().map_or_else(|_| State::of(&traffic), |traffic| traffic.state.clone());
        state(&mut states, "traffic", Need::Required, works);
        let traffic = traffic.ok();
        let sched = Sched::start(&mut object);
        let means = sched.as_ref().ok().map(|sched| sched.way.describe());
        states.push(Status { means, ..Status::new("sched", Need::Optional, State::of(&sched)) });
        let (bpf, cpus) = (&mut object.bpf, object.cpus);
        let namespaces = bpf.take_map(map::NETNS_SLOTS);
        let namespaces = namespaces.and_then(|map: Map| HashMap::try_from(map).ok());
        let namespaces = namespaces.map(|map| Arc::new(Mutex::new(map)));
        let mut identity = None;
        if let Setting::Cluster { cgroups } = setting {
            let has_members = traffic.as_ref().is_some_and(|traffic| traffic.knows_namespaces);
            let started = Identity::start(bpf, namespaces.as_ref(), has_members, cgroups);
            state(&mut states, IDENTITY, Need::Required, State::of(&started));
            identity = started.ok();
        }
        let views = Views::take(bpf);
        if let Err(error) = &views {
            tracing::warn!(error = %crate::error::chain(error), "rules with peers or inflation are not measured");
        }
        let counters = bpf.take_map(map::COUNTERS).and_then(|map: Map| PerCpuArray::try_from(map).ok());
        let programs = Self {
            generations: Mapped::take(bpf, map::GENERATIONS).ok(),
            lines: Lines::take(bpf).ok().map(Arc::new),
            older: Older::take(bpf, cpus).ok(),
            namespaces,
            identity,
            tcp: tcp.ok(),
            traffic,
            sched: sched.ok(),
            views: views.ok(),
            counters,
            _object: Some(object),
        };
        (programs, states)
    }

    /// What sockets of `slot` showed that are older than the agent.
    pub(super) fn smoothed(&self, slot: u32, epoch: u32) -> Smoothed {
        self.older.as_ref().map_or(Smoothed::NONE, |older| older.read(slot, epoch))
    }
}

/// The states where there is no object.
fn lost(setting: &Setting, why: &str) -> Vec<Status> {
    let sensors = [("tcp", Need::Required), ("traffic", Need::Required), ("sched", Need::Optional)];
    let identity = matches!(setting, Setting::Cluster { .. }).then_some((IDENTITY, Need::Required));
    let status = |(name, need)| Status::new(name, need, State::Unavailable(why.to_owned()));
    sensors.into_iter().chain(identity).map(status).collect()
}
