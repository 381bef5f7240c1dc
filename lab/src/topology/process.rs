//! A child process inside a namespace that never outlives its lab.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd},
        unix::process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{
    sched::{CloneFlags, CpuSet, sched_setaffinity, setns},
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::{Pid, getppid},
};

use super::Namespace;
use crate::LabError;

/// Last words kept of a child that ended early, bytes.
const TAIL: usize = 400;

/// A running child. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Running {
    program: &'static str,
    namespace: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command` (of `package`) inside the namespace, its output into `log`, on one CPU if `cpu` says so.
    ///
    /// The kernel ends the child when the calling **thread** ends, however it ends: call it from the thread that lives
    /// as long as the lab.
    pub(crate) fn start(
        program: &'static str,
        package: &'static str,
        mut command: Command,
        namespace: &Namespace,
        log: &Path,
        cpu: Option<usize>,
    ) -> Result<Self, LabError> {
        let output = File::create(log).map_err(LabError::file(log))?;
        let errors = output.try_clone().map_err(LabError::file(log))?;
        // Ctrl-C reaches a terminal's whole process group: the lab ends its children itself, in order.
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let (handle, parent) = (namespace.as_fd().as_raw_fd(), Pid::this());
        // SAFETY: between fork and exec only system calls are made, nothing is allocated; `namespace` outlives the
        // call to spawn, so the descriptor is open.
        unsafe {
            command.pre_exec(move || {
                prctl::set_pdeathsig(Signal::SIGKILL)?;
                if getppid() != parent {
                    // The parent died before the line above: nobody would end us.
                    return Err(io::Error::from_raw_os_error(libc::ESRCH));
                }
                setns(BorrowedFd::borrow_raw(handle), CloneFlags::CLONE_NEWNET)?;
                if let Some(cpu) = cpu {
                    let mut set = CpuSet::new();
                    set.set(cpu)?;
                    sched_setaffinity(Pid::from_raw(0), &set)?;
                }
                Ok(())
            });
        }
        let child = command.spawn().map_err(|error| match error.kind() {
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
    pub(crate) fn check(&mut self) -> Result<(), LabError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failed(status.to_string())),
            Err(error) => Err(self.failed(error.to_string())),
        }
    }

    /// Stops the child where it is, or lets it go on.
    pub(crate) fn set_paused(&self, paused: bool) -> Result<(), LabError> {
        let signal = if paused { Signal::SIGSTOP } else { Signal::SIGCONT };
        kill(Pid::from_raw(self.child.id() as i32), signal).map_err(|error| self.failed(error.to_string()))
    }

    /// What the child did wrong, with its last words.
    pub(crate) fn failed(&self, got: String) -> LabError {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let text = text.trim();
        let from = (text.len().saturating_sub(TAIL)..=text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        let tail = text[from..].to_owned();
        LabError::Process { program: self.program, namespace: self.namespace.clone(), got, tail }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
