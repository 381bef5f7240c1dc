//! What was counted of each rule, over all nodes, since the rule last changed and over the last day.
//!
//! Agents count cumulatively and report what they have; a rule's total is the sum of the differences between one report
//! of a node and the next. Totals and the reports that they rest on are kept as one snapshot (`snapshot`), so an older
//! snapshot is as good as the newest: what was counted since then is in the next difference. Only what a node counted
//! and lost while no operator ran is lost.

mod card;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use netprecursor_core::score::Scorecard;

pub use snapshot::{Snapshot, SnapshotError, UNPACKED_BYTES};

/// Snapshots are kept in so many objects, rules going by the policy's UID, so that none grows too large.
pub const SHARDS: u32 = 8;

/// The window of a score, in hours.
pub const WINDOW_HOURS: i64 = 24;

/// Nodes that are remembered after they fell silent, of each rule; a node that comes back keeps its counters.
const SILENT_NODES: usize = 64;

/// For how long, in hours.
const SILENT_HOURS: i64 = 7 * 24;

const SECONDS_PER_HOUR: i64 = 3_600;

/// Which rule of which policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleKey {
    /// The policy's UID.
    pub policy: String,
    /// The rule's name.
    pub rule: String,
}

/// What one node says of one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Reported {
    /// The rule.
    pub key: RuleKey,
    /// Changes when the meaning of the rule does.
    pub hash: String,
    /// Since when the node counts.
    pub since: Timestamp,
    /// What it counted.
    pub card: Scorecard,
}

/// What was counted of all rules.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ledger {
    rules: BTreeMap<RuleKey, Account>,
    /// Shards that differ from their snapshot.
    changed: BTreeSet<u32>,
}

/// What was counted of one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    hash: String,
    since: Timestamp,
    total: Scorecard,
    /// What was counted in each hour of the window, the newest last.
    hours: Vec<(i64, Scorecard)>,
    nodes: BTreeMap<String, NodeCard>,
}

/// What a node last reported.
#[derive(Debug, Clone, PartialEq)]
struct NodeCard {
    card: Scorecard,
    /// The hour of that report.
    heard: i64,
}

impl Ledger {
    /// Takes in what a node says of a rule.
    pub fn absorb(&mut self, node: &str, reported: &Reported, now: Timestamp) {
        let hour = hour(now);
        let account = match self.rules.get_mut(&reported.key) {
            Some(account) if account.hash == reported.hash => account,
            // A node that has not seen the change yet.
            Some(account) if reported.since < account.since => return,
            _ => {
                self.rules.insert(reported.key.clone(), Account::new(reported));
                let Some(account) = self.rules.get_mut(&reported.key) else { return };
                account
            }
        };
        if account.absorb(node, reported, now, hour) {
            self.changed.insert(shard(&reported.key.policy));
        }
    }

    /// What was counted of a rule.
    pub fn account(&self, policy: &str, rule: &str) -> Option<&Account> {
        self.rules.get(&RuleKey { policy: policy.to_owned(), rule: rule.to_owned() })
    }

    /// Forgets rules that are no more, hours that have passed and nodes that stay silent.
    pub fn sweep(&mut self, is_alive: impl Fn(&RuleKey) -> bool, now: Timestamp) {
        let (hour, changed) = (hour(now), &mut self.changed);
        self.rules.retain(|key, account| {
            let stays = is_alive(key);
            if account.sweep(hour) || !stays {
                changed.insert(shard(&key.policy));
            }
            stays
        });
    }

    /// Shards whose snapshot is out of date.
    pub fn changed(&self) -> impl Iterator<Item = u32> {
        self.changed.iter().copied()
    }

    /// A shard as it may be kept.
    pub fn snapshot(&self, shard: u32) -> Snapshot<'_> {
        Snapshot(self.rules.iter().filter(|(key, _)| self::shard(&key.policy) == shard).collect())
    }

    /// A shard's snapshot has been kept.
    pub fn kept(&mut self, shard: u32) {
        self.changed.remove(&shard);
    }

    /// Takes in a snapshot, before any report.
    ///
    /// # Errors
    /// It is not one.
    pub fn restore(&mut self, packed: &[u8]) -> Result<(), SnapshotError> {
        self.rules.extend(snapshot::unpack(packed)?);
        Ok(())
    }
}

impl Account {
    fn new(reported: &Reported) -> Self {
        Self {
            hash: reported.hash.clone(),
            since: reported.since,
            total: Scorecard::default(),
            hours: Vec::new(),
            nodes: BTreeMap::new(),
        }
    }

    /// Whether anything was new.
    fn absorb(&mut self, node: &str, reported: &Reported, now: Timestamp, hour: i64) -> bool {
        self.since = self.since.min(reported.since);
        let (gained, is_all_recent) = match self.nodes.get_mut(node) {
            Some(known) if known.card == reported.card => {
                known.heard = hour;
                return false;
            }
            // A counter that is lower than before was reset: all that it has now is gain.
            Some(known) => (card::gained(&known.card, &reported.card).unwrap_or_else(|| reported.card.clone()), true),
            // What a node counted before its first report may be older than the window.
            None => {
                let age = now.duration_since(reported.since).as_secs();
                (reported.card.clone(), age <= WINDOW_HOURS * SECONDS_PER_HOUR)
            }
        };
        self.total.merge(&gained);
        if is_all_recent {
            match self.hours.last_mut() {
                Some((last, card)) if *last >= hour => card.merge(&gained),
                _ => self.hours.push((hour, gained)),
            }
        }
        self.nodes.insert(node.to_owned(), NodeCard { card: reported.card.clone(), heard: hour });
        true
    }

