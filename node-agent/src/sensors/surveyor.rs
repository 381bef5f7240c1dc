//! What must be asked of the kernel by system call, on a thread of its own so that it never delays a tick: sockets and
//! queueing disciplines of each target, and its tasks.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use netprecursor_agent_common::{
    MAX_SLOTS,
    identity::Stamp,
    tcp::{LINES, Line},
};

use super::{
    mapped::Mapped,
    procnet,
    qdisc::{self, Queues},
    sched::Tasks,
    sockets::{Coverage, Sockets},
};
use crate::{
    lock::lock,
    netlink,
    targets::{cgroups::Index, namespace::Namespace},
};

/// Queues are asked each second.
const QUEUES_EVERY: Duration = Duration::from_secs(1);
/// Tasks are looked for each second round: children inherit, so only newcomers by `setns` wait that long.
const TASKS_ROUNDS: u64 = 2;
/// Sockets are listed each tenth round, spread over the targets.
const SOCKETS_ROUNDS: u64 = 10;
/// How long the lists of sockets in `/proc` may be read in one round: the kernel walks its whole table for each, and on
/// large machines that table is large. What is left over comes in the rounds that follow.
const LISTS_PER_ROUND: Duration = Duration::from_millis(2);

/// What was found out about one target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Findings {
    /// Its sockets; `None` before the first survey.
    pub coverage: Option<Coverage>,
    /// How often its sockets were surveyed.
    pub surveys: u64,
    /// The queues of its namespace and of the agent's own; `None` where its namespace is not entered.
    pub queues: Option<Queues>,
}

/// A pod as it is surveyed: from outside.
#[derive(Debug)]
pub struct PodSite {
    /// What cgroup paths call it.
    pub cgroup: String,
    /// Where it is counted.
    pub stamp: Stamp,
    /// Whether its namespace is the node's own, whose sockets are not its alone.
    pub host_network: bool,
}

/// What is surveyed of a target.
#[derive(Debug)]
enum Site {
    /// A namespace that was entered.
    Namespace { inode: u64, sockets: Sockets, route: Socket },
    /// A pod.
    Pod { site: PodSite, listed: u64, groups: usize, hidden: bool },
}

/// What the tick thread asks for. It never waits for a dump, so it sends; no more is under way than slots are given out
/// while one dump lasts.
#[derive(Debug)]
enum Request {
    Watch { slot: u32, watched: Watched },
    Unwatch { slot: u32 },
}

/// A site with the number of its watch: a slot that is given out again has another one.
#[derive(Debug)]
struct Watched {
    number: u64,
    site: Site,
}

/// The sites by slot, the surveyor's own.
type Sites = BTreeMap<u32, Watched>;

#[derive(Debug, Default)]
struct Shared {
    /// By slot, with the number of the watch. Locked to look something up or put something in, never during a dump.
    findings: Mutex<BTreeMap<u32, (u64, Findings)>>,
    index: Mutex<Arc<Index>>,
    failures: AtomicU64,
    /// Pods whose processes have no number here.
    hidden: AtomicU64,
    stop: AtomicBool,
}

/// The thread, and what it found.
#[derive(Debug)]
pub struct Surveyor {
    shared: Arc<Shared>,
    requests: Sender<Request>,
    watches: AtomicU64,
    thread: Option<JoinHandle<()>>,
}

impl Surveyor {
    /// Starts the thread. Without `lines` coverage is not known, without `tasks` nothing is timed.
    pub fn start(lines: Option<Arc<Mapped<Line>>>, tasks: Option<Tasks>) -> io::Result<Self> {
        Self::start_with(netlink::open(NETLINK_ROUTE)?, lines, tasks)
    }

    fn start_with(own: Socket, lines: Option<Arc<Mapped<Line>>>, tasks: Option<Tasks>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (requests, received) = mpsc::channel();
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("surveyor".to_owned()).spawn(move || {
            let (mut sites, mut round, mut debt) = (Sites::new(), 0, Duration::ZERO);
            while !theirs.stop.load(Ordering::Acquire) {
                take(&received, &mut sites);
                theirs.namespaces(&mut sites, round, &own, lines.as_deref(), tasks.as_ref());
                theirs.pods(&mut sites, round, &mut debt, lines.as_deref(), tasks.as_ref());
                round += 1;
                thread::park_timeout(QUEUES_EVERY);
            }
        })?;
        Ok(Self { shared, requests, watches: AtomicU64::new(0), thread: Some(thread) })
    }

    /// Surveys the namespace of `slot` from now on.
    pub fn watch(&self, slot: u32, namespace: Namespace) {
        let sockets = Sockets::new(namespace.diag);
        self.add(slot, Site::Namespace { inode: namespace.inode, sockets, route: namespace.route });
    }

    /// Surveys the pod of `slot` from now on.
    pub fn watch_pod(&self, slot: u32, site: PodSite) {
        self.add(slot, Site::Pod { site, listed: 0, groups: 0, hidden: false });
    }

