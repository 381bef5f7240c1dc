//! Commands as a user runs them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod backtest;
mod import;
mod model;

use std::{
    path::Path,
    process::{Command, Output},
};

const POLICY: &str = "
apiVersion: netprecursor.io/v1alpha1
kind: PrecursorPolicy
metadata: {name: test}
spec:
  target: {podSelector: {}}
  rules:
  - {name: rtt, signal: RttForecast, rttForecast: {threshold: 100ms}, holdFor: 2s, minConfidencePercent: 20}
";

fn netprecursor(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netprecursor"));
    command.current_dir(directory).env("RUST_BACKTRACE", "0").args(arguments).output().unwrap()
}

/// Standard output of a command that has to succeed.
fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
