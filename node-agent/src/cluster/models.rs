//! Models of users, by digest: the operator's copies in the agent's own namespace, fetched, checked again and loaded here,
//! so that the tick thread gets them ready to forecast.

use std::{
    collections::BTreeMap,
    io::Read,
    sync::{Arc, Mutex},
    time::Duration,
};

use fastrand::Rng;
use flate2::read::MultiGzDecoder;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use netprecursor_core::hex;
use netprecursor_crds::model_copy::{self, COMPRESSED, PLAIN};
use netprecursor_kit::Backoff;
use netprecursor_models::{
    Refusal, Scorer, Use,
    child::{self, CheckError, Limits},
    contract::{PolicyContract, limits::FILE_BYTES},
};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::sync::mpsc;

use crate::desired::{Digest, Published};

/// Models loaded at once: what one node's pods may cost in memory is bounded.
const MAX_MODELS: usize = 16;
/// The first wait after a failure, and the longest.
const RETRY: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(60)];

/// Why a model is not used.
#[derive(Debug, Error)]
enum ModelError {
    #[error(
        "the operator has not published a copy of {model} (ConfigMap {copy}); wait, or see the policy's condition \
         ModelReady for the reason"
    )]
    Missing { model: String, copy: String },
    #[error("cannot fetch ConfigMap {copy}")]
    Fetch {
        copy: String,
        #[source]
        source: kube::Error,
    },
    #[error("ConfigMap {copy} has no key {PLAIN} or {COMPRESSED}; expected the operator's copy of a model")]
    NoKey { copy: String },
    #[error("ConfigMap {copy} is not gzip, or has more than {FILE_BYTES} bytes when inflated")]
    Inflate {
        copy: String,
        #[source]
        source: std::io::Error,
    },
    #[error("ConfigMap {copy}: got a model of digest {got}, expected {expected}")]
    Digest { copy: String, got: String, expected: String },
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the check of {copy} panicked; its message is in the log")]
    Panicked { copy: String },
}

impl ModelError {
    /// Whether a retry may succeed.
    const fn may_pass(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Fetch { .. })
    }
}

/// The outcome of fetching a model.
#[derive(Debug)]
pub struct Arrival {
    digest: Digest,
    published: Published,
}

/// The models that are wanted, as far as they are there.
pub struct Shelf {
    client: Client,
    namespace: String,
    arrivals: Option<mpsc::Sender<Arrival>>,
    models: BTreeMap<Digest, Arc<Published>>,
    fetching: BTreeMap<Digest, tokio::task::JoinHandle<()>>,
}

impl Shelf {
    /// An empty one; copies are in `namespace`.
    pub const fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace, arrivals: None, models: BTreeMap::new(), fetching: BTreeMap::new() }
    }

    /// What is fetched arrives at the other end of `arrivals`.
    pub fn with_arrivals(mut self, arrivals: mpsc::Sender<Arrival>) -> Self {
        self.arrivals = Some(arrivals);
        self
    }

    /// Takes in what was fetched.
    pub fn put(&mut self, arrival: Arrival) {
        // What is no longer wanted has been forgotten meanwhile.
        if self.fetching.contains_key(&arrival.digest) {
            self.models.insert(arrival.digest, Arc::new(arrival.published));
        }
    }

    /// The models as they are now.
    pub fn models(&self) -> BTreeMap<Digest, Arc<Published>> {
        self.models.clone()
    }

    /// These are wanted, with what their users call them: fetches what is new, forgets the rest.
    pub fn want(&mut self, wanted: BTreeMap<Digest, String>) {
        self.fetching.retain(|digest, task| {
            let is_wanted = wanted.contains_key(digest);
            if !is_wanted {
                task.abort();
            }
            is_wanted
        });
        // What found no room is looked at again.
        self.models.retain(|digest, _| self.fetching.contains_key(digest));
        for (digest, model) in wanted {
            if self.fetching.contains_key(&digest) {
                continue;
            }
            if self.fetching.len() >= MAX_MODELS {
                let reason = format!(
                    "policies for this node's pods name more than {MAX_MODELS} models; the rest are not loaded"
                );
                self.models.insert(digest, Arc::new(Published::Refused(reason)));
                continue;
            }
            if let Some(arrivals) = &self.arrivals {
                let copies = Api::namespaced(self.client.clone(), &self.namespace);
                self.fetching.insert(digest, tokio::spawn(fetch(copies, digest, model, arrivals.clone())));
            }
        }
    }
}