    fn add(&self, slot: u32, site: Site) {
        let number = self.watches.fetch_add(1, Ordering::Relaxed);
        lock(&self.shared.findings).insert(slot, (number, Findings::default()));
        self.send(Request::Watch { slot, watched: Watched { number, site } });
    }

    /// Lets go of the namespace or pod of `slot`.
    pub fn unwatch(&self, slot: u32) {
        lock(&self.shared.findings).remove(&slot);
        self.send(Request::Unwatch { slot });
    }

    fn send(&self, request: Request) {
        // The thread ends before this value does only when it panicked, whose message is in the log.
        let _ = self.requests.send(request);
    }

    /// Where the pods' cgroups are, as of now.
    pub fn know(&self, index: Arc<Index>) {
        *lock(&self.shared.index) = index;
    }

    /// What is known of `slot`.
    pub fn findings(&self, slot: u32) -> Findings {
        lock(&self.shared.findings).get(&slot).map(|(_, findings)| *findings).unwrap_or_default()
    }

    /// Questions that the kernel did not answer.
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
    }

    /// Pods whose processes exist but have no number in this PID namespace.
    pub fn hidden(&self) -> u64 {
        self.shared.hidden.load(Ordering::Relaxed)
    }
}

impl Drop for Surveyor {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It only reads: a panic there has been reported and spoils nothing here.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// One round over the namespaces that were entered.
    fn namespaces(
        &self,
        sites: &mut Sites,
        round: u64,
        own: &Socket,
        lines: Option<&Mapped<Line>>,
        tasks: Option<&Tasks>,
    ) {
        if !sites.values().any(|watched| matches!(watched.site, Site::Namespace { .. })) {
            return;
        }
        let host = self.noted(qdisc::survey(own)).unwrap_or_default();
        for (slot, Watched { number, site }) in sites.iter_mut() {
            let Site::Namespace { sockets, route, .. } = site else { continue };
            let queues = self.noted(qdisc::survey(route)).unwrap_or_default();
            let known = self.known(*slot, *number);
            let due = known.coverage.is_none() || (round + u64::from(*slot)).is_multiple_of(SOCKETS_ROUNDS);
            let surveyed = lines.filter(|_| due).and_then(|lines| self.noted(sockets.survey(lines)));
            let queues =
                Queues { backlog_bytes: host.backlog_bytes + queues.backlog_bytes, drops: host.drops + queues.drops };
            let findings = Findings {
                coverage: surveyed.or(known.coverage),
                surveys: known.surveys + u64::from(surveyed.is_some()),
                queues: Some(queues),
            };
            self.found(*slot, *number, findings);
        }
        if let Some(tasks) = tasks
            && round.is_multiple_of(TASKS_ROUNDS)
        {
            let by_inode: BTreeMap<u64, u32> = sites
                .iter()
                .filter_map(|(slot, watched)| match &watched.site {
                    Site::Namespace { inode, .. } => Some((*inode, *slot)),
                    Site::Pod { .. } => None,
                })
                .collect();
            tasks.adopt(|inode| by_inode.get(&inode).copied());
        }
    }

    /// One round over the pods: their tasks, and the sockets of those that have waited longest.
    fn pods(
        &self,
        sites: &mut Sites,
        round: u64,
        debt: &mut Duration,
        lines: Option<&Mapped<Line>>,
        tasks: Option<&Tasks>,
    ) {
        *debt = debt.saturating_sub(LISTS_PER_ROUND);
        let index = Arc::clone(&lock(&self.index));
        let mut due = Vec::new();
        let mut hidden = 0;
        for (slot, Watched { site, .. }) in sites.iter_mut() {
            let Site::Pod { site, listed, groups: seen, hidden: is_hidden } = site else { continue };
            let groups = index.groups(&site.cgroup);
            // A container that came is looked at at once, all others each tenth round.
            let has_changed = std::mem::replace(seen, groups.len()) != groups.len();
            if has_changed || (round + u64::from(*slot)).is_multiple_of(SOCKETS_ROUNDS) {
                let threads: Vec<u32> = groups.iter().flat_map(|group| group.threads()).collect();
                *is_hidden = !threads.is_empty() && threads.iter().all(|thread| *thread == 0);
                if let Some(tasks) = tasks {
                    tasks.name(threads.into_iter().filter(|thread| *thread != 0), *slot);
                }
            }
            hidden += u64::from(*is_hidden);
            if !site.host_network && !groups.is_empty() && (*listed == 0 || round >= *listed + SOCKETS_ROUNDS) {
                due.push((*listed, *slot));
            }
        }
        self.hidden.store(hidden, Ordering::Relaxed);
        due.sort_unstable();
        let Some(lines) = lines.filter(|_| !due.is_empty() && *debt < LISTS_PER_ROUND) else { return };
        let seen = seen_by_slot(lines, sites);
        for (_, slot) in due {
            if *debt >= LISTS_PER_ROUND {
                break;
            }
            let Some(Watched { number, site: Site::Pod { site, listed, .. } }) = sites.get_mut(&slot) else { continue };
            *listed = round.max(1);
            let processes = index.groups(&site.cgroup).iter().flat_map(|group| group.processes());
            // The first process of a pod is its sandbox's; later ones may have gone into namespaces of their own.
            let Some(process) = processes.filter(|process| *process != 0).min() else { continue };
            let begun = Instant::now();
            let established = self.noted(procnet::established(process));
            *debt += begun.elapsed();
            let Some(established) = established else { continue };
            let seen = seen.get(slot as usize).copied().unwrap_or_default().min(established);
            let surveys = self.known(slot, *number).surveys + 1;
            self.found(
                slot,
                *number,
                Findings { coverage: Some(Coverage { established, seen }), surveys, queues: None },
            );
        }
    }

