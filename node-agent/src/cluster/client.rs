//! The way to the API server: every wait has an end.

use kube::{Client, Config};
use netprecursor_kit::Limits;

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
            requests: Client::try_from(Limits::REQUESTS.bound(config))?,
            watches: Client::try_from(Limits::WATCHES.bound(config))?,
        })
    }
}
