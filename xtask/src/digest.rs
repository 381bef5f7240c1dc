//! SHA-256 of files.

use std::{path::Path, process::Command};

use anyhow::Context as _;

/// The digest of a file, in hexadecimal.
///
/// # Errors
/// It cannot be read.
pub(crate) fn sha256(path: &Path) -> anyhow::Result<String> {
    let output = Command::new("sha256sum").arg("--").arg(path).output().context("starting sha256sum")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let digest = text.split_whitespace().next().filter(|digest| output.status.success() && digest.len() == 64);
    Ok(digest.with_context(|| format!("sha256sum {}: {text}", path.display()))?.to_owned())
}
