//! Clusters side by side, each with a name, a directory and a record of its owner, which tells the leftovers of a killed run from
//! what a running one uses.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use netprecursor_child::Process;
use netprecursor_testbed::cache;
use serde::{Deserialize, Serialize};

/// The record, written before anything is created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The process that it goes with; without one it stays until it is taken down.
    pub(super) owner: Option<Process>,
    /// The process that is starting it; none when it is up.
    pub(super) starter: Option<Process>,
    /// The process that holds the sandbox with a Docker daemon of our own; none where the machine's Docker is used.
    pub(super) sandbox: Option<Process>,
    /// Whether the machine's own Docker runs it.
    pub(super) on_machine: bool,
    /// Number of the link between the machine and the sandbox.
    pub(super) link: Option<u8>,
}

/// How a recorded cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is being created.
    Starting,
    /// It can be used.
    Up,
    /// Its owner is gone.
    Abandoned,
}

/// A cluster's place.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) name: String,
    pub(super) directory: PathBuf,
}

/// How many links there are addresses for.
const LINKS: u8 = 64;

impl Record {
    pub(super) fn state(&self) -> State {
        let gone = |process: &Option<Process>| process.is_some_and(|process| !process.alive());
        if gone(&self.owner) || gone(&self.starter) {
            State::Abandoned
        } else if self.starter.is_some() {
            State::Starting
        } else if gone(&self.sandbox) || (self.sandbox.is_none() && !self.on_machine) {
            State::Abandoned
        } else {
            State::Up
        }
    }
}

impl Instance {
    /// The place of the cluster `name`, which need not exist.
    pub(super) fn named(name: &str) -> anyhow::Result<Self> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        // Part of the names of hosts.
        if name.is_empty() || name.len() > 24 || !name.bytes().all(fits) || name.starts_with('-') || name.ends_with('-')
        {
            bail!("got the cluster name {name:?}, expected up to 24 lower-case letters, digits and hyphens inside");
        }
        Ok(Self { name: name.to_owned(), directory: directory()?.join(name) })
    }

    /// Every cluster that has a record.
    pub(super) fn all() -> anyhow::Result<Vec<Self>> {
        let directory = directory()?;
        let entries = fs::read_dir(&directory).with_context(|| format!("listing {}", directory.display()))?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut found: Vec<Self> = names.filter_map(|name| Self::named(&name).ok()).collect();
        found.retain(|instance| instance.directory.is_dir());
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Its record; none when there is no cluster of that name.
    pub(super) fn record(&self) -> anyhow::Result<Option<Record>> {
        let path = self.record_path();
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).with_context(|| {
                format!("reading {}; expected a cluster's record: remove the directory if none runs", path.display())
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// Writes its record anew, whole or not at all.
    pub(super) fn write(&self, record: &Record) -> anyhow::Result<()> {
        fs::create_dir_all(&self.directory).with_context(|| format!("making {}", self.directory.display()))?;
        let mut file = tempfile::NamedTempFile::new_in(&self.directory).context("writing a cluster's record")?;
        file.write_all(&serde_json::to_vec_pretty(record)?).context("writing a cluster's record")?;
        file.persist(self.record_path()).context("writing a cluster's record")?;
        Ok(())
    }

    fn record_path(&self) -> PathBuf {
        self.directory.join("instance.json")
    }

    /// The kubeconfig of an administrator.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig")
    }

    /// The name that kind knows it by.
    pub(super) fn cluster(&self) -> String {
        format!("netprecursor-{}", self.name)
    }
}

fn directory() -> anyhow::Result<PathBuf> {
    let directory = cache::kind()?.join("run");
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    Ok(directory)
}

/// Held while records are created and removed. Not while a cluster starts, which takes long: its record shows that.
pub(super) fn lock() -> anyhow::Result<File> {
    let path = directory()?.join(".lock");
    let file = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
    file.lock().with_context(|| format!("locking {}", path.display()))?;
    Ok(file)
}

/// A link that no recorded cluster and no interface of the machine uses.
pub(super) fn free_link() -> anyhow::Result<u8> {
    let mut taken = Vec::new();
    for instance in Instance::all()? {
        taken.extend(instance.record()?.and_then(|record| record.link));
    }
    let free =
        (0..LINKS).find(|link| !taken.contains(link) && !Path::new("/sys/class/net").join(host_end(*link)).exists());
    free.with_context(|| format!("got {LINKS} clusters, expected fewer: take some down"))
}

/// The name of a link's interface on the machine.
pub(super) fn host_end(link: u8) -> String {
    format!("npkind{link}")
}

/// A link's addresses: the machine's and the sandbox's. From the block for benchmarks between networks (RFC 2544), which
/// is not routed.
pub(super) fn addresses(link: u8) -> (String, String) {
    (format!("198.18.{link}.1"), format!("198.18.{link}.2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record { owner: None, starter: None, sandbox: Some(Process::this()), on_machine: false, link: Some(0) }
    }

    fn gone() -> Option<Process> {
        Some(Process { started_ticks: 1, ..Process::this() })
    }

    #[test]
    fn a_cluster_is_up_as_long_as_its_sandbox_lives() {
        assert_eq!(record().state(), State::Up);
        assert_eq!(Record { sandbox: gone(), ..record() }.state(), State::Abandoned);
        assert_eq!(Record { sandbox: None, ..record() }.state(), State::Abandoned);
        assert_eq!(Record { sandbox: None, on_machine: true, ..record() }.state(), State::Up);
    }

    #[test]
    fn what_a_killed_start_or_a_killed_owner_left_is_abandoned() {
        assert_eq!(Record { starter: Some(Process::this()), sandbox: None, ..record() }.state(), State::Starting);
        assert_eq!(Record { starter: gone(), ..record() }.state(), State::Abandoned);
        assert_eq!(Record { owner: gone(), ..record() }.state(), State::Abandoned);
        assert_eq!(Record { owner: Some(Process::this()), ..record() }.state(), State::Up);
    }

    #[test]
    fn names_that_no_host_can_have_are_refused() {
        assert!(Instance::named("ci-2").is_ok());
        for name in ["", "Ci", "a_b", "-a", "a-", "a/../b", "abcdefghijklmnopqrstuvwxyz"] {
            assert!(Instance::named(name).is_err(), "{name}");
        }
    }

    #[test]
    fn links_do_not_overlap() {
        assert_eq!(addresses(3), ("198.18.3.1".to_owned(), "198.18.3.2".to_owned()));
        assert_ne!(host_end(1), host_end(11));
        assert!(host_end(LINKS - 1).len() < 16, "the kernel allows 15 letters");
    }
}
