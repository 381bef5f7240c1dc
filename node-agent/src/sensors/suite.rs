//! All sensors as one: start what can start, watch a namespace or a pod, read a tick.

mod programs;

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, sync::Arc};

use netprecursor_agent_common::{Counter, MAX_SLOTS, identity::Stamp};
use netprecursor_core::{
    policy::{Measure, Peers},
    signal::{Signal, Signals},
    source::Others,
};

use self::programs::Programs;
use super::{
    cgroup,
    identity::Identity,
    node::Node,
    object::Descriptions,
    sockets::Coverage,
    stalls::Stalls,
    surveyor::{PodSite, Surveyor},
    tcp::Tcp,
    views::{Tap, Views},
};
use crate::{
    desired::ClusterNetworks,
    host::monotonic_ns,
    lock::lock,
    status::{IDENTITY, Need, State, Status, advice::Machine},
    targets::{
        identifier::{Report, Seat},
        namespace::Namespace,
        ownership::Resident,
    },
};

/// The running sensors.
pub struct Suite {
    node: Node,
    surveyor: Option<Surveyor>,
    stalls: Stalls,
    states: Vec<Status>,
    drops_before: Vec<u64>,
    since_survey: Vec<SinceSurvey>,
    /// Why something that a rule means by RTT is not counted, by the target's slot.
    uncounted: BTreeMap<u32, String>,
    // Last, so that no thread reads what is no longer written.
    programs: Programs,
}

/// Connections opened net of those closed since a target's sockets were listed: the list is asked every few seconds,
/// the kernel's events keep the number fresh in between.
#[derive(Debug, Clone, Copy, Default)]
struct SinceSurvey {
    survey: u64,
    net_opens: i64,
}

/// What targets are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// Network namespaces of this host, by name.
    Host,
    /// Pods of this node.
    Cluster {
        /// Where their cgroups are looked for; `None`: no cgroup2 hierarchy is mounted.
        cgroups: Option<PathBuf>,
    },
}

impl Setting {
    /// Pods of this node, with their cgroups where the hierarchy is mounted.
    pub fn cluster() -> Self {
        Self::Cluster { cgroups: cgroup::path().ok() }
    }
}

/// Where a target is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Position in the kernel's tables.
    pub slot: u32,
    /// The namespace's cookie; `None` of a pod, which may have several and some of them later.
    pub cookie: Option<u64>,
}

/// What surveying pods from outside costs.
const FROM_OUTSIDE: &str = "the agent does not enter pods' namespaces: it counts their sockets from /proc, a socket whose callbacks \
                            another program took over still counts as seen, and their queueing disciplines are not visible";

/// What is read of each target beside its signals.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Its sockets, and the share that the `tcp` sensor sees; `None` before the first survey.
    pub coverage: Option<Coverage>,
    /// What it showed besides clean samples.
    pub others: Others,
}

impl Default for Seen {
    fn default() -> Self {
        Self { coverage: None, others: Others::NONE }
    }
}

impl Suite {
    /// Starts every sensor that this kernel and these privileges allow.
    pub fn start(setting: Setting) -> Self {
        Self::start_with(setting, &Descriptions::default())
    }

    /// The same on a kernel that describes itself elsewhere, or not at all.
    pub fn start_with(setting: Setting, descriptions: &Descriptions) -> Self {
        let is_cluster = setting != Setting::Host;
        let (node, node_state) = Node::start();
        let (programs, mut states) = Programs::start(setting, descriptions);
        let surveyor =
            Surveyor::start(programs.lines.clone(), programs.sched.as_ref().map(|sched| sched.tasks.clone()));
        let sockets = match (&surveyor, programs.lines.is_some()) {
            (Err(error), _) => State::Unavailable(format!("cannot query the kernel by netlink: {error}")),
            (Ok(_), false) => State::Degraded("sockets are counted, but the tcp sensor sees none".to_owned()),
            (Ok(_), true) => State::Active,
        };
        let limits = is_cluster.then_some(FROM_OUTSIDE);
        states.push(Status { limits, ..Status::new("sockets", Need::Required, sockets) });
        states.push(Status::new("node", Need::Required, node_state));
        let machine = Machine::survey(is_cluster);
        let states = states.into_iter().map(|status| machine.advised(status)).collect();
        Self {
            programs,
            node,
            surveyor: surveyor.ok(),
            stalls: Stalls::default(),
            states,
            drops_before: vec![0; MAX_SLOTS as usize],
            since_survey: vec![SinceSurvey::default(); MAX_SLOTS as usize],
            uncounted: BTreeMap::new(),
        }
    }

