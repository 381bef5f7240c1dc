//! Ownership of namespaces: a record per lab tells the leftovers of a killed lab from what a running one uses.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use netprecursor_child::Process;
use serde::{Deserialize, Serialize};

use super::{iproute, namespace};
use crate::LabError;

/// Where the records of labs are.
pub const DIRECTORY: &str = "/run/netprecursor/labs";

/// Everything that a lab owns, recorded before it is created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Part of all its namespaces' names.
    pub id: String,
    /// The lab's process.
    #[serde(flatten)]
    pub process: Process,
    /// Names of its namespaces.
    pub namespaces: Vec<String>,
    /// Its directory of temporary files.
    pub scratch: PathBuf,
}

/// The result of a sweep.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Dead labs whose leftovers were removed.
    pub removed: Vec<String>,
    /// Records that could not be read or whose leftovers could not be removed, with the reason.
    pub failed: Vec<String>,
}

/// A lab's claim to everything that it created. Dropping it removes all that, and then the record.
#[derive(Debug)]
pub(crate) struct Claim {
    record: Record,
    path: PathBuf,
    open: bool,
}

impl Record {
    /// Whether the process that wrote the record still runs.
    pub fn alive(&self) -> bool {
        self.process.alive()
    }

    fn remove_leavings(&self) -> Result<(), LabError> {
        for name in self.namespaces.iter().filter(|name| namespace::path(name).exists()) {
            end_processes(name);
            iproute::command("ip", &format!("netns delete {name}"))?;
        }
        match fs::remove_dir_all(&self.scratch) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LabError::file(&self.scratch)(error)),
            _ => Ok(()),
        }
    }
}

impl Claim {
    /// Writes the record. `names` makes the namespaces' names from the id.
    pub(crate) fn new(names: impl Fn(&str) -> Vec<String>) -> Result<Self, LabError> {
        Self::new_in(Path::new(DIRECTORY), |name| namespace::path(name).exists(), names)
    }

