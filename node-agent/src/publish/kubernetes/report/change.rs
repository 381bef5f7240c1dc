//! What is new in a report: states are published at once, counts soon, gauges with the next heartbeat.

use netprecursor_crds::report::{Counters, PrecursorNodeReportStatus, Queue, RuleCount};

use crate::publish::kubernetes::schedule::Change;

/// What is new in `now` against what was written `before`; gauges do not count.
pub(in crate::publish::kubernetes) fn change(
    before: Option<&PrecursorNodeReportStatus>,
    now: &PrecursorNodeReportStatus,
) -> Change {
    let Some(before) = before else { return Change { state: true, counts: true } };
    let (then, now_pending) = (before.queue.pending, now.queue.pending);
    let was_backlog = then >= BACKLOG;
    let backlog = is_backlog(was_backlog, now_pending) != was_backlog;
    let is_drained = then > 0 && now_pending == 0;
    Change { state: backlog || states(before) != states(now), counts: is_drained || counts(before) != counts(now) }
}

/// As many alerts that wait are a backlog, which readers of the report are to know of.
pub(super) const BACKLOG: u64 = 20;

/// Whether alerts that wait are a backlog: a state that ends when none does. A few are a count: most are gone a moment later.
pub(in crate::publish::kubernetes) const fn is_backlog(was: bool, pending: u64) -> bool {
    pending >= if was { 1 } else { BACKLOG }
}

/// A report without its gauges, counters and times.
fn states(status: &PrecursorNodeReportStatus) -> PrecursorNodeReportStatus {
    let mut states = status.clone();
    states.rtt_from = None;
    states.socket_coverage_percent = None;
    states.overhead = None;
    states.targets = 0;
    states.targets_over_capacity = 0;
    states.queue = Queue::default();
    // A node that comes or goes is no news of all others.
    if let Some(networks) = &mut states.cluster_networks {
        (networks.reason, networks.networks, networks.count) = (None, Vec::new(), 0);
    }
    states.heartbeat = None;
    for rule in &mut states.rules {
        rule.targets = 0;
        (rule.throttled, rule.waiting) = (0, 0);
        (rule.needed_percent, rule.reachable_percent) = (None, None);
        (rule.skill_percent, rule.leading_expert) = (None, None);
        rule.counters = Counters::default();
    }
    states
}

/// The counts of alerts, incidents and dropped transitions.
fn counts(status: &PrecursorNodeReportStatus) -> Vec<(&str, &str, u64, Counters)> {
    let of = |rule: &'_ RuleCount| Counters { target_seconds: 0, ..rule.counters.clone() };
    let dropped = Counters { alerts: status.queue.dropped, ..Counters::default() };
    let rules =
        status.rules.iter().map(|rule| (rule.policy_uid.as_str(), rule.rule.as_str(), rule.throttled, of(rule)));
    rules.chain([("", "", 0, dropped)]).collect()
}
