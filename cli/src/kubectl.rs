//! `kubectl netprecursor`, also available as `netprecursor kubectl`: policies, alerts and agents of a cluster, for people.
//!
//! Data flows in one direction: [`connect`] reads what kubectl reads and asks the API server; each command makes a report
//! of the objects that came, a pure function ([`status`], [`explain`], [`doctor`], [`install_check`]); the report is
//! printed as JSON, or as text by [`table`] and [`chart`]. [`dashboard`] serves a page of it instead, as long as it runs.

mod chart;
mod connect;
mod dashboard;
mod doctor;
mod explain;
mod forward;
mod install_check;
mod installed;
mod moment;
mod status;
mod style;
mod table;

use std::{ffi::OsStr, path::Path, process::ExitCode};

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;

use crate::terminal;
use connect::{Cluster, Flags};
use style::Style;

/// kubectl finds a plugin by the name of its file.
const PLUGIN: &str = "kubectl-netprecursor";

/// Show policies, alerts and agents of a cluster, like `kubectl netprecursor`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    flags: Flags,
    /// Output as text or as JSON
    #[arg(short, long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
}

/// Show netprecursor's policies, alerts and agents in a cluster
#[derive(Debug, clap::Parser)]
#[command(name = PLUGIN, bin_name = "kubectl netprecursor", version)]
pub(crate) struct Plugin {
    #[command(flatten)]
    pub(crate) args: Args,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show policies, firing alerts and agents on one screen, problems first
    Status {
        /// Show all namespaces
        #[arg(short = 'A', long, conflicts_with = "namespace")]
        all_namespaces: bool,
    },
    /// Show why an alert fired, its outcome, and the RTT around it
    Explain {
        /// Name of the PrecursorAlert
        alert: String,
    },
    /// Check the agent of each node; exit code 1 if something is wrong
    Doctor,
    /// Check that the cluster can run netprecursor and that the installation works; exit code 1 if not
    InstallCheck,
    /// Show targets, alerts, policies and nodes of the cluster in a browser: live, and an hour back
    Dashboard(dashboard::Args),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Whether the program was called as the plugin.
pub(crate) fn is_plugin(program: Option<&OsStr>) -> bool {
    program.map(Path::new).and_then(Path::file_name).is_some_and(|name| name == PLUGIN)
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(answer(args))
}

async fn answer(args: &Args) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.flags).await?;
    let (now, style) = (Timestamp::now(), Style::of_stdout());
    let (output, is_well) = match &args.command {
        Command::Status { all_namespaces } => {
            let report = status::report(&status::ask(&cluster, *all_namespaces).await?, now);
            (rendered(args.output, &report, || status::text(&report, style, now))?, true)
        }
        Command::Explain { alert } => {
            let report = explain::report(&explain::ask(&cluster, alert, now).await?);
            (rendered(args.output, &report, || explain::text(&report, style, now))?, true)
        }
        Command::Doctor => {
            let report = doctor::report(&doctor::ask(&cluster).await?, now);
            (rendered(args.output, &report, || doctor::text(&report, style))?, report.is_well)
        }
        Command::InstallCheck => {
            let report = install_check::report(&install_check::ask(&cluster).await?, now);
            (rendered(args.output, &report, || install_check::text(&report, style))?, report.is_well)
        }
        Command::Dashboard(of) => {
            dashboard::run(cluster, args.flags.namespace.is_some(), of).await?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    terminal::print(&output)?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn rendered(output: Output, report: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<String> {
    match output {
        Output::Text => Ok(text()),
        Output::Json => Ok(serde_json::to_string_pretty(report).context("cannot write the report as JSON")? + "\n"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn the_file_name_makes_the_plugin_wherever_the_file_is() {
        for (program, is) in [
            ("kubectl-netprecursor", true),
            ("/usr/local/bin/kubectl-netprecursor", true),
            ("./netprecursor", false),
            ("kubectl-netprecursor/netprecursor", false),
        ] {
            assert_eq!(is_plugin(Some(OsStr::new(program))), is, "{program}");
        }
        assert!(!is_plugin(None));
    }

    #[test]
    fn flags_stand_before_and_behind_the_command() {
        for line in [
            ["kubectl-netprecursor", "-n", "shop", "explain", "checkout-1", "-o", "json"],
            [
                "kubectl-netprecursor",
                "explain",
                "checkout-1",
                "-ojson",
                "--namespace",
                "shop",
                "--install-namespace=net",
            ],
        ] {
            let Plugin { args } = Plugin::try_parse_from(line).unwrap();
            assert_eq!((args.flags.namespace.as_deref(), args.output), (Some("shop"), Output::Json));
        }
        assert!(Plugin::try_parse_from(["kubectl-netprecursor", "status", "-A", "-n", "shop"]).is_err());
        let dashboard = ["kubectl-netprecursor", "dashboard", "--listen", "127.0.0.1:0", "-n", "shop"];
        assert!(matches!(Plugin::try_parse_from(dashboard).unwrap().args.command, Command::Dashboard(_)));
    }
}
