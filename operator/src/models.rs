//! Users' models: fetched once, checked in a child process, and published as an immutable copy under their digest.
//!
//! Agents never read a user's ConfigMap, and the operator trusts none: what it fetches is bounded as stored and as
//! inflated, has to have the digest that the policy gives, and is opened by a child process first, whose memory stays
//! below what the container has left.

mod check;
mod copy;
mod memory;

use std::{collections::BTreeMap, sync::Arc};

use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::Client;

pub use check::{Trouble, check, contract_check};
pub(crate) use copy::manifest;
pub use copy::{DIGEST, ModelCopy, reduce};

/// Looks at a model, inflated, and says whether a policy may use it.
pub type Checker = Arc<dyn Fn(Vec<u8>) -> BoxFuture<'static, Result<(), Trouble>> + Send + Sync>;

/// Where a policy says that a model is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The namespace; empty for that of the install.
    pub namespace: String,
    /// The ConfigMap.
    pub name: String,
    /// The key in its `binaryData`.
    pub key: String,
    /// What the model has to be: 64 hexadecimal digits, in lower case.
    pub sha256: String,
}

/// A model that was found good, as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// The bytes, by gzip or not.
    pub stored: Vec<u8>,
    /// Whether by gzip.
    pub is_gzip: bool,
}

/// What came of looking at a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// When.
    pub at: Timestamp,
    /// The generations of the policies that named it then, added up: when one changes, it is looked at again.
    pub generation: i64,
    /// What came of it.
    pub outcome: Result<Arc<Payload>, Trouble>,
}

/// What came of looking at sources; good ones only until they are published.
pub type Models = BTreeMap<Source, Looked>;

/// After a look that failed for good, the next one: the user may have corrected it.
const AGAIN_SECONDS: i64 = 300;

/// After a look that found nothing: who applies a policy and its model together does not wait for long. Names cannot be known
/// when roles are made, so a watch would take the right to see all ConfigMaps of the namespace.
const APPEARS_SECONDS: i64 = 10;

/// Sources that are not there and are looked for each second, at most: those beyond wait longer.
const LOOKS_PER_SECOND: i64 = 5;

/// After a look that failed by chance.
const RETRY_SECONDS: i64 = 20;

impl Looked {
    /// Whether there was nothing to look at.
    pub fn is_missing(&self) -> bool {
        self.outcome.as_ref().is_err_and(Trouble::is_missing)
    }

    /// When the source is to be looked at again, while so many are `missing`; `None` for one that is good.
    pub fn again(&self, missing: usize) -> Option<Timestamp> {
        let trouble = self.outcome.as_ref().err()?;
        let missing = i64::try_from(missing).unwrap_or(i64::MAX);
        let seconds = match (trouble.is_missing(), trouble.is_passing()) {
            (true, _) => (missing / LOOKS_PER_SECOND).clamp(APPEARS_SECONDS, AGAIN_SECONDS),
            (false, true) => RETRY_SECONDS,
            (false, false) => AGAIN_SECONDS,
        };
        Some(self.at + jiff::SignedDuration::from_secs(seconds))
    }
}

impl Source {
    /// The same, where it is when the namespace of the install is this one.
    pub fn in_install(mut self, namespace: &str) -> Self {
        if self.namespace.is_empty() {
            namespace.clone_into(&mut self.namespace);
        }
        self
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of ConfigMap {}/{}", self.key, self.namespace, self.name)
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes{}", self.stored.len(), if self.is_gzip { " by gzip" } else { "" })
    }
}

/// Looks at a source: reads it, and checks what is there.
pub async fn look(client: &Client, checker: &Checker, source: &Source, generation: i64, at: Timestamp) -> Looked {
    let outcome = check(client, checker, source).await.map(Arc::new);
    Looked { at, generation, outcome }
}
