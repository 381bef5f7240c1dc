//! The latest state of one alert, and how much of it has been published: what a file of the queue holds.

use std::collections::VecDeque;

use netprecursor_core::alert::{Alert, AlertState, Controller, Workload};
use serde::{Deserialize, Serialize};

/// Events of one alert that wait to be made, of which a transition has one or two; older ones are dropped and counted.
pub const MAX_EVENTS: usize = 16;

/// What an Event is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Regarding {
    /// The pod, or the worst pod at that time.
    Pod {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
    },
    /// The workload.
    Workload {
        /// Which one.
        workload: Workload,
        /// What controls the pod, by which the workload is found: itself, or a ReplicaSet of it.
        controller: Option<Controller>,
    },
}

/// A transition that waits to become an Event: its identity and its texts, as they were then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// How often the alert had fired.
    pub count: u64,
    /// What it became.
    pub state: AlertState,
    /// When, unix s.
    pub at: u64,
    /// The reason of the Event, in CamelCase.
    pub reason: String,
    /// The note of the Event.
    pub note: String,
    /// What it is on. Earlier releases kept none: then it is the alert's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regarding: Option<Regarding>,
}

impl Pending {
    /// Whether it is on the workload.
    pub const fn is_on_workload(&self) -> bool {
        matches!(self.regarding, Some(Regarding::Workload { .. }))
    }
}

/// What the API is known to hold of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The revision.
    pub revision: u64,
    /// The state in it.
    pub state: AlertState,
    /// The count in it.
    pub count: u64,
}

/// One alert in the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The alert as it is now.
    pub alert: Alert,
    /// Incremented with each transition.
    pub revision: u64,
    /// UID of the object, once it is made.
    pub object: Option<String>,
    /// What its status holds.
    pub delivered: Option<Delivered>,
    /// Events to make, oldest first.
    pub events: VecDeque<Pending>,
}

impl Entry {
    /// An alert of which nothing has been published.
    pub const fn new(alert: Alert) -> Self {
        Self { alert, revision: 1, object: None, delivered: None, events: VecDeque::new() }
    }

    /// Whether something of it is not yet published.
    pub fn is_pending(&self) -> bool {
        !self.is_current() || !self.events.is_empty()
    }

    /// Whether the object is up to date.
    pub fn is_current(&self) -> bool {
        self.delivered.is_some_and(|delivered| delivered.revision == self.revision)
    }

    /// Whether the object shows the current state and count; if so, the rest can wait.
    pub fn is_published(&self) -> bool {
        self.delivered
            .is_some_and(|delivered| (delivered.state, delivered.count) == (self.alert.state, self.alert.count))
    }
}