    /// What was found in the watch of this number.
    fn known(&self, slot: u32, number: u64) -> Findings {
        let findings = lock(&self.findings);
        findings.get(&slot).filter(|(watch, _)| *watch == number).map(|(_, findings)| *findings).unwrap_or_default()
    }

    /// Puts in what was found, unless the watch is over by now.
    fn found(&self, slot: u32, number: u64, found: Findings) {
        if let Some((watch, findings)) = lock(&self.findings).get_mut(&slot)
            && *watch == number
        {
            *findings = found;
        }
    }

    fn noted<T, E: std::error::Error>(&self, result: Result<T, E>) -> Option<T> {
        result
            .inspect_err(|error| {
                self.failures.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(error = %crate::error::chain(error), "survey failed");
            })
            .ok()
    }
}

/// Takes in what was asked for meanwhile.
fn take(requests: &Receiver<Request>, sites: &mut Sites) {
    for request in requests.try_iter() {
        match request {
            Request::Watch { slot, watched } => sites.insert(slot, watched),
            Request::Unwatch { slot } => sites.remove(&slot),
        };
    }
}

/// How many sockets' lines are stamped for each slot's present target.
fn seen_by_slot(lines: &Mapped<Line>, sites: &Sites) -> Vec<u32> {
    let mut seen = vec![0; MAX_SLOTS as usize];
    for line in (0..LINES as usize).filter_map(|index| lines.read(index)) {
        let stamp = Stamp(line.stamp);
        if line.cookie != 0
            && let Some(Watched { site: Site::Pod { site, .. }, .. }) = sites.get(&stamp.slot())
            && site.stamp == stamp
            && let Some(seen) = seen.get_mut(stamp.slot() as usize)
        {
            *seen += 1;
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use std::{
        net::Shutdown,
        os::{
            fd::{FromRawFd as _, IntoRawFd as _},
            unix::net::UnixDatagram,
        },
        sync::mpsc::RecvTimeoutError,
    };

    use netlink_sys::protocols::NETLINK_SOCK_DIAG;

    use super::*;

    /// A socket that is asked and never answered, what shuts it down, and the end at which the questions come.
    fn mute() -> (Socket, UnixDatagram, UnixDatagram) {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let switch = ours.try_clone().unwrap();
        // SAFETY: the descriptor is open and nobody else's.
        (unsafe { Socket::from_raw_fd(ours.into_raw_fd()) }, switch, theirs)
    }

    #[test]
    fn a_netlink_answer_that_does_not_come_holds_up_nobody_who_watches_targets() {
        let (own, switch, other_end) = mute();
        let surveyor = Arc::new(Surveyor::start_with(own, None, None).unwrap());
        let namespace = || Site::Namespace {
            inode: 1,
            sockets: Sockets::new(netlink::open(NETLINK_SOCK_DIAG).unwrap()),
            route: netlink::open(NETLINK_ROUTE).unwrap(),
        };
        surveyor.add(0, namespace());
        surveyor.thread.as_ref().unwrap().thread().unpark();
        // The question has come: from now on the thread waits for the answer.
        other_end.recv(&mut [0; 1024]).unwrap();
        let (done, is_done) = mpsc::channel();
        let ticking = {
            let (surveyor, sites) = (Arc::clone(&surveyor), [namespace(), namespace()]);
            thread::spawn(move || {
                for (slot, site) in (1..).zip(sites) {
                    surveyor.add(slot, site);
                    surveyor.unwatch(slot);
                    assert!(surveyor.findings(slot).coverage.is_none());
                }
                done.send(()).unwrap();
            })
        };
        let waited = is_done.recv_timeout(Duration::from_secs(10));
        // The thread's question fails, as does each that follows.
        switch.shutdown(Shutdown::Both).unwrap();
        assert_ne!(waited, Err(RecvTimeoutError::Timeout));
        ticking.join().unwrap();
    }

    #[test]
    fn what_is_found_of_a_target_that_is_gone_is_not_the_next_ones() {
        let shared = Shared::default();
        lock(&shared.findings).insert(3, (7, Findings::default()));
        let found = Findings { surveys: 5, ..Findings::default() };
        shared.found(3, 6, found);
        assert_eq!((shared.known(3, 7).surveys, shared.known(3, 6).surveys), (0, 0));
        shared.found(3, 7, found);
        assert_eq!((shared.known(3, 7).surveys, shared.known(3, 6).surveys), (5, 0));
        shared.found(4, 7, found);
        assert_eq!(shared.known(4, 7).surveys, 0);
    }
}
