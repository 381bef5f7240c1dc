//! Programs that xtask starts: output into a log, a time limit, and an end by their own id when they must end.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use netprecursor_child::{Ending, Running};

/// Where `PATH` and the administrator's directories have a program.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    directories.map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// How a program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself.
    Exit(ExitStatus),
    /// It was killed: it took longer than it may.
    TimeLimit(Duration),
    /// It was killed because xtask was stopped.
    Stopped,
}

impl End {
    /// `None` after success, else what went wrong.
    pub(crate) fn problem(&self) -> Option<String> {
        match self {
            Self::Exit(status) if status.success() => None,
            Self::Exit(status) => Some(status.to_string()),
            Self::TimeLimit(limit) => Some(format!("killed after its time limit of {} s", limit.as_secs())),
            Self::Stopped => Some("stopped by a signal".to_owned()),
        }
    }
}

/// Whether SIGINT or SIGTERM came; looked at while programs run.
#[derive(Debug, Clone)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Catches the signals from now on.
    pub(crate) fn on_signals() -> anyhow::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&flag)).context("catching signals")?;
        }
        Ok(Self(flag))
    }

    /// For clean-up that must not be interrupted.
    pub(crate) fn never() -> Self {
        Self(Arc::default())
    }

    /// Whether one came.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// A file that programs write to, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Log(PathBuf);

impl Log {
    /// An empty log.
    pub(crate) fn create(path: PathBuf) -> anyhow::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        }
        File::create(&path).with_context(|| format!("writing {}; expected a place for logs", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new().append(true).open(&self.0)
    }

    /// How much is in it.
    pub(crate) fn length(&self) -> u64 {
        fs::metadata(&self.0).map_or(0, |metadata| metadata.len())
    }

    /// What was written since it had `length` bytes; bytes that are no UTF-8 are replaced.
    pub(crate) fn since(&self, length: u64) -> io::Result<String> {
        let mut file = File::open(&self.0)?;
        file.seek(SeekFrom::Start(length))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Adds a line of our own.
    pub(crate) fn say(&self, line: &str) -> io::Result<()> {
        use io::Write as _;
        writeln!(self.open()?, "{line}")
    }

    /// The last `lines` lines, indented.
    pub(crate) fn tail(&self, lines: usize) -> String {
        let tail = self.since(self.length().saturating_sub(16 * 1024)).unwrap_or_default();
        let all: Vec<&str> = tail.lines().collect();
        all[all.len().saturating_sub(lines)..].iter().map(|line| format!("  | {line}\n")).collect()
    }

    /// The last line with something on it, shortened to `width` characters.
    pub(crate) fn last_line(&self, width: usize) -> String {
        let tail = self.since(self.length().saturating_sub(4096)).unwrap_or_default();
        let line = tail.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        line.chars().take(width).collect()
    }
}

/// Where a program's standard output goes; standard error always goes to the log.
pub(crate) enum Output<'a> {
    /// Into the log as well.
    Log,
    /// Into a file of its own.
    File(&'a Path),
}

/// How long a signal may go unnoticed.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often a program that runs long shows its last line.
const SHOW_EVERY: Duration = Duration::from_secs(20);

/// Runs `command` to its end, without input. `name` goes before its line on the terminal.
pub(crate) fn run(
    name: &str,
    command: &mut Command,
    output: &Output<'_>,
    log: &Log,
    limit: Duration,
    stop: &Stop,
) -> anyhow::Result<End> {
    let program = command.get_program().to_string_lossy().into_owned();
    log.say(&format!("$ {}", shown(command)))?;
    let stdout = match output {
        Output::Log => log.open()?,
        Output::File(path) => File::create(path).with_context(|| format!("writing {}", path.display()))?,
    };
    command.stdout(stdout).stderr(log.open()?);
    let started = start(command);
    let child =
        started.with_context(|| format!("starting {program}; expected it to be installed: run scripts/setup.sh"))?;
    wait(name, &child, log, limit, stop)
}

/// The command as one would type it, without its environment.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Starts a program without input, with the outputs that the command has.
pub(crate) fn start(command: &mut Command) -> io::Result<Running> {
    Running::spawn(command.stdin(Stdio::null()), Ending::Killed)
}

/// Waits for a program that runs, as [`run`] does for one that it starts.
pub(crate) fn wait(name: &str, child: &Running, log: &Log, limit: Duration, stop: &Stop) -> anyhow::Result<End> {
    let begun = Instant::now();
    let mut shown = begun;
    loop {
        if let Some(status) = child.ended_within(LOOK_EVERY)? {
            return Ok(End::Exit(status));
        }
        let late = begun.elapsed() >= limit;
        if late || stop.is_set() {
            child.end()?;
            return Ok(if late { End::TimeLimit(limit) } else { End::Stopped });
        }
        if shown.elapsed() >= SHOW_EVERY {
            shown = Instant::now();
            println!("  {name} {:>4} s  {}", begun.elapsed().as_secs(), log.last_line(100));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> (tempfile::TempDir, Log) {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::create(directory.path().join("deep/test.log")).unwrap();
        (directory, log)
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    fn stop() -> Stop {
        Stop(Arc::default())
    }

    #[test]
    fn both_outputs_reach_the_log_in_order_and_a_failure_says_its_code() {
        let (_directory, log) = log();
        let limit = Duration::from_secs(60);
        let end = run("t", &mut shell("echo one; echo two >&2; exit 3"), &Output::Log, &log, limit, &stop()).unwrap();
        assert_eq!(end.problem().unwrap(), "exit status: 3");
        assert!(log.since(0).unwrap().ends_with("one\ntwo\n"));
        assert_eq!(log.last_line(2), "tw");
    }

    #[test]
    fn a_program_that_hangs_is_killed_at_its_limit() {
        let (_directory, log) = log();
        let limit = Duration::from_millis(100);
        let end = run("t", &mut shell("exec tail -f /dev/null"), &Output::Log, &log, limit, &stop()).unwrap();
        assert_eq!(end, End::TimeLimit(limit));
    }

    #[test]
    fn a_stop_ends_what_runs() {
        let (_directory, log) = log();
        let stop = Stop(Arc::new(AtomicBool::new(true)));
        let limit = Duration::from_secs(60);
        let end = run("t", &mut shell("exec tail -f /dev/null"), &Output::Log, &log, limit, &stop).unwrap();
        assert_eq!(end.problem().unwrap(), "stopped by a signal");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let (_directory, log) = log();
        let mut command = Command::new("/nonexistent/program");
        let error = run("t", &mut command, &Output::Log, &log, Duration::MAX, &stop()).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/program") && error.contains("setup.sh"), "{error}");
    }
}
