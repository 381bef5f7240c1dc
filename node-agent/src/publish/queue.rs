//! What is still to be published to the API server: the latest state of each alert, in memory and on disk.
//!
//! A transition replaces what the alert was and adds one Event; nothing is sent from anywhere else. The order of
//! sending is chosen each time: states of alerts, Events, and last what only adds detail; of each of these namespaces and
//! their rules take turns, so that a storm of one holds up no other. Published
//! alerts are kept as long as there is room: a repeat continues the alert's count, also after the agent was restarted.

pub mod disk;
pub mod entry;
mod fair;
mod file;
mod pick;
pub mod store;
mod version1;

use std::{collections::BTreeMap, time::Duration};

use fastrand::Rng;
use netprecursor_core::{
    alert::{Alert, CAPACITY, Confirmed},
    decide::Resolution,
};
use netprecursor_kit::Backoff;

use self::{disk::Disk, entry::Entry, fair::Fair, store::Store};

pub use pick::{EventKey, Op, Pick, Purse};

/// Rules of which the alerts over a cap are counted one by one.
const MAX_THROTTLED_RULES: usize = 1024;

/// Alerts that fired before the agent was restarted are over when they have not fired again after this time: the grace
/// period of a restart, and the longest hold.
pub const ORPHANED_AFTER: Duration = Duration::from_secs(180);

/// The bounds of the queue.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Alerts in the queue, published or not.
    pub capacity: usize,
    /// Alert objects of this node.
    pub per_node: usize,
    /// Alert objects of this node in one namespace.
    pub per_namespace: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { capacity: CAPACITY, per_node: 200, per_namespace: 50 }
    }
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done; `uid` is the object's, where the answer gave it.
    Done {
        /// Of the object.
        uid: Option<String>,
    },
    /// There is no such object.
    Missing,
    /// The object is not the one that was written before: it was deleted, or another one has its name.
    Outdated {
        /// Why.
        reason: String,
    },
    /// There is nowhere to publish it any more: the namespace or the policy is gone.
    Gone,
    /// It will never be accepted as it is.
    Refused {
        /// Why.
        reason: String,
    },
    /// This one failed; others may work.
    Failed {
        /// Why.
        reason: String,
    },
    /// The server cannot be reached or has no time.
    Down {
        /// Why.
        reason: String,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
}

/// What is counted, since the agent started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Alerts dropped for lack of room before they were published in full.
    pub dropped: u64,
    /// Events dropped because too many of one alert waited, or because they were refused.
    pub events_dropped: u64,
    /// Requests that the server refused for good.
    pub refused: u64,
    /// Times that an alert could not be kept on disk.
    pub unsaved: u64,
    /// Files found that could not be read.
    pub set_aside: u64,
    /// Alerts of which no object was made because of a cap.
    pub throttled: u64,
}

/// An entry and what is known of it in this process only.
#[derive(Debug)]
struct Slot {
    entry: Entry,
    /// What the agent's own count is short of: it counts from one at each start.
    base: u64,
    /// Since when it waits to be published, as a number that grows.
    since: u64,
    backoff: Backoff,
    /// The revision that the server refused.
    refused: Option<u64>,
    /// The count for which it was over a cap.
    throttled: Option<u64>,
    /// It is from before the agent started, and has had no transition since.
    is_orphan: bool,
    is_unsaved: bool,
}

impl Slot {
    fn new(entry: Entry, since: u64) -> Self {
        Self {
            entry,
            base: 0,
            since,
            backoff: Backoff::default(),
            refused: None,
            throttled: None,
            is_orphan: false,
            is_unsaved: false,
        }
    }
}

/// The queue.
#[derive(Debug)]
pub struct Queue<D> {
    store: Store<D>,
    slots: BTreeMap<String, Slot>,
    limits: Limits,
    fair: Fair,
    sequence: u64,
    counters: Counters,
    throttled: BTreeMap<(String, String), u64>,
}

