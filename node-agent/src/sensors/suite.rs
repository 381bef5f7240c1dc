//! All sensors as one: start what can start, watch a namespace, read a tick.

use std::sync::Arc;

use aya::maps::{HashMap, Map, MapData, PerCpuArray};
use netprecursor_agent_common::{Counter, MAX_SLOTS, tcp::Line};
use netprecursor_core::signal::{Signal, Signals};

use super::{
    Need, State, Status, mapped::Mapped, node::Node, object::Object, sched::Sched, sockets::Coverage, stalls::Stalls,
    surveyor::Surveyor, tcp::Tcp, traffic::Traffic,
};
use crate::{run::monotonic_ns, targets::namespace::Namespace};

/// The running sensors.
pub struct Suite {
    /// Slot by cookie: which namespaces the kernel counts, and where.
    slots: Option<HashMap<MapData, u64, u32>>,
    tcp: Option<Tcp>,
    traffic: Option<Traffic>,
    sched: Option<Sched>,
    node: Node,
    surveyor: Option<Surveyor>,
    lines: Option<Arc<Mapped<Line>>>,
    stalls: Stalls,
    counters: Option<PerCpuArray<MapData, u64>>,
    states: Vec<Status>,
    drops_before: Vec<u64>,
    since_survey: Vec<SinceSurvey>,
    // Dropping it detaches every program.
    _object: Option<Object>,
}

/// Connections opened net of those closed since a target's sockets were listed: the list is asked every few seconds,
/// the kernel's events keep the number fresh in between.
#[derive(Debug, Clone, Copy, Default)]
struct SinceSurvey {
    survey: u64,
    net_opens: i64,
}

/// Where a namespace is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Position in the kernel's tables.
    pub slot: u32,
    /// The namespace's cookie.
    pub cookie: u64,
}

/// What is said of each target beside its signals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Its sockets, and the share that the `tcp` sensor sees; `None` before the first survey.
    pub coverage: Option<Coverage>,
}

impl Suite {
    /// Starts every sensor that this kernel and these privileges allow.
    pub fn start() -> Self {
        Self::start_with("tcp")
    }

    /// As [`Suite::start`], with another sock_ops program of the object: benchmarks compare them.
    pub fn start_with(tcp_program: &'static str) -> Self {
        let (node, node_state) = Node::start();
        let mut states = Vec::new();
        let mut state = |name, need, state| states.push(Status { name, need, state });
        let (mut tcp, mut traffic, mut sched) = (None, None, None);
        let (mut slots, mut lines, mut counters, mut object) = (None, None, None, None);
        match Object::load() {
            Err(error) => {
                let why = State::Unavailable(super::chain(&error));
                state("tcp", Need::Required, why.clone());
                state("traffic", Need::Required, why.clone());
                state("sched", Need::Optional, why);
            }
            Ok(mut loaded) => {
                let started = Tcp::start(&mut loaded.bpf, loaded.cpus, tcp_program);
                state("tcp", Need::Required, State::of(&started));
                tcp = started.ok();
                let started = Traffic::start(&mut loaded.bpf, loaded.cpus);
                state(
                    "traffic",
                    Need::Required,
                    started.as_ref().map_or_else(|_| State::of(&started), |traffic| traffic.state.clone()),
                );
                traffic = started.ok();
                let started = Sched::start(&mut loaded);
                state("sched", Need::Optional, State::of(&started));
                sched = started.ok();
                slots = loaded.bpf.take_map("NETNS_SLOTS").and_then(|map: Map| HashMap::try_from(map).ok());
                lines = Mapped::<Line>::new("SOCKET_LINES", loaded.bpf.take_map("SOCKET_LINES")).ok().map(Arc::new);
                counters = loaded.bpf.take_map("COUNTERS").and_then(|map: Map| PerCpuArray::try_from(map).ok());
                object = Some(loaded);
            }
        }
        let surveyor = Surveyor::start(lines.clone(), sched.as_ref().map(|sched| sched.tasks.clone()));
        let sockets = match (&surveyor, lines.is_some()) {
            (Err(error), _) => State::Unavailable(format!("cannot ask the kernel by netlink: {error}")),
            (Ok(_), false) => State::Degraded("sockets are counted, but the tcp sensor sees none".to_owned()),
            (Ok(_), true) => State::Active,
        };
        state("sockets", Need::Required, sockets);
        state("node", Need::Required, node_state);
        Self {
            slots,
            tcp,
            traffic,
            sched,
            node,
            surveyor: surveyor.ok(),
            lines,
            stalls: Stalls::default(),
            counters,
            states,
            drops_before: vec![0; MAX_SLOTS as usize],
            since_survey: vec![SinceSurvey::default(); MAX_SLOTS as usize],
            _object: object,
        }
    }