/// Tries until the model is there or is refused for good.
async fn fetch(copies: Api<ConfigMap>, digest: Digest, model: String, arrivals: mpsc::Sender<Arrival>) {
    let (mut backoff, mut rng) = (Backoff::between(RETRY[0], RETRY[1]), Rng::new());
    let mut reported = String::new();
    loop {
        let error = match fetch_once(&copies, digest, &model).await {
            Ok(scorer) => {
                let published = Published::Ready(Arc::new(Mutex::new(Some(Box::new(scorer)))));
                // Nobody listens any more: the agent ends.
                let _ = arrivals.send(Arrival { digest, published }).await;
                return;
            }
            Err(error) => error,
        };
        let reason = crate::error::chain(&error);
        if reason != reported {
            reported.clone_from(&reason);
            let _ = arrivals.send(Arrival { digest, published: Published::Refused(reason) }).await;
        }
        if !error.may_pass() {
            return;
        }
        tokio::time::sleep(backoff.pause(&mut rng)).await;
    }
}

async fn fetch_once(copies: &Api<ConfigMap>, digest: Digest, model: &str) -> Result<Scorer, ModelError> {
    let copy = model_copy::name(&hex(&digest));
    let found = copies.get_opt(&copy).await.map_err(|source| ModelError::Fetch { copy: copy.clone(), source })?;
    let Some(object) = found else {
        return Err(ModelError::Missing { model: model.to_owned(), copy });
    };
    // The check takes a child process and parsing its time: neither may hold up the watches.
    let name = copy.clone();
    let loaded = tokio::task::spawn_blocking(move || load(&name, object, digest)).await;
    loaded.unwrap_or(Err(ModelError::Panicked { copy }))
}

fn load(copy: &str, object: ConfigMap, digest: Digest) -> Result<Scorer, ModelError> {
    let bytes = unpack(copy, object)?;
    let got = Sha256::digest(&bytes);
    if got[..] != digest {
        return Err(ModelError::Digest { copy: copy.to_owned(), got: hex(&got), expected: hex(&digest) });
    }
    child::check(&bytes, Limits::default())?;
    Ok(Scorer::load(&bytes, Use::Policy(&PolicyContract::rtt()))?)
}

/// The model's bytes; one more than a model may have at most, so that the contract can report that it is too large.
fn unpack(copy: &str, object: ConfigMap) -> Result<Vec<u8>, ModelError> {
    let mut data = object.binary_data.unwrap_or_default();
    if let Some(plain) = data.remove(PLAIN) {
        return Ok(plain.0);
    }
    let compressed = data.remove(COMPRESSED).ok_or_else(|| ModelError::NoKey { copy: copy.to_owned() })?;
    let mut bytes = Vec::new();
    MultiGzDecoder::new(&compressed.0[..])
        .take(FILE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| ModelError::Inflate { copy: copy.to_owned(), source })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use k8s_openapi::ByteString;

    use super::*;

    fn object(key: &str, bytes: Vec<u8>) -> ConfigMap {
        let data = BTreeMap::from([(key.to_owned(), ByteString(bytes))]);
        ConfigMap { binary_data: Some(data), ..ConfigMap::default() }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_copy_is_read_plain_or_compressed() {
        assert_eq!(unpack("c", object(PLAIN, b"model".to_vec())).unwrap(), b"model");
        assert_eq!(unpack("c", object(COMPRESSED, gzip(b"model"))).unwrap(), b"model");
        assert!(matches!(unpack("c", object("other", Vec::new())), Err(ModelError::NoKey { .. })));
        assert!(matches!(unpack("c", object(COMPRESSED, b"no gzip".to_vec())), Err(ModelError::Inflate { .. })));
    }

    #[test]
    fn gzip_of_several_members_is_read_whole_as_the_operator_reads_it() {
        let members = [gzip(b"mo"), gzip(b"del")].concat();
        assert_eq!(unpack("c", object(COMPRESSED, members)).unwrap(), b"model");
    }

    #[test]
    fn what_inflates_without_end_is_cut() {
        let bytes = unpack("c", object(COMPRESSED, gzip(&vec![0; FILE_BYTES * 4]))).unwrap();
        assert_eq!(bytes.len(), FILE_BYTES + 1);
    }

    #[test]
    fn another_digest_than_the_policys_is_refused() {
        let error = load("c", object(PLAIN, b"model".to_vec()), [0; 32]).unwrap_err();
        assert!(error.to_string().contains("expected 0000") && !error.may_pass(), "{error}");
    }
}
