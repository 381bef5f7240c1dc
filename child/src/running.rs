//! A child that runs until its owner lets go of it.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::{prepare, process, starter};

/// How a child is ended by its owner, and by the kernel when this process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// At once, by SIGKILL.
    Killed,
    /// By SIGTERM, and by SIGKILL when it has not ended after this time.
    Asked(Duration),
}

/// A running child, the first of a process group of its own. Dropping it ends the group.
#[derive(Debug)]
pub struct Running {
    pid: u32,
    process: OwnedFd,
    ending: Ending,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    child: Child,
    /// Known once the child was waited for: from then on its id may be another process's.
    status: Option<ExitStatus>,
}

impl Running {
    /// Starts `command` without input, both outputs into `output`.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(command: &mut Command, output: File, ending: Ending) -> io::Result<Self> {
        command.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output);
        Self::spawn(command, ending)
    }

    /// Starts `command` with the input and outputs that it has.
    ///
    /// # Errors
    /// It does not start.
    pub fn spawn(command: &mut Command, ending: Ending) -> io::Result<Self> {
        // Ctrl-C reaches a terminal's whole process group: children are ended by their owner instead, in order.
        command.process_group(0);
        let last = if ending == Ending::Killed { Signal::KILL } else { Signal::TERM };
        prepare::end_with_parent(command, last);
        let mut child = starter::spawn(command)?;
        match process::open(child.id()) {
            Ok(process) => {
                let (pid, state) = (child.id(), Mutex::new(State { child, status: None }));
                Ok(Self { pid, process, ending, state })
            }
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// Its process id.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has. What it left in its group is ended as well.
    ///
    /// # Errors
    /// The system's.
    pub fn ended(&self) -> io::Result<Option<ExitStatus>> {
        self.ended_within(Duration::ZERO)
    }

    /// As [`Self::ended`], waiting for it at most `limit`.
    ///
    /// # Errors
    /// The system's.
    pub fn ended_within(&self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        if process::ended_within(self.process.as_fd(), limit)? { self.collect().map(Some) } else { Ok(None) }
    }

    /// Asks it to end (SIGTERM), without waiting.
    ///
    /// # Errors
    /// The system's.
    pub fn ask(&self) -> io::Result<()> {
        process::send(self.process.as_fd(), Signal::TERM)
    }

    /// Stops its CPU time: it keeps its connections and answers nothing. Returns when all of its threads have stopped; until
    /// then one of them might still answer.
    ///
    /// # Errors
    /// The system's.
    pub fn pause(&self) -> io::Result<()> {
        process::send(self.process.as_fd(), Signal::STOP)?;
        // Only looked at: who waits for its end still gets it.
        let either = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::PidFd(self.process.as_fd()), either)?;
        Ok(())
    }

    /// Undoes [`Self::pause`].
    ///
    /// # Errors
    /// The system's.
    pub fn resume(&self) -> io::Result<()> {
        process::send(self.process.as_fd(), Signal::CONT)
    }

    /// Ends it in its own way and waits for it; again is harmless.
    ///
    /// # Errors
    /// The system's.
    pub fn end(&self) -> io::Result<ExitStatus> {
        if let Ending::Asked(grace) = self.ending {
            self.ask()?;
            process::ended_within(self.process.as_fd(), grace)?;
        }
        self.collect()
    }

    /// Ends the group, and gives the child's id back. A child that was not waited for keeps the id, so that the group's
    /// cannot be another's.
    fn collect(&self) -> io::Result<ExitStatus> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = state.status {
            return Ok(status);
        }
        process::send(self.process.as_fd(), Signal::KILL)?;
        // It may have moved to another group and left this one empty.
        let _ = kill_process_group(process::id(self.pid)?, Signal::KILL);
        let status = state.child.wait()?;
        state.status = Some(status);
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nobody is left to hear of it.
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, thread, time::Instant};

    use super::*;
    use crate::Process;

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str, log: &Path, ending: Ending) -> Running {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Running::start(&mut command, File::create(log).unwrap(), ending).unwrap()
    }

    fn until(what: &str, done: impl Fn() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < LONG, "waited a minute for {what}");
            thread::yield_now();
        }
    }

    fn log() -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        (directory, log)
    }

    #[test]
    fn a_child_is_asked_to_end_before_it_is_made_to() {
        let (_directory, log) = log();
        let script = "trap 'echo cleaned up; exit' TERM; echo ready; while :; do sleep 0.01; done";
        let child = shell(script, &log, Ending::Asked(LONG));
        until("the trap", || fs::read_to_string(&log).unwrap() == "ready\n");
        drop(child);
        assert_eq!(fs::read_to_string(&log).unwrap(), "ready\ncleaned up\n");
    }

    #[test]
    fn one_that_does_not_listen_is_killed_after_its_grace() {
        let (_directory, log) = log();
        let child =
            shell("trap '' TERM; echo ready; while :; do sleep 0.01; done", &log, Ending::Asked(Duration::ZERO));
        until("the trap", || !fs::read_to_string(&log).unwrap().is_empty());
        assert_eq!(child.end().unwrap().to_string(), "signal: 9 (SIGKILL)");
    }

    #[test]
    fn it_outlives_the_thread_that_asked_for_it_and_ends_when_dropped() {
        let (_directory, log) = log();
        let child = thread::scope(|scope| {
            let asked = scope.spawn(|| shell("exec tail -f /dev/null", &log, Ending::Killed));
            asked.join().unwrap()
        });
        let process = Process::of(child.pid()).unwrap();
        assert!(child.ended().unwrap().is_none());
        drop(child);
        assert!(!process.alive());
    }

    #[test]
    fn what_a_child_leaves_behind_ends_with_it() {
        let (_directory, log) = log();
        let child = shell("tail -f /dev/null & echo $!", &log, Ending::Killed);
        assert!(child.ended_within(LONG).unwrap().unwrap().success());
        let left: u32 = fs::read_to_string(&log).unwrap().trim().parse().unwrap();
        until("its end", || Process::of(left).is_none());
        assert!(child.ended().unwrap().unwrap().success(), "asked again it says the same");
    }

    #[test]
    fn one_that_is_paused_does_nothing_until_it_is_resumed() {
        let (_directory, log) = log();
        let child = shell("exec tail -f /dev/null", &log, Ending::Killed);
        let state = || fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap();
        child.pause().unwrap();
        assert!(state().contains(") T "), "{}", state());
        child.resume().unwrap();
        until("going on", || !state().contains(") T "));
    }
}
