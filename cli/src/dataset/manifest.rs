//! `manifest.json`: the contents of a dataset.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use netprecursor_core::hex;
use netprecursor_core::schema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::plan::Episode;

/// Version of this structure.
const VERSION: u32 = 1;

/// All that is needed to make the dataset again and to check that it is the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    version: u32,
    /// Release that recorded it.
    netprecursor: String,
    /// Hash of the feature schema.
    schema_hash: String,
    /// Kernel release.
    kernel: String,
    /// Seconds recorded, summed over targets.
    target_seconds: u64,
    /// Finished episodes, by name.
    pub(super) episodes: Vec<Entry>,
    /// Episodes that failed and were not recorded since.
    pub(super) failures: Vec<Failure>,
}

/// A finished episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) family: String,
    pub(super) scenario: String,
    pub(super) seed: u64,
    /// Digest of the scenario file, hex.
    pub(super) scenario_sha256: String,
    /// Digest of the recording, hex.
    pub(super) recording_sha256: String,
    pub(super) targets: usize,
    pub(super) rows: u64,
}

/// An episode that is not in the dataset, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failure {
    pub(super) name: String,
    pub(super) reason: String,
}

impl Manifest {
    /// The manifest in `directory`, or a new one. Episodes whose directory is gone are left out.
    ///
    /// # Errors
    /// A manifest that cannot be read, or of recordings that another schema or kernel made.
    pub(super) fn resume(directory: &Path, kernel: &str) -> anyhow::Result<Self> {
        let path = path(directory);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::new(kernel)),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let expected = "expected a dataset's manifest; give another --out, or remove what is there";
        let mut manifest: Self =
            serde_json::from_str(&text).with_context(|| format!("{}: {expected}", path.display()))?;
        let same = (manifest.version, &*manifest.kernel) == (VERSION, kernel);
        anyhow::ensure!(
            same,
            "{}: got a dataset of version {} on kernel {}, expected version {VERSION} on kernel {kernel}: recordings do not mix; give another --out",
            path.display(),
            manifest.version,
            manifest.kernel,
        );
        manifest.episodes.retain(|entry| super::finished(directory, &entry.name));
        manifest.failures.clear();
        Ok(manifest)
    }

    fn new(kernel: &str) -> Self {
        Self {
            version: VERSION,
            netprecursor: env!("CARGO_PKG_VERSION").into(),
            schema_hash: schema::hash().into(),
            kernel: kernel.into(),
            target_seconds: 0,
            episodes: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Whether an episode is in the dataset.
    pub(super) fn has(&self, episode: &Episode) -> bool {
        let name = episode.name();
        self.episodes.iter().any(|entry| entry.name == name)
    }

    /// Writes the manifest, whole or not at all.
    pub(super) fn write(&mut self, directory: &Path) -> anyhow::Result<()> {
        self.episodes.sort_by(|a, b| a.name.cmp(&b.name));
        self.target_seconds = self.episodes.iter().map(|entry| entry.rows).sum();
        let path = path(directory);
        let partial = path.with_extension("json.partial");
        fs::write(&partial, serde_json::to_string_pretty(self)? + "\n")
            .and_then(|()| fs::rename(&partial, &path))
            .with_context(|| path.display().to_string())
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("manifest.json")
}

/// SHA-256 in lower-case hex.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Entry {
        let text = || String::new();
        Entry {
            name: name.into(),
            family: text(),
            scenario: text(),
            seed: 1,
            scenario_sha256: digest(b""),
            recording_sha256: text(),
            targets: 2,
            rows: 30,
        }
    }

    #[test]
    fn an_interrupted_dataset_goes_on_where_it_was_without_what_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let mut manifest = Manifest::resume(path, "6.18").unwrap();
        manifest.episodes = vec![entry("b"), entry("a")];
        manifest.failures = vec![Failure { name: "c".into(), reason: "x".into() }];
        manifest.write(path).unwrap();
        fs::create_dir_all(path.join("episodes/a")).unwrap();
        fs::write(path.join("episodes/a/signals.parquet"), "").unwrap();
        let again = Manifest::resume(path, "6.18").unwrap();
        assert_eq!((again.episodes, again.failures), (vec![entry("a")], vec![]));
    }

    #[test]
    fn recordings_of_two_kernels_do_not_mix() {
        let directory = tempfile::tempdir().unwrap();
        Manifest::resume(directory.path(), "6.18").unwrap().write(directory.path()).unwrap();
        let error = Manifest::resume(directory.path(), "6.1").unwrap_err().to_string();
        assert!(error.contains("on kernel 6.18, ") && error.contains("on kernel 6.1:"), "{error}");
    }
}
