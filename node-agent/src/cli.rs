//! The agent's command line.

use std::{io::IsTerminal, process::ExitCode};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::{config::Flags, run, status::doctor};

#[derive(Debug, Parser)]
#[command(name = "netprecursor-agent", version, about = "Warns of network trouble before it happens: the node's part")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch targets, forecast and alert
    Run(Box<Flags>),
    /// Say what this machine offers and what each sensor makes of it; exit code 1 when a required one is unavailable
    Doctor {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Does what the arguments say.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(flags) => start(*flags),
        Command::Doctor { json } => doctor::run(json).map_err(Into::into).map(|ready| ExitCode::from(u8::from(!ready))),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Exit code for what the agent was told wrongly, as clap uses it.
const USAGE: u8 = 2;

#[expect(clippy::print_stderr, reason = "there is no log before the settings are known")]
fn start(flags: Flags) -> anyhow::Result<ExitCode> {
    let settings = match flags.settle() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| settings.log.clone());
    let filter = match EnvFilter::try_new(&filter) {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("error: got log filter {filter:?}: {error}; expected for example `info` or `netprecursor=debug`");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if settings.log_json {
        log.json().init();
    } else {
        log.init();
    }
    run::run(settings)?;
    Ok(ExitCode::SUCCESS)
}
