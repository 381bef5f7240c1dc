//! The project's own chores: test tiers, benchmarks, generated files.

#![expect(clippy::print_stdout, reason = "it talks to whoever runs it")]

mod bench;
mod bless;
mod cache;
mod cargo;
mod chart;
mod chores;
mod cluster;
mod digest;
mod files;
mod image;
mod monitoring;
mod node;
mod process;
mod program;
mod python;
mod release;
mod test;
mod vm;

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's own chores")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, clap::Subcommand)]
enum Chore {
    Test(test::Args),
    Bench(bench::Args),
    Vm(vm::Args),
    /// Shows the main job on this machine (`netprecursor demo`)
    Demo(chores::DemoArgs),
    /// Shows what the README does on a cluster of three nodes
    KindDemo,
    /// Makes training data (`netprecursor dataset`)
    Dataset(chores::Args),
    /// Trains the model and writes its report
    Train(chores::Args),
    /// Makes the golden models again
    Golden(chores::Args),
    Bless(bless::Args),
    Images(image::Args),
    Release(release::Args),
    Cluster(cluster::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    let chore = Cli::parse().chore;
    // Paths of chores are relative to the checkout, wherever it is started.
    let checkout = env::var_os("CARGO_MANIFEST_DIR").map(|own| PathBuf::from(own).join(".."));
    let checkout = checkout.context("got no CARGO_MANIFEST_DIR; expected to be started by cargo: cargo xtask …")?;
    env::set_current_dir(&checkout).with_context(|| format!("entering {}", checkout.display()))?;
    match chore {
        Chore::Test(args) => test::run(&args),
        Chore::Bench(args) => bench::run(&args),
        Chore::Vm(args) => vm::main(&args),
        Chore::Demo(args) => chores::demo(&args),
        Chore::KindDemo => chores::kind_demo(),
        Chore::Dataset(args) => chores::dataset(&args),
        Chore::Train(args) => chores::train(&args),
        Chore::Golden(args) => chores::golden(&args),
        Chore::Bless(args) => bless::run(&args),
        Chore::Images(args) => image::run(&args),
        Chore::Release(args) => release::run(&args),
        Chore::Cluster(args) => cluster::run(&args),
    }
}
