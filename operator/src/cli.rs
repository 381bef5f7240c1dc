//! The operator's command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{
    Args, Parser, Subcommand,
    builder::{OsStringValueParser, TypedValueParser as _},
};
use netprecursor_settings::{log, path::path};

use crate::{config::Settings, retire, run};

#[derive(Debug, Parser)]
#[command(
    name = "netprecursor-operator",
    version,
    about = "Warns of network trouble before it happens: the cluster's part"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reconcile agents, models, policy status and alerts with the policies
    Run(Flags),
    /// End the agents and mark what an uninstallation keeps as no longer watched; the chart's hook runs it
    Retire(Flags),
}

#[derive(Debug, Args)]
struct Flags {
    /// The configuration file, as rendered by the chart
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/netprecursor/operator.yaml",
        value_parser = OsStringValueParser::new().try_map(path)
    )]
    config: PathBuf,
    /// Log as JSON, one object per line
    #[arg(long)]
    log_json: bool,
}

/// Exit code for wrong usage or configuration, as clap uses it.
const USAGE: u8 = 2;

/// Does what the arguments say.
pub fn main() -> ExitCode {
    let (Flags { config, log_json }, work): (_, fn(Settings) -> anyhow::Result<()>) = match Cli::parse().command {
        Command::Run(flags) => (flags, run::run),
        Command::Retire(flags) => (flags, |settings| retire::run(&settings)),
    };
    let settings = match Settings::read(&config) {
        Ok(settings) => settings,
        Err(error) => {
            log::fatal(&error.to_string());
            return ExitCode::from(USAGE);
        }
    };
    log::start(&settings.log, log_json);
    match work(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::fatal(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
