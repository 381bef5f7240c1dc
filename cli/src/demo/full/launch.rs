//! How each of the three is started: its configuration is written beside its data, in a directory that begins empty.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use netprecursor_settings::Listen;

use super::{Addresses, collector::files, config, program::Program};

/// What Prometheus keeps of a demonstration that goes on forever.
const RETENTION: [&str; 2] = ["--storage.tsdb.retention.time=1d", "--storage.tsdb.retention.size=256MB"];

/// A directory with nothing in it, so that only this run counts.
pub(super) fn emptied(directory: &Path) -> anyhow::Result<PathBuf> {
    let failed = || {
        format!("cannot empty {}; expected a directory that may be written: give another --out", directory.display())
    };
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).with_context(failed),
        _ => {}
    }
    fs::create_dir_all(directory).with_context(failed)?;
    fs::canonicalize(directory).with_context(failed)
}

/// Writes a program's configuration.
fn configured(directory: &Path, file: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = directory.join(file);
    crate::demo::write(&path, text)?;
    Ok(path)
}

/// Prometheus, which scrapes `agent` and evaluates `rules`.
pub(super) fn prometheus(
    program: &Path,
    addresses: Addresses,
    agent: &Listen,
    rules: &Path,
    directory: &Path,
) -> anyhow::Result<Program> {
    let text = config::prometheus(&agent.to_string(), addresses.alertmanager, rules);
    let path = configured(directory, "prometheus.yml", &text)?;
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", path.display()));
    command.arg(format!("--storage.tsdb.path={}", directory.join("prometheus").display()));
    command.arg(format!("--web.listen-address={}", addresses.prometheus)).args(RETENTION);
    Ok(Program::start("prometheus", &mut command, directory)?)
}

/// Alertmanager, which notifies `on_call`.
pub(super) fn alertmanager(
    program: &Path,
    addresses: Addresses,
    on_call: &str,
    directory: &Path,
) -> anyhow::Result<Program> {
    let path = configured(directory, "alertmanager.yml", &config::alertmanager(on_call))?;
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", path.display()));
    command.arg(format!("--storage.path={}", directory.join("alertmanager").display()));
    command.arg(format!("--web.listen-address={}", addresses.alertmanager));
    // It has no replica.
    command.arg("--cluster.listen-address=");
    Ok(Program::start("alertmanager", &mut command, directory)?)
}

/// The Collector, which writes into files of `directory`.
pub(super) fn collector(program: &Path, addresses: Addresses, directory: &Path) -> anyhow::Result<Program> {
    let text = config::collector(addresses.collector_grpc, addresses.collector_http, &files(directory));
    let path = configured(directory, "collector.yaml", &text)?;
    let mut command = Command::new(program);
    command.arg(format!("--config={}", path.display()));
    Ok(Program::start("collector", &mut command, directory)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_run_left_does_not_count() {
        let out = tempfile::tempdir().unwrap();
        let directory = emptied(&out.path().join("monitoring")).unwrap();
        fs::write(directory.join("logs.json"), "{}").unwrap();
        assert_eq!(fs::read_dir(emptied(&directory).unwrap()).unwrap().count(), 0);
    }
}
