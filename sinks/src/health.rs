//! How sinks are doing: written by each of them, read by all that report it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{alertmanager, webhook};

/// How a sink is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Sink")]
pub struct Health {
    /// The sink.
    pub name: &'static str,
    /// Where it publishes.
    pub target: String,
    /// Why the last attempt failed; none when it worked, or before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Attempts that failed since one worked.
    pub failures: u32,
    /// What waits to be published.
    pub pending: u64,
    /// What was published.
    pub sent: u64,
    /// What was given up unpublished.
    pub dropped: u64,
    /// Settings that are not used, each with what was expected instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

impl Health {
    /// Whether it is one of several receivers of alerts, which differ by their targets alone.
    pub fn is_receiver(&self) -> bool {
        [alertmanager::NAME, webhook::NAME].contains(&self.name)
    }
}

/// A [`Health`] that the sink's own thread writes and others read.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Health>>);

impl Board {
    /// The board of the sink `name`, which publishes to `target`.
    pub fn new(name: &'static str, target: String) -> Self {
        Self(Arc::new(Mutex::new(Health { name, target, ..Health::default() })))
    }

    /// How it is doing.
    pub fn read(&self) -> Health {
        self.lock().clone()
    }

    /// Changes it.
    pub fn write(&self, change: impl FnOnce(&mut Health)) {
        change(&mut self.lock());
    }

    /// An attempt worked, and published `count` things.
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

    /// Records what came of an attempt to send alerts, `Ok` with their number, and logs it when it differs from the one before.
    pub fn settle(&self, outcome: Result<u64, &str>) {
        let before = self.read();
        let (sink, receiver) = (before.name, before.target);
        match outcome {
            Ok(count) => {
                if before.failures > 0 {
                    tracing::info!(sink, receiver, "sending alerts works again");
                }
                self.worked(count);
            }
            Err(reason) => {
                // Once per reason: the status has the rest.
                if before.error.as_deref() != Some(reason) {
                    tracing::warn!(sink, receiver, error = reason, "cannot send alerts");
                }
                self.failed(reason.to_owned());
            }
        }
    }

    /// Plain data, whole whatever a thread that panicked was doing with it.
    fn lock(&self) -> MutexGuard<'_, Health> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
