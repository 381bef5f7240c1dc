//! What the thread asks in one round, and of whom.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering, mpsc::Receiver},
    time::{Duration, Instant},
};

use netlink_sys::Socket;
use netprecursor_agent_common::{MAX_SLOTS, identity::Stamp, older::OLDER_LINES, tcp::LINES};

use super::{
    super::{
        procnet,
        qdisc::{self, Queues},
        sched::Tasks,
        sockets::{self, Coverage, Lines},
    },
    Findings, Request, Shared, Site, Sites, Watched,
};
use crate::lock::lock;

/// Tasks are looked for each second round: children inherit, so only newcomers by `setns` wait that long.
const TASKS_ROUNDS: u64 = 2;
/// Sockets are listed each tenth round, spread over the targets.
const SOCKETS_ROUNDS: u64 = 10;
/// How long the lists of sockets in `/proc` may be read in one round: the kernel walks its whole table for each, and on
/// large machines that table is large. What is left over comes in the rounds that follow.
const LISTS_PER_ROUND: Duration = Duration::from_millis(2);

impl Shared {
    /// One round over the namespaces that were entered.
    pub(super) fn namespaces(
        &self,
        sites: &mut Sites,
        round: u64,
        own: &Socket,
        lines: Option<&Lines>,
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
    pub(super) fn pods(
        &self,
        sites: &mut Sites,
        round: u64,
        debt: &mut Duration,
        lines: Option<&Lines>,
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
        let by_slot = known_by_slot(lines, sites);
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
            let (seen, older) = by_slot.get(slot as usize).copied().unwrap_or_default();
            let seen = seen.min(established);
            // A line outlives its socket: for good if it was seen, for a minute if it was older.
            let smoothed = older.min(established - seen);
            let surveys = self.known(slot, *number).surveys + 1;
            self.found(
                slot,
                *number,
                Findings { coverage: Some(Coverage { established, seen, smoothed }), surveys, queues: None },
            );
        }
    }

    /// What was found in the watch of this number.
    pub(super) fn known(&self, slot: u32, number: u64) -> Findings {
        let findings = lock(&self.findings);
        findings.get(&slot).filter(|(watch, _)| *watch == number).map(|(_, findings)| *findings).unwrap_or_default()
    }

    /// Puts in what was found, unless the watch is over by now.
    pub(super) fn found(&self, slot: u32, number: u64, found: Findings) {
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
pub(super) fn take(requests: &Receiver<Request>, sites: &mut Sites) {
    for request in requests.try_iter() {
        match request {
            Request::Watch { slot, watched } => sites.insert(slot, watched),
            Request::Unwatch { slot } => sites.remove(&slot),
        };
    }
}

/// How many lines of sockets are stamped for each slot's present target: of those that callbacks have come of, and of older
/// ones whose smoothed RTT is looked at.
fn known_by_slot(lines: &Lines, sites: &Sites) -> Vec<(u32, u32)> {
    let mut known = vec![(0, 0); MAX_SLOTS as usize];
    let mut note = |stamp: Stamp, add: fn(&mut (u32, u32))| {
        if let Some(Watched { site: Site::Pod { site, .. }, .. }) = sites.get(&stamp.slot())
            && site.stamp == stamp
            && let Some(known) = known.get_mut(stamp.slot() as usize)
        {
            add(known);
        }
    };
    let seen = (0..LINES as usize).filter_map(|index| lines.seen.read(index));
    for line in seen.filter(|line| line.cookie != 0 && sockets::is_called(line)) {
        note(Stamp(line.stamp), |(seen, _)| *seen += 1);
    }
    let older = (0..OLDER_LINES as usize).filter_map(|index| lines.older.read(index));
    for line in older.filter(|line| line.cookie != 0 && lines.is_smoothed(line)) {
        note(Stamp(line.stamp), |(_, older)| *older += 1);
    }
    known
}
