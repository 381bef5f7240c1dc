//! `cargo xtask bench`: the costs, beside their limits and those of other projects.

mod criterion;
mod figures;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::{
    cargo::cargo,
    process::{self, Log, Output, Stop},
    python,
};

/// Measures and compares: time per RTT sample, tick and model row, memory of the agent
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Measure each thing for a shorter time: a few minutes in all, with more noise
    #[arg(long)]
    quick: bool,
}

/// A cold build of everything in release fits, and the measurement after it.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// One part of the bench: its results, or why there are none.
type Part = Result<Value, String>;

/// Runs every part; one that fails does not keep the others from running. The exit code says whether all of them ran.
///
/// # Errors
/// The results cannot be written.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let out = PathBuf::from("out/bench");
    let log = Log::create(out.join("bench.log"))?;
    let bench = Bench { out: &out, log: &log, stop: Stop::on_signals()?, quick: args.quick };
    let node = bench.part("node", Bench::node);
    let criterion = bench.part("criterion", Bench::criterion);
    let peers = bench.part("peers", Bench::peers);
    let figures = figures::of(node.as_ref().ok(), criterion.as_ref().ok(), peers.as_ref().ok());
    println!("\n{}", table::of(&figures));
    let parts = [("node", node), ("criterion", criterion), ("peers", peers)];
    let missing: Vec<String> =
        parts.iter().filter_map(|(name, part)| Some(format!("{name}: {}", part.as_ref().err()?))).collect();
    for reason in &missing {
        println!("not measured: {reason}");
    }
    let mut document = json!({ "machine": machine(), "quick": args.quick, "figures": figures, "missing": missing });
    for (name, part) in parts {
        document[name] = part.unwrap_or_default();
    }
    let path = out.join("results.json");
    fs::write(&path, serde_json::to_string_pretty(&document)? + "\n")
        .with_context(|| format!("writing {}", path.display()))?;
    println!("all results: {}", path.display());
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The machine and the versions that the figures depend on.
fn machine() -> Value {
    let first = |path: &str| fs::read_to_string(path).unwrap_or_default().lines().next().unwrap_or_default().to_owned();
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    json!({
        "kernel": first("/proc/sys/kernel/osrelease"),
        "cpu": model.map(|(_, name)| name),
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        // Shows other load at the end.
        "load": first("/proc/loadavg"),
    })
}

struct Bench<'a> {
    out: &'a Path,
    log: &'a Log,
    stop: Stop,
    quick: bool,
}

impl Bench<'_> {
    fn part(&self, name: &str, measure: impl FnOnce(&Self) -> anyhow::Result<Value>) -> Part {
        println!("measuring: {name}");
        measure(self).map_err(|error| format!("{error:#}; see {}", self.log.path().display()))
    }

    fn execute(&self, name: &str, command: &mut Command, output: &Output<'_>) -> anyhow::Result<()> {
        let end = process::run(name, command, output, self.log, LIMIT, &self.stop)?;
        match end.problem() {
            None => Ok(()),
            Some(problem) => anyhow::bail!("{name} failed: {problem}"),
        }
    }

    /// `cargo bench` of one bench target.
    fn cargo_bench(&self, package: &str, bench: &str) -> Command {
        let mut command = cargo(&["bench", "--package", package, "--bench", bench, "--"]);
        if self.quick {
            command.arg("--quick");
        }
        command
    }

    /// A JSON document that a program prints.
    fn document(&self, name: &str, command: &mut Command) -> anyhow::Result<Value> {
        let path = self.out.join(name).with_extension("json");
        self.execute(name, command, &Output::File(&path))?;
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("got no JSON in {}", path.display()))
    }

    /// The agent on the real kernel.
    fn node(&self) -> anyhow::Result<Value> {
        let results = self.document("node", &mut self.cargo_bench("netprecursor-agent", "node"))?;
        match results["skipped"].as_str() {
            Some(reason) => anyhow::bail!("skipped: {reason}"),
            None => Ok(results),
        }
    }

    /// Where the forest's model goes, for the peers.
    fn forest(&self) -> anyhow::Result<PathBuf> {
        Ok(self.out.canonicalize()?.join("forest.onnx"))
    }

    /// Features, forest and nets.
    fn criterion(&self) -> anyhow::Result<Value> {
        let home = self.out.canonicalize()?.join("criterion");
        // The results of an earlier run must not pass for this one's.
        if home.exists() {
            fs::remove_dir_all(&home).with_context(|| format!("removing {}", home.display()))?;
        }
        let (core, models) = ("netprecursor-core", "netprecursor-models");
        for (package, bench) in [(core, "features"), (models, "forest"), (models, "nets")] {
            let mut command = self.cargo_bench(package, bench);
            command.env("CRITERION_HOME", &home).env("NETPRECURSOR_BENCH_MODEL", self.forest()?);
            self.execute(bench, &mut command, &Output::Log)?;
        }
        Ok(serde_json::to_value(criterion::estimates(&home)?)?)
    }

    /// The same forest in onnxruntime and XGBoost.
    fn peers(&self) -> anyhow::Result<Value> {
        let python = python::provide("golden", Path::new("models/golden/requirements.txt"))
            .context("skipped: no Python with onnxruntime and XGBoost")?;
        let model = self.forest()?;
        anyhow::ensure!(model.exists(), "skipped: the forest's bench left no model at {}", model.display());
        self.document("peers", Command::new(python).arg("models/golden/bench_peers.py").arg(model))
    }
}
