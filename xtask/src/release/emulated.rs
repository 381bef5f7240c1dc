//! Programs for another architecture, tried by an emulator of its processor (qemu-user): each starts, and the agent's unit
//! tests pass. BPF programs and namespaces stay untried, because system calls are this machine's kernel's.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, anyhow, bail};

use crate::{
    process::{self, Log, Output, Stop},
    program::{Program, Source, Toolchain, binary},
};

/// Builds the agent's tests, and runs them several times slower than the processor would.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// What was tried, in words.
///
/// # Errors
/// A program does not start, or a test fails.
pub(super) fn check(toolchain: &Toolchain, source: &Source, log: &Log, stop: &Stop) -> anyhow::Result<String> {
    let platform = toolchain.platform();
    let emulator = platform.emulator();
    if Command::new(emulator).arg("--version").output().is_err() {
        return Ok(format!(
            "NOT TRIED: got no {emulator}, expected Debian's qemu-user-static: run scripts/setup.sh release"
        ));
    }
    for program in [Program::Agent, Program::Operator, Program::Cli] {
        let file = binary::of(program, platform)?;
        let output = Command::new(emulator).arg(&file).arg("--version").output().context("starting the emulator")?;
        let (got, expected) =
            (String::from_utf8_lossy(&output.stdout).into_owned(), format!("{} {}", program.name(), source.version));
        if got.trim() != expected {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("{emulator} {}: got {:?} {}, expected {expected}", file.display(), got.trim(), errors.trim());
        }
    }
    let mut tests = binary::cargo(toolchain, "test", source)?;
    let runner = format!("CARGO_TARGET_{}_RUNNER", platform.triple().replace('-', "_").to_uppercase());
    tests.args(["--package", Program::Agent.package(), "--lib"]).env(runner, emulator);
    let before = log.length();
    let end = process::run("emulated tests", &mut tests, &Output::Log, log, LIMIT, stop)?;
    let output = log.since(before)?;
    if let Some(problem) = end.problem() {
        bail!("the agent's unit tests under {emulator}: {problem}; their output is in {}", log.path().display());
    }
    let passed = passed(&output).ok_or_else(|| anyhow!("got no result of the agent's unit tests, expected one"))?;
    Ok(format!("under {emulator} each program starts, and {passed} unit tests of the agent pass"))
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
    fn the_number_of_tests_comes_from_the_result_alone() {
        assert_eq!(passed("test a ... ok\n\ntest result: ok. 321 passed; 0 failed; 2 ignored\n\n"), Some(321));
        assert_eq!(passed("test result: FAILED. 3 passed; 1 failed\n"), None);
    }
}
