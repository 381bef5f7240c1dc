//! The operator's command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{
    Parser, Subcommand,
    builder::{OsStringValueParser, TypedValueParser as _},
};
use netprecursor_settings::{log, path::path};

use crate::{config::Settings, run};

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
    Run {
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
    },
}

/// Exit code for wrong usage or configuration, as clap uses it.
const USAGE: u8 = 2;

/// Does what the arguments say.
pub fn main() -> ExitCode {
    let Command::Run { config, log_json } = Cli::parse().command;
    let settings = match Settings::read(&config) {
        Ok(settings) => settings,
        Err(error) => {
            log::fatal(&error.to_string());
            return ExitCode::from(USAGE);
        }
    };
    log::start(&settings.log, log_json);
    match run::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::fatal(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
