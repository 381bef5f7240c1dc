//! The tiers that need programs built from Go modules: Prometheus, Alertmanager and a Collector, an API server, or a cluster.

use std::{env, path::Path, process::Command, time::Duration};

use netprecursor_testbed::{Module, Version, module};

use super::{Finding, suites};
use crate::{
    cargo::TestBinary,
    cluster::{self, Cluster, Work},
    image,
    process::{Log, Stop},
};

/// Prometheus takes seconds, Alertmanager some intervals of its route.
const OBSERVABILITY_LIMIT: Duration = Duration::from_secs(5 * 60);
/// A test binary of the API server starts it in several versions.
const API_LIMIT: Duration = Duration::from_secs(20 * 60);
/// All stories of one binary.
const KIND_LIMIT: Duration = Duration::from_secs(60 * 60);
/// The same with those that are kept for the night.
const NIGHTLY_LIMIT: Duration = Duration::from_secs(3 * 60 * 60);

/// Set to [`NIGHTLY`]: those stories too that take longer or disturb the whole cluster, which are `#[ignore]`d.
const STORIES: &str = "E2E_STORIES";
const NIGHTLY: &str = "nightly";

const NOTHING: &str = "the workspace has no such tests";

/// Tests on a real API server. Its programs are built before, so that no test's time limit has to allow for it.
///
/// # Errors
/// The programs do not build.
pub(super) fn api(tests: &[TestBinary], log: &Log, stop: &Stop) -> anyhow::Result<Finding> {
    let kubernetes = Version::ALL.map(Module::kubernetes);
    let modules: Vec<Module> = kubernetes.into_iter().chain([module::ETCD, module::TOOLS, module::HELM_3]).collect();
    with_programs("api", suites::Suite::Api, &modules, tests, API_LIMIT, log, stop)
}

/// Tests on a real Prometheus, Alertmanager and OpenTelemetry Collector, likewise.
///
/// # Errors
/// The programs do not build.
pub(super) fn observability(tests: &[TestBinary], log: &Log, stop: &Stop) -> anyhow::Result<Finding> {
    let modules = [module::PROMETHEUS, module::GRAFANA, module::ALERTMANAGER, module::OTELCOL];
    with_programs("observability", suites::Suite::Observability, &modules, tests, OBSERVABILITY_LIMIT, log, stop)
}

/// Runs `suite` once the programs of `modules` are built.
fn with_programs(
    tier: &str,
    suite: suites::Suite,
    modules: &[Module],
    tests: &[TestBinary],
    limit: Duration,
    log: &Log,
    stop: &Stop,
) -> anyhow::Result<Finding> {
    if !suites::has(suite, tests) {
        return Ok(Finding::skipped(NOTHING, false));
    }
    if let Err(error) = Command::new("go").arg("version").output() {
        return Ok(Finding::skipped(&format!("Go, of which programs are built, does not start: {error}"), false));
    }
    let work = Work { log: log.clone(), stop: stop.clone() };
    for module in modules {
        work.programs(*module)?;
    }
    suites::run(tier, suite, tests, limit, log, stop)
}

/// Stories on a cluster that is made for them, with images of this checkout, or on the one that `E2E_KUBECONFIG` names, whose
/// nodes have or can pull the images.
///
/// # Errors
/// The cluster does not come up.
pub(super) fn kind(tests: &[TestBinary], log: &Log, stop: &Stop) -> anyhow::Result<Finding> {
    if !suites::has(suites::Suite::Kind, tests) {
        return Ok(Finding::skipped(NOTHING, false));
    }
    let is_night = env::var_os(STORIES).is_some_and(|value| value == NIGHTLY);
    let limit = if is_night { NIGHTLY_LIMIT } else { KIND_LIMIT };
    let run = |command: &dyn Fn(&Path) -> Command| {
        suites::run_with("kind", suites::Suite::Kind, tests, limit, log, stop, command)
    };
    let stories = |mut command: Command| {
        command.args(is_night.then_some("--include-ignored"));
        command
    };
    if env::var_os("E2E_KUBECONFIG").is_some_and(|value| !value.is_empty()) {
        return run(&|program| stories(Command::new(program)));
    }
    if let Some(missing) = cluster::missing() {
        return Ok(Finding::skipped(&missing.reason, missing.able));
    }
    let work = Work { log: log.clone(), stop: stop.clone() };
    // Before the cluster, which would only wait.
    let images = image::archives(log, stop)?;
    let cluster = Cluster::for_this_process(&work)?;
    images.iter().try_for_each(|archive| cluster.load(archive))?;
    let found = run(&|program| stories(cluster.command(program)));
    let down = cluster.down();
    let found = found?;
    down.map(|()| found)
}
