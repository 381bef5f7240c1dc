//! Runs one episode: builds the lab, plays the scenario, writes the labels and removes the lab.

mod episode;
mod extras;
mod setup;
mod timeline;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use nix::unistd::{Uid, geteuid};
use setup::Episode;

use crate::{
    LabError,
    labels::Labels,
    load,
    scenario::{Resolved, Scenario},
    topology::ownership,
};

/// What the lab is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Making namespaces, links and servers.
    Build,
    /// Measuring the idle path. All namespaces exist.
    Idle,
    /// Load without a fault.
    Calm,
    /// A fault is on: its position in the resolved scenario, and its kind.
    Fault(usize, &'static str),
    /// Removing everything.
    Teardown,
}

/// Progress of an episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// What the lab is doing.
    pub stage: Stage,
    /// Seconds since the load began, and seconds in all.
    pub seconds: [f64; 2],
    /// Part of the namespaces' names: the targets are `npl<lab>-web*`.
    pub lab: String,
}

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The labels, as written to `labels.json`.
    pub labels: Labels,
    /// `labels.json`, `observer.csv` and `scenario.yaml` (resolved) are here.
    pub directory: PathBuf,
}

/// Runs a scenario and writes the labels and an observer's measurements into `out`.
///
/// `stop` ends it early (labels are written, `complete` is false). `progress` is called about ten times a second. Call it
/// from a thread that lives until it returns. Whatever the outcome, the lab is removed.
///
/// # Errors
/// See [`LabError`].
pub fn run(
    scenario: &Scenario,
    seed: u64,
    out: &Path,
    stop: &AtomicBool,
    mut progress: impl FnMut(Phase),
) -> Result<Outcome, LabError> {
    let resolved = scenario.resolve(seed)?;
    require_root(geteuid())?;
    load::check_installed(std::env::var_os("PATH").as_deref())?;
    ownership::sweep()?;
    fs::create_dir_all(out).map_err(LabError::file(out))?;
    write(&out.join("scenario.yaml"), resolved_text(&resolved)?.as_bytes())?;

    let total = resolved.seconds();
    progress(Phase { stage: Stage::Build, seconds: [0.0, total], lab: String::new() });
    let mut episode = Episode::build(&resolved, seed)?;
    let lab = episode.network.record().id.clone();
    let mut report = |stage, now: f64| progress(Phase { stage, seconds: [now.min(total), total], lab: lab.clone() });

    report(Stage::Idle, 0.0);
    let observer_error = episode.measure_idle(out, stop)?;
    let labels = episode.play(out, observer_error, stop, &mut report)?;
    report(Stage::Teardown, total);
    episode.network.remove()?;
    let text = serde_json::to_vec_pretty(&labels).map_err(|error| LabError::file(out)(error.into()))?;
    write(&out.join("labels.json"), &text)?;
    Ok(Outcome { labels, directory: out.into() })
}

fn require_root(uid: Uid) -> Result<(), LabError> {
    if uid.is_root() { Ok(()) } else { Err(LabError::Unprivileged { uid: uid.as_raw() }) }
}

fn resolved_text(resolved: &Resolved) -> Result<String, LabError> {
    serde_saphyr::to_string(resolved)
        .map_err(|error| LabError::Malformed { path: resolved.name.clone(), message: error.to_string() })
}

fn write(path: &Path, text: &[u8]) -> Result<(), LabError> {
    fs::write(path, text).map_err(LabError::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_privileges_is_advised_to_become_root() {
        let message = require_root(Uid::from_raw(1000)).unwrap_err().to_string();
        assert!(message.contains("uid 1000") && message.contains("sudo"), "{message}");
        assert!(require_root(Uid::from_raw(0)).is_ok());
    }
}