    /// Whether anything went.
    fn sweep(&mut self, hour: i64) -> bool {
        let before = (self.hours.len(), self.nodes.len());
        self.hours.retain(|(at, _)| hour - at < WINDOW_HOURS);
        self.nodes.retain(|_, node| hour - node.heard < SILENT_HOURS);
        while self.nodes.values().filter(|node| node.heard < hour - 1).count() > SILENT_NODES {
            let oldest = self.nodes.iter().min_by_key(|(_, node)| node.heard).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.nodes.remove(&name));
        }
        before != (self.hours.len(), self.nodes.len())
    }

    /// Changes when the meaning of the rule does.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Since when the rule is what it is.
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// What was counted since then.
    pub const fn total(&self) -> &Scorecard {
        &self.total
    }

    /// What was counted in the last [`WINDOW_HOURS`] hours, the present one included.
    pub fn window(&self, now: Timestamp) -> Scorecard {
        let hour = hour(now);
        let mut window = Scorecard::default();
        self.hours.iter().filter(|(at, _)| hour - at < WINDOW_HOURS).for_each(|(_, card)| window.merge(card));
        window
    }
}

fn hour(now: Timestamp) -> i64 {
    now.as_second().div_euclid(SECONDS_PER_HOUR)
}

/// The shard of a policy's rules: FNV-1a, which stays the same across releases.
fn shard(policy: &str) -> u32 {
    let hash = policy.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % SHARDS
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 / 3_600 * 3_600 + hours * 3_600).unwrap()
    }

    pub(crate) fn reported(hash: &str, since: i64, alerts: u64) -> Reported {
        let key = RuleKey { policy: "uid".to_owned(), rule: "rtt".to_owned() };
        let card = Scorecard { alerts, confirmed: alerts, ..Scorecard::default() };
        Reported { key, hash: hash.to_owned(), since: at(since), card }
    }

    fn alerts(ledger: &Ledger, now: i64) -> (u64, u64) {
        let account = ledger.account("uid", "rtt").unwrap();
        (account.total().alerts, account.window(at(now)).alerts)
    }

    fn absorb(ledger: &mut Ledger, node: &str, now: i64, reported: &Reported) {
        ledger.absorb(node, reported, at(now));
    }

    #[test]
    fn a_report_twice_counts_once_and_nodes_add_up() {
        let mut ledger = Ledger::default();
        for (node, count) in [("a", 3), ("a", 3), ("b", 2), ("a", 5)] {
            absorb(&mut ledger, node, 1, &reported("h", 0, count));
        }
        assert_eq!(alerts(&ledger, 1), (7, 7));
    }

    #[test]
    fn a_counter_that_began_anew_is_added_to_what_was_there() {
        let mut ledger = Ledger::default();
        for count in [5, 2, 3] {
            absorb(&mut ledger, "a", 1, &reported("h", 0, count));
        }
        assert_eq!(alerts(&ledger, 1), (8, 8));
    }

    #[test]
    fn what_is_older_than_a_day_is_in_the_total_only() {
        let mut ledger = Ledger::default();
        absorb(&mut ledger, "a", 0, &reported("h", 0, 5));
        absorb(&mut ledger, "a", 20, &reported("h", 0, 6));
        assert_eq!([alerts(&ledger, 23), alerts(&ledger, 24), alerts(&ledger, 44)], [(6, 6), (6, 1), (6, 0)]);
        ledger.sweep(|_| true, at(30));
        assert_eq!(alerts(&ledger, 30), (6, 1));
    }

    #[test]
    fn what_a_node_counted_long_before_it_was_heard_of_is_in_the_total_only() {
        let mut ledger = Ledger::default();
        absorb(&mut ledger, "a", 100, &reported("h", 0, 5));
        absorb(&mut ledger, "a", 100, &reported("h", 0, 6));
        assert_eq!(alerts(&ledger, 100), (6, 1));
    }

    #[test]
    fn a_rule_that_changed_counts_anew_and_late_news_of_the_old_one_is_ignored() {
        let mut ledger = Ledger::default();
        absorb(&mut ledger, "a", 1, &reported("old", 0, 9));
        absorb(&mut ledger, "a", 3, &reported("new", 2, 1));
        absorb(&mut ledger, "b", 3, &reported("old", 0, 4));
        absorb(&mut ledger, "b", 3, &reported("new", 3, 2));
        assert_eq!(alerts(&ledger, 3), (3, 3));
        assert_eq!(ledger.account("uid", "rtt").unwrap().since(), at(2));
    }

    #[test]
    fn a_node_that_falls_silent_and_comes_back_is_not_counted_twice() {
        let mut ledger = Ledger::default();
        absorb(&mut ledger, "a", 0, &reported("h", 0, 5));
        ledger.sweep(|_| true, at(100));
        absorb(&mut ledger, "a", 100, &reported("h", 0, 6));
        assert_eq!(alerts(&ledger, 100).0, 6);
    }

    #[test]
    fn the_memory_of_silent_nodes_is_bounded() {
        let mut ledger = Ledger::default();
        for node in 0..1_000 {
            absorb(&mut ledger, &node.to_string(), 0, &reported("h", 0, 1));
        }
        ledger.sweep(|_| true, at(2));
        let account = ledger.account("uid", "rtt").unwrap();
        assert_eq!((account.nodes.len(), account.total().alerts), (SILENT_NODES, 1_000));
    }

    #[test]
    fn rules_of_policies_that_are_gone_are_forgotten() {
        let mut ledger = Ledger::default();
        absorb(&mut ledger, "a", 0, &reported("h", 0, 5));
        let shard = shard("uid");
        ledger.kept(shard);
        ledger.sweep(|_| false, at(0));
        assert_eq!((ledger.account("uid", "rtt"), ledger.changed().collect::<Vec<_>>()), (None, vec![shard]));
    }
}
