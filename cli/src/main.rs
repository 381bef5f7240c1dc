//! netprecursor for humans: demo, lab, dataset, record, replay, model.

mod lab;

use std::process::ExitCode;

use clap::Parser as _;

/// Warns of a service's network trouble before it happens.
#[derive(Debug, clap::Parser)]
#[command(name = "netprecursor", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Reproducible network faults in namespaces, with ground-truth labels
    Lab(lab::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Lab(args) => lab::run(args),
    }
}
