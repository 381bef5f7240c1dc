//! Chores that build the programs and hand over to one of them: demo, dataset, training, golden models.

use std::{
    env,
    ffi::OsString,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, bail};
use netprecursor_testbed::module;

use crate::{
    cargo::{self, Built},
    cluster::{self, Cluster, Work},
    image,
    process::{Log, Stop},
    python,
};

/// What `cargo xtask demo` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Also a real Prometheus, Alertmanager and OpenTelemetry Collector, built from their Go modules once
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    program: Args,
}

/// Arguments of the program.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Arguments of the program; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    rest: Vec<String>,
}

const DATASET: &str = "out/dataset";
const ARTIFACTS: &str = "models/artifacts";
const CHART_FILES: &str = "charts/netprecursor/files";

/// `cargo xtask demo`: the main job on this machine, in the terminal and in a browser.
///
/// # Errors
/// The programs do not build or start.
pub(crate) fn demo(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    // First: where there is no Go, this says so before anything is built.
    let beside = if args.full { beside()? } else { Vec::new() };
    let built = build(&["netprecursor", "netprecursor-agent"])?;
    let mut command = Command::new(built.program("netprecursor")?);
    become_program(command.arg("demo").args(beside).args(&args.program.rest))
}

/// The programs beside the demonstration, from the cache or built now, as it takes them.
fn beside() -> anyhow::Result<Vec<OsString>> {
    let programs = [
        ("--prometheus", module::PROMETHEUS, "prometheus"),
        ("--alertmanager", module::ALERTMANAGER, "alertmanager"),
        ("--collector", module::OTELCOL, "otelcol"),
    ];
    let mut arguments: Vec<OsString> = ["--chart-files", CHART_FILES].map(OsString::from).into();
    for (flag, module, name) in programs {
        arguments.extend([OsString::from(flag), module.provide()?.program(name)?.into_os_string()]);
    }
    Ok(arguments)
}

/// `cargo xtask kind-demo`: what the README does on a cluster of three nodes, which goes afterwards.
///
/// # Errors
/// Something is missing for a cluster, or it does not come up.
pub(crate) fn kind_demo() -> anyhow::Result<ExitCode> {
    if let Some(missing) = cluster::missing() {
        bail!("{}", missing.reason);
    }
    let built = build(&["kind-demo"])?;
    let work = Work { log: Log::create(PathBuf::from("out/kind-demo.log"))?, stop: Stop::on_signals()? };
    let images = image::archives(&work.log, &work.stop)?;
    println!("a cluster of three nodes (the first one on a machine takes minutes)");
    let cluster = Cluster::for_this_process(&work)?;
    images.iter().try_for_each(|archive| cluster.load(archive))?;
    let shown = cluster.command(built.program("kind-demo")?).status().context("starting the demonstration");
    cluster.down()?;
    Ok(if shown?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `cargo xtask dataset`: training data from the lab, into `out/dataset` when no `--out` is given.
///
/// # Errors
/// As [`demo`].
pub(crate) fn dataset(args: &Args) -> anyhow::Result<ExitCode> {
    let built = build(&["netprecursor", "netprecursor-agent"])?;
    let mut command = Command::new(built.program("netprecursor")?);
    command.arg("dataset");
    if !args.rest.iter().any(|word| word == "--out" || word.starts_with("--out=")) {
        command.args(["--out", DATASET]);
    }
    become_program(command.args(&args.rest))
}

/// `cargo xtask train`: the model of the release and its report, from `out/dataset` when no `--data` is given.
///
/// # Errors
/// There is no dataset, or as [`demo`].
pub(crate) fn train(args: &Args) -> anyhow::Result<ExitCode> {
    let mut words = args.rest.clone();
    let has =
        |words: &[String], flag: &str| words.iter().any(|word| word == flag || word.starts_with(&format!("{flag}=")));
    if !has(&words, "--data") {
        if !Path::new(DATASET).is_dir() {
            bail!("got no {DATASET}; expected a dataset: run make dataset, or give one: make train ARGS='--data DIR'");
        }
        words.extend(["--data".to_owned(), DATASET.to_owned()]);
    }
    if !has(&words, "--out") {
        words.extend(["--out".to_owned(), ARTIFACTS.to_owned()]);
    }
    let built = build(&["netprecursor", "netprecursor-agent"])?;
    let python = python::provide("training", Path::new("models/training/requirements.txt"))?;
    // Hours depend on it: the check that detects a leak has to work.
    let tested = Command::new(&python).args(["-m", "unittest", "discover", "-s", "models/training"]).status();
    if !tested.with_context(|| format!("starting {}", python.display()))?.success() {
        bail!("the tests of models/training fail; nothing was trained");
    }
    let command = |built: &Built, part: &[&str]| -> anyhow::Result<Command> {
        let mut command = Command::new(&python);
        command.arg("models/training/train.py").args(&words).args(part).arg("--netprecursor");
        command.arg(built.program("netprecursor")?);
        Ok(command)
    };
    const PARTS: [&str; 2] = ["--model-only", "--adaptive-only"];
    if PARTS.iter().any(|part| has(&words, part)) {
        return become_program(&mut command(&built, &[])?);
    }
    let [model, adaptive] = PARTS;
    if !command(&built, &[model])?.status().context("starting models/training/train.py")?.success() {
        bail!("the model was not trained");
    }
    // What learns in place rests on the model and on the offsets of the rules of thumb, and both are compiled in.
    let built = build(&["netprecursor", "netprecursor-agent"])?;
    become_program(&mut command(&built, &[adaptive])?)
}

/// `cargo xtask golden`: makes the golden models and their vectors again.
///
/// # Errors
/// Python's packages cannot be had.
pub(crate) fn golden(args: &Args) -> anyhow::Result<ExitCode> {
    let python = python::provide("golden", Path::new("models/golden/requirements.txt"))?;
    become_program(Command::new(python).arg("models/golden/make_golden.py").args(&args.rest))
}

/// Builds these programs and nothing else, with the features that they have in the whole workspace: who tries the project
/// out does not wait for its tests.
fn build(programs: &[&str]) -> anyhow::Result<Built> {
    println!("building (a cold build takes minutes)");
    let log = Log::create(PathBuf::from("out/build.log"))?;
    let mut selection = vec!["--workspace"];
    selection.extend(programs.iter().flat_map(|program| ["--bin", program]));
    let built = cargo::build(&selection, &log, &Stop::on_signals()?);
    built.inspect_err(|_| println!("{}", log.tail(40)))
}

/// Replaces xtask by the program: the terminal and its signals are the program's.
fn become_program(command: &mut Command) -> anyhow::Result<ExitCode> {
    // Variables that cargo set for xtask do not apply to the program.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO") {
            command.env_remove(name);
        }
    }
    let error = command.exec();
    Err(error).with_context(|| format!("starting {}", command.get_program().display()))
}
