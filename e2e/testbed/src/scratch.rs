//! A directory for a test's temporary files. Its name has its owner, so that what a killed process left is swept by the
//! next one.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use netprecursor_child::Process;

use crate::TestbedError;

const PREFIX: &str = "netprecursor-e2e-";

/// A directory that is removed when this value is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new directory; sweeps first.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new() -> Result<Self, TestbedError> {
        Self::new_in(&env::temp_dir())
    }

    fn new_in(parent: &Path) -> Result<Self, TestbedError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        sweep(parent);
        let (owner, number) = (Process::this(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = parent.join(format!("{PREFIX}{}-{}-{number}", owner.pid, owner.started_ticks));
        fs::create_dir(&path).map_err(TestbedError::file(&path))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A later start sweeps what cannot be removed now.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the directories whose owners are gone.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if owner_of(&entry.file_name().to_string_lossy()).is_some_and(|owner| !owner.alive()) {
            // Another process may be sweeping it as well.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn owner_of(name: &str) -> Option<Process> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    Some(Process { pid: parts.next()?.parse().ok()?, started_ticks: parts.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_is_swept_and_what_a_living_one_uses_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let me = Process::this();
        let left = parent.path().join(format!("{PREFIX}{}-{}-0", me.pid, me.started_ticks - 1));
        let other = parent.path().join(format!("{PREFIX}of-somebody"));
        fs::create_dir_all(left.join("deep")).unwrap();
        fs::create_dir(&other).unwrap();
        let mine = Scratch::new_in(parent.path()).unwrap();
        let second = Scratch::new_in(parent.path()).unwrap();
        assert!(!left.exists() && other.exists() && mine.path().exists());
        let path = second.path().to_path_buf();
        drop(second);
        assert!(!path.exists() && mine.path().exists());
    }
}
