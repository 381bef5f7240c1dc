//! The way to the API server: every wait has an end.

use std::time::Duration;

use kube::{Client, Config};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the API server may be silent while it owes an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a watch may be silent: bookmarks come about once a minute, so silence means that the other side is gone.
const WATCH_SILENCE: Duration = Duration::from_secs(90);

/// The agent's clients.
#[derive(Clone)]
pub struct Clients {
    /// For reads and writes.
    pub requests: Client,
    /// For watches and the lists before them.
    pub watches: Client,
}

impl Clients {
    /// Clients of the cluster that `config` names.
    ///
    /// # Errors
    /// kube's, when certificates or the token cannot be read.
    pub fn new(config: &Config) -> kube::Result<Self> {
        Ok(Self {
            requests: Client::try_from(bounded(config, ANSWER))?,
            watches: Client::try_from(bounded(config, WATCH_SILENCE))?,
        })
    }
}

fn bounded(config: &Config, read: Duration) -> Config {
    let mut config = config.clone();
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(read);
    config.write_timeout = Some(ANSWER);
    // The clock of an answer starts with its request, not when its connection went idle.
    config.reset_reader_on_write = true;
    // Who asked decides what follows a refusal.
    config.default_retry = false;
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_is_without_end_and_nothing_is_retried() {
        let config = bounded(&Config::new(http::Uri::from_static("https://localhost")), ANSWER);
        assert!(config.connect_timeout.is_some() && config.read_timeout.is_some() && config.write_timeout.is_some());
        assert!(!config.default_retry && config.reset_reader_on_write);
    }
}