    /// The sensors' states as they are now.
    pub fn statuses(&self) -> Vec<Status> {
        let now = |status: &Status| match self.state_by_now(status) {
            Some(state) => Status { state, ..status.clone() },
            None => status.clone(),
        };
        self.states.iter().map(now).collect()
    }

    /// What has come out about a sensor since it was started; `None`: nothing.
    fn state_by_now(&self, status: &Status) -> Option<State> {
        match (status.name, &status.state) {
            ("tcp", State::Active) if self.counter(Counter::SmoothedSample) > 0 => Some(State::Degraded(
                "this kernel passes no measured RTT to sock_ops (before 6.10): smoothed RTT only".to_owned(),
            )),
            ("tcp", State::Active) if self.programs.traffic.is_none() => Some(State::Degraded(
                "the traffic sensor is unavailable: pauses within a flight are not seen, so a delayed ACK may count as a round \
                 trip, connections inside a namespace are recognised by their addresses only, and sockets older than the agent \
                 have no RTT"
                    .to_owned(),
            )),
            ("tcp", State::Active) if let Some(reason) = self.uncounted.values().next() => Some(State::Degraded(format!(
                "a rule's `measure` or `peers` is not counted for {} targets, so that it has no RTT: {reason}",
                self.uncounted.len()
            ))),
            ("tcp", State::Active)
                if let Some(refused @ 1..) = self.programs.views.as_ref().map(Views::refused) =>
            {
                let reason = format!("the kernel's table of peers refused {refused} networks: their peers are in no class");
                Some(State::Degraded(reason))
            }
            ("sched" | "sockets", State::Active | State::Degraded(_)) => {
                let hidden = self.surveyor.as_ref().map_or(0, Surveyor::hidden);
                (hidden > 0).then(|| {
                    State::Degraded(format!(
                        "the processes of {hidden} watched pods are not visible: the agent needs `hostPID: true`"
                    ))
                })
            }
            (IDENTITY, State::Active) => {
                let lost = self.counter(Counter::ClaimLost) + self.counter(Counter::MemberLost);
                self.programs.identity.as_ref().map(|identity| identity.state(lost))
            }
            _ => None,
        }
    }

    /// One of the kernel side's counters.
    pub fn counter(&self, which: Counter) -> u64 {
        let values = self.programs.counters.as_ref().and_then(|counters| counters.get(&(which as u32), 0).ok());
        values.map_or(0, |values| values.iter().sum())
    }

    /// Questions that the kernel did not answer.
    pub fn survey_failures(&self) -> u64 {
        self.surveyor.as_ref().map_or(0, Surveyor::failures)
    }

    /// Counts `namespace` in `slot` from now on.
    pub fn watch(&mut self, slot: u32, namespace: Namespace) -> Place {
        let cookie = namespace.cookie;
        let stamp = self.stamp(slot);
        if let Some(surveyor) = &self.surveyor {
            surveyor.watch(slot, namespace);
        }
        // Last: from here on the kernel counts.
        if let Some(namespaces) = &self.programs.namespaces
            && let Err(error) = lock(namespaces).insert(cookie, stamp.0, 0)
        {
            tracing::warn!(slot, error = %crate::error::chain(&error), "a target is not measured: the kernel's table refused it");
        }
        Place { slot, cookie: Some(cookie) }
    }

