//! A program that serves HTTP while it is looked at, and says where.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use netprecursor_child::Running;

use crate::process::{self, Stop};

/// After this it will never serve.
const LIMIT: Duration = Duration::from_secs(2 * 60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// It ends when this goes.
pub(super) struct Server {
    url: String,
    _running: Running,
}

impl Server {
    /// Starts a program with its output in `output`, and waits for the line that has its address.
    ///
    /// # Errors
    /// It does not start, or ends without one.
    pub(super) fn start(command: &mut Command, output: PathBuf, stop: &Stop) -> anyhow::Result<Self> {
        let program = command.get_program().display().to_string();
        let file = File::create(&output).with_context(|| format!("writing {}", output.display()))?;
        command.stderr(file.try_clone().context("opening a log twice")?).stdout(file);
        let running = process::start(command).with_context(|| format!("starting {program}"))?;
        let begun = Instant::now();
        loop {
            let ended = running.ended_within(LOOK_EVERY)?;
            let said = fs::read_to_string(&output).with_context(|| format!("reading {}", output.display()))?;
            match (address(&said), ended) {
                (Some(url), None) => return Ok(Self { url: url.to_owned(), _running: running }),
                (_, Some(status)) => bail!("{program}: {status}; expected it to serve; it said: {}", said.trim()),
                (None, None) if begun.elapsed() > LIMIT || stop.is_set() => {
                    bail!("{program}: got no address from it, expected one; it said: {:?}", said.trim())
                }
                (None, None) => {}
            }
        }
    }

    /// Where it serves.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

/// The last address on the first line that is whole: a program may name before it whom it asks.
fn address(said: &str) -> Option<&str> {
    let (line, _) = said.split_once('\n')?;
    line.get(line.rfind("http://")?..)?.split([',', ' ']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_ends_is_reported_with_what_it_said() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo no port is free >&2; exit 3"]);
        let started = Server::start(&mut command, directory.path().join("log"), &Stop::never());
        let error = started.map(drop).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no port is free"), "{error}");
    }

    #[test]
    fn the_address_is_the_last_one_on_a_whole_line() {
        let line = "dashboard of http://127.0.0.1:9470 on http://127.0.0.1:41234/, until it is stopped";
        assert_eq!(address(line), None);
        assert_eq!(address(&format!("{line}\n")), Some("http://127.0.0.1:41234/"));
        assert_eq!(address("an agent on http://127.0.0.1:80\nmore\n"), Some("http://127.0.0.1:80"));
        assert_eq!(address("error: no address\n"), None);
    }
}
