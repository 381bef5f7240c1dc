//! Which request comes next.

use std::{cmp::Reverse, time::Duration};

use netprecursor_core::{alert::AlertState, policy::Severity};

use super::{
    Queue, Slot,
    disk::Disk,
    entry::{Delivered, Pending},
    fair::Flow,
};

/// Writes of a full bucket that are held back for more urgent requests, by urgency, in thirtieths: always less than the bucket
/// holds, however small it is, so that nothing waits for ever.
const RESERVE: [u32; 4] = [0, 2, 4, 10];

/// Objects of alerts that are over count against the caps for this long: by default they live no longer.
const COUNTED_AFTER_END: u64 = 3600;

/// Names an Event among those of its alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventKey {
    /// How often the alert had fired.
    pub count: u64,
    /// What it became.
    pub state: AlertState,
    /// Whether it is the one on the workload.
    pub is_on_workload: bool,
}

impl EventKey {
    /// The key of a transition.
    pub const fn of(pending: &Pending) -> Self {
        Self { count: pending.count, state: pending.state, is_on_workload: pending.is_on_workload() }
    }
}

/// A request that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Write the alert's object, which is made where there is none: never without its status.
    Object {
        /// The alert.
        alert: String,
        /// What the object then holds.
        delivered: Delivered,
    },
    /// Make the Event of its oldest transition.
    Event {
        /// The alert.
        alert: String,
        /// The transition.
        key: EventKey,
    },
}

impl Op {
    /// The alert that it is about.
    pub fn alert(&self) -> &str {
        let (Self::Object { alert, .. } | Self::Event { alert, .. }) = self;
        alert
    }
}

/// What a request is for, the more urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Fires,
    IsOver,
    Event,
    Detail,
}

impl Urgency {
    /// What is urgent alike: that an alert is over matters to one namespace as much as a new one does to another.
    const fn class(self) -> u8 {
        match self {
            Self::Fires | Self::IsOver => 0,
            Self::Event => 1,
            Self::Detail => 2,
        }
    }
}

/// The order of requests: by class, then namespaces in turns; within a namespace by urgency and severity, then rules in
/// turns, and last by age.
type Order = (u8, u64, Urgency, Reverse<Severity>, u64, u64);

/// What may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purse {
    /// Now.
    pub tokens: u32,
    /// After a quiet time.
    pub burst: u32,
}

impl Purse {
    /// What is held back for requests more urgent than this.
    const fn reserve(self, urgency: Urgency) -> u32 {
        self.burst.saturating_mul(RESERVE[urgency as usize]) / 30
    }
}

/// What can be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// This.
    Do(Op),
    /// Something, once there are more writes left than `0`.
    Afford(u32),
    /// Nothing before this time, after which something that failed is tried again.
    Until(Duration),
    /// Nothing at all.
    Nothing,
}

impl Slot {
    /// What is to be done for this alert, before any bounds.
    fn op(&self) -> Option<(Urgency, Op)> {
        let entry = &self.entry;
        let is_refused = self.refused == Some(entry.revision);
        if !is_refused && !entry.is_current() {
            let urgency = match (entry.is_published(), entry.alert.is_firing()) {
                (true, _) => Urgency::Detail,
                (false, true) => Urgency::Fires,
                (false, false) => Urgency::IsOver,
            };
            let delivered = Delivered { revision: entry.revision, state: entry.alert.state, count: entry.alert.count };
            // Events come after, so that an Event leads to an alert that is up to date.
            return match urgency {
                Urgency::Detail if !entry.events.is_empty() => self.event(),
                _ => Some((urgency, Op::Object { alert: entry.alert.name.clone(), delivered })),
            };
        }
        self.event()
    }

    fn event(&self) -> Option<(Urgency, Op)> {
        let pending = self.entry.events.front()?;
        Some((Urgency::Event, Op::Event { alert: self.entry.alert.name.clone(), key: EventKey::of(pending) }))
    }

