//! Time per run of each program that sees a connection's packets, as the kernel accounts it (kernel.bpf_stats_enabled), over sockets that
//! are in a cgroup of their own, so that the traffic of the rest of the machine is not in it.
//!
//! The connections stand before the measurement: callbacks are RTT samples. The baseline's time holds the call and the
//! accounting itself; what a program costs is the difference.

use std::{
    fs,
    os::fd::OwnedFd,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use aya::{
    maps::HashMap,
    programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, SockOps},
    sys::{Stats, enable_stats},
};
use netprecursor_agent::{
    sensors::{
        cgroup,
        object::Object,
        views::{Tap, Views},
    },
    targets::namespace::Namespace,
};
use netprecursor_agent_common::names::{map, program};
use netprecursor_core::policy::{Measure, Networks, Peers, network};
use serde::Serialize;

use super::{crowd::Crowd, hosts::Path, median};

/// Connections that carry requests at once.
const CONNECTIONS: [usize; 3] = [32, 3_000, 30_000];
/// Programs that run at the same event; of each group the baseline first. The last but one notes pauses for the clean filter.
const GROUPS: [&[Program]; 2] = [
    &[
        Program::SockOps(program::TCP_EMPTY),
        Program::SockOps(program::TCP),
        Program::Viewed,
        Program::SockOps(program::TCP_UNFILTERED),
    ],
    &[Program::Egress(program::TRAFFIC_EGRESS_COUNTING), Program::Egress(program::TRAFFIC_EGRESS), Program::Older],
];
/// Each is measured so often, in turns; the median counts.
const ROUNDS: usize = 3;
/// Fewer runs than this are no measurement.
const ENOUGH: u64 = 1_000;

/// What is measured.
#[derive(Debug, Clone, Copy)]
enum Program {
    /// At each callback of a socket.
    SockOps(&'static str),
    /// The sensor's, for targets whose rules ask for as many classes of peers and measures as there may be.
    Viewed,
    /// At each packet that leaves, beside the sensor's own sock_ops program.
    Egress(&'static str),
    /// At each packet of connections that are older than the sensor.
    Older,
}

impl Program {
    const fn name(self) -> &'static str {
        match self {
            Self::SockOps(name) | Self::Egress(name) => name,
            Self::Viewed => program::TCP,
            Self::Older => program::TRAFFIC_EGRESS,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Viewed => "tcp_viewed",
            Self::Older => "traffic_egress_older",
            Self::SockOps(_) | Self::Egress(_) => self.name(),
        }
    }

    /// Attaches it, with what it needs, to the cgroup.
    fn attach(self, object: &mut Object, cgroup: &fs::File) -> anyhow::Result<()> {
        let (callbacks, egress) = match self {
            Self::SockOps(name) => (Some(name), None),
            Self::Viewed => (Some(program::TCP), None),
            Self::Egress(name) => (Some(program::TCP), Some(name)),
            // Without callbacks every connection is one that no callback has come of.
            Self::Older => (None, Some(program::TRAFFIC_EGRESS)),
        };
        if let Some(name) = callbacks {
            let sock_ops: &mut SockOps = object.bpf.program_mut(name).context("no such program")?.try_into()?;
            sock_ops.load()?;
            sock_ops.attach(cgroup, CgroupAttachMode::Single)?;
        }
        if let Some(name) = egress {
            let egress: &mut CgroupSkb = object.bpf.program_mut(name).context("no such program")?.try_into()?;
            egress.load()?;
            egress.attach(cgroup, CgroupSkbAttachType::Egress, CgroupAttachMode::Single)?;
        }
        Ok(())
    }
}

/// What a program costs.
#[derive(Debug, Serialize)]
pub(crate) struct Cost {
    program: &'static str,
    connections: usize,
    /// Runs in all rounds.
    runs: u64,
    /// Per run, with the call and the accounting.
    ns: f64,
    /// Beyond the baseline.
    net_ns: f64,
}

/// A cgroup that this process lives in for a while.
struct Cage {
    path: PathBuf,
    home: PathBuf,
}

impl Cage {
    fn enter() -> anyhow::Result<Self> {
        let root = cgroup::path()?;
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).context("no cgroup2 in /proc/self/cgroup")?;
        let cage = Self { path: root.join(format!("npb{}", std::process::id())), home: root.join(own) };
        fs::create_dir(&cage.path).with_context(|| format!("making {}", cage.path.display()))?;
        fs::write(cage.path.join("cgroup.procs"), std::process::id().to_string())?;
        Ok(cage)
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        // Nothing better can be done on the way out; an empty cgroup harms nobody.
        let _ = fs::write(self.home.join("cgroup.procs"), std::process::id().to_string());
        let _ = fs::remove_dir(&self.path);
    }
}

