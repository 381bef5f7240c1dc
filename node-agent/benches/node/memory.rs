//! Memory of a running agent that watches a full node.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::Context;
use serde::Serialize;

use super::hosts::Host;

const TARGETS: usize = 110;

/// What the kernel says of the process.
#[derive(Debug, Serialize)]
pub(crate) struct Footprint {
    targets: usize,
    /// How long it had been running.
    after_seconds: u64,
    rss_mib: f64,
    peak_mib: f64,
    /// Of the resident memory, what is the process's own (not the binary, not maps shared with the kernel).
    anonymous_mib: f64,
    threads: u32,
}

/// The process, killed when the measurement is over.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the agent with a policy over 110 namespaces and reads its memory after `settle`.
pub(crate) fn measure(settle: Duration) -> anyhow::Result<Footprint> {
    let _hosts: Vec<Host> = (0..TARGETS).map(|_| Host::new()).collect();
    let directory = tempfile::tempdir()?;
    let policy = directory.path().join("policy.yaml");
    writeln!(
        fs::File::create(&policy)?,
        "apiVersion: netprecursor.io/v1alpha1\nkind: PrecursorPolicy\nmetadata: {{name: bench}}\n\
         spec: {{target: {{podSelector: {{}}}}, rules: [{{name: rtt, signal: RttForecast, \
         rttForecast: {{threshold: 200ms}}}}]}}"
    )?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let target = format!("netns:npt{}-*", std::process::id());
    let child = Command::new(env!("CARGO_BIN_EXE_netprecursor-agent"))
        .args(["run", "--target", &target, "--listen", &address, "--log", "error", "--policy"])
        .arg(&policy)
        .arg("--state-dir")
        .arg(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let agent = Agent(child);
    // What is measured is a process some time after its start.
    thread::sleep(settle);
    let status = fs::read_to_string(format!("/proc/{}/status", agent.0.id())).context("the agent is gone")?;
    let field = |name: &str| -> anyhow::Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        number.with_context(|| format!("no {name} in /proc/PID/status: did the agent end?"))
    };
    Ok(Footprint {
        targets: TARGETS,
        after_seconds: settle.as_secs(),
        rss_mib: field("VmRSS")? / 1024.0,
        peak_mib: field("VmHWM")? / 1024.0,
        anonymous_mib: field("RssAnon")? / 1024.0,
        threads: field("Threads")? as u32,
    })
}