    /// Counts a pod in `slot` from the moment on at which its namespace is known.
    pub fn watch_pod(&mut self, slot: u32, pod: &Resident) -> Place {
        let stamp = self.stamp(slot);
        let cgroup = pod.static_uid.clone().unwrap_or_else(|| pod.uid.clone());
        if let Some(surveyor) = &self.surveyor {
            surveyor.watch_pod(slot, PodSite { cgroup: cgroup.clone(), stamp, host_network: pod.host_network });
        }
        if let Some(identity) = &mut self.programs.identity {
            identity.seat(&pod.uid, Seat { stamp, cgroup, host_network: pod.host_network });
        }
        Place { slot, cookie: None }
    }

    /// The pods of this node and its addresses, from now on.
    pub fn know(&self, pods: Vec<Resident>, host_addresses: Vec<IpAddr>) {
        if let Some(identity) = &self.programs.identity {
            identity.know(pods, host_addresses);
        }
    }

    /// The report on which namespace is whose; `None` outside a cluster, or where the sensor does not work.
    pub fn identities(&self) -> Option<Report> {
        self.programs.identity.as_ref().map(Identity::report)
    }

    /// The networks of the cluster, from now on.
    pub fn know_networks(&mut self, cluster: Arc<ClusterNetworks>) {
        if let Some(views) = &mut self.programs.views {
            views.know(cluster);
        }
    }

    /// Makes ready to count in `slot` what `measure` is of the connections with `peers`. It is counted once
    /// [`Self::set_taps`] names it for a target.
    ///
    /// # Errors
    /// Why it cannot be counted.
    pub fn tap(&mut self, slot: u32, measure: Measure, peers: &Peers) -> Result<Tap, String> {
        let Some(views) = &mut self.programs.views else {
            return Err("the BPF object's tables of views could not be taken".to_owned());
        };
        let peers = views.take_peers(peers).map_err(|error| error.to_string())?;
        if let Some(tcp) = &mut self.programs.tcp {
            tcp.watch(slot);
        }
        Ok(Tap { slot, peers, measure })
    }

    /// What [`Self::tap`] made ready is not needed any more.
    pub fn untap(&mut self, peers: &Peers) {
        if let Some(views) = &mut self.programs.views {
            views.give_peers_back(peers);
        }
    }

    /// Counts a target in `taps` besides its own slot, and nowhere else; `missing` is why something that a rule needs is
    /// not among them. Returns whether that is news.
    pub fn set_taps(&mut self, place: Place, taps: &[Tap], missing: Option<&str>) -> bool {
        let before = match missing {
            Some(reason) => self.uncounted.insert(place.slot, reason.to_owned()),
            None => self.uncounted.remove(&place.slot),
        };
        if let Some(views) = &self.programs.views {
            views.set(place.slot, taps);
        }
        missing.is_some() && before.as_deref() != missing
    }

    /// Makes a slot ready for its next target: what it counted before is forgotten.
    fn stamp(&mut self, slot: u32) -> Stamp {
        if let Some(tcp) = &mut self.programs.tcp {
            tcp.watch(slot);
        }
        if let Some(traffic) = &mut self.programs.traffic {
            traffic.watch(slot);
        }
        if let Some(sched) = &mut self.programs.sched {
            sched.watch(slot);
        }
        let index = slot as usize;
        self.since_survey[index] = SinceSurvey::default();
        self.drops_before[index] = u64::MAX;
        Stamp::new(slot, self.turn(slot))
    }

    /// Begins the next generation of a slot: what is stamped for an older one counts nowhere.
    fn turn(&self, slot: u32) -> u32 {
        let Some(generations) = &self.programs.generations else { return 0 };
        let next = generations.read(slot as usize).unwrap_or_default().wrapping_add(1);
        generations.write(slot as usize, next);
        next
    }

    /// Stops counting the target `uid`.
    pub fn unwatch(&mut self, place: Place, uid: &str) {
        self.turn(place.slot);
        if let (Some(namespaces), Some(cookie)) = (&self.programs.namespaces, place.cookie) {
            // Already gone is gone.
            let _ = lock(namespaces).remove(&cookie);
        }
        if let Some(identity) = &mut self.programs.identity {
            identity.unseat(uid);
        }
        if let Some(surveyor) = &self.surveyor {
            surveyor.unwatch(place.slot);
        }
        if let Some(sched) = &self.programs.sched {
            sched.tasks.forget(place.slot);
        }
    }