/// Measures every program at every number of connections, each for `time` in each round.
pub(crate) fn measure(time: Duration) -> anyhow::Result<Vec<Cost>> {
    let _stats: OwnedFd = enable_stats(Stats::RunTime).context("the kernel refuses to time BPF programs")?;
    let path = Path::new();
    let cage = Cage::enter()?;
    let mut costs = Vec::new();
    for connections in CONNECTIONS {
        for group in GROUPS {
            costs.extend(together(group, &cage, &path, connections, time)?);
        }
    }
    Ok(costs)
}

/// The programs of a group in turns.
fn together(
    group: &[Program],
    cage: &Cage,
    path: &Path,
    connections: usize,
    time: Duration,
) -> anyhow::Result<Vec<Cost>> {
    let mut measured = vec![(0, Vec::new()); group.len()];
    for _ in 0..ROUNDS {
        for (program, (runs, ns)) in group.iter().zip(&mut measured) {
            let (count, per_run) = one(*program, cage, path, connections, time)?;
            *runs += count;
            ns.push(per_run);
        }
    }
    let mut baseline = None;
    let cost = |(program, (runs, ns)): (&Program, (u64, Vec<f64>))| {
        let ns = median(ns);
        Cost { program: program.label(), connections, runs, ns, net_ns: ns - *baseline.get_or_insert(ns) }
    };
    Ok(group.iter().zip(measured).map(cost).collect())
}

/// Has both hosts counted in three more slots each: inflation, the peers of a class, and both.
fn more_views(object: &mut Object) -> anyhow::Result<Views> {
    let mut views = Views::take(&mut object.bpf)?;
    let networks = Networks::new(vec![network("0.0.0.0/0")?, network("::/0")?], vec![network("192.0.2.0/24")?])?;
    let peers = views.take_peers(&Peers::Networks(networks.into()))?;
    for host in [0, 1] {
        let tap = |index, measure, peers| Tap { slot: 2 + 3 * host + index, measure, peers };
        let taps = [tap(0, Measure::Inflation, None), tap(1, Measure::Rtt, peers), tap(2, Measure::Inflation, peers)];
        views.set(host, &taps);
    }
    Ok(views)
}

/// Runs and ns per run of one program under traffic.
fn one(program: Program, cage: &Cage, path: &Path, connections: usize, time: Duration) -> anyhow::Result<(u64, f64)> {
    let mut object = Object::load()?;
    program.attach(&mut object, &fs::File::open(&cage.path)?)?;
    let mut slots: HashMap<_, u64, u32> =
        HashMap::try_from(object.bpf.take_map(map::NETNS_SLOTS).context("no NETNS_SLOTS")?)?;
    for (slot, host) in [&path.near, &path.far].into_iter().enumerate() {
        slots.insert(Namespace::enter(&host.name)?.cookie, slot as u32, 0)?;
    }
    let _views = matches!(program, Program::Viewed).then(|| more_views(&mut object)).transpose()?;
    let mut crowd = Crowd::connect(path, connections)?;
    crowd.round()?;
    let accounted = |object: &mut Object| -> anyhow::Result<(u64, Duration)> {
        let info = object.bpf.program(program.name()).context("no such program")?.info()?;
        Ok((info.run_count(), info.run_time()))
    };
    let before = accounted(&mut object)?;
    let begun = Instant::now();
    while begun.elapsed() < time {
        crowd.round()?;
    }
    let after = accounted(&mut object)?;
    let runs = after.0 - before.0;
    if runs < ENOUGH {
        bail!(
            "{} ran {runs} times in {time:?}, expected at least {ENOUGH}; is the machine overloaded?",
            program.name()
        );
    }
    Ok((runs, (after.1 - before.1).as_nanos() as f64 / runs as f64))
}
