//! The agent as a child that never outlives the demonstration.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use netprecursor_settings::Listen;
use thiserror::Error;

use super::api::Api;
use crate::child::{self, Running};

const BINARY: &str = "netprecursor-agent";
/// How long the agent may take until all its required sensors work; the kernel verifies its programs meanwhile.
const READY: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
/// Between two exports of metrics: a demonstration lasts minutes.
const EXPORT_MS: &str = "5000";

/// Why there is no agent to show.
#[derive(Debug, Error)]
pub(crate) enum AgentError {
    #[error(
        "got no {BINARY} beside this program or in PATH, expected one; build it with 'cargo build --release -p {BINARY}', or name it with --agent FILE"
    )]
    Missing,
    #[error("got no file {}, expected the agent's binary; build it with 'cargo build --release -p {BINARY}', or give another --agent", .0.display())]
    NoFile(PathBuf),
    #[error("cannot start {}: {reason}; expected an executable of this machine", program.display())]
    Start { program: PathBuf, reason: io::Error },
    #[error("the agent ended: got {status}, expected it to run as long as the demonstration; its last words (all are in {}):\n{tail}", log.display())]
    Ended { status: String, log: PathBuf, tail: String },
    #[error("the agent is not ready after {} s: got \"{got}\", expected every required sensor to be active; 'netprecursor-agent doctor' says what this machine lacks, its log is {}", READY.as_secs(), log.display())]
    NotReady { got: String, log: PathBuf },
}

/// The arguments of the agent.
#[derive(Debug)]
pub(super) struct Launch<'a> {
    pub(super) program: &'a Path,
    pub(super) policy: &'a Path,
    /// As `--target` takes it.
    pub(super) target: String,
    pub(super) listen: &'a Listen,
    /// Where scores are kept. Emptied first, so that only this run counts.
    pub(super) state_dir: &'a Path,
    pub(super) log: &'a Path,
    pub(super) receivers: Option<Receivers>,
}

/// Where the agent publishes to besides, as URLs.
#[derive(Debug)]
pub(super) struct Receivers {
    pub(super) alertmanager: String,
    /// OTLP over HTTP.
    pub(super) collector: String,
}

/// A running agent. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Agent {
    child: Running,
    log: PathBuf,
    api: Api,
}

/// The agent's binary: the one given, else the one beside this program, else the first in `PATH`.
pub(super) fn find(given: Option<&Path>) -> Result<PathBuf, AgentError> {
    if let Some(given) = given {
        return if given.is_file() { Ok(given.into()) } else { Err(AgentError::NoFile(given.into())) };
    }
    let beside = env::current_exe().ok().map(|program| program.with_file_name(BINARY));
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path = env::split_paths(&path).map(|directory| directory.join(BINARY));
    beside.into_iter().chain(in_path).find(|file| file.is_file()).ok_or(AgentError::Missing)
}

impl Agent {
    /// Starts an agent.
    pub(super) fn start(launch: &Launch<'_>) -> Result<Self, AgentError> {
        let failed = |reason| AgentError::Start { program: launch.program.into(), reason };
        match fs::remove_dir_all(launch.state_dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut command = Command::new(launch.program);
        command.arg("run").arg("--policy").arg(launch.policy).arg("--target").arg(&launch.target);
        command.arg("--listen").arg(launch.listen.to_string()).arg("--state-dir").arg(launch.state_dir);
        if let Some(receivers) = &launch.receivers {
            receivers.name_to(&mut command);
        }
        let child = child::start(&mut command, launch.log).map_err(failed)?;
        Ok(Self { child, log: launch.log.into(), api: Api::new(format!("http://{}", launch.listen)) })
    }

    /// Its HTTP interface.
    pub(super) const fn api(&self) -> &Api {
        &self.api
    }

    /// Waits until every required sensor works or `stop` is set. Returns whether the agent is ready.
    pub(super) fn wait_until_ready(&mut self, stop: &AtomicBool) -> Result<bool, AgentError> {
        let begun = Instant::now();
        while !stop.load(Relaxed) {
            let Err(got) = self.api.ready() else { return Ok(true) };
            self.check()?;
            if begun.elapsed() > READY {
                return Err(AgentError::NotReady { got, log: self.log.clone() });
            }
            thread::sleep(POLL);
        }
        Ok(false)
    }

    /// Refuses an agent that has ended.
    pub(super) fn check(&mut self) -> Result<(), AgentError> {
        match self.child.ended() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.ended(&status)),
            Err(error) => {
                Err(AgentError::Ended { status: error.to_string(), log: self.log.clone(), tail: String::new() })
            }
        }
    }

    /// Waits a moment for an agent that hung up, which usually means that it ends; `None` when it goes on.
    pub(super) fn ending(&mut self) -> Option<AgentError> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            if let Err(ended) = self.check() {
                return Some(ended);
            }
            thread::sleep(POLL);
        }
        None
    }

    fn ended(&self, status: &ExitStatus) -> AgentError {
        AgentError::Ended { status: status.to_string(), log: self.log.clone(), tail: child::last_words(&self.log) }
    }
}

impl Receivers {
    /// Has the agent that `command` starts publish to them, whatever this program's environment says of OTLP.
    fn name_to(&self, command: &mut Command) {
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
            command.env_remove(name);
        }
        command.arg("--alertmanager").arg(&self.alertmanager);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &self.collector).env("OTEL_METRIC_EXPORT_INTERVAL", EXPORT_MS);
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::unix::fs::PermissionsExt as _};

    use super::*;

    /// An agent that is the shell script `body`.
    fn scripted(directory: &Path, body: &str) -> Agent {
        let program = directory.join("agent");
        fs::write(&program, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let launch = Launch {
            program: &program,
            policy: Path::new("policy.yaml"),
            target: "netns:web*,app=demo".into(),
            listen: &free.into(),
            state_dir: &directory.join("state"),
            log: &directory.join("agent.log"),
            receivers: Some(Receivers { alertmanager: "http://am".into(), collector: "http://otel".into() }),
        };
        Agent::start(&launch).unwrap()
    }

    #[test]
    fn an_agent_that_ends_is_reported_with_its_status_and_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let mut agent = scripted(directory.path(), "echo got no BPF, expected some >&2; exit 3");
        let error = agent.wait_until_ready(&AtomicBool::new(false)).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("got no BPF"), "{error}");
        assert!(error.contains("agent.log"), "{error}");
    }

    #[test]
    fn waiting_ends_when_it_is_stopped_and_dropping_asks_the_agent_to_end() {
        let directory = tempfile::tempdir().unwrap();
        let body =
            "trap 'echo drained; exit' TERM; echo \"$@ $OTEL_EXPORTER_OTLP_ENDPOINT\"; while :; do sleep 0.01; done";
        let mut agent = scripted(directory.path(), body);
        assert!(!agent.wait_until_ready(&AtomicBool::new(true)).unwrap());
        let log = directory.path().join("agent.log");
        while fs::read_to_string(&log).unwrap().is_empty() {
            thread::yield_now();
        }
        drop(agent);
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.contains("--target netns:web*,app=demo") && text.ends_with("drained\n"), "{text}");
        assert!(text.contains("--alertmanager http://am http://otel\n"), "{text}");
    }

    #[test]
    fn an_agent_that_is_not_there_is_named() {
        let error = find(Some(Path::new("/nowhere/agent"))).unwrap_err().to_string();
        assert!(error.contains("/nowhere/agent") && error.contains("cargo build"), "{error}");
    }
}
