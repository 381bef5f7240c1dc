//! A process that runs until it is dropped, with its output in a log.

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    process::Command,
};

use netprecursor_child::{Ending, Running};

use crate::TestbedError;

/// How much of a log an error shows, bytes.
const TAIL: u64 = 3000;

/// A running process. Dropping it ends it.
#[derive(Debug)]
pub struct Daemon {
    program: String,
    child: Running,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` with its output at the end of `log`.
    ///
    /// # Errors
    /// [`TestbedError::Process`] when it does not start, [`TestbedError::File`] when the log cannot be written.
    pub fn start(mut command: Command, log: &Path) -> Result<Self, TestbedError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let output = OpenOptions::new().create(true).append(true).open(log).map_err(TestbedError::file(log))?;
        let child = Running::start(&mut command, output, Ending::Killed).map_err(|reason| TestbedError::Process {
            program: program.clone(),
            got: reason.to_string(),
            log: log.to_path_buf(),
            tail: String::new(),
        })?;
        Ok(Self { program, child, log: log.to_path_buf() })
    }

    /// Where its output is.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Refuses a process that has ended.
    ///
    /// # Errors
    /// [`TestbedError::Process`] with the last of its log.
    pub fn check(&self) -> Result<(), TestbedError> {
        match self.child.ended() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.problem(status.to_string())),
            Err(error) => Err(self.problem(error.to_string())),
        }
    }

    /// Stops its CPU time: it keeps its connections and answers nothing.
    ///
    /// # Errors
    /// The system's.
    pub fn pause(&self) -> Result<(), TestbedError> {
        self.done(self.child.pause())
    }

    /// Undoes [`Self::pause`].
    ///
    /// # Errors
    /// The system's.
    pub fn resume(&self) -> Result<(), TestbedError> {
        self.done(self.child.resume())
    }

    /// Ends it now. Calling it again is harmless.
    pub fn kill(&self) {
        // It may have ended by itself.
        let _ = self.child.end();
    }

    fn done(&self, result: io::Result<()>) -> Result<(), TestbedError> {
        result.map_err(|error| self.problem(error.to_string()))
    }

    /// `got` as an error of this process, with the last of its log.
    fn problem(&self, got: String) -> TestbedError {
        TestbedError::Process { program: self.program.clone(), got, log: self.log.clone(), tail: tail(&self.log) }
    }
}

/// The last of a log, each line indented.
pub fn tail(log: &Path) -> String {
    netprecursor_child::last_words(log, TAIL).lines().map(|line| format!("  | {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn one_that_ends_early_is_named_with_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo the disk is full >&2; exit 3"]);
        let daemon = Daemon::start(command, &log).unwrap();
        let begun = Instant::now();
        let error = loop {
            match daemon.check() {
                Err(error) => break error.to_string(),
                Ok(()) => assert!(begun.elapsed() < Duration::from_secs(30), "waited 30 s for its end"),
            }
        };
        assert!(error.contains("exit status: 3") && error.contains("| the disk is full"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let error = Daemon::start(Command::new("/nonexistent/etcd"), &directory.path().join("log")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/etcd"), "{error}");
    }
}
