//! What must be asked of the kernel by system call, on a thread of its own so that it never delays a tick: sockets and
//! queueing disciplines of each target, and its tasks.

mod rounds;

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use netprecursor_agent_common::identity::Stamp;

use super::{
    qdisc::Queues,
    sched::Tasks,
    sockets::{Coverage, Lines, Sockets},
};
use crate::{
    lock::lock,
    netlink,
    targets::{cgroups::Index, namespace::Namespace},
};

/// Queues are asked each second.
const QUEUES_EVERY: Duration = Duration::from_secs(1);

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
    pub fn start(lines: Option<Arc<Lines>>, tasks: Option<Tasks>) -> io::Result<Self> {
        Self::start_with(netlink::open(NETLINK_ROUTE)?, lines, tasks)
    }

    fn start_with(own: Socket, lines: Option<Arc<Lines>>, tasks: Option<Tasks>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (requests, received) = mpsc::channel();
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("surveyor".to_owned()).spawn(move || {
            let (mut sites, mut round, mut debt) = (Sites::new(), 0, Duration::ZERO);
            while !theirs.stop.load(Ordering::Acquire) {
                rounds::take(&received, &mut sites);
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
