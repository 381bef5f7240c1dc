//! Checks that a finished archive has all that runtimes need of an image.

use std::{path::Path, process::Command};

use anyhow::{Context as _, bail};
use serde::{Deserialize, de::DeserializeOwned};

/// `manifest.json` of an archive as `docker save` writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    config: String,
    repo_tags: Vec<String>,
}

/// The configuration of an image.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    pub(super) architecture: String,
    #[serde(default)]
    os: String,
    config: Run,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Run {
    #[serde(default)]
    entrypoint: Vec<String>,
    #[serde(default)]
    user: String,
}

/// The digest of the image's configuration, when it is complete.
///
/// # Errors
/// The archive is not one, or a runtime would refuse the image or silently leave it out.
pub(super) fn check(archive: &Path, reference: &str) -> anyhow::Result<String> {
    let manifests: Vec<Manifest> = member(archive, "manifest.json")?;
    let [manifest] = manifests.as_slice() else {
        bail!("{}: got {} images, expected one", archive.display(), manifests.len());
    };
    if !manifest.repo_tags.iter().any(|tag| tag.ends_with(reference)) {
        bail!("{}: got the tags {:?}, expected {reference}", archive.display(), manifest.repo_tags);
    }
    let config: Config = member(archive, &manifest.config)?;
    if let Some(problem) = problem(&config) {
        bail!("{}: {problem}", archive.display());
    }
    let digest = manifest.config.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
    if digest.len() != 64 {
        bail!("{}: got the configuration {}, expected it named by its digest", archive.display(), manifest.config);
    }
    Ok(format!("sha256:{digest}"))
}

/// What a runtime would not like about it.
pub(super) fn problem(config: &Config) -> Option<String> {
    // containerd silently skips an image without a platform.
    if config.os != "linux" || config.architecture.is_empty() {
        return Some(format!("got os {:?}, architecture {:?}; expected linux and one", config.os, config.architecture));
    }
    if config.config.entrypoint.is_empty() || config.config.user.is_empty() {
        return Some(format!("got {:?}; expected an entry point and a user", config.config));
    }
    None
}

fn member<T: DeserializeOwned>(archive: &Path, name: &str) -> anyhow::Result<T> {
    let output = Command::new("tar").arg("--extract").arg("--to-stdout").arg("--file").arg(archive).arg(name).output();
    let output = output.context("starting tar")?;
    if !output.status.success() {
        bail!("{}: {name}: {}", archive.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("{}: {name}", archive.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const REFERENCE: &str = "netprecursor/agent:1.0.0";

    fn archive(config: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let name = format!("{}.json", "a".repeat(64));
        let manifest = format!(r#"[{{"Config": "{name}", "RepoTags": ["{REFERENCE}"], "Layers": []}}]"#);
        fs::write(directory.path().join("manifest.json"), manifest).unwrap();
        fs::write(directory.path().join(&name), config).unwrap();
        let archive = directory.path().join("image.tar");
        let mut tar = Command::new("tar");
        tar.arg("--create").arg("--file").arg(&archive).arg("--directory").arg(directory.path());
        assert!(tar.args(["manifest.json", &name]).status().unwrap().success());
        (directory, archive)
    }

    #[test]
    fn a_complete_image_is_known_by_its_digest() {
        let (_directory, archive) =
            archive(r#"{"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/a"], "User": "0:0"}}"#);
        assert_eq!(check(&archive, REFERENCE).unwrap(), format!("sha256:{}", "a".repeat(64)));
        assert!(check(&archive, "netprecursor/agent:2.0.0").unwrap_err().to_string().contains("expected netprecursor"));
    }

    #[test]
    fn an_image_that_runtimes_would_leave_out_is_refused() {
        let (_directory, archive) = archive(r#"{"os": "linux", "config": {"Entrypoint": ["/a"], "User": "0:0"}}"#);
        assert!(check(&archive, REFERENCE).unwrap_err().to_string().contains("architecture"));
    }
}