    /// Whose turn it takes.
    pub(super) fn flow(&self) -> Flow {
        let alert = &self.entry.alert;
        let policy = alert.subject.as_ref().map(|subject| subject.policy.uid.clone());
        let rule = (policy.unwrap_or_default(), alert.rule.clone());
        Flow { namespace: alert.namespace().to_owned(), rule }
    }

    fn has_live_object(&self, unix: u64) -> bool {
        let alert = &self.entry.alert;
        self.entry.object.is_some()
            && (alert.is_firing() || alert.resolved_unix.is_some_and(|resolved| unix < resolved + COUNTED_AFTER_END))
    }
}

impl<D: Disk> Queue<D> {
    /// What to do at `now` (since any one moment; `unix` is the time of day) with what `purse` allows.
    pub fn pick(&mut self, now: Duration, unix: u64, purse: Purse) -> Pick {
        self.throttle(unix);
        let mut best: Option<(Order, Flow, Op)> = None;
        let mut until: Option<Duration> = None;
        for slot in self.slots.values().filter(|slot| slot.throttled.is_none()) {
            let Some((urgency, op)) = slot.op() else { continue };
            if let Some(waits) = slot.backoff.waits(now) {
                until = Some(until.map_or(waits, |until| until.min(waits)));
                continue;
            }
            let flow = slot.flow();
            let (namespace, rule) = self.fair.turn(&flow);
            let order = (urgency.class(), namespace, urgency, Reverse(slot.entry.alert.severity), rule, slot.since);
            if best.as_ref().is_none_or(|(least, ..)| order < *least) {
                best = Some((order, flow, op));
            }
        }
        let reserve = |(_, _, urgency, ..): &Order| purse.reserve(*urgency);
        match (best, until) {
            (Some((order, flow, op)), _) if purse.tokens > reserve(&order) => {
                self.fair.serve(&flow);
                Pick::Do(op)
            }
            (Some((order, ..)), _) => Pick::Afford(reserve(&order)),
            (None, Some(until)) => Pick::Until(until),
            (None, None) => Pick::Nothing,
        }
    }

    /// Marks alerts whose object would be one too many, and frees those for which there is room again.
    fn throttle(&mut self, unix: u64) {
        let is_waiting = |slot: &Slot| slot.entry.object.is_none() && !slot.entry.is_current();
        if !self.slots.values().any(is_waiting) {
            return;
        }
        let mut node = 0;
        let mut namespaces = std::collections::BTreeMap::<String, usize>::new();
        for slot in self.slots.values().filter(|slot| slot.has_live_object(unix)) {
            node += 1;
            *namespaces.entry(slot.entry.alert.namespace().to_owned()).or_default() += 1;
        }
        // Oldest first: they are sent in this order.
        let mut waiting: Vec<(u64, String)> = self
            .slots
            .iter()
            .filter(|(_, slot)| is_waiting(slot))
            .map(|(name, slot)| (slot.since, name.clone()))
            .collect();
        waiting.sort_unstable();
        let mut over = Vec::new();
        for (_, name) in waiting {
            let Some(slot) = self.slots.get_mut(&name) else { continue };
            let alert = &slot.entry.alert;
            let namespace = namespaces.entry(alert.namespace().to_owned()).or_default();
            if node < self.limits.per_node && *namespace < self.limits.per_namespace {
                node += 1;
                *namespace += 1;
                slot.throttled = None;
            } else if slot.throttled.replace(alert.count) != Some(alert.count) {
                self.counters.throttled += 1;
                let key = slot.flow().rule;
                if self.throttled.len() < super::MAX_THROTTLED_RULES || self.throttled.contains_key(&key) {
                    *self.throttled.entry(key).or_default() += 1;
                }
            }
            if slot.throttled.is_some() && !slot.entry.alert.is_firing() {
                over.push(name);
            }
        }
        // It fired and was over before there was room: it is of no use later.
        for name in over {
            self.forget(&name);
        }
    }
}
