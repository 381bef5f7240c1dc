//! A child process inside a namespace.

use std::{
    fs::File,
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::Command,
};

use netprecursor_child::{Ending, Prepare as _, last_words};

use super::Namespace;
use crate::LabError;

/// Last words kept of a child that ended early, bytes.
const TAIL: u64 = 400;

/// A running child. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Running {
    program: &'static str,
    namespace: String,
    child: netprecursor_child::Running,
    log: PathBuf,
}

impl Running {
    /// Starts `command` (of `package`) inside the namespace, its output into `log`, on one CPU if `cpu` says so.
    pub(crate) fn start(
        program: &'static str,
        package: &'static str,
        mut command: Command,
        namespace: &Namespace,
        log: &Path,
        cpu: Option<usize>,
    ) -> Result<Self, LabError> {
        let output = File::create(log).map_err(LabError::file(log))?;
        let start = || {
            command.in_network_namespace(namespace.as_fd())?;
            if let Some(cpu) = cpu {
                command.on_cpu(cpu);
            }
            netprecursor_child::Running::start(&mut command, output, Ending::Killed)
        };
        let child = start().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => LabError::MissingTool { tool: program, package },
            _ => LabError::Process {
                program,
                namespace: namespace.name().into(),
                got: error.to_string(),
                tail: String::new(),
            },
        })?;
        Ok(Self { program, namespace: namespace.name().into(), child, log: log.into() })
    }

    /// Refuses a child that has ended.
    pub(crate) fn check(&self) -> Result<(), LabError> {
        match self.child.ended() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failed(status.to_string())),
            Err(error) => Err(self.failed(error.to_string())),
        }
    }

    /// Stops the child where it is, or lets it go on.
    pub(crate) fn set_paused(&self, paused: bool) -> Result<(), LabError> {
        let done = if paused { self.child.pause() } else { self.child.resume() };
        done.map_err(|error| self.failed(error.to_string()))
    }

    /// What the child did wrong, with its last words.
    pub(crate) fn failed(&self, got: String) -> LabError {
        let tail = last_words(&self.log, TAIL);
        LabError::Process { program: self.program, namespace: self.namespace.clone(), got, tail }
    }
}
