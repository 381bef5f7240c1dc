//! Time per callback of each sock_ops program, as the kernel accounts it (kernel.bpf_stats_enabled), over sockets that
//! are in a cgroup of their own, so that the traffic of the rest of the machine is not in it.
//!
//! The connections stand before the measurement: callbacks are RTT samples. The empty program's time holds the call and
//! the accounting itself; what a program costs is the difference.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use aya::{
    maps::HashMap,
    programs::{CgroupAttachMode, SockOps},
    sys::{Stats, enable_stats},
};
use netprecursor_agent::{
    sensors::{cgroup, object::Object},
    targets::namespace::Namespace,
};
use serde::Serialize;

use super::{
    hosts::{Family, Path},
    median,
};

/// Connections that carry requests at once.
const CONNECTIONS: [usize; 2] = [32, 3_000];
/// The baseline first.
const PROGRAMS: [&str; 3] = ["tcp_empty", "tcp", "tcp_unfiltered"];
/// Each is measured so often, in turns; the median counts.
const ROUNDS: usize = 3;
const MESSAGE: usize = 64;
/// Fewer runs than this are no measurement.
const ENOUGH: u64 = 1_000;

/// What a program costs.
#[derive(Debug, Serialize)]
pub(crate) struct Cost {
    program: &'static str,
    connections: usize,
    /// Callbacks in all rounds.
    runs: u64,
    /// Per callback, with the call and the accounting.
    ns: f64,
    /// Beyond the empty program.
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
    allow_descriptors().context("raising the limit of open files")?;
    let path = Path::new();
    let cage = Cage::enter()?;
    let mut costs = Vec::new();
    for connections in CONNECTIONS {
        let mut runs = [0; PROGRAMS.len()];
        let mut ns = [const { Vec::new() }; PROGRAMS.len()];
        for _ in 0..ROUNDS {
            for (index, program) in PROGRAMS.into_iter().enumerate() {
                let (count, per_run) = one(program, &cage, &path, connections, time)?;
                runs[index] += count;
                ns[index].push(per_run);
            }
        }
        let ns = ns.map(median);
        costs.extend(PROGRAMS.into_iter().enumerate().map(|(index, program)| Cost {
            program,
            connections,
            runs: runs[index],
            ns: ns[index],
            net_ns: ns[index] - ns[0],
        }));
    }
    Ok(costs)
}

/// Both ends of every connection are open here: as many files as the process may ever have.
fn allow_descriptors() -> std::io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writes, then for reads.
    let done = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0
        }
    };
    if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Callbacks and ns per callback of one program under traffic.
fn one(
    program: &'static str,
    cage: &Cage,
    path: &Path,
    connections: usize,
    time: Duration,
) -> anyhow::Result<(u64, f64)> {
    let mut object = Object::load()?;
    let sock_ops: &mut SockOps = object.bpf.program_mut(program).context("no such program")?.try_into()?;
    sock_ops.load()?;
    sock_ops.attach(fs::File::open(&cage.path)?, CgroupAttachMode::Single)?;
    let mut slots: HashMap<_, u64, u32> =
        HashMap::try_from(object.bpf.take_map("NETNS_SLOTS").context("no NETNS_SLOTS")?)?;
    for (slot, host) in [&path.near, &path.far].into_iter().enumerate() {
        slots.insert(Namespace::enter(&host.name)?.cookie, slot as u32, 0)?;
    }
    let mut crowd = Crowd::connect(path, connections)?;
    crowd.round()?;
    let accounted = |object: &mut Object| -> anyhow::Result<(u64, Duration)> {
        let info = object.bpf.program(program).context("no such program")?.info()?;
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
        bail!("{program} ran {runs} times in {time:?}, expected at least {ENOUGH}; is the machine overloaded?");
    }
    Ok((runs, (after.1 - before.1).as_nanos() as f64 / runs as f64))
}

/// Connections between the two hosts, both ends here.
struct Crowd(Vec<(TcpStream, TcpStream)>);

impl Crowd {
    fn connect(path: &Path, connections: usize) -> anyhow::Result<Self> {
        let listener = path.far.within(|| TcpListener::bind(Path::far_address(Family::V4, 0)))?;
        let server = listener.local_addr()?;
        // Without this, accepted sockets would wait in the backlog of 128.
        let accepting = thread::spawn(move || {
            (0..connections).map(|_| listener.accept().map(|(stream, _)| stream)).collect::<Result<Vec<_>, _>>()
        });
        let near = path.near.within(|| {
            (0..connections).map(|_| TcpStream::connect(server)).collect::<Result<Vec<_>, std::io::Error>>()
        })?;
        let mut far = accepting.join().map_err(|_| anyhow::anyhow!("the accepting thread panicked"))??;
        // A pair need not be the two ends of one connection: every near end sends, every far end answers what it gets.
        far.truncate(near.len());
        let both = near.into_iter().zip(far).collect::<Vec<_>>();
        for (near, far) in &both {
            near.set_nodelay(true)?;
            far.set_nodelay(true)?;
        }
        Ok(Self(both))
    }

    /// A request and an answer on every connection.
    fn round(&mut self) -> std::io::Result<()> {
        let mut message = [b'x'; MESSAGE];
        for (near, _) in &mut self.0 {
            near.write_all(&message)?;
        }
        for (_, far) in &mut self.0 {
            far.read_exact(&mut message)?;
            far.write_all(&message)?;
        }
        for (near, _) in &mut self.0 {
            near.read_exact(&mut message)?;
        }
        Ok(())
    }
}