    fn new_in(
        directory: &Path,
        taken: impl Fn(&str) -> bool,
        names: impl Fn(&str) -> Vec<String>,
    ) -> Result<Self, LabError> {
        fs::create_dir_all(directory).map_err(LabError::file(directory))?;
        let process = Process::this();
        loop {
            let id = short_id();
            let record = Record {
                namespaces: names(&id),
                process,
                scratch: std::env::temp_dir().join(format!("netprecursor-lab-{id}")),
                id,
            };
            if let Some(name) = record.namespaces.iter().find(|name| taken(name)) {
                return Err(LabError::NamespaceExists { name: name.clone() });
            }
            let path = directory.join(format!("{}.json", record.id));
            let text = serde_json::to_vec(&record).map_err(|error| LabError::file(&path)(error.into()))?;
            match fs::OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => {
                    let claim = Self { record, path: path.clone(), open: true };
                    io::Write::write_all(&mut file, &text).map_err(LabError::file(path))?;
                    let scratch = &claim.record.scratch;
                    fs::create_dir_all(scratch).map_err(LabError::file(scratch))?;
                    return Ok(claim);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(LabError::file(path)(error)),
            }
        }
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// Removes everything that was created. The error lists what could not be removed.
    pub(crate) fn release(mut self) -> Result<(), LabError> {
        self.open = false;
        self.remove()
    }

    fn remove(&self) -> Result<(), LabError> {
        self.record.remove_leavings()?;
        fs::remove_file(&self.path).map_err(LabError::file(&self.path))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.open {
            // The record stays where something else does: the next start sweeps it.
            let _ = self.remove();
        }
    }
}

/// Removes the leftovers of dead labs. It does not touch running labs and records that cannot be read.
///
/// # Errors
/// [`LabError::File`] when the directory of records cannot be listed.
pub fn sweep() -> Result<Swept, LabError> {
    sweep_in(Path::new(DIRECTORY))
}

fn sweep_in(directory: &Path) -> Result<Swept, LabError> {
    let mut swept = Swept::default();
    if !directory.exists() {
        return Ok(swept);
    }
    // Two sweeps at once would report each other's work as failures.
    let lock = directory.join("lock");
    let _held = fs::File::create(&lock).and_then(|file| file.lock().map(|()| file)).map_err(LabError::file(&lock))?;
    let entries = fs::read_dir(directory).map_err(LabError::file(directory))?;
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.extension() == Some("json".as_ref())) {
        let record = match fs::read(&path).map(|text| serde_json::from_slice::<Record>(&text)) {
            Ok(Ok(record)) => record,
            // Another sweep removed it since the listing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Ok(Err(error)) => {
                swept.failed.push(format!(
                    "{}: {error}; expected a lab's record; if no lab is starting, delete it and its 'npl*' namespaces",
                    path.display()
                ));
                continue;
            }
            Err(error) => {
                swept.failed.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        if record.alive() {
            continue;
        }
        match record.remove_leavings().and_then(|()| fs::remove_file(&path).map_err(LabError::file(&path))) {
            Ok(()) => swept.removed.push(record.id),
            Err(error) => swept.failed.push(error.to_string()),
        }
    }
    Ok(swept)
}

fn end_processes(namespace: &str) {
    let Ok(output) = Command::new("ip").args(["netns", "pids", namespace]).output() else { return };
    let pids = String::from_utf8_lossy(&output.stdout);
    for process in pids.split_whitespace().filter_map(|pid| Process::of(pid.parse().ok()?)) {
        // A process that does not end keeps its namespace, which is reported.
        let _ = process.kill();
    }
}

/// Five letters and digits: 60 million, and a clash is noticed.
fn short_id() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = RandomState::new().hash_one(std::process::id());
    (0..5)
        .map(|_| {
            let letter = ALPHABET[(random % 36) as usize];
            random /= 36;
            char::from(letter)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(directory: &Path, process: Process) -> PathBuf {
        let scratch = directory.join("scratch");
        fs::create_dir_all(&scratch).unwrap();
        let record = Record { id: "test0".into(), process, namespaces: vec![], scratch };
        let path = directory.join("test0.json");
        fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
        path
    }

    #[test]
    fn a_record_whose_process_id_was_given_out_again_is_swept() {
        let directory = tempfile::tempdir().unwrap();
        let me = Process::this();
        let path = record(directory.path(), Process { started_ticks: me.started_ticks - 1, ..me });
        assert_eq!(sweep_in(directory.path()).unwrap().removed, ["test0"]);
        assert!(!path.exists() && !directory.path().join("scratch").exists());
    }

    #[test]
    fn a_living_lab_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = record(directory.path(), Process::this());
        assert_eq!(sweep_in(directory.path()).unwrap(), Swept::default());
        assert!(path.exists() && directory.path().join("scratch").exists());
    }

    #[test]
    fn a_record_that_cannot_be_read_is_named_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("torn.json");
        fs::write(&path, "{\"id\": ").unwrap();
        let swept = sweep_in(directory.path()).unwrap();
        assert!(swept.failed[0].contains("torn.json") && swept.removed.is_empty() && path.exists());
    }

    #[test]
    fn a_namespace_of_that_name_is_a_clash_and_not_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let error = Claim::new_in(directory.path(), |_| true, |id| vec![format!("npl{id}-web1")]).unwrap_err();
        assert!(matches!(error, LabError::NamespaceExists { .. }), "{error}");
        assert!(fs::read_dir(directory.path()).unwrap().next().is_none(), "nothing is claimed");
    }

    #[test]
    fn a_claim_that_is_dropped_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let claim = Claim::new_in(directory.path(), |_| false, |_| vec![]).unwrap();
        let scratch = claim.record().scratch.clone();
        assert!(scratch.exists());
        drop(claim);
        assert!(!scratch.exists() && fs::read_dir(directory.path()).unwrap().next().is_none());
    }
}
