//! Node's packages for the dashboard's page, in the cache, where checkouts with the same lock file share them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail};
use netprecursor_testbed::cache::keep_last;
use serde::Deserialize;

use crate::{
    cache::cache,
    digest::sha256,
    files,
    process::{self, Log, Output, Stop},
    vm::Missing,
};

/// What npm reads.
const DESCRIPTIONS: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];
/// About 90 MB come over the network.
const INSTALL_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Major and minor version.
type Version = (u64, u64);

/// The part of package.json that is read here.
#[derive(Deserialize)]
struct Package {
    engines: Engines,
}

#[derive(Deserialize)]
struct Engines {
    node: String,
}

/// What this machine lacks for the packages of `project`; `None` if nothing. The set-up script installs neither: Debian 12
/// has Node 18.
///
/// # Errors
/// The project's package.json does not say which Node it needs.
pub(crate) fn missing(project: &Path) -> anyhow::Result<Option<Missing>> {
    let wanted = wanted(&project.join("package.json"))?;
    let reason = lacking(version_of("node").as_deref(), version_of("npm").as_deref(), wanted);
    Ok(reason.map(|reason| Missing { reason, able: false }))
}

/// What `--version` prints; nothing of a program that is not there or does not work.
fn version_of(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Why packages for `wanted` can be neither installed nor run.
fn lacking(node: Option<&str>, npm: Option<&str>, wanted: Version) -> Option<String> {
    let (major, minor) = wanted;
    let found = match (node, npm) {
        (Some(node), Some(_)) if version(node.trim_start_matches('v')).is_some_and(|got| got >= wanted) => return None,
        (Some(node), Some(_)) => format!("got Node {node}"),
        (Some(_), None) => "npm is not installed".to_owned(),
        (None, _) => "Node is not installed".to_owned(),
    };
    Some(format!("{found}, expected Node {major}.{minor} or later with npm: Debian 13 has it, Debian 12 does not"))
}

/// The least version that package.json allows.
fn wanted(package: &Path) -> anyhow::Result<Version> {
    let text = fs::read_to_string(package).with_context(|| format!("reading {}", package.display()))?;
    let parsed: Package = serde_json::from_str(&text).with_context(|| format!("reading {}", package.display()))?;
    let node = parsed.engines.node;
    let least = node.strip_prefix(">=").and_then(version);
    least.with_context(|| format!("{}: got engines.node {node:?}, expected >=MAJOR.MINOR", package.display()))
}

/// The first two numbers of a version.
fn version(text: &str) -> Option<Version> {
    let mut numbers = text.trim().split('.').map(|number| number.parse::<u64>().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// The directory `node_modules` with what the lock file of `project` pins.
///
/// # Errors
/// A package cannot be had.
pub(crate) fn provide(project: &Path, log: &Log, stop: &Stop) -> anyhow::Result<PathBuf> {
    let store = cache()?.join("node");
    fs::create_dir_all(&store).with_context(|| format!("making {}", store.display()))?;
    let target = store.join(sha256(&project.join("package-lock.json"))?);
    // Another checkout may want the same packages now. The lock goes with the file.
    let lock = File::create(store.join("lock")).context("writing the lock of Node's packages")?;
    lock.lock().context("locking Node's packages")?;
    // With its name it is whole.
    if !target.is_dir() {
        install(project, &store, &target, log, stop)?;
        forget_others(&store, &target);
    }
    Ok(target.join("node_modules"))
}

fn install(project: &Path, store: &Path, target: &Path, log: &Log, stop: &Stop) -> anyhow::Result<()> {
    println!("installing the packages of {} ({})", project.display(), target.display());
    let staging = store.join("staging");
    // What a killed installation left.
    if staging.is_dir() {
        fs::remove_dir_all(&staging).with_context(|| format!("removing {}", staging.display()))?;
    }
    fs::create_dir(&staging).with_context(|| format!("making {}", staging.display()))?;
    DESCRIPTIONS.iter().try_for_each(|name| files::copy(&project.join(name), &staging.join(name)))?;
    let mut npm = Command::new("npm");
    // No package has anything to do at its installation.
    npm.args(["ci", "--ignore-scripts"]).current_dir(&staging);
    if let Some(problem) = process::run("npm", &mut npm, &Output::Log, log, INSTALL_LIMIT, stop)?.problem() {
        bail!(
            "npm ci: {problem}; expected the packages in {}/package-lock.json to be had; the log is {}",
            project.display(),
            log.path().display()
        );
    }
    fs::rename(&staging, target).with_context(|| format!("moving Node's packages to {}", target.display()))
}

/// Removes what other lock files pin, but the last.
fn forget_others(store: &Path, target: &Path) {
    let others = files::entries(store).unwrap_or_default();
    keep_last(others.into_iter().filter(|path| path != target && path.is_dir()));
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_is_missing_is_named_with_what_is_expected() {
        let lacking = |node, npm| lacking(node, npm, (20, 19));
        for enough in ["v20.19.0", "v20.20.2", "v22.1.0", "v100.0.0"] {
            assert_eq!(lacking(Some(enough), Some("9.2.0")), None, "{enough}");
        }
        for (node, npm, found) in [
            (Some("v18.20.4"), Some("9.2.0"), "got Node v18.20.4,"),
            (Some("v20.18.9"), Some("9.2.0"), "got Node v20.18.9,"),
            (Some("deno"), Some("9.2.0"), "got Node deno,"),
            (Some("v20.19.0"), None, "npm is not installed,"),
            (None, None, "Node is not installed,"),
        ] {
            let reason = lacking(node, npm).unwrap();
            assert!(reason.starts_with(found) && reason.contains("expected Node 20.19 or later"), "{reason}");
        }
    }

    #[test]
    fn the_dashboard_says_which_node_it_needs() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboard/package.json");
        assert!(wanted(&package).unwrap() >= (20, 0));
    }

    #[test]
    fn packages_of_the_last_other_lock_file_are_kept() {
        let store = tempfile::tempdir().unwrap();
        for (name, second) in [("a", 1), ("b", 3), ("c", 2), ("ours", 4)] {
            let path = store.path().join(name);
            fs::create_dir(&path).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            File::open(&path).unwrap().set_modified(time).unwrap();
        }
        fs::write(store.path().join("lock"), "").unwrap();
        forget_others(store.path(), &store.path().join("ours"));
        let mut left: Vec<_> = fs::read_dir(store.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["b", "lock", "ours"]);
    }
}
