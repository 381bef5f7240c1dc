//! Reads a model from a ConfigMap and finds out whether agents may have it.

use std::{io::Read, path::PathBuf, process::Command, sync::Arc, time::Duration};

use flate2::read::MultiGzDecoder;
use futures::FutureExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use netprecursor_core::hex;
use netprecursor_crds::diagnosis::reasons::ModelReady;
use netprecursor_kit::{Failure, no_answer};
use netprecursor_models::{
    Refusal,
    child::{self, CheckError},
    contract::{PolicyContract, foreign, limits::FILE_BYTES},
};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{Checker, Payload, Source, memory};

/// Bytes of a model as stored: what a ConfigMap holds.
const STORED_BYTES: usize = 1 << 20;

/// For reading a ConfigMap.
const READ: Duration = Duration::from_secs(10);

/// What gzip begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Why agents may not have a model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Trouble {
    /// No ConfigMap.
    #[error("{0}: there is no such ConfigMap; create it, or correct `configMapKeyRef`")]
    NotFound(Source),
    /// Not opted in.
    #[error(
        "{source_}: the operator may not read it; add {namespace} to `models.namespaces` in the chart's values",
        namespace = source_.namespace
    )]
    Forbidden {
        /// The model.
        source_: Source,
    },
    /// No key.
    #[error("{source_}: got keys {got} in `binaryData`, expected {key}; correct the key, or add it", key = source_.key)]
    KeyMissing {
        /// The model.
        source_: Source,
        /// The keys that are there.
        got: String,
    },
    /// Text where a model should be, in `data`, that is nothing known.
    #[error(
        "{source_}: got text in `data`, expected the model's bytes in `binaryData`; create the ConfigMap with `kubectl create configmap {name} --from-file={key}=FILE`",
        name = source_.name, key = source_.key
    )]
    Text {
        /// The model.
        source_: Source,
    },
    /// More than a ConfigMap holds.
    #[error(
        "got {got} bytes as stored, expected at most {STORED_BYTES}; compress the model with gzip, or train a smaller one"
    )]
    TooLarge {
        /// Bytes.
        got: usize,
    },
    /// More than a model may have.
    #[error("got more than {FILE_BYTES} bytes when inflated, expected at most {FILE_BYTES}; train a smaller model")]
    InflatesTooLarge,
    /// Broken compression.
    #[error("cannot decompress the gzip data: {0}; compress the model again")]
    NotGzip(String),
    /// Another model.
    #[error("got a model with sha256 {got}, expected {expected} from the policy; correct one of them")]
    DigestMismatch {
        /// What is there.
        got: String,
        /// What the policy says.
        expected: String,
    },
    /// The loading contract.
    #[error("{message}")]
    Refused {
        /// Name of the refusal.
        code: String,
        /// The refusal.
        message: String,
    },
    /// The check itself.
    #[error("{0}")]
    CheckFailed(String),
    /// The API server.
    #[error("{source_}: cannot be read: {message}; it is retried automatically")]
    Unreachable {
        /// The model.
        source_: Source,
        /// Why.
        message: String,
    },
}

impl Trouble {
    /// Whether there is no model yet.
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::NotFound(_) | Self::KeyMissing { .. })
    }

    /// A reason as conditions have it.
    pub const fn reason(&self) -> ModelReady {
        match self {
            Self::NotFound(_) => ModelReady::NotFound,
            Self::Forbidden { .. } => ModelReady::Forbidden,
            Self::KeyMissing { .. } | Self::Text { .. } => ModelReady::KeyMissing,
            Self::TooLarge { .. } | Self::InflatesTooLarge => ModelReady::TooLarge,
            Self::NotGzip(_) => ModelReady::NotGzip,
            Self::DigestMismatch { .. } => ModelReady::DigestMismatch,
            Self::Refused { .. } => ModelReady::Refused,
            Self::CheckFailed(_) => ModelReady::CheckFailed,
            Self::Unreachable { .. } => ModelReady::Unreachable,
        }
    }

    /// Whether trying again soon may help.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::CheckFailed(_))
    }
}

/// The model of a source, if agents may have it.
///
/// # Errors
/// Why they may not.
pub async fn check(client: &Client, checker: &Checker, source: &Source) -> Result<Payload, Trouble> {
    let stored = read(client, source).await?;
    let payload = Payload { is_gzip: stored.starts_with(&GZIP), stored };
    let model = inflate(&payload)?;
    // Before the digest: whose file is a pointer or a page compares it with that of the file that was meant.
    if let Some(foreign) = foreign::known(&model) {
        return Err(refused(&foreign.into()));
    }
    let got = hex(&Sha256::digest(&model));
    if got != source.sha256 {
        return Err(Trouble::DigestMismatch { got, expected: source.sha256.clone() });
    }
    checker(model).await?;
    Ok(payload)
}

