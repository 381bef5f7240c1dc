//! The thread that finds out which network namespace is which pod's, several times a second: drains the kernel's
//! notes, decides ([`Ownership`]), and writes to the kernel's tables where to count. No namespace is entered.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv6Addr},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use aya::maps::{HashMap, MapData};
use netprecursor_agent_common::identity::{Claim, Member, Stamp};

use super::{
    cgroups::Index,
    ownership::{Finding, Ownership, Resident, Tally},
};
use crate::{host::monotonic_ns, lock::lock};

/// A connection waits this long at most until its namespace is looked at.
const ROUND: Duration = Duration::from_millis(250);
/// Containers come and go: their cgroups are listed this often…
const SCAN_EVERY: Duration = Duration::from_secs(10);
/// …and while pods are new, this often.
const SCAN_NEW_EVERY: Duration = Duration::from_secs(2);
const NEW: Duration = Duration::from_secs(30);
/// Cgroups remembered as no pod's.
const MAX_STRANGERS: usize = 4096;

/// [`Claim`] as aya wants its map keys.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct ClaimKey(Claim);

/// [`Member`] as aya wants its map keys.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct MemberKey(Member);

// SAFETY: `repr(C)`, integers only, explicit to the byte.
unsafe impl aya::Pod for ClaimKey {}
// SAFETY: as above.
unsafe impl aya::Pod for MemberKey {}

/// The kernel's table of namespaces, which whoever knows one writes to.
pub type Namespaces = Arc<Mutex<HashMap<MapData, u64, u32>>>;

/// The kernel's side of it.
#[derive(Debug)]
pub struct Tables {
    /// Addresses by namespace: `CLAIMS`.
    pub claims: HashMap<MapData, ClaimKey, u64>,
    /// Cgroups by namespace: `MEMBERS`.
    pub members: HashMap<MapData, MemberKey, u64>,
    /// Where namespaces are counted: `NETNS_SLOTS`.
    pub namespaces: Namespaces,
    /// Where cgroups of the node's own namespace are counted: `CGROUP_SLOTS`.
    pub cgroups: HashMap<MapData, u64, u32>,
    /// Whether the kernel's programs know the cgroups of a namespace's sockets.
    pub has_members: bool,
}

/// Where a watched pod is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Its slot.
    pub stamp: Stamp,
    /// What cgroup paths call the pod.
    pub cgroup: String,
    /// Whether it shares the node's namespace.
    pub host_network: bool,
}

/// All pods, and which of them are watched.
#[derive(Debug, Default)]
struct Roster {
    pods: Vec<Resident>,
    host_addresses: Vec<IpAddr>,
    seats: BTreeMap<String, Seat>,
    is_changed: bool,
}

/// What the thread reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Namespaces.
    pub tally: Tally,
    /// Pods whose cgroups were found.
    pub pods_with_cgroup: usize,
    /// Whether they were looked for.
    pub has_looked: bool,
    /// Why the cgroups cannot be listed.
    pub blind: Option<String>,
    /// Entries in the kernel's tables: namespaces, and cgroups on the host's network.
    pub installed: (usize, usize),
    /// Why the last write to a table of the kernel failed.
    pub refused: Option<String>,
    /// The node's own namespace is known.
    pub knows_host: bool,
}

#[derive(Debug, Default)]
struct Shared {
    roster: Mutex<Roster>,
    index: Mutex<Arc<Index>>,
    report: Mutex<Report>,
    stop: AtomicBool,
}

