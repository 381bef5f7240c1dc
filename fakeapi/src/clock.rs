//! The server's clock: tokio's, so that paused time is the server's time too.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Maps tokio's instants to dates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    epoch: Timestamp,
}

impl Clock {
    /// A clock that shows `epoch` now.
    pub(crate) fn starting_at(epoch: Timestamp) -> Self {
        Self { start: Instant::now(), epoch }
    }

    /// The date now.
    pub(crate) fn now(&self) -> Timestamp {
        self.epoch.checked_add(self.start.elapsed()).unwrap_or(self.epoch)
    }

    /// The date now with full seconds, as `metadata` holds it.
    pub(crate) fn seconds(&self) -> String {
        Timestamp::from_second(self.now().as_second()).unwrap_or(self.epoch).to_string()
    }

    /// Time since the clock was started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}
