//! The engine that builds an image from a `Containerfile` and a directory: buildah, which needs no daemon, or docker.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};

use super::{Source, buildah::Store};
use crate::process::{self, Log, Output, Stop};

/// Copying two files; an engine that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// A program that builds images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Engine {
    /// <https://buildah.io>
    Buildah,
    /// With BuildKit, which is the default from version 23 on.
    Docker,
}

/// What to build.
pub(super) struct Build<'a> {
    /// How.
    pub(super) containerfile: &'a Path,
    /// From these files.
    pub(super) context: &'a Path,
    /// Name and tag.
    pub(super) reference: &'a str,
    /// Version, revision and time.
    pub(super) source: &'a Source,
}

impl Engine {
    /// The first that is installed.
    ///
    /// # Errors
    /// None is.
    pub(super) fn found() -> anyhow::Result<Self> {
        let is_installed = |engine: &Self| {
            let mut probe = Command::new(engine.program());
            probe
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        let found = [Self::Buildah, Self::Docker].into_iter().find(is_installed);
        found.context("got neither buildah nor docker, expected one of them: run scripts/setup.sh, or install one")
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Buildah => "buildah",
            Self::Docker => "docker",
        }
    }

    /// Builds the image into `archive`.
    ///
    /// # Errors
    /// The engine fails; its output is in the log.
    pub(super) fn build(self, build: &Build<'_>, archive: &Path, log: &Log, stop: &Stop) -> anyhow::Result<()> {
        // Both refuse to write over an archive.
        match fs::remove_file(archive) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", archive.display()));
            }
            _ => {}
        }
        match self {
            Self::Buildah => Store::new()?.archive(build, archive, log, stop),
            Self::Docker => with_docker(build, archive, log, stop),
        }
    }
}

fn with_docker(build: &Build<'_>, archive: &Path, log: &Log, stop: &Stop) -> anyhow::Result<()> {
    let epoch = format!("SOURCE_DATE_EPOCH={}", build.source.epoch);
    let mut command = Command::new("docker");
    command.args(["build", "--provenance=false", "--build-arg", &epoch, "--tag", build.reference]);
    command.env("DOCKER_BUILDKIT", "1");
    arguments(&mut command, build);
    finish(&mut command, log, stop)?;
    finish(Command::new("docker").args(["save", "--output"]).arg(archive).arg(build.reference), log, stop)
}

/// Arguments that both accept.
pub(super) fn arguments(command: &mut Command, build: &Build<'_>) {
    command
        .arg("--build-arg")
        .arg(format!("VERSION={}", build.source.version))
        .arg("--build-arg")
        .arg(format!("REVISION={}", build.source.revision))
        .arg("--file")
        .arg(build.containerfile)
        .arg(build.context);
}

/// Runs an engine's command to its good end.
///
/// # Errors
/// It fails; its output is in the log.
pub(super) fn finish(command: &mut Command, log: &Log, stop: &Stop) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let end = process::run(&program, command, &Output::Log, log, LIMIT, stop)?;
    if let Some(problem) = end.problem() {
        bail!("{program}: {problem}; its output is in {}", log.path().display());
    }
    Ok(())
}
