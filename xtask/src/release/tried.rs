//! Programs that were built, tried: each starts. Those for another architecture do so by an emulator of its processor
//! (qemu-user), by which the agent's unit tests run as well. BPF programs and namespaces stay untried there, because system
//! calls are this machine's kernel's.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, anyhow, bail};

use crate::{
    process::{self, Log, Output, Stop},
    program::{Platform, Program, Source, Toolchain, binary},
};

/// Builds the agent's tests, and runs them several times slower than the processor would.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// What was tried, in words. A release with a tag (`is_tagged`) is not made of what could not be tried.
///
/// # Errors
/// A program does not start, a test fails, or nothing could be tried for a tag.
pub(super) fn check(
    toolchain: &Toolchain,
    source: &Source,
    is_tagged: bool,
    log: &Log,
    stop: &Stop,
) -> anyhow::Result<String> {
    let platform = toolchain.platform();
    if platform == Platform::host()? {
        start(platform, None, source)?;
        return Ok("each program starts".to_owned());
    }
    let emulator = platform.emulator();
    if Command::new(emulator).arg("--version").output().is_err() {
        return untried(emulator, is_tagged);
    }
    start(platform, Some(emulator), source)?;
    let passed = unit_tests(toolchain, log, stop)?;
    Ok(format!("under {emulator} each program starts, and {passed} unit tests of the agent pass"))
}

/// What a missing emulator means.
fn untried(emulator: &str, is_tagged: bool) -> anyhow::Result<String> {
    let reason =
        format!("NOT TRIED: got no {emulator}, expected Debian's qemu-user-static: run scripts/setup.sh release");
    if is_tagged { Err(anyhow!(reason)) } else { Ok(reason) }
}

/// Asks each program for its version.
fn start(platform: Platform, emulator: Option<&str>, source: &Source) -> anyhow::Result<()> {
    for program in Program::ALL {
        let file = binary::of(program, platform)?;
        let mut command = match emulator {
            None => Command::new(&file),
            Some(emulator) => {
                let mut command = Command::new(emulator);
                command.arg(&file);
                command
            }
        };
        let output = command.arg("--version").output().with_context(|| format!("starting {}", file.display()))?;
        let (got, expected) =
            (String::from_utf8_lossy(&output.stdout).into_owned(), format!("{} {}", program.name(), source.version));
        if got.trim() != expected {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("{} --version: got {:?} {}, expected {expected}", file.display(), got.trim(), errors.trim());
        }
    }
    Ok(())
}

/// Runs the agent's unit tests by the emulator; returns how many passed.
fn unit_tests(toolchain: &Toolchain, log: &Log, stop: &Stop) -> anyhow::Result<u64> {
    let (platform, emulator) = (toolchain.platform(), toolchain.platform().emulator());
    let mut tests = binary::cargo(toolchain, "test")?;
    tests.args(["--package", Program::Agent.package(), "--lib"]).env(platform.cargo_variable("RUNNER"), emulator);
    let before = log.length();
    let end = process::run("emulated tests", &mut tests, &Output::Log, log, LIMIT, stop)?;
    let output = log.since(before)?;
    if let Some(problem) = end.problem() {
        bail!("the agent's unit tests under {emulator}: {problem}; their output is in {}", log.path().display());
    }
    passed(&output).ok_or_else(|| anyhow!("got no result of the agent's unit tests, expected one"))
}

/// How many tests passed, by the last line of a test program.
fn passed(output: &str) -> Option<u64> {
    let result = output.lines().rev().find_map(|line| line.strip_prefix("test result: ok. "))?;
    result.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_may_leave_a_platform_untried_and_a_tag_may_not() {
        assert!(untried("qemu-x", false).unwrap().starts_with("NOT TRIED: got no qemu-x"));
        assert!(untried("qemu-x", true).unwrap_err().to_string().contains("setup.sh release"));
    }

    #[test]
    fn the_number_of_tests_comes_from_the_result_alone() {
        assert_eq!(passed("test a ... ok\n\ntest result: ok. 321 passed; 0 failed; 2 ignored\n\n"), Some(321));
        assert_eq!(passed("test result: FAILED. 3 passed; 1 failed\n"), None);
    }
}
