//! Child processes that never outlive this one and are asked to end before they are made to.

use std::{
    fs::File,
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::{Pid, getppid},
};

/// How long a child may take to end when asked.
const GRACE: Duration = Duration::from_secs(20);
/// Last words kept of a child that failed, bytes.
const TAIL: usize = 800;

/// A running child with its output in a file.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// Starts `command` with its output in `log`. The kernel asks the child to end when the calling **thread** ends.
    pub(crate) fn start(mut command: Command, log: &Path) -> io::Result<Self> {
        let output = File::create(log)?;
        let errors = output.try_clone()?;
        // Ctrl-C reaches a terminal's whole process group: children are ended in order instead.
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let parent = Pid::this();
        // SAFETY: between fork and exec only two system calls are made; nothing is allocated.
        unsafe {
            command.pre_exec(move || {
                prctl::set_pdeathsig(Signal::SIGTERM)?;
                // Nobody would end us if the parent died before the line above.
                if getppid() == parent { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
            });
        }
        Ok(Self { child: command.spawn()? })
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Asks it to end, without waiting.
    pub(crate) fn ask(&self) {
        // One that ended meanwhile is what we want.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.ask();
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The end of a child's output.
pub(crate) fn last_words(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let tail = &text[text.len().saturating_sub(TAIL)..];
    String::from_utf8_lossy(tail).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, log: &Path) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Running::start(command, log).unwrap()
    }

    #[test]
    fn a_child_is_asked_to_end_before_it_is_made_to() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let child = shell("trap 'echo cleaned up; exit' TERM; echo ready; while :; do sleep 0.01; done", &log);
        while last_words(&log) != "ready" {
            thread::yield_now();
        }
        drop(child);
        assert_eq!(last_words(&log), "ready\ncleaned up");
    }

    #[test]
    fn last_words_are_the_end_of_the_output() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut child = shell("yes | head -c 5000; echo; echo the end >&2; exit 3", &log);
        while child.ended().unwrap().is_none() {
            thread::yield_now();
        }
        let words = last_words(&log);
        assert!(words.ends_with("the end") && words.len() <= TAIL, "{words}");
    }
}
