//! The operator's command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

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
    /// Keep agents, models, policy status and alerts as policies want them
    Run {
        /// The settings, as the chart renders them
        #[arg(long, value_name = "FILE", default_value = "/etc/netprecursor/operator.yaml")]
        config: PathBuf,
        /// Log as JSON, one object per line
        #[arg(long)]
        log_json: bool,
    },
}

/// Exit code for what the operator was told wrongly, as clap uses it.
const USAGE: u8 = 2;

/// Does what the arguments say.
pub fn main() -> ExitCode {
    let Command::Run { config, log_json } = Cli::parse().command;
    match settle(&config, log_json) {
        Err(message) => {
            complain(&message);
            ExitCode::from(USAGE)
        }
        Ok(settings) => match run::run(settings) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!("{error:#}");
                ExitCode::FAILURE
            }
        },
    }
}

fn settle(config: &std::path::Path, log_json: bool) -> Result<Settings, String> {
    let settings = Settings::read(config).map_err(|error| error.to_string())?;
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| settings.config.log_level.clone());
    let filter = EnvFilter::try_new(&filter).map_err(|error| {
        format!("got log filter {filter:?}: {error}; expected for example `info` or `kube=debug,info`")
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr);
    if log_json {
        log.json().init();
    } else {
        log.init();
    }
    Ok(settings)
}

#[expect(clippy::print_stderr, reason = "there is no log before the settings are known")]
fn complain(message: &str) {
    eprintln!("error: {message}");
}
