//! `cargo xtask test`: the tiers in order, a log for each, a table at the end.

mod clusters;
mod dashboard;
mod direction;
mod form;
mod lint;
mod report;
mod rest;
mod suites;

use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
pub(crate) use report::Counts;
use report::{Outcome, Report, Row};

use crate::{
    cargo::{self, Built},
    process::{Log, Stop},
    vm,
};

/// Runs the test tiers and says what became of each
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these tiers; repeatable
    #[arg(long = "tier", value_name = "TIER")]
    tiers: Vec<Tier>,
}

/// Tests that need the same of a machine, cheapest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Tier {
    /// Format, lints, direction of dependencies, licenses
    Lint,
    /// What needs nothing but a compiler
    Unit,
    /// Namespaces, real sockets, BPF: needs root
    Kernel,
    /// Golden models against onnxruntime's outputs
    Models,
    /// The dashboard: tests and build of its page, and a browser before it; needs Node
    Dashboard,
    /// A thousand requests for each route of the REST API, drawn from its OpenAPI document: needs root and Python
    Rest,
    /// Rules and dashboards on a real Prometheus, alerts in a real Alertmanager
    Observability,
    /// A real API server, oldest and newest supported version
    Api,
    /// Stories on a cluster of three nodes by kind
    Kind,
    /// The agent on Debian 12's kernel in a virtual machine
    Vm,
}

impl Tier {
    const ALL: [Self; 10] = [
        Self::Lint,
        Self::Unit,
        Self::Kernel,
        Self::Models,
        Self::Dashboard,
        Self::Rest,
        Self::Observability,
        Self::Api,
        Self::Kind,
        Self::Vm,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Lint => "lint",
            Self::Unit => "unit",
            Self::Kernel => "kernel",
            Self::Models => "models",
            Self::Dashboard => "dashboard",
            Self::Rest => "rest",
            Self::Observability => "observability",
            Self::Api => "api",
            Self::Kind => "kind",
            Self::Vm => "vm",
        }
    }

    /// Whether it needs the workspace to be built.
    const fn needs_build(self) -> bool {
        !matches!(self, Self::Lint)
    }
}

/// The findings of a tier.
struct Finding {
    outcome: Outcome,
    counts: Counts,
    notes: Vec<String>,
    failures: Vec<String>,
}

impl Finding {
    fn skipped(reason: &str, able: bool) -> Self {
        let outcome = Outcome::Skipped { reason: reason.to_owned(), able };
        Self { outcome, counts: Counts::default(), notes: Vec::new(), failures: Vec::new() }
    }

    fn failed(error: &anyhow::Error) -> Self {
        let outcome = Outcome::Failed { reason: format!("{error:#}") };
        let counts = Counts { failed: 1, ..Counts::default() };
        Self { outcome, counts, notes: Vec::new(), failures: Vec::new() }
    }

    /// Failed with the first of `problems`, ran without any.
    fn of(problems: &[String], counts: Counts, notes: Vec<String>) -> Self {
        let outcome = match problems {
            [] => Outcome::Ran,
            [one] => Outcome::Failed { reason: one.clone() },
            [first, more @ ..] => Outcome::Failed { reason: format!("{first} (and {} more)", more.len()) },
        };
        // A failure without counted checks counts as one.
        let failed = if problems.is_empty() { counts.failed } else { counts.failed.max(1) };
        Self { outcome, counts: Counts { failed, ..counts }, notes, failures: Vec::new() }
    }
}

