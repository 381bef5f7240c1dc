//! The latest state of one alert, and how much of it has been published: what a file of the queue holds.

use std::collections::VecDeque;

use netprecursor_core::alert::{Alert, AlertState, Controller, Workload};
use serde::{Deserialize, Serialize};

use crate::publish::words;

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
    /// The pod that has the Event of its firing: it gets that of the end as well, though another one may be the worst by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned: Option<Regarding>,
}

impl Entry {
    /// An alert of which nothing has been published.
    pub const fn new(alert: Alert) -> Self {
        Self { alert, revision: 1, object: None, delivered: None, events: VecDeque::new(), warned: None }
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

    /// Adds the transition that the alert has just made, on its workload and on a pod. Returns how many had to go for it.
    pub(super) fn push_event(&mut self) -> u64 {
        let alert = &self.alert;
        let at = alert.since_unix();
        let (reason, note) = (words::reason(alert).row().name.to_owned(), words::note(alert));
        let on = |regarding| Pending {
            count: alert.count,
            state: alert.state,
            at,
            reason: reason.clone(),
            note: note.clone(),
            regarding,
        };
        let pod = alert.subject.as_ref().map(|subject| &subject.pod);
        let worst = pod.map(|pod| Regarding::Pod { name: pod.name.clone(), uid: pod.uid.clone() });
        let warned = if alert.is_firing() { worst } else { self.warned.clone().or(worst) };
        let on_workload = alert.affected.as_ref().map(|affected| {
            let controller = pod.and_then(|pod| pod.controller.clone());
            on(Some(Regarding::Workload { workload: affected.workload.clone(), controller }))
        });
        let added = [on_workload, Some(on(warned.clone()))];
        self.warned = warned;
        let mut given_up = 0;
        for pending in added.into_iter().flatten() {
            while self.events.len() >= MAX_EVENTS {
                self.events.pop_front();
                given_up += 1;
            }
            self.events.push_back(pending);
        }
        given_up
    }
}
