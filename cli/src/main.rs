//! netprecursor for humans: demo, dashboard, history, lab, dataset, record, import, replay, model, kubectl plugin.

mod agent_api;
mod arguments;
mod attribution;
mod backtest;
mod child;
mod dashboard;
mod dataset;
mod demo;
mod extract;
mod history;
mod import;
mod kubectl;
mod lab;
mod learn;
mod model;
mod quantity;
mod record;
mod recording;
mod replay;
mod seen;
mod stream;
mod terminal;

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
    /// What an ONNX model is, and what it forecasts
    Model(model::Args),
    Record(record::Args),
    Dashboard(dashboard::Args),
    Dataset(dataset::Args),
    Demo(demo::Args),
    Import(import::Args),
    Extract(extract::Args),
    History(history::Args),
    Backtest(backtest::Args),
    Attribution(attribution::Args),
    Learn(learn::Args),
    Kubectl(kubectl::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if kubectl::is_plugin(std::env::args_os().next().as_deref()) {
        return kubectl::run(&kubectl::Plugin::parse().args);
    }
    if arguments.next().as_deref() == Some(netprecursor_models::child::ARGUMENT) {
        return Ok(netprecursor_models::child::main(arguments));
    }
    match Arguments::parse().command {
        Command::Lab(args) => lab::run(args),
        Command::Model(args) => model::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Dashboard(args) => dashboard::run(&args),
        Command::Dataset(args) => dataset::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Extract(args) => extract::run(&args),
        Command::History(args) => history::run(&args),
        Command::Backtest(args) => backtest::run(&args),
        Command::Attribution(args) => attribution::run(&args),
        Command::Learn(args) => learn::run(&args),
        Command::Kubectl(args) => kubectl::run(&args),
    }
}
