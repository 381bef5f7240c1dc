//! The REST API of the demonstration's agent and dashboard, while its servers are in trouble: a thousand requests a route,
//! drawn from the OpenAPI documents that they serve.

use std::{
    fs::File,
    hash::{BuildHasher as _, RandomState},
    net::{SocketAddr, TcpListener},
    path::{self, Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context as _;
use netprecursor_child::{Ending, Running};

use super::{Counts, Finding};
use crate::{
    cargo::Built,
    process::{self, Log, Output, Stop, program},
    python,
};

/// Draws the requests, and judges the answers.
const CHECK: &str = "xtask/rest/check.py";
const REQUIREMENTS: &str = "xtask/rest/requirements.txt";

/// For all routes: a quarter of a minute each on an idle machine, two at a time.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// Until the demonstration's servers are there and its agent answers, s.
const PATIENCE: &str = "120";
/// For the demonstration to take its servers down.
const GRACE: Duration = Duration::from_secs(30);

/// A demonstration that runs, and ends when this goes.
struct Demo {
    agent: SocketAddr,
    dashboard: SocketAddr,
    running: Running,
    log: PathBuf,
}

/// Checks the agent's routes, and those that the dashboard shares with it.
///
/// # Errors
/// Python's packages cannot be had, or a program does not start.
pub(super) fn run(built: Option<&Built>, log: &Log, stop: &Stop) -> anyhow::Result<Finding> {
    let Some(built) = built else { return Ok(Finding::skipped("nothing was built", true)) };
    if program("python3").is_none() {
        let reason = "python3 is not in PATH; scripts/setup.sh installs it on Debian 12";
        return Ok(Finding::skipped(reason, program("apt-get").is_some()));
    }
    let python = python::provide("rest", Path::new(REQUIREMENTS))?;
    let demo = Demo::start(built, log)?;
    let seed = RandomState::new().hash_one(0_u8) % 1_000_000_000;
    println!("rest: seed {seed}; what is drawn again by it: python {CHECK} --help");
    let out = path::absolute(log.path().with_extension("")).context("where the log is")?;
    let (mut counts, mut problems) = (Counts::default(), Vec::new());
    for (name, address) in [("agent", demo.agent), ("dashboard", demo.dashboard)] {
        let url = format!("http://{address}");
        let mut check = Command::new(&python);
        check.arg(CHECK).args(["--document", &format!("{url}/api/v1/openapi.json"), "--url", &url]);
        check.args(["--seed", &seed.to_string(), "--patience", PATIENCE]).arg("--out").arg(out.join(name));
        match process::run("rest", &mut check, &Output::Log, log, LIMIT, stop)?.problem() {
            None => counts.passed += 1,
            Some(problem) => {
                counts.failed += 1;
                problems.push(format!("{name}: {problem}{}", demo.ending()));
            }
        }
    }
    Ok(Finding::of(&problems, counts, vec![format!("seed {seed}")]))
}

impl Demo {
    fn start(built: &Built, log: &Log) -> anyhow::Result<Self> {
        let [agent, dashboard] = free()?;
        let (output, out) = (log.path().with_file_name("rest-demo.log"), log.path().with_file_name("rest-demo"));
        let file = File::create(&output).with_context(|| format!("writing {}", output.display()))?;
        let mut command = Command::new(built.program("netprecursor")?);
        command.args(["demo", "--forever", "--agent"]).arg(built.program("netprecursor-agent")?).arg("--out").arg(out);
        command.args(["--listen", &agent.to_string(), "--dashboard", &dashboard.to_string()]);
        let running = Running::start(&mut command, file, Ending::Asked(GRACE)).context("starting netprecursor demo")?;
        Ok(Self { agent, dashboard, running, log: output })
    }

    /// What explains that nobody answers.
    fn ending(&self) -> String {
        match self.running.ended() {
            Ok(None) => String::new(),
            Ok(Some(status)) => format!("; netprecursor demo ended: {status}, see {}", self.log.display()),
            Err(error) => format!("; netprecursor demo: {error}"),
        }
    }
}

/// Two ports that nobody has. Somebody else may take one until the demonstration does: then it ends, and says so.
fn free() -> anyhow::Result<[SocketAddr; 2]> {
    let bind = || TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port");
    let (one, other) = (bind()?, bind()?);
    Ok([one.local_addr()?, other.local_addr()?])
}
