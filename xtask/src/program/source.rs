//! What is built: a commit of the checkout, under the workspace's version.

use std::{env, process::Command};

use anyhow::{Context as _, bail};

/// The settings that everything from one commit shares.
pub(crate) struct Source {
    /// The workspace's version: tag of the images.
    pub(crate) version: String,
    /// The commit; ends with `-dirty` when the checkout differs from it.
    pub(crate) revision: String,
    /// Seconds since 1970: the only time in images and archives.
    pub(crate) epoch: u64,
}

impl Source {
    /// The checkout that xtask runs in.
    ///
    /// # Errors
    /// It is no checkout of git, or `SOURCE_DATE_EPOCH` is no number.
    pub(crate) fn of_checkout() -> anyhow::Result<Self> {
        let revision = git(&["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"])?;
        let epoch = match env::var("SOURCE_DATE_EPOCH") {
            Ok(given) => given,
            Err(_) => git(&["log", "-1", "--format=%ct"])?,
        };
        let epoch =
            epoch.parse().with_context(|| format!("got SOURCE_DATE_EPOCH {epoch}, expected seconds since 1970"))?;
        Ok(Self { version: env!("CARGO_PKG_VERSION").to_owned(), revision, epoch })
    }

    /// Refuses a checkout that differs from its commit: nobody could build the same again.
    ///
    /// # Errors
    /// It does.
    pub(crate) fn expect_committed(&self) -> anyhow::Result<()> {
        match self.revision.strip_suffix("-dirty") {
            None => Ok(()),
            Some(commit) => bail!(
                "got changes to {commit} that are not committed, expected what the tag names: commit or stash them (git status)"
            ),
        }
    }
}

fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").args(arguments).output().context("starting git")?;
    if !output.status.success() {
        bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_committed_is_refused_by_name() {
        let source = |revision: &str| Source { version: "1.2.3".to_owned(), revision: revision.to_owned(), epoch: 0 };
        source("0123abc").expect_committed().unwrap();
        let refused = source("0123abc-dirty").expect_committed().unwrap_err().to_string();
        assert!(refused.contains("got changes to 0123abc that are not committed"), "{refused}");
    }
}
