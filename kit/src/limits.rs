//! How long a client waits: never without end.

use std::time::Duration;

use kube::Config;

/// How long a client waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For the next bytes of an answer.
    pub read: Duration,
    /// For the other side to take bytes.
    pub write: Duration,
}

impl Limits {
    /// For requests that are answered at once.
    pub const REQUESTS: Self =
        Self { connect: Duration::from_secs(5), read: Duration::from_secs(10), write: Duration::from_secs(10) };

    /// For watches: bookmarks come about once a minute, so a longer silence means that the other side is gone.
    pub const WATCHES: Self = Self { read: Duration::from_secs(90), ..Self::REQUESTS };

    /// The configuration of a client that waits no longer and retries nothing: kube would retry a refused request up to
    /// fifteen times, and wait for an answer without end. Who asked decides what follows a refusal.
    pub fn bound(self, config: &Config) -> Config {
        let mut config = config.clone();
        config.connect_timeout = Some(self.connect);
        config.read_timeout = Some(self.read);
        config.write_timeout = Some(self.write);
        // The clock of an answer starts with its request, not when its connection went idle.
        config.reset_reader_on_write = true;
        config.default_retry = false;
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_is_without_end_and_nothing_is_retried() {
        let config = Limits::WATCHES.bound(&Config::new(http::Uri::from_static("https://localhost")));
        assert!(config.connect_timeout.is_some() && config.read_timeout.is_some() && config.write_timeout.is_some());
        assert!(!config.default_retry && config.reset_reader_on_write);
    }
}
