//! A client of an agent's HTTP API. Who reads what says so; how it is read is here.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use thiserror::Error;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client of one agent.
#[derive(Debug)]
pub(crate) struct AgentApi {
    url: String,
    http: ureq::Agent,
    /// Bytes of an answer at most.
    most: u64,
}

/// Why an answer is not there.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    #[error("got no answer from {url} ({source}), expected an agent; is it running, and the address right?")]
    Unanswered { url: String, source: Box<ureq::Error> },
    #[error("got an answer from {url} that cannot be read ({source}), expected an agent of this release")]
    Strange { url: String, source: serde_json::Error },
}

/// What a rule is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum RuleState {
    Idle,
    Pending,
    Firing,
    Resolving,
}

impl AgentApi {
    /// A client of the agent at `url`, which takes answers of up to `most` bytes.
    pub(crate) fn new(url: String, most: u64) -> Self {
        let config = ureq::Agent::config_builder().proxy(None).timeout_global(Some(PATIENCE)).build();
        Self { url, http: ureq::Agent::new_with_config(config), most }
    }

    /// Where the agent listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The client itself, for what is no document of the API.
    pub(crate) const fn http(&self) -> &ureq::Agent {
        &self.http
    }

    /// The URL of a document.
    pub(crate) fn document(&self, what: &str) -> String {
        format!("{}/api/v1/{what}", self.url)
    }

    /// A document.
    pub(crate) fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T, ReadError> {
        let url = self.document(what);
        let unanswered = |source| ReadError::Unanswered { url: url.clone(), source: Box::new(source) };
        let mut answer = self.http.get(&url).call().map_err(unanswered)?;
        let body = answer.body_mut().with_config().limit(self.most).read_to_vec().map_err(unanswered)?;
        serde_json::from_slice(&body).map_err(|source| ReadError::Strange { url, source })
    }
}
