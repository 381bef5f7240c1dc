//! wrk and iperf3 of the distribution.

use std::{fs, path::Path, process::Command};

use crate::{
    LabError,
    topology::{Address, Namespace, Running},
};

/// Port of the first iperf3 receiver; each takes one transfer at a time.
pub(crate) const BULK_PORT: u16 = 5201;

/// A day, the longest that iperf3 takes; a lab ends before.
const FOREVER_S: &str = "86400";

/// Refuses a machine that lacks a program that a lab may need.
pub(crate) fn check_installed(path: Option<&std::ffi::OsStr>) -> Result<(), LabError> {
    for (tool, package) in
        [("ip", "iproute2"), ("tc", "iproute2"), ("nginx", "nginx-light"), ("wrk", "wrk"), ("iperf3", "iperf3")]
    {
        let found = path.is_some_and(|path| std::env::split_paths(path).any(|folder| folder.join(tool).is_file()));
        if !found {
            return Err(LabError::MissingTool { tool, package });
        }
    }
    Ok(())
}

/// iperf3 gives up after two minutes without data, which a fault may cause: never within a lab.
const NO_TIMEOUT_MS: &str = "86400000";

/// Closed-loop requests to one server: `think_ms` is a mean, drawn uniformly between zero and twice that.
pub(crate) fn start_wrk(
    scratch: &Path,
    client: &Namespace,
    server: Address,
    load: &crate::scenario::Wrk<f64>,
) -> Result<Running, LabError> {
    let script = scratch.join("think.lua");
    let think = format!("function delay() return math.random(0, {}) end\n", (2.0 * load.think_ms) as u64);
    fs::write(&script, think).map_err(LabError::file(&script))?;
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c", &format!("{}", load.connections), "-d", FOREVER_S, "--timeout", "60", "-s"]);
    command.arg(&script).args(["-H", &range_header(load.response_bytes as u64)]);
    command.arg(format!("http://{}/blob", in_url(server)));
    Running::start("wrk", "wrk", command, client, &scratch.join(format!("wrk-{server}.log")), None)
}

/// Starts the receiver of a bulk transfer: an iperf3 server at the client's side.
pub(crate) fn start_bulk_receiver(scratch: &Path, client: &Namespace, port: u16) -> Result<Running, LabError> {
    let mut command = Command::new("iperf3");
    command.args(["-s", "-p", &port.to_string(), "--rcv-timeout", NO_TIMEOUT_MS]);
    Running::start("iperf3", "iperf3", command, client, &scratch.join(format!("iperf3-receiver-{port}.log")), None)
}

/// How fast a bulk transfer goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// As fast as it can.
    Greedy,
    /// This many bits per second over all flows, whatever happened before.
    Kernel(f64),
    /// This many on average since it began: after a stall it catches up.
    Application(f64),
}

impl Pace {
    fn arguments(self, flows: u32) -> Vec<String> {
        let each = |rate: f64| format!("{:.0}", rate / f64::from(flows));
        match self {
            Self::Greedy => Vec::new(),
            // iperf3's own pacing (-b) sends blocks of 128 kB at once by default. That of the kernel
            // only works where the sender is iperf3's client (not with -R).
            Self::Kernel(rate) => vec!["--fq-rate".into(), each(rate)],
            Self::Application(rate) => {
                // Small writes leave no gaps. Buffers of a fixed size: those that grow take in a whole stall after the first.
                let fixed = ["-l", "4K", "--pacing-timer", "5000", "-w", "128K"].map(str::to_owned);
                ["-b".into(), each(rate)].into_iter().chain(fixed).collect()
            }
        }
    }
}

/// Bulk transfer from a server to the first client.
pub(crate) fn start_bulk_sender(
    scratch: &Path,
    server: &Namespace,
    client: Address,
    port: u16,
    flows: u32,
    pace: Pace,
) -> Result<Running, LabError> {
    let mut command = Command::new("iperf3");
    command.args(["-c", &client.to_string(), "-p", &port.to_string(), "-t", FOREVER_S, "-i", "0", "-P"]);
    command.arg(flows.to_string()).args(pace.arguments(flows));
    Running::start("iperf3", "iperf3", command, server, &scratch.join(format!("iperf3-sender-{port}.log")), None)
}

fn in_url(address: Address) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

/// Asks for this much of the served file.
pub(super) fn range_header(bytes: u64) -> String {
    format!("Range: bytes=0-{}", bytes.max(1) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        let folder = tempfile::tempdir().unwrap();
        for tool in ["ip", "tc", "nginx"] {
            fs::write(folder.path().join(tool), "").unwrap();
        }
        let message = check_installed(Some(folder.path().as_os_str())).unwrap_err().to_string();
        assert!(message.contains("'wrk'") && message.contains("apt-get install wrk"), "{message}");
    }
}
