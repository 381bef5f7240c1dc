//! A Docker daemon of our own inside namespaces of its own: mounts, network, processes. The machine's firewall, mounts and
//! Docker stay as they are; one kill ends all of it, and the kernel clears up.

use std::{
    fs, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use netprecursor_child::{Prepare as _, Process};
use netprecursor_testbed::{module, tail};
use serde_json::json;

use crate::{
    cluster::{
        commands::{Work, output},
        instance::{addresses, host_end},
    },
    process::program,
};

/// Ready in a second on an idle machine.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// Processes that wait for a disk end late.
const END_LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Programs of the machine that it needs, with the Debian package of each.
pub(in crate::cluster) const NEEDS: &[(&str, &str)] = &[
    ("dockerd", "docker.io"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
];

/// The directory of a sandbox, and the name of its control groups.
#[derive(Debug, Clone)]
pub(in crate::cluster) struct Place {
    /// Socket, configuration, logs; the daemon's data in `docker/`.
    pub(in crate::cluster) directory: PathBuf,
    /// Directory under each control group hierarchy.
    pub(in crate::cluster) group: String,
}

impl Place {
    /// Docker's socket, as `DOCKER_HOST` wants it.
    pub(in crate::cluster) fn host(&self) -> String {
        format!("unix://{}", self.directory.join("docker.sock").display())
    }

    /// Where the daemon keeps images and containers.
    pub(in crate::cluster) fn data(&self) -> PathBuf {
        self.directory.join("docker")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("dockerd.log")
    }

    /// Starts the daemon and waits until it answers. The process that is given back holds all of it, and ends with this
    /// process when `with_us`.
    ///
    /// # Errors
    /// It ended or does not answer: the error shows the end of its log.
    pub(in crate::cluster) fn start(&self, work: &Work, with_us: bool) -> anyhow::Result<Process> {
        let wrapper = work.programs(module::RUNC_WRAPPER)?.program("runc-wrapper")?;
        fs::create_dir_all(self.data()).with_context(|| format!("making {}", self.data().display()))?;
        let configuration = self.directory.join("daemon.json");
        let settings = json!({
            "runtimes": {"wrapped": {"path": wrapper}},
            "default-runtime": "wrapped",
            "storage-driver": "overlay2",
            // Inside the sandbox's own network: they cannot clash with the machine's.
            "bip": "172.29.0.1/24",
            "default-address-pools": [{"base": "172.30.0.0/16", "size": 24}],
            "cgroup-parent": format!("/{}", self.group),
            "deprecated-key-path": self.directory.join("key.json"),
        });
        fs::write(&configuration, settings.to_string()).context("writing dockerd's configuration")?;
        let log = fs::File::create(self.log()).with_context(|| format!("writing {}", self.log().display()))?;
        let mut command = Command::new("unshare");
        if with_us {
            command.kill_with_this_thread();
        }
        command
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"])
            .args(["--propagation", "private", "--"])
            .arg(Path::new(module::DIRECTORY).join("sandbox"))
            .arg(&self.directory)
            .arg(format!("--config-file={}", configuration.display()))
            .arg(format!("--host={}", self.host()))
            .arg(format!("--data-root={}", self.data().display()))
            .arg(format!("--exec-root={}", self.directory.join("exec").display()))
            .arg(format!("--pidfile={}", self.directory.join("dockerd.pid").display()))
            // Lower is refused without CAP_SYS_RESOURCE.
            .arg("--oom-score-adjust=0")
            .env("PATH", administrators_path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // It outlives the verb that starts it, and Ctrl-C is not meant for it.
            .process_group(0);
        let child = command.spawn().context("starting unshare; expected util-linux")?;
        let holder = Process::of(child.id()).context("the sandbox ended at once")?;
        // Ends the daemon even when nothing waits for it any more.
        match self.ready(holder, work) {
            Ok(()) => Ok(holder),
            Err(error) => {
                self.end(Some(holder))?;
                Err(error)
            }
        }
    }

    fn ready(&self, holder: Process, work: &Work) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let answer =
                output(docker()?.args(["version", "--format", "{{.Server.Version}}"]).env("DOCKER_HOST", self.host()));
            let Err(error) = answer else { return Ok(()) };
            if !holder.alive() {
                bail!("dockerd ended; expected it to run; its log is {}\n{}", self.log().display(), tail(&self.log()));
            }
            if begun.elapsed() > READY_LIMIT {
                let waited = READY_LIMIT.as_secs();
                bail!("dockerd did not answer within {waited} s ({error:#}); its log:\n{}", tail(&self.log()));
            }
            if work.stop.is_set() {
                bail!("stopped by a signal");
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Joins the sandbox's network with the machine's by a link of two addresses.
    ///
    /// # Errors
    /// The interface cannot be made.
    pub(in crate::cluster) fn connect(&self, holder: Process, link: u8) -> anyhow::Result<()> {
        let inside = first_child(holder)?;
        let (near, (ours, theirs)) = (host_end(link), addresses(link));
        let network = format!("--net=/proc/{inside}/ns/net");
        let ip = |words: &str| output(Command::new("ip").args(words.split(' ')));
        let ip_inside = |words: &str| output(Command::new("nsenter").args([&network, "ip"]).args(words.split(' ')));
        ip(&format!("link add {near} type veth peer name up0 netns {inside}"))?;
        ip(&format!("address add {ours}/30 dev {near}"))?;
        ip(&format!("link set {near} up"))?;
        ip_inside(&format!("address add {theirs}/30 dev up0"))?;
        ip_inside("link set up0 up")?;
        ip_inside(&format!("route add default via {ours}"))?;
        Ok(())
    }

    /// Lets the daemon end by itself, so that its files are whole, and then everything else.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub(in crate::cluster) fn finish(&self, holder: Process) -> anyhow::Result<()> {
        if let Some(inside) = first_child(holder).ok().and_then(Process::of) {
            inside.ask().context("asking dockerd to end")?;
            holder.ended_within(END_LIMIT)?;
        }
        self.end(Some(holder))
    }

    /// Ends everything inside, and removes the control groups. Nothing of it needs to be there.
    ///
    /// # Errors
    /// Something does not go.
    pub(in crate::cluster) fn end(&self, holder: Option<Process>) -> anyhow::Result<()> {
        if let Some(holder) = holder {
            // The namespaces' first process is its child and dies with it, and with that one all others.
            holder.kill().context("ending the sandbox")?;
            holder.ended_within(END_LIMIT)?;
        }
        let begun = Instant::now();
        loop {
            let left = remove_groups(&self.group)?;
            let Some(first) = left.first() else { return Ok(()) };
            if begun.elapsed() > END_LIMIT {
                bail!("got processes in {} after {} s, expected none", first.display(), END_LIMIT.as_secs());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// The client that belongs to the daemon: a newer one elsewhere in `PATH` may not speak to it.
pub(in crate::cluster) fn docker() -> anyhow::Result<Command> {
    Ok(Command::new(docker_client()?))
}

/// Where it is: beside the daemon's directory, else in `PATH`.
pub(in crate::cluster) fn docker_client() -> anyhow::Result<PathBuf> {
    let beside = program("dockerd").and_then(|daemon| Some(daemon.parent()?.parent()?.join("bin/docker")));
    beside.filter(|path| path.is_file()).or_else(|| program("docker")).context("docker is not installed")
}

fn administrators_path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

/// The process that `unshare` forked into the namespaces.
fn first_child(holder: Process) -> anyhow::Result<u32> {
    let path = format!("/proc/{0}/task/{0}/children", holder.pid);
    let children = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let first = children.split_whitespace().next().context("the sandbox has no process")?;
    first.parse().with_context(|| format!("{path}: got {first:?}, expected a process id"))
}

/// Removes the directory `group` in every hierarchy, deepest first; gives back those that still hold processes.
fn remove_groups(group: &str) -> anyhow::Result<Vec<PathBuf>> {
    let root = Path::new("/sys/fs/cgroup");
    // On machines with one hierarchy it is the root itself.
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut left = Vec::new();
    for top in hierarchies.chain([root.to_path_buf()]).map(|hierarchy| hierarchy.join(group)) {
        if top.is_dir() && !remove_group(&top)? {
            left.push(top);
        }
    }
    Ok(left)
}

fn remove_group(directory: &Path) -> anyhow::Result<bool> {
    let mut empty = true;
    if let Ok(entries) = fs::read_dir(directory) {
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            empty &= remove_group(&entry.path())?;
        }
    }
    match fs::remove_dir(directory) {
        Ok(()) => Ok(empty),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(empty),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(false),
        Err(error) => Err(error).with_context(|| format!("removing {}", directory.display())),
    }
}
