//! Format, lints, direction of dependencies, documentation links, licenses.

use std::{process::Command, time::Duration};

use super::{Counts, Finding, direction};
use crate::{
    cargo::cargo,
    process::{self, Log, Output, Stop},
};

/// Checks the whole workspace cold.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// A check by one of cargo's commands.
struct Check {
    name: &'static str,
    arguments: &'static [&'static str],
    /// The cargo subcommand that must be installed, and what brings it.
    needs: Option<(&'static str, &'static str)>,
}

const CHECKS: [Check; 4] = [
    Check {
        name: "format",
        arguments: &["fmt", "--all", "--check"],
        needs: Some(("fmt", "rustup component add rustfmt")),
    },
    Check {
        name: "clippy",
        arguments: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        needs: Some(("clippy", "rustup component add clippy")),
    },
    Check { name: "documentation", arguments: &["doc", "--workspace", "--no-deps"], needs: None },
    Check { name: "licenses", arguments: &["deny", "check"], needs: Some(("deny", "cargo install cargo-deny")) },
];

/// Runs every check; each counts as one.
///
/// # Errors
/// Cargo cannot be started.
pub(super) fn run(log: &Log, stop: &Stop) -> anyhow::Result<Finding> {
    let (mut counts, mut problems, mut notes) = (Counts::default(), Vec::new(), Vec::new());
    let (edges, violations) = direction::check()?;
    log.say(&format!("direction: {edges} edges, {} wrong", violations.len()))?;
    violations.iter().try_for_each(|violation| log.say(violation))?;
    match violations.as_slice() {
        [] => counts.passed += 1,
        [first, ..] => {
            counts.failed += 1;
            problems.push(format!("direction: {first}"));
        }
    }
    for check in &CHECKS {
        if let Some((subcommand, remedy)) = check.needs
            && !is_installed(subcommand)
        {
            counts.skipped += 1;
            notes.push(format!("{} skipped: no cargo {subcommand} ({remedy})", check.name));
            continue;
        }
        let mut command = cargo(check.arguments);
        if check.name == "documentation" {
            command.env("RUSTDOCFLAGS", "-D warnings");
        }
        match process::run("lint", &mut command, &Output::Log, log, LIMIT, stop)?.problem() {
            None => counts.passed += 1,
            Some(problem) => {
                counts.failed += 1;
                problems.push(format!("{}: {problem}", check.name));
            }
        }
    }
    Ok(Finding::of(&problems, counts, notes))
}

fn is_installed(subcommand: &str) -> bool {
    let mut command: Command = cargo(&[subcommand, "--version"]);
    command.output().is_ok_and(|output| output.status.success())
}