/// Runs the selected tiers. The exit code says whether all passed.
///
/// # Errors
/// Logs or the table cannot be written.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let out = PathBuf::from("out/test");
    let stop = Stop::on_signals()?;
    let is_ci = env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1");
    let selected = |tier: &Tier| args.tiers.is_empty() || args.tiers.contains(tier);
    let mut rows = Vec::new();
    let mut built: Option<Built> = None;
    for tier in Tier::ALL.into_iter().filter(selected) {
        if stop.is_set() {
            break;
        }
        if tier.needs_build() && built.is_none() {
            let log = Log::create(out.join("build.log"))?;
            rows.push(timed("build", &log, || match cargo::build_all(&log, &stop) {
                Ok(done) => {
                    built = Some(done);
                    Ok(Finding::of(&[], Counts::default(), Vec::new()))
                }
                Err(error) => Err(error),
            }));
            if built.is_none() {
                break;
            }
        }
        let log = Log::create(out.join(tier.name()).with_extension("log"))?;
        rows.push(timed(tier.name(), &log, || find(tier, built.as_ref(), &log, &stop)));
    }
    let report = Report::new(rows, is_ci);
    let path = out.join("tiers.json");
    fs::write(&path, serde_json::to_string_pretty(&report)? + "\n")
        .with_context(|| format!("writing {}", path.display()))?;
    println!("\n{}", report.table());
    Ok(if report.is_ok() && !stop.is_set() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn timed(name: &'static str, log: &Log, find: impl FnOnce() -> anyhow::Result<Finding>) -> Row {
    println!("{name}: log in {}", log.path().display());
    let begun = Instant::now();
    let Finding { outcome, counts, notes, failures } = find().unwrap_or_else(|error| Finding::failed(&error));
    let seconds = begun.elapsed().as_secs_f64();
    let result = match &outcome {
        Outcome::Ran => format!("ran, {} passed", counts.passed),
        Outcome::Skipped { reason, .. } => format!("skipped: {reason}"),
        Outcome::Failed { reason } => format!("FAILED: {reason}\n{}", log.tail(40)),
    };
    println!("{name}: {result} ({seconds:.1} s)");
    Row { name, outcome, seconds, counts, notes, failures }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

const NOT_ROOT: &str = "not root: network namespaces and BPF programs need it";

fn find(tier: Tier, built: Option<&Built>, log: &Log, stop: &Stop) -> anyhow::Result<Finding> {
    let tests = |suite, limit| match built {
        Some(built) => suites::run(tier.name(), suite, &built.tests, limit, log, stop),
        None => Ok(Finding::skipped("nothing was built", true)),
    };
    match tier {
        Tier::Lint => lint::run(log, stop),
        Tier::Unit => {
            let mut finding = tests(suites::Suite::Unit, Duration::from_secs(15 * 60))?;
            suites::doc_tests(&mut finding, log, stop)?;
            Ok(finding)
        }
        Tier::Kernel if !is_root() => Ok(Finding::skipped(NOT_ROOT, false)),
        Tier::Kernel => tests(suites::Suite::Kernel, Duration::from_secs(15 * 60)),
        Tier::Models => tests(suites::Suite::Models, Duration::from_secs(5 * 60)),
        Tier::Dashboard => dashboard::run(built, log, stop),
        Tier::Rest if !is_root() => Ok(Finding::skipped(NOT_ROOT, false)),
        Tier::Rest => rest::run(built, log, stop),
        Tier::Observability => clusters::observability(built.map_or(&[], |built| &built.tests), log, stop),
        Tier::Api => clusters::api(built.map_or(&[], |built| &built.tests), log, stop),
        Tier::Kind => clusters::kind(built.map_or(&[], |built| &built.tests), log, stop),
        Tier::Vm => in_a_machine(built, log, stop),
    }
}

fn in_a_machine(built: Option<&Built>, log: &Log, stop: &Stop) -> anyhow::Result<Finding> {
    let Some(built) = built else { return Ok(Finding::skipped("nothing was built", true)) };
    if let Some(missing) = vm::missing() {
        return Ok(Finding::skipped(&missing.reason, missing.able));
    }
    let verdict = vm::run(built.program("netprecursor-agent")?, log, stop)?;
    let problems: Vec<String> = verdict.checks.iter().filter_map(|check| check.result.clone().err()).collect();
    let failed = problems.len() as u64;
    let counts = Counts { passed: verdict.checks.len() as u64 - failed, failed, skipped: 0 };
    Ok(Finding::of(&problems, counts, vec![verdict.summary]))
}
