//! The alerts of this agent: those that are out, and the latest of those that are over. One entry per target and rule;
//! a repeat updates it in place.

use std::collections::BTreeMap;

use netprecursor_core::alert::Alert;

/// Entries kept; what is over longest goes first.
pub const CAPACITY: usize = 512;

/// All alerts by name.
#[derive(Debug, Default)]
pub struct AlertBook {
    alerts: BTreeMap<String, Alert>,
    evicted: u64,
}

impl AlertBook {
    /// An alert fires, again or for the first time.
    pub fn fire(&mut self, mut alert: Alert) -> &Alert {
        if let Some(before) = self.alerts.get(&alert.name) {
            alert.count = before.count + 1;
        } else if self.alerts.len() >= CAPACITY {
            self.evict();
        }
        let name = alert.name.clone();
        self.alerts.entry(name).insert_entry(alert).into_mut()
    }

    /// The alert of this name.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Alert> {
        self.alerts.get_mut(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// How many are out.
    pub fn firing(&self) -> usize {
        self.alerts.values().filter(|alert| alert.is_firing()).count()
    }

    /// How many had to go to make room.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Makes room: the one that resolved first goes, and if all are out, the one that fired first.
    fn evict(&mut self) {
        let oldest = self
            .alerts
            .values()
            .min_by_key(|alert| (alert.is_firing(), alert.resolved_unix.unwrap_or(alert.fired_unix)))
            .map(|alert| alert.name.clone());
        if let Some(name) = oldest {
            self.alerts.remove(&name);
            self.evicted += 1;
        }
    }
}
