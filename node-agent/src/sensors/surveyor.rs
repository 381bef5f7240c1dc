//! What must be asked of the kernel by system call, on a thread of its own so that it never delays a tick: sockets and
//! queueing disciplines of each target, and its tasks.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use netprecursor_agent_common::tcp::Line;

use super::{
    mapped::Mapped,
    netlink,
    qdisc::{self, Queues},
    sched::Tasks,
    sockets::{Coverage, Sockets},
};
use crate::targets::namespace::Namespace;

/// Queues are asked each second.
const QUEUES_EVERY: Duration = Duration::from_secs(1);
/// Tasks are looked for each second round: children inherit, so only newcomers by `setns` wait that long.
const TASKS_ROUNDS: u64 = 2;
/// Sockets are listed each tenth round, spread over the targets.
const SOCKETS_ROUNDS: u64 = 10;

/// What was found out about one target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Findings {
    /// Its sockets; `None` before the first survey.
    pub coverage: Option<Coverage>,
    /// How often its sockets were surveyed.
    pub surveys: u64,
    /// The queues of its namespace and of the agent's own.
    pub queues: Queues,
}

/// What is surveyed of a target.
#[derive(Debug)]
struct Site {
    inode: u64,
    sockets: Sockets,
    route: Socket,
}

#[derive(Debug, Default)]
struct Shared {
    sites: Mutex<BTreeMap<u32, Site>>,
    findings: Mutex<BTreeMap<u32, Findings>>,
    failures: AtomicU64,
    stop: AtomicBool,
}

/// The thread, and what it found.
#[derive(Debug)]
pub struct Surveyor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Surveyor {
    /// Starts the thread. Without `lines` coverage is not known, without `tasks` nothing is timed.
    pub fn start(lines: Option<Arc<Mapped<Line>>>, tasks: Option<Tasks>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = netlink::open(NETLINK_ROUTE)?;
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("surveyor".to_owned()).spawn(move || {
            let mut round = 0;
            while !theirs.stop.load(Ordering::Acquire) {
                theirs.round(round, &own, lines.as_deref(), tasks.as_ref());
                round += 1;
                thread::park_timeout(QUEUES_EVERY);
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Surveys the namespace of `slot` from now on.
    pub fn watch(&self, slot: u32, namespace: Namespace) {
        let site = Site { inode: namespace.inode, sockets: Sockets::new(namespace.diag), route: namespace.route };
        lock(&self.shared.sites).insert(slot, site);
    }

    /// Lets go of the namespace of `slot`.
    pub fn unwatch(&self, slot: u32) {
        lock(&self.shared.sites).remove(&slot);
        lock(&self.shared.findings).remove(&slot);
    }

    /// What is known of `slot`.
    pub fn findings(&self, slot: u32) -> Findings {
        lock(&self.shared.findings).get(&slot).copied().unwrap_or_default()
    }

    /// Questions that the kernel did not answer.
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
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
    fn round(&self, round: u64, own: &Socket, lines: Option<&Mapped<Line>>, tasks: Option<&Tasks>) {
        let host = self.noted(qdisc::survey(own)).unwrap_or_default();
        let mut sites = lock(&self.sites);
        for (slot, site) in sites.iter_mut() {
            let queues = self.noted(qdisc::survey(&site.route)).unwrap_or_default();
            let known = lock(&self.findings).get(slot).copied().unwrap_or_default();
            let due = known.coverage.is_none() || (round + u64::from(*slot)).is_multiple_of(SOCKETS_ROUNDS);
            let surveyed = lines.filter(|_| due).and_then(|lines| self.noted(site.sockets.survey(lines)));
            let queues =
                Queues { backlog_bytes: host.backlog_bytes + queues.backlog_bytes, drops: host.drops + queues.drops };
            let findings = Findings {
                coverage: surveyed.or(known.coverage),
                surveys: known.surveys + u64::from(surveyed.is_some()),
                queues,
            };
            lock(&self.findings).insert(*slot, findings);
        }
        if let Some(tasks) = tasks
            && round.is_multiple_of(TASKS_ROUNDS)
            && !sites.is_empty()
        {
            let by_inode: BTreeMap<u64, u32> = sites.iter().map(|(slot, site)| (site.inode, *slot)).collect();
            drop(sites);
            tasks.adopt(|inode| by_inode.get(&inode).copied());
        }
    }

    fn noted<T, E: std::error::Error>(&self, result: Result<T, E>) -> Option<T> {
        result
            .inspect_err(|error| {
                self.failures.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(error = %super::chain(error), "survey failed");
            })
            .ok()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What the other thread left behind is plain data, whole or not yet there.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