    /// The sensors' states as they are now.
    pub fn statuses(&self) -> Vec<Status> {
        let smoothed = self.counter(Counter::SmoothedSample) > 0;
        self.states
            .iter()
            .map(|status| match (status.name, &status.state) {
                ("tcp", State::Active) if smoothed => Status {
                    state: State::Degraded(
                        "this kernel passes no measured RTT to sock_ops (before 6.10): smoothed RTT only".to_owned(),
                    ),
                    ..status.clone()
                },
                _ => status.clone(),
            })
            .collect()
    }

    /// One of the kernel side's counters.
    pub fn counter(&self, which: Counter) -> u64 {
        let values = self.counters.as_ref().and_then(|counters| counters.get(&(which as u32), 0).ok());
        values.map_or(0, |values| values.iter().sum())
    }

    /// Questions that the kernel did not answer.
    pub fn survey_failures(&self) -> u64 {
        self.surveyor.as_ref().map_or(0, Surveyor::failures)
    }

    /// Counts `namespace` in `slot` from now on.
    pub fn watch(&mut self, slot: u32, namespace: Namespace) -> Place {
        let place = Place { slot, cookie: namespace.cookie };
        if let Some(tcp) = &mut self.tcp {
            tcp.watch(slot);
        }
        if let Some(traffic) = &mut self.traffic {
            traffic.watch(slot);
        }
        if let Some(sched) = &mut self.sched {
            sched.watch(slot);
        }
        if let Some(surveyor) = &self.surveyor {
            surveyor.watch(slot, namespace);
        }
        // Last: from here on the kernel counts.
        if let Some(slots) = &mut self.slots
            && let Err(error) = slots.insert(place.cookie, slot, 0)
        {
            tracing::warn!(slot, error = %super::chain(&error), "a target is not counted: the kernel's table refused it");
        }
        let index = slot as usize;
        self.since_survey[index] = SinceSurvey::default();
        self.drops_before[index] = u64::MAX;
        place
    }

    /// Stops counting it.
    pub fn unwatch(&mut self, place: Place) {
        if let Some(slots) = &mut self.slots {
            // Already gone is gone.
            let _ = slots.remove(&place.cookie);
        }
        if let Some(surveyor) = &self.surveyor {
            surveyor.unwatch(place.slot);
        }
        if let Some(sched) = &self.sched {
            sched.tasks.forget(place.slot);
        }
    }

    /// Ends the tick of `seconds` length for all targets alike; [`Suite::read`] then says what it held.
    pub fn end_tick(&mut self, seconds: f64) -> u32 {
        self.node.tick(seconds);
        if let Some(lines) = &self.lines {
            self.stalls.look(lines, monotonic_ns());
        }
        self.tcp.as_mut().map_or(0, Tcp::end_epoch)
    }

    /// The signals of one target in the tick that ended with `epoch`.
    pub fn read(&mut self, place: Place, epoch: u32, signals: &mut Signals) -> Seen {
        *signals = Signals::ABSENT;
        let index = place.slot as usize;
        if let Some(tcp) = &mut self.tcp {
            self.since_survey[index].net_opens += tcp.read(place.slot, epoch, signals);
        }
        if signals.get(Signal::Rtos) > 0.0 {
            self.stalls.note();
        }
        let stall = signals.get(Signal::Stall).max(self.stalls.longest_us(place.slot) as f32);
        signals.set(Signal::Stall, stall);
        if let Some(traffic) = &mut self.traffic {
            traffic.read(place.slot, signals);
        }
        if let Some(sched) = &mut self.sched {
            sched.read(place.slot, signals);
        }
        self.node.read(signals);
        let Some(surveyor) = &self.surveyor else { return Seen::default() };
        let findings = surveyor.findings(place.slot);
        signals.set(Signal::QdiscBacklog, findings.queues.backlog_bytes as f32);
        let drops_before = std::mem::replace(&mut self.drops_before[index], findings.queues.drops);
        // A queue that was replaced starts at zero again; before the first survey nothing is known.
        let drops = if drops_before == u64::MAX { 0 } else { findings.queues.drops.saturating_sub(drops_before) };
        signals.set(Signal::QdiscDrops, drops as f32);
        if let Some(coverage) = findings.coverage {
            let since = &mut self.since_survey[index];
            if since.survey != findings.surveys {
                *since = SinceSurvey { survey: findings.surveys, net_opens: 0 };
            }
            let established = i64::from(coverage.established) + since.net_opens;
            signals.set(Signal::Established, established.max(0) as f32);
        }
        Seen { coverage: findings.coverage }
    }
}
