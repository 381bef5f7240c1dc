//! What all that tells of alerts has in common: it never keeps the tick waiting, it holds no more than it has room for,
//! it tries again, and it says how it is doing.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::tick::outcome::Transition;

/// Something that tells of alerts. Held by the tick thread.
pub trait Sink: Send {
    /// Takes in a transition, to be told soon. Returns at once; what finds no room is counted in [`Health::dropped`].
    fn tell(&mut self, transition: &Transition);

    /// Called each tick: a sink whose other end was busy may try again.
    fn flush(&mut self) {}

    /// How it is doing.
    fn health(&self) -> Health;
}

/// How a sink is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// The sink.
    pub name: &'static str,
    /// Where it tells.
    pub target: String,
    /// Why the last attempt failed; none when it worked, or before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Attempts that failed since one worked.
    pub failures: u32,
    /// What waits to be told.
    pub pending: u64,
    /// What was told.
    pub sent: u64,
    /// What was given up untold.
    pub dropped: u64,
    /// Settings that are not used, each with what was expected instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

/// A [`Health`] that the sink's own thread writes and others read.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Health>>);

impl Board {
    /// The board of the sink `name`, which tells `target`.
    pub fn new(name: &'static str, target: String) -> Self {
        Self(Arc::new(Mutex::new(Health { name, target, ..Health::default() })))
    }

    /// How it is doing.
    pub fn read(&self) -> Health {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what it says.
    pub fn write(&self, change: impl FnOnce(&mut Health)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// An attempt worked, and told `count` things.
    pub fn worked(&self, count: u64) {
        self.write(|health| {
            health.sent += count;
            health.failures = 0;
            health.error = None;
        });
    }

    /// An attempt failed.
    pub fn failed(&self, error: String) {
        self.write(|health| {
            health.failures = health.failures.saturating_add(1);
            health.error = Some(error);
        });
    }
}
