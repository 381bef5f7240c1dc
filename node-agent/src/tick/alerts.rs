//! The alerts of this agent: those that are out, and the latest of those that are over. One entry per target and rule;
//! a repeat updates it in place.

use std::{collections::BTreeMap, sync::Arc};

use netprecursor_core::alert::{Alert, CAPACITY};

/// All alerts by name.
#[derive(Debug, Default)]
pub struct AlertBook {
    alerts: BTreeMap<String, Arc<Alert>>,
    /// All of them as readers share them; made again after a change.
    shared: Option<Arc<[Arc<Alert>]>>,
    evicted: u64,
}

impl AlertBook {
    /// An alert fires, again or for the first time. Returns it with its count, and one that was firing and had to go for it:
    /// nobody will hear of its end otherwise.
    pub fn fire(&mut self, mut alert: Alert) -> (Alert, Option<Alert>) {
        self.shared = None;
        let mut gone = None;
        if let Some(before) = self.alerts.get(&alert.name) {
            alert.count = before.count + 1;
        } else if self.alerts.len() >= CAPACITY {
            gone = self.evict().filter(|gone| gone.is_firing());
        }
        self.alerts.insert(alert.name.clone(), Arc::new(alert.clone()));
        (alert, gone.map(Arc::unwrap_or_clone))
    }

    /// An alert of the last run of the agent goes on.
    pub fn restore(&mut self, alert: Alert) {
        self.shared = None;
        if !self.alerts.contains_key(&alert.name) && self.alerts.len() >= CAPACITY {
            self.evict();
        }
        self.alerts.insert(alert.name.clone(), Arc::new(alert));
    }

    /// The alert of this name.
    pub fn named(&self, name: &str) -> Option<&Alert> {
        self.alerts.get(name).map(AsRef::as_ref)
    }

    /// The alert of this name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Alert> {
        let alert = self.alerts.get_mut(name)?;
        self.shared = None;
        Some(Arc::make_mut(alert))
    }

    /// All of them, by name, to be shared.
    pub fn all(&mut self) -> Arc<[Arc<Alert>]> {
        let all = || self.alerts.values().cloned().collect();
        Arc::clone(self.shared.get_or_insert_with(all))
    }

    /// How many had to go to make room.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Makes room: the one that resolved first goes, and if all are out, the one that fired first.
    fn evict(&mut self) -> Option<Arc<Alert>> {
        let oldest = self
            .alerts
            .values()
            .min_by_key(|alert| (alert.is_firing(), alert.since_unix()))
            .map(|alert| alert.name.clone());
        let gone = self.alerts.remove(&oldest?);
        self.evicted += u64::from(gone.is_some());
        gone
    }
}