    /// Ends the tick of `seconds` length for all targets alike; [`Suite::read`] then returns what it held.
    pub fn end_tick(&mut self, seconds: f64) -> u32 {
        self.node.tick(seconds);
        if let Some(lines) = &self.programs.lines {
            let generations = self.programs.generations.as_ref();
            let is_current = |stamp: Stamp| {
                let generation = generations.and_then(|generations| generations.read(stamp.slot() as usize));
                generation.is_some_and(|generation| generation & 0xffff == stamp.generation())
            };
            self.stalls.look(&lines.seen, self.programs.views.as_ref(), is_current, monotonic_ns());
        }
        if let (Some(surveyor), Some(identity)) = (&self.surveyor, &self.programs.identity) {
            surveyor.know(identity.index());
        }
        self.programs.tcp.as_mut().map_or(0, Tcp::end_epoch)
    }

    /// The signals of a target as its `tap` sees them, in the tick that ended with `epoch`, and what it showed besides clean
    /// samples; `plain` is the rest.
    pub fn read_tap(&mut self, tap: Tap, epoch: u32, plain: &Signals) -> (Signals, Others) {
        let (mut signals, mut others) = (*plain, Others::NONE);
        if let Some(tcp) = &mut self.programs.tcp {
            let low_us = tcp.read(tap.slot, epoch, &mut signals).low_us;
            others = Others { low_us, smoothed: self.programs.smoothed(tap.slot, epoch) };
        }
        let stall = signals.get(Signal::Stall).max(self.stalls.longest_us(tap.slot) as f32);
        signals.set(Signal::Stall, stall);
        (signals, others)
    }

    /// The signals of one target in the tick that ended with `epoch`.
    pub fn read(&mut self, place: Place, epoch: u32, signals: &mut Signals) -> Seen {
        *signals = Signals::ABSENT;
        let index = place.slot as usize;
        let mut others = Others::NONE;
        if let Some(tcp) = &mut self.programs.tcp {
            let beside = tcp.read(place.slot, epoch, signals);
            self.since_survey[index].net_opens += beside.net_opens;
            others = Others { low_us: beside.low_us, smoothed: self.programs.smoothed(place.slot, epoch) };
        }
        if signals.get(Signal::Rtos) > 0.0 {
            self.stalls.note();
        }
        let stall = signals.get(Signal::Stall).max(self.stalls.longest_us(place.slot) as f32);
        signals.set(Signal::Stall, stall);
        if let Some(traffic) = &mut self.programs.traffic {
            traffic.read(place.slot, signals);
        }
        if let Some(sched) = &mut self.programs.sched {
            sched.read(place.slot, signals);
        }
        self.node.read(signals);
        let Some(surveyor) = &self.surveyor else { return Seen { others, ..Seen::default() } };
        let findings = surveyor.findings(place.slot);
        if let Some(queues) = findings.queues {
            signals.set(Signal::QdiscBacklog, queues.backlog_bytes as f32);
            let drops_before = std::mem::replace(&mut self.drops_before[index], queues.drops);
            // A queue that was replaced starts at zero again; before the first survey nothing is known.
            let drops = if drops_before == u64::MAX { 0 } else { queues.drops.saturating_sub(drops_before) };
            signals.set(Signal::QdiscDrops, drops as f32);
        }
        if let Some(coverage) = findings.coverage {
            let since = &mut self.since_survey[index];
            if since.survey != findings.surveys {
                *since = SinceSurvey { survey: findings.surveys, net_opens: 0 };
            }
            let established = i64::from(coverage.established) + since.net_opens;
            signals.set(Signal::Established, established.max(0) as f32);
        }
        Seen { coverage: findings.coverage, others }
    }
}