/// The thread.
#[derive(Debug)]
pub struct Identifier {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Identifier {
    /// Starts the thread; pods' cgroups are looked for below `root`.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(tables: Tables, root: Option<PathBuf>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut worker = Worker::new(Arc::clone(&shared), tables, root);
        let thread = thread::Builder::new().name("identity".to_owned()).spawn(move || {
            while !worker.shared.stop.load(Ordering::Acquire) {
                worker.round();
                thread::park_timeout(ROUND);
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The pods of this node and its addresses, from now on.
    pub fn know(&self, pods: Vec<Resident>, host_addresses: Vec<IpAddr>) {
        let mut roster = lock(&self.shared.roster);
        (roster.pods, roster.host_addresses, roster.is_changed) = (pods, host_addresses, true);
        drop(roster);
        self.wake();
    }

    /// Counts the pod `uid` from now on.
    pub fn seat(&self, uid: &str, seat: Seat) {
        let mut roster = lock(&self.shared.roster);
        roster.seats.insert(uid.to_owned(), seat);
        roster.is_changed = true;
        drop(roster);
        self.wake();
    }

    /// No longer counts it.
    pub fn unseat(&self, uid: &str) {
        let mut roster = lock(&self.shared.roster);
        roster.seats.remove(uid);
        roster.is_changed = true;
        drop(roster);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// The cgroups of pods, as last listed.
    pub fn index(&self) -> Arc<Index> {
        Arc::clone(&lock(&self.shared.index))
    }

    /// The latest report.
    pub fn report(&self) -> Report {
        lock(&self.shared.report).clone()
    }
}

impl Drop for Identifier {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there has been reported.
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct Worker {
    shared: Arc<Shared>,
    tables: Tables,
    root: Option<PathBuf>,
    ownership: Ownership,
    seats: BTreeMap<String, Seat>,
    index: Arc<Index>,
    /// Cgroups that were no pod's when they were looked for. Their ids are never used again.
    strangers: BTreeSet<u64>,
    scanned: Option<Instant>,
    changed: Instant,
    installed_namespaces: BTreeMap<u64, u32>,
    installed_cgroups: BTreeMap<u64, u32>,
    report: Report,
}

impl Worker {
    fn new(shared: Arc<Shared>, tables: Tables, root: Option<PathBuf>) -> Self {
        Self {
            shared,
            tables,
            root,
            ownership: Ownership::default(),
            seats: BTreeMap::new(),
            index: Arc::default(),
            strangers: BTreeSet::new(),
            scanned: None,
            changed: Instant::now(),
            installed_namespaces: BTreeMap::new(),
            installed_cgroups: BTreeMap::new(),
            report: Report::default(),
        }
    }

    fn round(&mut self) {
        let mut is_due = self.take_roster();
        // Claims first: before a connection stands, packets have shown the cgroup of its socket.
        let claims = drain(&mut self.tables.claims);
        let members = drain(&mut self.tables.members);
        let is_stranger = |member: &MemberKey| {
            self.index.pod_of(member.0.cgroup).is_none() && !self.strangers.contains(&member.0.cgroup)
        };
        if members.iter().any(|(member, _)| is_stranger(member)) || self.is_scan_due() {
            self.scan();
            is_due = true;
        }
        for (MemberKey(Member { namespace, cgroup }), at_ns) in members {
            if let Some(pod) = self.index.pod_of(cgroup) {
                self.ownership.member(namespace, pod, at_ns);
            } else {
                if self.strangers.len() >= MAX_STRANGERS {
                    self.strangers.clear();
                }
                self.strangers.insert(cgroup);
            }
        }
        for (ClaimKey(Claim { namespace, address }), at_ns) in claims {
            self.ownership.claim(namespace, in_memory(address), at_ns);
        }
        let knows_cgroups = self.tables.has_members && self.index.pods() > 0;
        for finding in self.ownership.decide(knows_cgroups, monotonic_ns()) {
            is_due = true;
            match finding {
                Finding::Bound { namespace, uid } => tracing::debug!(namespace, uid, "a namespace is a pod's"),
                Finding::Host { namespace } => tracing::debug!(namespace, "a namespace is the node's"),
                Finding::Doubted { .. } => {}
            }
        }
        if is_due {
            self.install();
        }
        self.report.tally = self.ownership.tally();
        self.report.knows_host = self.ownership.hosts().next().is_some();
        lock(&self.shared.report).clone_from(&self.report);
    }

    /// Takes in the current pods. Returns whether anything changed.
    fn take_roster(&mut self) -> bool {
        let mut roster = lock(&self.shared.roster);
        if !std::mem::take(&mut roster.is_changed) {
            return false;
        }
        self.ownership.settle_pods(&roster.pods, &roster.host_addresses, monotonic_ns());
        if roster.seats.keys().any(|uid| !self.seats.contains_key(uid)) {
            self.changed = Instant::now();
        }
        self.seats.clone_from(&roster.seats);
        true
    }

    fn is_scan_due(&self) -> bool {
        let every = if self.changed.elapsed() < NEW { SCAN_NEW_EVERY } else { SCAN_EVERY };
        !self.seats.is_empty() && self.scanned.is_none_or(|scanned| scanned.elapsed() >= every)
    }

    fn scan(&mut self) {
        self.scanned = Some(Instant::now());
        self.report.has_looked = true;
        let Some(root) = &self.root else {
            self.report.blind = Some("no cgroup2 hierarchy is mounted".to_owned());
            return;
        };
        match Index::scan(root) {
            Ok(index) => {
                self.report.blind = index.is_cut.then(|| {
                    format!(
                        "{} has more directories than the agent reads; pods in the rest are not found",
                        root.display()
                    )
                });
                self.report.pods_with_cgroup = index.pods();
                self.index = Arc::new(index);
                *lock(&self.shared.index) = Arc::clone(&self.index);
            }
            Err(error) => self.report.blind = Some(format!("cannot list {}: {error}", root.display())),
        }
    }

    /// Makes the kernel's tables what they should be.
    fn install(&mut self) {
        let own = |uid: &str| self.seats.get(uid).filter(|seat| !seat.host_network);
        let stamp = |uid: &str| own(uid).map_or(Stamp::UNWATCHED, |seat| seat.stamp);
        let mut namespaces: BTreeMap<u64, u32> =
            self.ownership.bonds().map(|(namespace, uid)| (namespace, stamp(uid).0)).collect();
        let on_host = self.seats.values().filter(|seat| seat.host_network);
        let cgroups: BTreeMap<u64, u32> = on_host
            .flat_map(|seat| self.index.groups(&seat.cgroup).iter().map(|group| (group.id, seat.stamp.0)))
            .collect();
        let host = if cgroups.is_empty() { Stamp::UNWATCHED } else { Stamp::BY_CGROUP };
        namespaces.extend(self.ownership.hosts().map(|namespace| (namespace, host.0)));
        let mut table = lock(&self.tables.namespaces);
        let first = reconcile(&mut table, &mut self.installed_namespaces, namespaces);
        drop(table);
        let second = reconcile(&mut self.tables.cgroups, &mut self.installed_cgroups, cgroups);
        self.report.refused = first.or(second);
        self.report.installed = (self.installed_namespaces.len(), self.installed_cgroups.len());
    }
}

/// The address whose bytes lie in memory as in the packet.
fn in_memory(words: [u32; 4]) -> Ipv6Addr {
    let mut bytes = [0; 16];
    for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    bytes.into()
}

/// Takes everything out of a table that the kernel adds to meanwhile.
fn drain<K: aya::Pod>(table: &mut HashMap<MapData, K, u64>) -> Vec<(K, u64)> {
    let found: Vec<(K, u64)> = table.iter().filter_map(Result::ok).collect();
    for (key, _) in &found {
        // What is noted in between is noted again at the next event.
        let _ = table.remove(key);
    }
    found
}

/// Makes a table hold `wanted`, given what it was made to hold before. Returns why it does not.
fn reconcile(
    table: &mut HashMap<MapData, u64, u32>,
    installed: &mut BTreeMap<u64, u32>,
    wanted: BTreeMap<u64, u32>,
) -> Option<String> {
    let stale: Vec<u64> = installed.keys().filter(|key| !wanted.contains_key(key)).copied().collect();
    for key in stale {
        // Already gone is gone.
        let _ = table.remove(&key);
        installed.remove(&key);
    }
    let mut refused = None;
    for (key, stamp) in wanted {
        if installed.get(&key) == Some(&stamp) {
            continue;
        }
        match table.insert(key, stamp, 0) {
            Ok(()) => {
                installed.insert(key, stamp);
            }
            Err(error) => refused = Some(crate::error::chain(&error)),
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_the_order_of_its_bytes() {
        let words = [0, 0, 0xffff_u32.to_be(), u32::from_ne_bytes([10, 0, 0, 7])];
        assert_eq!(in_memory(words), "::ffff:10.0.0.7".parse::<Ipv6Addr>().unwrap());
    }
}
