//! Clients of the API server: every wait is bounded, nothing is retried behind our back.
//!
//! kube would retry a refused request up to fifteen times and waits for an answer without end; a renewal of the lease
//! would outlive the lease. Here a request has one try and a deadline, and who asked decides what follows.

mod budget;

use std::time::Duration;

use kube::{Client, Config, client::ClientBuilder};

pub use budget::{Budget, BudgetLayer};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the API server may be silent while it owes an answer.
const READ: Duration = Duration::from_secs(10);

/// How long a watch may be silent: bookmarks come about once a minute, so silence means that the other side is gone.
pub const WATCH_SILENCE: Duration = Duration::from_secs(90);

/// Requests at once, and per second in the long run. A thousand policies' status takes a minute to write.
const BURST: u32 = 50;
const PER_SECOND: u32 = 20;

/// The operator's clients.
#[derive(Clone)]
pub struct Clients {
    /// For reads and writes, within the budget.
    pub requests: Client,
    /// For watches and the lists before them.
    pub watches: Client,
    /// For the lease: never waits behind others.
    pub lease: Client,
}

impl Clients {
    /// Clients of the cluster that the environment names.
    ///
    /// # Errors
    /// kube's, when the environment names none, or certificates cannot be read.
    pub fn new(config: &Config) -> kube::Result<Self> {
        let budget = BudgetLayer::new(Budget::new(BURST, PER_SECOND));
        Ok(Self {
            requests: ClientBuilder::try_from(bounded(config, READ))?.with_layer(&budget).build(),
            watches: ClientBuilder::try_from(bounded(config, WATCH_SILENCE))?.build(),
            lease: ClientBuilder::try_from(bounded(config, READ))?.build(),
        })
    }
}

fn bounded(config: &Config, read: Duration) -> Config {
    let mut config = config.clone();
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(read);
    config.write_timeout = Some(READ);
    // The clock of an answer starts with its request, not when its connection went idle.
    config.reset_reader_on_write = true;
    config.default_retry = false;
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_is_without_end_and_nothing_is_retried() {
        let config = bounded(&Config::new(http::Uri::from_static("https://localhost")), READ);
        assert!(config.connect_timeout.is_some() && config.read_timeout.is_some() && config.write_timeout.is_some());
        assert!(!config.default_retry && config.reset_reader_on_write);
    }
}