async fn read(client: &Client, source: &Source) -> Result<Vec<u8>, Trouble> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &source.namespace);
    let unreachable = |message: String| Trouble::Unreachable { source_: source.clone(), message };
    let answer = tokio::time::timeout(READ, api.get(&source.name)).await;
    let map = match answer.map_err(|_| unreachable(no_answer(READ)))? {
        Ok(map) => map,
        Err(error) => {
            return Err(match Failure::from(&error) {
                Failure::Missing => Trouble::NotFound(source.clone()),
                Failure::Forbidden | Failure::Ending => Trouble::Forbidden { source_: source.clone() },
                _ => unreachable(error.to_string()),
            });
        }
    };
    let mut entries = map.binary_data.unwrap_or_default();
    let text = map.data.unwrap_or_default().remove(&source.key);
    match (entries.remove(&source.key), text) {
        (None, Some(text)) => Err(text_trouble(source, text.as_bytes())),
        (None, None) => {
            let keys: Vec<_> = entries.into_keys().take(8).collect();
            Err(Trouble::KeyMissing { source_: source.clone(), got: format!("[{}]", keys.join(", ")) })
        }
        (Some(stored), _) if stored.0.len() > STORED_BYTES => Err(Trouble::TooLarge { got: stored.0.len() }),
        (Some(stored), _) => Ok(stored.0),
    }
}

/// kubectl puts a file that is text into `data`: no model is, but what is taken for one often.
fn text_trouble(source: &Source, text: &[u8]) -> Trouble {
    let text_ = || Trouble::Text { source_: source.clone() };
    foreign::known(text).map_or_else(text_, |foreign| refused(&foreign.into()))
}

fn refused(refusal: &Refusal) -> Trouble {
    Trouble::Refused { code: refusal.code(), message: refusal.to_string() }
}

fn inflate(payload: &Payload) -> Result<Vec<u8>, Trouble> {
    if !payload.is_gzip {
        return Ok(payload.stored.clone());
    }
    let mut model = Vec::new();
    let bounded = MultiGzDecoder::new(payload.stored.as_slice()).take(FILE_BYTES as u64 + 1).read_to_end(&mut model);
    bounded.map_err(|error| Trouble::NotGzip(error.to_string()))?;
    if model.len() > FILE_BYTES {
        return Err(Trouble::InflatesTooLarge);
    }
    Ok(model)
}

/// The check by child process, and by what a policy needs of a model. `program` is the operator's binary.
pub fn contract_check(program: PathBuf) -> Checker {
    Arc::new(move |model| {
        let program = program.clone();
        async move {
            let checked = tokio::task::spawn_blocking(move || fits(program, &model)).await;
            checked.unwrap_or_else(|panic| Err(Trouble::CheckFailed(format!("checking the model failed: {panic}"))))
        }
        .boxed()
    })
}

fn fits(program: PathBuf, model: &[u8]) -> Result<(), Trouble> {
    let limits = memory::limits();
    let mut command = Command::new(program);
    command.args([child::ARGUMENT, &limits.memory_bytes.to_string(), &limits.cpu_seconds.to_string()]);
    let info = child::check_with(command, model, limits).map_err(|error| match error {
        CheckError::Refused { code, message } => Trouble::Refused { code, message },
        other => Trouble::CheckFailed(other.to_string()),
    })?;
    info.check(&PolicyContract::rtt()).map_err(|refusal| refused(&refusal))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Payload {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        Payload { stored: encoder.finish().unwrap(), is_gzip: true }
    }

    #[test]
    fn a_bomb_is_refused_before_it_fills_memory() {
        let bomb = gzip(&vec![0; FILE_BYTES + 1]);
        assert!(bomb.stored.len() < STORED_BYTES);
        assert_eq!(inflate(&bomb), Err(Trouble::InflatesTooLarge));
        assert_eq!(inflate(&gzip(&vec![0; FILE_BYTES])).map(|model| model.len()), Ok(FILE_BYTES));
    }

    #[test]
    fn half_a_file_is_reported_as_such() {
        let mut payload = gzip(b"a model");
        payload.stored.truncate(12);
        assert_eq!(inflate(&payload).unwrap_err().reason(), ModelReady::NotGzip);
    }

    fn source() -> Source {
        Source {
            namespace: "shop".to_owned(),
            name: "models".to_owned(),
            key: "m.onnx".to_owned(),
            sha256: "0".repeat(64),
        }
    }

    #[test]
    fn text_in_the_place_of_a_model_is_called_what_it_is() {
        let pointer = text_trouble(&source(), b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
        assert_eq!(pointer.reason(), ModelReady::Refused);
        assert!(pointer.to_string().contains("git lfs pull"), "{pointer}");
        let unknown = text_trouble(&source(), b"hello");
        assert_eq!(unknown.reason(), ModelReady::KeyMissing);
        assert!(unknown.to_string().contains("kubectl create configmap models --from-file=m.onnx=FILE"), "{unknown}");
    }

    #[test]
    fn every_trouble_says_what_to_do() {
        let table = [
            (Trouble::NotFound(source()), "create it"),
            (Trouble::Forbidden { source_: source() }, "add shop to `models.namespaces`"),
            (Trouble::KeyMissing { source_: source(), got: "[a]".to_owned() }, "expected m.onnx"),
            (Trouble::TooLarge { got: 2_000_000 }, "compress"),
            (Trouble::InflatesTooLarge, "smaller"),
        ];
        for (trouble, words) in table {
            assert!(trouble.to_string().contains(words), "{trouble}");
        }
    }
}
