//! The agent's command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use netprecursor_settings::log;

use crate::{
    config::{Flags, Given},
    doctor, run,
};

#[derive(Debug, Parser)]
#[command(
    name = "netprecursor-agent",
    version,
    about = "Warns of network trouble before it happens: the agent of a node"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch targets, forecast and alert
    Run(Box<Flags>),
    /// Check this machine and each sensor; exit code 1 if a required sensor is unavailable
    Doctor {
        /// Output as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        given: Given,
    },
}

/// Runs the command.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(flags) => start(*flags),
        Command::Doctor { json, given } => examine(json, given),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            log::fatal(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Exit code for wrong usage or configuration, as clap uses it.
const USAGE: u8 = 2;

fn start(flags: Flags) -> anyhow::Result<ExitCode> {
    let settings = match flags.settle() {
        Ok(settings) => settings,
        Err(error) => {
            log::fatal(&error.to_string());
            return Ok(ExitCode::from(USAGE));
        }
    };
    log::start(&settings.log, settings.log_json);
    run::run(settings)?;
    Ok(ExitCode::SUCCESS)
}

fn examine(json: bool, given: Given) -> anyhow::Result<ExitCode> {
    let (targets, policies) = match given.settle() {
        Ok(given) => given,
        Err(error) => {
            log::fatal(&error.to_string());
            return Ok(ExitCode::from(USAGE));
        }
    };
    let ready = doctor::run(json, &targets, &policies)?;
    Ok(ExitCode::from(u8::from(!ready)))
}
