//! Format, lints, direction of dependencies, documentation links, licenses.

use std::{env, path::Path, process::Command, time::Duration};

use super::{Counts, Finding, direction, form};
use crate::{
    cache::cache,
    cargo::cargo,
    process::{self, Log, Output, Stop},
};

/// Checks the whole workspace cold.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// A check by a program.
struct Check {
    name: &'static str,
    /// The program; cargo's own subcommands are run by the cargo that started xtask.
    program: &'static str,
    arguments: &'static [&'static str],
    /// How to install the program.
    remedy: &'static str,
}

/// It knows the version.
const DENY: &str = "run scripts/setup.sh";

/// Its database is fetched from the network and changes every day: the same commit would pass today and fail tomorrow.
const ADVISORIES: &str =
    "advisories not checked: their database is online; a workflow does it every day (cargo deny check advisories)";

const CHECKS: &[Check] = &[
    Check {
        name: "format",
        program: "cargo",
        arguments: &["fmt", "--all", "--check"],
        remedy: "rustup component add rustfmt",
    },
    Check {
        name: "format of the BPF programs",
        program: "cargo",
        arguments: &["fmt", "--manifest-path", "node-agent-ebpf/Cargo.toml", "--check"],
        remedy: "rustup component add rustfmt",
    },
    Check {
        name: "clippy",
        program: "cargo",
        arguments: &["clippy", "--workspace", "--all-targets", "--keep-going", "--", "-D", "warnings"],
        remedy: "rustup component add clippy",
    },
    Check {
        name: "documentation",
        program: "cargo",
        arguments: &["doc", "--workspace", "--no-deps", "--document-private-items"],
        remedy: "rustup component add rust-docs",
    },
    Check {
        name: "licenses and sources",
        program: "cargo",
        arguments: &["deny", "--locked", "check", "bans", "licenses", "sources"],
        remedy: DENY,
    },
    Check {
        name: "licenses and sources of the BPF programs",
        program: "cargo",
        arguments: &[
            "deny",
            "--locked",
            "--config",
            "deny.toml",
            "--manifest-path",
            "node-agent-ebpf/Cargo.toml",
            "check",
            "bans",
            "licenses",
            "sources",
        ],
        remedy: DENY,
    },
    Check {
        name: "scripts",
        program: "shellcheck",
        arguments: &[
            "scripts/setup.sh",
            ".ci/run",
            "e2e/kind/sandbox",
            "e2e/kind/images/collect",
            "e2e/kind/node/files/usr/local/bin/entrypoint",
        ],
        remedy: "apt-get install shellcheck",
    },
    Check {
        name: "runc wrapper",
        program: "go",
        arguments: &["-C", "e2e/kind/runc-wrapper", "test", "-count=1", "./..."],
        remedy: "install Go",
    },
    Check {
        name: "guest script",
        program: "shellcheck",
        arguments: &["--shell=dash", "e2e/vm/init"],
        remedy: "apt-get install shellcheck",
    },
];

impl Check {
    fn command(&self) -> Command {
        let mut command = if self.program == "cargo" { cargo_with_tools(&[]) } else { Command::new(self.program) };
        match self.arguments {
            // A crate that is not fetched yet may be fetched; afterwards the check works without network.
            ["deny", rest @ ..] if are_crates_fetched(rest) => command.args(["deny", "--offline"]).args(rest),
            all => command.args(all),
        };
        if self.name == "documentation" {
            // A crate's page may point at its own modules, which are documented here as well.
            command.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links");
        }
        command
    }

    fn is_installed(&self) -> bool {
        let mut probe = match (self.program, self.arguments) {
            // Not every subcommand knows --version.
            ("cargo", [subcommand, ..]) => cargo_with_tools(&[subcommand, "-h"]),
            ("go", _) => {
                let mut command = Command::new("go");
                command.arg("version");
                command
            }
            _ => {
                let mut command = Command::new(self.program);
                command.arg("--version");
                command
            }
        };
        probe.output().is_ok_and(|output| output.status.success())
    }
}

/// Whether cargo has all crates of a check's manifest, those for other systems included, which no build fetches.
fn are_crates_fetched(arguments: &[&str]) -> bool {
    let mut fetch = cargo(&["fetch", "--locked", "--offline"]);
    fetch.args(manifest(arguments));
    fetch.output().is_ok_and(|output| output.status.success())
}

/// The manifest that arguments name, as arguments.
fn manifest<'a>(arguments: &'a [&'a str]) -> &'a [&'a str] {
    let named = arguments.windows(2).find(|pair| matches!(pair, ["--manifest-path", _]));
    named.unwrap_or_default()
}

/// Cargo that also finds the subcommands that scripts/setup.sh has installed, before others: it has checked their versions.
fn cargo_with_tools(arguments: &[&str]) -> Command {
    let mut command = cargo(arguments);
    let tools = cache().map(|cache| cache.join("tools/bin")).ok();
    let path = env::var_os("PATH").unwrap_or_default();
    if let Ok(path) = env::join_paths(tools.into_iter().chain(env::split_paths(&path))) {
        command.env("PATH", path);
    }
    command
}

/// Runs every check; each counts as one.
///
/// # Errors
/// Cargo cannot be started.
pub(super) fn run(log: &Log, stop: &Stop) -> anyhow::Result<Finding> {
    let (mut counts, mut problems, mut notes) = (Counts::default(), Vec::new(), vec![ADVISORIES.to_owned()]);
    for (name, (looked_at, violations)) in [("direction", direction::check()?), ("form", form::check(Path::new("."))?)]
    {
        log.say(&format!("{name}: {looked_at} looked at, {} wrong", violations.len()))?;
        violations.iter().try_for_each(|violation| log.say(violation))?;
        match violations.as_slice() {
            [] => counts.passed += 1,
            [first, ..] => {
                counts.failed += 1;
                problems.push(format!("{name}: {first}"));
            }
        }
    }
    for check in CHECKS {
        if !check.is_installed() {
            counts.skipped += 1;
            notes.push(format!("{} skipped: not installed ({})", check.name, check.remedy));
            continue;
        }
        match process::run("lint", &mut check.command(), &Output::Log, log, LIMIT, stop)?.problem() {
            None => counts.passed += 1,
            Some(problem) => {
                counts.failed += 1;
                // Others write after it, so that it would not be at the log's end.
                println!("{}: {problem}\n{}", check.name, log.tail(40));
                problems.push(format!("{}: {problem}", check.name));
            }
        }
    }
    Ok(Finding::of(&problems, counts, notes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_itself_can_do_is_never_skipped() {
        let documentation = CHECKS.iter().find(|check| check.name == "documentation").unwrap();
        assert!(documentation.is_installed());
    }

    #[test]
    fn the_crates_looked_for_are_those_of_the_manifest_that_is_checked() {
        assert_eq!(
            manifest(&["--locked", "--manifest-path", "a/Cargo.toml", "check"]),
            ["--manifest-path", "a/Cargo.toml"]
        );
        assert!(manifest(&["--locked", "check", "bans"]).is_empty());
    }

    #[test]
    fn a_program_that_is_not_there_is_not_installed() {
        let check = |program, arguments| Check { name: "", program, arguments, remedy: "" };
        assert!(!check("cargo", &["no-such-subcommand"]).is_installed());
        assert!(!check("netprecursor-no-such-program", &["-x"]).is_installed());
    }
}
