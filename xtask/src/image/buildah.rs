//! Images by buildah, in a store of their own, so that nothing is left behind.

use std::{path::Path, process::Command};

use anyhow::Context as _;

use super::engine::{Build, arguments, finish};
use crate::{
    process::{Log, Stop},
    program::Platform,
};

/// A store that goes when it is dropped.
pub(super) struct Store(tempfile::TempDir);

impl Store {
    /// An empty one.
    ///
    /// # Errors
    /// There is no place for it.
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self(tempfile::tempdir().context("making a store for buildah")?))
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(self.0.path().join("root")).arg("--runroot").arg(self.0.path().join("run"));
        command.args(["--storage-driver", "vfs"]).args(verb);
        command
    }

    /// A build whose result differs with the files and the commit alone.
    fn build(&self, build: &Build<'_>) -> Command {
        let mut command = self.command(&["build"]);
        command
            // The files are copied, nothing runs inside: no namespace is needed.
            .args(["--isolation", "chroot", "--identity-label=false", "--layers=false", "--squash"])
            .args(["--timestamp", &build.source.epoch.to_string()]);
        command
    }

    /// Builds one image into an archive for runtimes.
    ///
    /// # Errors
    /// buildah fails; its output is in the log.
    pub(super) fn archive(&self, build: &Build<'_>, archive: &Path, log: &Log, stop: &Stop) -> anyhow::Result<()> {
        let mut command = self.build(build);
        command.args(["--tag", build.reference]);
        arguments(&mut command, build);
        finish(&mut command, log, stop)?;
        let destination = format!("docker-archive:{}:{}", archive.display(), build.reference);
        finish(self.command(&["push", "--quiet", build.reference]).arg(destination), log, stop)
    }

    /// Builds one image of a list of images, one for each platform.
    ///
    /// # Errors
    /// As [`Self::archive`].
    pub(super) fn add(&self, build: &Build<'_>, platform: Platform, log: &Log, stop: &Stop) -> anyhow::Result<()> {
        let mut command = self.build(build);
        command.args(["--platform", &format!("linux/{}", platform.name()), "--manifest", build.reference]);
        arguments(&mut command, build);
        finish(&mut command, log, stop)
    }

    /// Writes a list and its images into a directory, as an OCI layout.
    ///
    /// # Errors
    /// As [`Self::archive`].
    pub(super) fn layout(
        &self,
        reference: &str,
        tag: &str,
        layout: &Path,
        log: &Log,
        stop: &Stop,
    ) -> anyhow::Result<()> {
        let destination = format!("oci:{}:{tag}", layout.display());
        finish(self.command(&["manifest", "push", "--quiet", "--all", reference]).arg(destination), log, stop)
    }
}
