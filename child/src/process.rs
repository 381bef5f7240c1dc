//! A process by id and start time, so that what a killed one left is distinguished from what a living one uses.

use std::{
    fs, io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use serde::{Deserialize, Serialize};

/// A process that cannot be mistaken for a later one with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its start time in clock ticks since boot: an id alone may have been given out again.
    pub started_ticks: u64,
}

impl Process {
    /// This process.
    pub fn this() -> Self {
        let pid = std::process::id();
        Self { pid, started_ticks: started_ticks(pid).unwrap_or(0) }
    }

    /// The process that has the id `pid` now; `None` when there is none.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started_ticks: started_ticks(pid)? })
    }

    /// Whether it still runs. A process that ended and was not waited for does not.
    pub fn alive(self) -> bool {
        started_ticks(self.pid) == Some(self.started_ticks)
    }

    /// Asks it to end (SIGTERM). One that has ended already is what is wanted.
    ///
    /// # Errors
    /// It belongs to somebody else.
    pub fn ask(self) -> io::Result<()> {
        self.open()?.map_or(Ok(()), |process| send(process.as_fd(), Signal::TERM))
    }

    /// Ends it (SIGKILL), as [`Self::ask`].
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn kill(self) -> io::Result<()> {
        self.open()?.map_or(Ok(()), |process| send(process.as_fd(), Signal::KILL))
    }

    /// Waits until it has ended, at most `limit`; whether it has.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn ended_within(self, limit: Duration) -> io::Result<bool> {
        self.open()?.map_or(Ok(true), |process| ended_within(process.as_fd(), limit))
    }

    /// `None` when it has ended. Opened first and compared then: what is open stays the process that was compared.
    fn open(self) -> io::Result<Option<OwnedFd>> {
        match open(self.pid) {
            Ok(process) => Ok(self.alive().then_some(process)),
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A descriptor of the process that has the id `pid` now.
pub(crate) fn open(pid: u32) -> io::Result<OwnedFd> {
    Ok(pidfd_open(id(pid)?, PidfdFlags::empty())?)
}

/// `pid` as the system takes it.
pub(crate) fn id(pid: u32) -> io::Result<Pid> {
    Pid::from_raw(pid.cast_signed()).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Sends a signal; one that has ended needs none.
pub(crate) fn send(process: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    match pidfd_send_signal(process, signal) {
        Err(Errno::SRCH) => Ok(()),
        result => Ok(result?),
    }
}

/// Waits until it has ended, at most `limit`; whether it has.
pub(crate) fn ended_within(process: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    let begun = Instant::now();
    loop {
        // A limit that no clock holds is none.
        let left = Timespec::try_from(limit.saturating_sub(begun.elapsed())).ok();
        match poll(&mut [PollFd::from_borrowed_fd(process, PollFlags::IN)], left.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Field 22 of `/proc/PID/stat` (proc(5)); the name before it may contain anything. Nothing of a zombie.
fn started_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z" && state != "X").then_some(())?;
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> (Child, Process) {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        (child, process)
    }

    #[test]
    fn an_id_that_was_given_out_again_is_somebody_else_and_gets_no_signal() {
        let (mut child, process) = sleeper();
        let before = Process { started_ticks: process.started_ticks - 1, ..process };
        assert!(process.alive() && !before.alive());
        before.kill().unwrap();
        assert!(before.ended_within(Duration::ZERO).unwrap());
        assert!(!process.ended_within(Duration::from_millis(50)).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn one_that_is_killed_has_ended_before_anybody_waits_for_it() {
        let (mut child, process) = sleeper();
        process.kill().unwrap();
        assert!(process.ended_within(Duration::MAX).unwrap() && !process.alive());
        child.wait().unwrap();
        process.ask().unwrap();
    }

    #[test]
    fn a_process_that_ended_is_not_alive() {
        let mut child = Command::new("true").spawn().unwrap();
        let process = Process::of(child.id());
        child.wait().unwrap();
        assert!(!process.is_some_and(Process::alive));
    }
}
