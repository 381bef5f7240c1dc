//! Which test binary belongs to which tier, and running them.

use std::{path::Path, process::Command, time::Duration};

use super::{
    Counts, Finding,
    report::{excuses, failures},
};
use crate::{
    cargo::{Kind, TestBinary, cargo},
    process::{self, Log, Output, Stop},
};

/// Test binaries that need the same of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suite {
    /// All that is in no other suite.
    Unit,
    /// `tests/` of the crates that talk to the kernel.
    Kernel,
    /// Golden models.
    Models,
    /// Rules, dashboards and receivers on the real things: the test of the e2e crate named `observability`.
    Observability,
    /// Tests with an API server: `tests/` of the e2e crate, and tests named `api` of others.
    Api,
    /// Stories on a cluster: tests of the e2e crate named `stories` or `story_…`.
    Kind,
}

/// Crates whose integration tests make namespaces and load BPF programs.
const ON_THE_KERNEL: &[&str] = &["netprecursor-agent", "netprecursor-lab"];

impl Suite {
    /// The suite of a test binary.
    fn of(test: &TestBinary) -> Self {
        match (test.kind, test.package.as_str(), test.name.as_str()) {
            (Kind::Integration, "netprecursor-e2e", name) if name == "stories" || name.starts_with("story_") => {
                Self::Kind
            }
            (Kind::Integration, "netprecursor-e2e", "observability") => Self::Observability,
            (Kind::Integration, "netprecursor-e2e", _) => Self::Api,
            (Kind::Integration, _, name) if name == "api" || name.starts_with("api_") => Self::Api,
            (Kind::Integration, package, _) if ON_THE_KERNEL.contains(&package) => Self::Kernel,
            (Kind::Integration, "netprecursor-models", _) => Self::Models,
            _ => Self::Unit,
        }
    }

    /// Arguments for libtest. What a passing test prints is shown: it may say that it skipped itself.
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Unit | Self::Models | Self::Observability | Self::Api => &["--show-output"],
            // They share one kernel or one cluster, and measure times.
            Self::Kernel | Self::Kind => &["--show-output", "--test-threads=1"],
        }
    }
}

/// Runs the binaries of `suite`, each within `limit`.
///
/// # Errors
/// One cannot be started.
pub(super) fn run(
    tier: &str,
    suite: Suite,
    tests: &[TestBinary],
    limit: Duration,
    log: &Log,
    stop: &Stop,
) -> anyhow::Result<Finding> {
    run_with(tier, suite, tests, limit, log, stop, &|program| Command::new(program))
}

/// As [`run`]; `command` makes the command of a program.
///
/// # Errors
/// As [`run`].
pub(super) fn run_with(
    tier: &str,
    suite: Suite,
    tests: &[TestBinary],
    limit: Duration,
    log: &Log,
    stop: &Stop,
    command: &dyn Fn(&Path) -> Command,
) -> anyhow::Result<Finding> {
    let (mut counts, mut problems, mut excuses, mut binaries) = (Counts::default(), Vec::new(), Vec::new(), 0);
    let mut failures = Vec::new();
    for test in tests.iter().filter(|test| Suite::of(test) == suite) {
        binaries += 1;
        let mut command = command(&test.executable);
        command.args(suite.arguments()).current_dir(&test.directory).env("CARGO_MANIFEST_DIR", &test.directory);
        let ran = one(tier, &mut command, limit, log, stop)?;
        counts.add(ran.counts);
        problems.extend(ran.problem.map(|problem| format!("{} {}: {problem}", test.package, test.name)));
        excuses.extend(ran.excuses);
        failures.extend(ran.failures);
    }
    excuses.sort();
    excuses.dedup();
    match (binaries, excuses.first()) {
        (0, _) => Ok(Finding::skipped("the workspace has no such tests", false)),
        // The set-up script installs what a test lacks.
        (_, Some(excuse)) if problems.is_empty() && counts.passed == 0 => {
            Ok(Finding { counts, ..Finding::skipped(excuse, true) })
        }
        _ => {
            let notes = excuses.iter().map(|excuse| format!("skipped: {excuse}")).collect();
            Ok(Finding { failures, ..Finding::of(&problems, counts, notes) })
        }
    }
}

/// Whether there is anything to run of `suite`.
pub(super) fn has(suite: Suite, tests: &[TestBinary]) -> bool {
    tests.iter().any(|test| Suite::of(test) == suite)
}

/// Runs the examples in the documentation and adds them to `finding`.
///
/// # Errors
/// Cargo cannot be started.
pub(super) fn doc_tests(finding: &mut Finding, log: &Log, stop: &Stop) -> anyhow::Result<()> {
    let ran = one("unit", &mut cargo(&["test", "--workspace", "--doc"]), Duration::from_secs(15 * 60), log, stop)?;
    finding.counts.add(ran.counts);
    finding.failures.extend(ran.failures);
    if let (Some(problem), super::Outcome::Ran) = (ran.problem, &finding.outcome) {
        finding.outcome = super::Outcome::Failed { reason: format!("examples in the documentation: {problem}") };
    }
    Ok(())
}

struct Ran {
    counts: Counts,
    excuses: Vec<String>,
    failures: Vec<String>,
    problem: Option<String>,
}

fn one(tier: &str, command: &mut Command, limit: Duration, log: &Log, stop: &Stop) -> anyhow::Result<Ran> {
    let before = log.length();
    let end = process::run(tier, command, &Output::Log, log, limit, stop)?;
    let output = log.since(before)?;
    let mut counts = Counts::in_output(&output);
    let problem = end.problem();
    // A crash leaves no summary, and still is a failure.
    if problem.is_some() {
        counts.failed = counts.failed.max(1);
    }
    Ok(Ran { counts, excuses: excuses(&output), failures: failures(&output), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(package: &str, name: &str, kind: Kind) -> Suite {
        let (directory, executable) = (Default::default(), Default::default());
        Suite::of(&TestBinary { package: package.to_owned(), name: name.to_owned(), kind, directory, executable })
    }

    #[test]
    fn what_needs_the_kernel_is_apart_from_what_needs_nothing() {
        assert_eq!(suite("netprecursor-agent", "sensors", Kind::Integration), Suite::Kernel);
        assert_eq!(suite("netprecursor-agent", "netprecursor_agent", Kind::Unit), Suite::Unit);
        assert_eq!(suite("netprecursor-crds", "policies", Kind::Integration), Suite::Unit);
        assert_eq!(suite("netprecursor-models", "golden", Kind::Integration), Suite::Models);
    }

    #[test]
    fn what_needs_a_cluster_is_apart_from_what_needs_an_api_server() {
        assert_eq!(suite("netprecursor-e2e", "observability", Kind::Integration), Suite::Observability);
        assert_eq!(suite("netprecursor-e2e", "chart", Kind::Integration), Suite::Api);
        assert_eq!(suite("netprecursor-operator", "api", Kind::Integration), Suite::Api);
        assert_eq!(suite("netprecursor-e2e", "stories", Kind::Integration), Suite::Kind);
        assert_eq!(suite("netprecursor-e2e", "netprecursor_e2e", Kind::Unit), Suite::Unit);
    }
}
