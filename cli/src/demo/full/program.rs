//! A program beside the demonstration, which never outlives it.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use thiserror::Error;

use crate::child::{self, Running};

/// How long it may take until it answers.
const READY: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// Why there is nothing to show of it.
#[derive(Debug, Error)]
pub(super) enum ProgramError {
    #[error("cannot start {program}: {reason}; expected an executable of this machine: give another --{name}")]
    Start { name: &'static str, program: String, reason: io::Error },
    #[error("{name} ended: got {status}, expected it to run as long as the demonstration; its last words (all are in {}):\n{tail}", log.display())]
    Ended { name: &'static str, status: String, log: PathBuf, tail: String },
    #[error("{name} is not ready after {} s: got \"{got}\", expected an answer; its log is {}", READY.as_secs(), log.display())]
    NotReady { name: &'static str, got: String, log: PathBuf },
}

/// It, running. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Program {
    /// As the flag has it.
    name: &'static str,
    child: Running,
    log: PathBuf,
}

impl Program {
    /// Starts `command` with its output in a log in `directory`.
    pub(super) fn start(name: &'static str, command: &mut Command, directory: &Path) -> Result<Self, ProgramError> {
        let log = directory.join(format!("{name}.log"));
        let program = command.get_program().display().to_string();
        let child = child::start(command, &log).map_err(|reason| ProgramError::Start { name, program, reason })?;
        Ok(Self { name, child, log })
    }

    /// Waits until it is ready or `stop` is set.
    pub(super) fn wait_until(
        &self,
        stop: &AtomicBool,
        is_ready: impl Fn() -> Result<(), String>,
    ) -> Result<(), ProgramError> {
        let begun = Instant::now();
        while !stop.load(Relaxed) {
            let Err(got) = is_ready() else { return Ok(()) };
            self.check()?;
            if begun.elapsed() > READY {
                return Err(ProgramError::NotReady { name: self.name, got, log: self.log.clone() });
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Refuses one that has ended.
    pub(super) fn check(&self) -> Result<(), ProgramError> {
        match self.child.ended() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.ended(status.to_string())),
            Err(error) => Err(self.ended(error.to_string())),
        }
    }

    /// Ends it, and waits until it has written what it still had to.
    pub(super) fn end(&self) -> Result<(), ProgramError> {
        self.check()?;
        self.child.end().map(drop).map_err(|error| self.ended(error.to_string()))
    }

    fn ended(&self, status: String) -> ProgramError {
        ProgramError::Ended { name: self.name, status, log: self.log.clone(), tail: child::last_words(&self.log) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, directory: &Path) -> Program {
        Program::start("prometheus", Command::new("sh").args(["-c", script]), directory).unwrap()
    }

    #[test]
    fn one_that_ends_early_is_named_with_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let program = shell("echo address already in use >&2; exit 2", directory.path());
        let waited = program.wait_until(&AtomicBool::new(false), || Err("nobody answers".to_owned()));
        let error = waited.unwrap_err().to_string();
        assert!(error.contains("prometheus ended: got exit status: 2") && error.contains("already in use"), "{error}");
        assert!(program.end().is_err());
    }

    #[test]
    fn what_it_writes_at_its_end_is_there_when_it_has_ended() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("prometheus.log");
        let program =
            shell("trap 'echo flushed; exit' TERM; echo ready; while :; do sleep 0.01; done", directory.path());
        let is_ready = || match std::fs::read_to_string(&log) {
            Ok(text) if !text.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        };
        program.wait_until(&AtomicBool::new(false), is_ready).unwrap();
        program.end().unwrap();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "ready\nflushed\n");
    }

    #[test]
    fn a_program_that_is_not_there_is_named_with_its_flag() {
        let directory = tempfile::tempdir().unwrap();
        let error = Program::start("collector", &mut Command::new("/nowhere/otelcol"), directory.path()).unwrap_err();
        let words = error.to_string();
        assert!(words.contains("/nowhere/otelcol") && words.contains("--collector"), "{words}");
    }
}
