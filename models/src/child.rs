//! The first load of a file, and one inference, in a process of its own: should the checks have a hole, what falls
//! through it hits limits on memory and time, not the agent.
//!
//! The binary that calls [`check`] must call [`main`] when its first argument is [`ARGUMENT`]. The model goes in by
//! standard input, so what was checked is what is then loaded; the verdict comes back as JSON by standard output.

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::{self, limits::FILE_BYTES};
use crate::{ModelInfo, Refusal, Scorer, Use};

/// The hidden first argument that makes a binary a checker; the limits follow it.
pub const ARGUMENT: &str = "__check-model";

/// A verdict is a few kilobytes; feature names can make it longer.
const VERDICT_BYTES: u64 = 16 << 20;

/// What a check may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Address space, bytes.
    pub memory_bytes: u64,
    /// Processor time, whole seconds.
    pub cpu_seconds: u64,
    /// Time by the clock.
    pub wall: Duration,
}

impl Default for Limits {
    /// A model of the largest size allowed takes about 100 MiB and a second.
    fn default() -> Self {
        Self { memory_bytes: 512 << 20, cpu_seconds: 5, wall: Duration::from_secs(10) }
    }
}

/// Why a check did not accept a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The model was refused; the code is that of [`Refusal::code`].
    #[error("{message}")]
    Refused {
        /// Name of the refusal's variant.
        code: String,
        /// The refusal.
        message: String,
    },
    /// The child ended without a verdict.
    #[error(
        "checking the model failed: got a process ended by {how}, expected a verdict within {limits:?}; fix: do not use this model"
    )]
    Died {
        /// Signal or exit code.
        how: String,
        /// The limits that it ran under.
        limits: Limits,
    },
    /// No verdict in time.
    #[error(
        "checking the model took too long: got no verdict in {0:?}, expected one; fix: do not use this model, or free the machine"
    )]
    TimedOut(Duration),
    /// The child could not be started or talked to.
    #[error(
        "checking the model: got {0} when starting the checking process, expected it to run; fix: allow this binary to start itself"
    )]
    Start(#[source] io::Error),
}

#[derive(Serialize, Deserialize)]
enum Verdict {
    Accepted(Box<ModelInfo>),
    Refused { code: String, message: String },
}

/// Checks a model in a child process of the running binary.
///
/// # Errors
/// The refusal, or what became of the child.
pub fn check(model: &[u8], limits: Limits) -> Result<ModelInfo, CheckError> {
    let program = std::env::current_exe().map_err(CheckError::Start)?;
    let mut command = Command::new(program);
    command.args([ARGUMENT, &limits.memory_bytes.to_string(), &limits.cpu_seconds.to_string()]);
    check_with(command, model, limits)
}

/// As [`check`], with a command that behaves as [`main`] does.
///
/// # Errors
/// As [`check`].
pub fn check_with(mut command: Command, model: &[u8], limits: Limits) -> Result<ModelInfo, CheckError> {
    contract::admit(model)
        .map_err(|refusal| CheckError::Refused { code: refusal.code(), message: refusal.to_string() })?;
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(CheckError::Start)?;
    let answer = converse(&mut child, model, limits.wall);
    // Harmless when it has ended by itself; without it a child that ignores its input would be waited for.
    let killed = child.kill();
    let status = child.wait().and_then(|status| killed.map(|()| status)).map_err(CheckError::Start)?;
    let Some(answer) = answer else { return Err(CheckError::TimedOut(limits.wall)) };
    match serde_json::from_slice(&answer) {
        Ok(Verdict::Accepted(info)) => Ok(*info),
        Ok(Verdict::Refused { code, message }) => Err(CheckError::Refused { code, message }),
        Err(_) => Err(CheckError::Died { how: ending(status), limits }),
    }
}

/// Sends the model and reads until the child closes its output; `None` when that takes too long.
fn converse(child: &mut Child, model: &[u8], wall: Duration) -> Option<Vec<u8>> {
    let (stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
    let (send, receive) = mpsc::channel();
    // The threads end when the pipes close, at the latest when the child is killed.
    let model = model.to_vec();
    thread::spawn(move || {
        let mut stdin = stdin;
        // A child that died early shows in what it answers.
        drop(stdin.write_all(&model));
    });
    thread::spawn(move || {
        let mut answer = Vec::new();
        drop(stdout.take(VERDICT_BYTES).read_to_end(&mut answer));
        drop(send.send(answer));
    });
    receive.recv_timeout(wall).ok()
}

fn ending(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "an unknown cause".into(),
    }
}

/// The child's half: takes the limits from the arguments after [`ARGUMENT`], the model from standard input, and prints
/// the verdict.
pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    match verdict(arguments) {
        Ok(verdict) => {
            let printed = serde_json::to_vec(&verdict).map_err(io::Error::from);
            match printed.and_then(|verdict| io::stdout().write_all(&verdict)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn verdict(arguments: impl Iterator<Item = String>) -> io::Result<Verdict> {
    let mut numbers = arguments.map(|text| text.parse::<u64>().map_err(io::Error::other));
    let mut next = || numbers.next().unwrap_or_else(|| Err(io::Error::other("a limit is missing")));
    limit(libc::RLIMIT_AS, next()?)?;
    limit(libc::RLIMIT_CPU, next()?)?;
    limit(libc::RLIMIT_CORE, 0)?;
    let mut model = Vec::new();
    io::stdin().take(FILE_BYTES as u64 + 1).read_to_end(&mut model)?;
    Ok(match try_model(&model) {
        Ok(info) => Verdict::Accepted(Box::new(info)),
        Err(refusal) => Verdict::Refused { code: refusal.code(), message: refusal.to_string() },
    })
}

/// Loads the model and scores rows of zeros and of missing values.
fn try_model(model: &[u8]) -> Result<ModelInfo, Refusal> {
    let mut scorer = Scorer::load(model, Use::Inspect)?;
    let width = scorer.width();
    let rows: Vec<f32> = [0.0, f32::NAN].into_iter().flat_map(|value| std::iter::repeat_n(value, width)).collect();
    let mut out = Vec::new();
    // Two whole rows cannot be of another width.
    drop(scorer.score(&rows, &mut out));
    Ok(scorer.info().clone())
}

fn limit(resource: libc::__rlimit_resource_t, value: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: `limit` outlives the call, which only reads it.
    if unsafe { libc::setrlimit(resource, &raw const limit) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
