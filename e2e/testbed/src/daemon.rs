//! A process that runs until its owner lets go of it, and never longer than this process.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock, mpsc},
    thread,
};

use nix::{
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::{Pid, getppid},
};

use crate::TestbedError;

/// How much of a log an error shows, bytes.
const TAIL: u64 = 3000;

/// A running process. Dropping it ends it.
#[derive(Debug)]
pub struct Daemon {
    program: String,
    child: Mutex<Child>,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` with its output at the end of `log`.
    ///
    /// # Errors
    /// [`TestbedError::Process`] when it does not start, [`TestbedError::File`] when the log cannot be written.
    pub fn start(mut command: Command, log: &Path) -> Result<Self, TestbedError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let open = || OpenOptions::new().create(true).append(true).open(log);
        let (output, errors) = (open().map_err(TestbedError::file(log))?, open().map_err(TestbedError::file(log))?);
        // Ctrl-C reaches a terminal's whole process group: who started the process ends it.
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        die_with_this_process(&mut command);
        let child = spawn(command).map_err(|reason| TestbedError::Process {
            program: program.clone(),
            got: reason.to_string(),
            log: log.to_path_buf(),
            tail: String::new(),
        })?;
        Ok(Self { program, child: Mutex::new(child), log: log.to_path_buf() })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.lock().id()
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
        let state = self.lock().try_wait();
        match state {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.problem(status.to_string())),
            Err(error) => Err(self.problem(error.to_string())),
        }
    }

    /// `got` as an error of this process, with the last of its log.
    pub fn problem(&self, got: String) -> TestbedError {
        TestbedError::Process { program: self.program.clone(), got, log: self.log.clone(), tail: tail(&self.log) }
    }

    /// Stops its CPU time: it keeps its connections and answers nothing.
    ///
    /// # Errors
    /// It is gone.
    pub fn pause(&self) -> Result<(), TestbedError> {
        self.signal(Signal::SIGSTOP)
    }

    /// Undoes [`Self::pause`].
    ///
    /// # Errors
    /// It is gone.
    pub fn resume(&self) -> Result<(), TestbedError> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), TestbedError> {
        // Held, so that the id is not given out again meanwhile.
        let child = self.lock();
        let sent = kill(Pid::from_raw(child.id().cast_signed()), signal);
        drop(child);
        sent.map_err(|errno| self.problem(errno.to_string()))
    }

    /// Ends it now; again is harmless.
    pub fn kill(&self) {
        let mut child = self.lock();
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last of a log, each line indented.
pub fn tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default().lines().map(|line| format!("  | {line}\n")).collect()
}

fn die_with_this_process(command: &mut Command) {
    let parent = Pid::this();
    // SAFETY: between fork and exec only system calls are made, nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            if getppid() == parent {
                return Ok(());
            }
            // The parent died before the line above: nobody would end us.
            Err(io::Error::from_raw_os_error(libc::ESRCH))
        });
    }
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts a process from a thread that lives as long as this process does: the kernel sends the signal of
/// PR_SET_PDEATHSIG when the *thread* ends that started the child, and the threads of tests and of thread pools end
/// before the process.
fn spawn(command: Command) -> io::Result<Child> {
    static STARTER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, incoming) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in incoming {
                // Who asked may be gone; then the answer's child is, too.
                if let Err(mpsc::SendError(Ok(mut child))) = answer.send(command.spawn()) {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        });
        Mutex::new(orders)
    });
    let (answer, result) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes is gone");
    let orders = starter.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    orders.send((command, answer)).map_err(|_| gone())?;
    result.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    fn until(what: &str, done: impl Fn() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < Duration::from_secs(30), "waited 30 s for {what}");
            thread::yield_now();
        }
    }

    #[test]
    fn it_outlives_the_thread_that_asked_for_it_and_ends_when_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let daemon = thread::scope(|scope| {
            let asked = scope.spawn(|| Daemon::start(shell("exec tail -f /dev/null"), &log));
            asked.join().unwrap().unwrap()
        });
        let owner = crate::Owner::of(daemon.pid()).unwrap();
        daemon.check().unwrap();
        drop(daemon);
        assert!(!owner.alive());
    }

    #[test]
    fn one_that_ends_early_is_named_with_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let daemon = Daemon::start(shell("echo the disk is full >&2; exit 3"), &log).unwrap();
        until("its end", || daemon.check().is_err());
        let error = daemon.check().unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("| the disk is full"), "{error}");
    }

    #[test]
    fn one_that_is_paused_does_nothing_until_it_is_resumed() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let daemon = Daemon::start(shell("exec tail -f /dev/null"), &log).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
        daemon.pause().unwrap();
        until("the pause", || state().contains(") T "));
        daemon.resume().unwrap();
        until("going on", || !state().contains(") T "));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let error = Daemon::start(Command::new("/nonexistent/etcd"), &directory.path().join("log")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/etcd"), "{error}");
    }
}
