//! iproute2 by batches on standard input: one process per namespace, not one per command.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::LabError;

/// Runs `program arguments… -batch -` with these lines.
pub(super) fn batch(program: &'static str, arguments: &[&str], lines: &[String]) -> Result<(), LabError> {
    let mut command = Command::new(program);
    command.args(arguments).args(["-batch", "-"]);
    run(program, command, &format!("{}: {}", arguments.join(" "), lines.join("; ")), &(lines.join("\n") + "\n"))
}

/// Runs one command.
pub(super) fn command(program: &'static str, line: &str) -> Result<(), LabError> {
    let mut command = Command::new(program);
    command.args(line.split_whitespace());
    run(program, command, line, "")
}

fn run(program: &'static str, mut command: Command, purpose: &str, input: &str) -> Result<(), LabError> {
    let started = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|_| LabError::MissingTool { tool: program, package: "iproute2" })?;
    let failed = |stderr: String| LabError::Command { command: format!("{program} {purpose}"), stderr };
    if let Some(mut stdin) = child.stdin.take() {
        // A command that ends before it has read everything says why on its error output.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
