//! Commands with a log, a time limit, and errors that show the end of the output.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use netprecursor_testbed::{Module, Programs};

use crate::process::{self, Log, Output, Stop};

/// The context of long work: where to report, and when to stop.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) log: Log,
    pub(crate) stop: Stop,
}

const BUILD_LIMIT: Duration = Duration::from_secs(60 * 60);

impl Work {
    /// Runs a command to its good end.
    ///
    /// # Errors
    /// It failed; the error shows its last words.
    pub(super) fn run(&self, command: &mut Command, limit: Duration) -> anyhow::Result<()> {
        let before = self.log.length();
        let end = process::run("cluster", command, &Output::Log, &self.log, limit, &self.stop)?;
        let Some(problem) = end.problem() else { return Ok(()) };
        let output = self.log.since(before).unwrap_or_default();
        let lines: Vec<&str> = output.lines().skip(1).collect();
        let tail: String = lines[lines.len().saturating_sub(15)..].iter().map(|line| format!("\n  | {line}")).collect();
        let program = command.get_program().to_string_lossy();
        bail!("{program}: {problem}; the log is {}{tail}", self.log.path().display());
    }

    /// The programs of a module, built now when the cache has none.
    ///
    /// # Errors
    /// They do not build.
    pub(crate) fn programs(&self, module: Module) -> anyhow::Result<Programs> {
        let built = module.provide_with(&mut |command| {
            let child = process::start(command).map_err(|error| error.to_string())?;
            let end = process::wait(module.name(), &child, &self.log, BUILD_LIMIT, &self.stop);
            end.map_err(|error| format!("{error:#}"))?.problem().map_or(Ok(()), Err)
        });
        built.with_context(|| format!("building {}", module.name()))
    }
}

/// The output of a short command.
///
/// # Errors
/// It failed.
pub(super) fn output(command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {program}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {:?}: {}: {}", command.get_args().collect::<Vec<_>>(), output.status, errors.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