impl<D: Disk> Queue<D> {
    /// The queue that `disk` holds.
    pub fn open(disk: D, limits: Limits) -> Self {
        let mut queue = Self {
            store: Store::new(disk),
            slots: BTreeMap::new(),
            limits,
            fair: Fair::default(),
            sequence: 0,
            counters: Counters::default(),
            throttled: BTreeMap::new(),
        };
        let mut found = queue.store.load();
        queue.counters.set_aside = found.set_aside;
        found.entries.sort_by_key(|entry| entry.alert.since_unix());
        for entry in found.entries {
            queue.make_room();
            queue.sequence += 1;
            let (name, base) = (entry.alert.name.clone(), entry.alert.count);
            queue.slots.insert(name, Slot { base, is_orphan: true, ..Slot::new(entry, queue.sequence) });
        }
        queue
    }

    /// Takes in the current state of an alert.
    pub fn accept(&mut self, mut alert: Alert) {
        let name = alert.name.clone();
        self.sequence += 1;
        if let Some(slot) = self.slots.get_mut(&name) {
            let known = &slot.entry.alert;
            if slot.is_orphan && known.fired_unix == alert.fired_unix {
                // The agent goes on with it, and with its count.
                slot.base = known.count.saturating_sub(alert.count);
            }
            let least = known.count + u64::from(known.fired_unix != alert.fired_unix);
            slot.base = slot.base.max(least.saturating_sub(alert.count));
            alert.count += slot.base;
            let is_turn = (known.count, known.state) != (alert.count, alert.state);
            if !slot.entry.is_pending() {
                slot.since = self.sequence;
            }
            slot.is_orphan = false;
            slot.entry.alert = alert;
            slot.entry.revision += 1;
            if is_turn {
                self.counters.events_dropped += slot.entry.push_event();
            }
        } else {
            self.make_room();
            let mut entry = Entry::new(alert);
            entry.push_event();
            self.slots.insert(name.clone(), Slot::new(entry, self.sequence));
        }
        self.save(&name);
    }

    /// Ends alerts from before a restart that did not fire again; to be called once [`ORPHANED_AFTER`] has passed.
    pub fn end_orphans(&mut self, unix: u64) {
        let is_firing_orphan = |(_, slot): &(&String, &Slot)| slot.is_orphan && slot.entry.alert.is_firing();
        let orphans: Vec<String> = self.slots.iter().filter(is_firing_orphan).map(|(name, _)| name.clone()).collect();
        for name in orphans {
            let Some(slot) = self.slots.get_mut(&name) else { continue };
            self.sequence += 1;
            slot.is_orphan = false;
            if !slot.entry.is_pending() {
                slot.since = self.sequence;
            }
            let alert = &mut slot.entry.alert;
            alert.resolve(Resolution::AgentLost, unix);
            if alert.confirmed == Confirmed::Unknown {
                alert.judged_unix = Some(unix);
            }
            slot.entry.revision += 1;
            self.counters.events_dropped += slot.entry.push_event();
            self.save(&name);
        }
    }

    /// Takes in the outcome of a request at `now`.
    pub fn settle(&mut self, op: &Op, outcome: &Outcome, now: Duration, rng: &mut Rng) {
        let name = op.alert().to_owned();
        let Some(slot) = self.slots.get_mut(&name) else { return };
        match outcome {
            Outcome::Done { uid } => {
                slot.backoff.succeed();
                match op {
                    Op::Object { delivered, .. } => {
                        // An answer without a UID is an object all the same.
                        slot.entry.object = Some(uid.clone().unwrap_or_default());
                        slot.entry.delivered = Some(*delivered);
                    }
                    Op::Event { key, .. } => slot.entry.events.retain(|pending| EventKey::of(pending) != *key),
                }
            }
            // The object was deleted: by the operator when its time was over, or by a user. It is made again.
            Outcome::Outdated { .. } if matches!(op, Op::Object { .. }) => {
                slot.entry.object = None;
                slot.entry.delivered = None;
                slot.backoff.fail(now, None, rng);
            }
            // No objects and no Events in a namespace that is gone.
            Outcome::Missing | Outcome::Gone => return self.forget(&name),
            Outcome::Refused { .. } => {
                self.counters.refused += 1;
                match op {
                    Op::Object { delivered, .. } => slot.refused = Some(delivered.revision),
                    Op::Event { key, .. } => {
                        self.counters.events_dropped += 1;
                        slot.entry.events.retain(|pending| EventKey::of(pending) != *key);
                    }
                }
            }
            // When the server is back, another one is tried first: this one may be what it chokes on.
            Outcome::Failed { .. } | Outcome::Outdated { .. } | Outcome::Down { .. } => {
                slot.backoff.fail(now, None, rng);
                return;
            }
        }
        self.save(&name);
    }

