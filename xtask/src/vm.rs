//! The agent on an older kernel: Debian 12's, in a virtual machine without hardware support (QEMU's TCG), from an
//! initramfs that holds the agent, iproute2, iperf3 and `e2e/vm/init`. Nothing of the machine's own is touched.

mod console;
mod initramfs;
mod kernel;
mod verdict;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context as _, bail};
use console::Console;
pub(crate) use initramfs::libraries;
pub(crate) use verdict::Verdict;

use crate::{
    cache::cache,
    cargo,
    process::{self, Log, Output, Stop, program},
};

/// Booting takes 3 s on an idle machine and 100 s on two cores that are overloaded twentyfold.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Boots the virtual machine and judges what the agent says in it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The agent's program; built when absent
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
}

/// Why the machine cannot be booted here.
pub(crate) struct Missing {
    /// What is missing.
    pub(crate) reason: String,
    /// Whether the set-up script could provide it.
    pub(crate) able: bool,
}

/// Programs that the host side or the guest needs.
const TOOLS: &[&str] =
    &["qemu-system-x86_64", "busybox", "ip", "tc", "iperf3", "depmod", "dpkg-deb", "apt-get", "ldd", "strip"];

/// What this machine lacks for [`run`]; `None` if nothing.
pub(crate) fn missing() -> Option<Missing> {
    if env::consts::ARCH != "x86_64" {
        let reason = format!("the kernel's package is for x86_64, this machine is {}", env::consts::ARCH);
        return Some(Missing { reason, able: false });
    }
    let absent: Vec<&str> = TOOLS.iter().copied().filter(|tool| program(tool).is_none()).collect();
    if absent.is_empty() {
        return None;
    }
    let reason = format!("not installed: {}; scripts/setup.sh installs them on Debian 12", absent.join(", "));
    Some(Missing { reason, able: program("apt-get").is_some() })
}

/// Boots, lets the agent watch real traffic, and judges its answers.
///
/// # Errors
/// The machine could not be built, booted, or understood.
pub(crate) fn run(agent: &Path, log: &Log, stop: &Stop) -> anyhow::Result<Verdict> {
    let kernel = kernel::provide(&cache()?.join("vm"), log, stop)?;
    let directory = tempfile::tempdir().context("making a temporary directory")?;
    let initramfs = directory.path().join("initramfs.cpio");
    initramfs::build(agent, &kernel, &initramfs, log, stop)?;
    let before = log.length();
    let mut machine = Command::new("qemu-system-x86_64");
    machine
        .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024", "-nodefaults", "-no-reboot"])
        .args(["-display", "none", "-serial", "stdio", "-kernel"])
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(&initramfs)
        // A panic ends the machine at once.
        .args(["-append", "console=ttyS0 quiet loglevel=3 panic=-1 rdinit=/init"]);
    let end = process::run("vm", &mut machine, &Output::Log, log, LIMIT, stop)?;
    if let Some(problem) = end.problem() {
        bail!("the virtual machine: {problem}; its console is in {}", log.path().display());
    }
    let console = Console::read(&log.since(before)?)
        .with_context(|| format!("reading the console in {}", log.path().display()))?;
    verdict::judge(&console)
}

/// `cargo xtask vm`: the tier alone, with every check on the terminal.
///
/// # Errors
/// As [`run`].
pub(crate) fn main(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(missing) = missing() {
        bail!("{}", missing.reason);
    }
    let (out, stop) = (PathBuf::from("out/test"), Stop::on_signals()?);
    let agent = match &args.agent {
        Some(agent) => agent.clone(),
        None => {
            let log = Log::create(out.join("build.log"))?;
            let built = cargo::build(&["--package", "netprecursor-agent", "--bins"], &log, &stop)?;
            built.program("netprecursor-agent")?.to_path_buf()
        }
    };
    let verdict = run(&agent, &Log::create(out.join("vm.log"))?, &stop)?;
    println!("{}", verdict.summary);
    for check in &verdict.checks {
        match &check.result {
            Ok(()) => println!("ok      {}", check.name),
            Err(problem) => println!("FAILED  {problem}"),
        }
    }
    Ok(if verdict.checks.iter().all(|check| check.result.is_ok()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