    /// The entry of an alert.
    pub fn entry(&self, alert: &str) -> Option<&Entry> {
        self.slots.get(alert).map(|slot| &slot.entry)
    }

    /// All entries, by name.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.values().map(|slot| &slot.entry)
    }

    /// Alerts that are not yet published in full; without those over a cap.
    pub fn pending(&self) -> usize {
        self.slots.values().filter(|slot| slot.entry.is_pending() && slot.throttled.is_none()).count()
    }

    /// Alerts whose object does not show their state yet, by UID of the policy and rule; without those over a cap.
    pub fn waiting(&self) -> BTreeMap<(String, String), u64> {
        let mut waiting = BTreeMap::new();
        for slot in self.slots.values().filter(|slot| !slot.entry.is_published() && slot.throttled.is_none()) {
            *waiting.entry(slot.flow().rule).or_default() += 1;
        }
        waiting
    }

    /// What was counted.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Alerts without an object because of a cap, by UID of the policy and rule.
    pub const fn throttled(&self) -> &BTreeMap<(String, String), u64> {
        &self.throttled
    }

    /// Tries again to keep on disk what could not be kept.
    pub fn save_unsaved(&mut self) {
        let unsaved: Vec<String> =
            self.slots.iter().filter(|(_, slot)| slot.is_unsaved).map(|(name, _)| name.clone()).collect();
        for name in unsaved {
            self.save(&name);
        }
    }

    /// Whether something could not be kept on disk.
    pub fn has_unsaved(&self) -> bool {
        self.slots.values().any(|slot| slot.is_unsaved)
    }

    fn save(&mut self, name: &str) {
        let Some(slot) = self.slots.get_mut(name) else { return };
        let saved = self.store.put(&slot.entry);
        // Logged once, not each time: a full disk stays full for a while.
        if let Err(error) = saved.as_ref().inspect_err(|_| self.counters.unsaved += 1)
            && !slot.is_unsaved
        {
            tracing::warn!(error = crate::error::chain(error), "cannot save an alert: it is in memory only");
        }
        slot.is_unsaved = saved.is_err();
    }

    fn forget(&mut self, name: &str) {
        self.slots.remove(name);
        if let Err(error) = self.store.remove(name) {
            tracing::warn!(error = crate::error::chain(&error), "cannot remove a file of the queue");
        }
    }

    /// Drops the alert that matters least when there is no room for one more: over before firing, published before
    /// pending, old before new.
    fn make_room(&mut self) {
        while self.slots.len() >= self.limits.capacity.max(1) {
            let least = self.slots.values().min_by_key(|slot| {
                let alert = &slot.entry.alert;
                (alert.is_firing(), slot.entry.is_pending(), alert.since_unix(), slot.since)
            });
            let Some(slot) = least else { return };
            let name = slot.entry.alert.name.clone();
            if slot.entry.is_pending() && slot.throttled.is_none() {
                self.counters.dropped += 1;
                tracing::warn!(
                    alert = name,
                    "the queue is full: an alert was dropped before all its messages were sent"
                );
            }
            self.forget(&name);
        }
    }
}
