//! Entries on disk: one small file each, written beside, synced and renamed, so that a crash leaves the old or the new.

use std::io;

use thiserror::Error;

use super::{disk::Disk, entry::Entry};

/// Ends the name of an entry's file, after that of its alert.
const SUFFIX: &str = ".json";
/// An entry that is being written.
const BESIDE: &str = ".new";
/// An entry that cannot be read.
const ASIDE: &str = ".unreadable";
/// Files set aside that are kept for inspection.
const MAX_ASIDE: usize = 16;

/// Why an entry is in memory only.
#[derive(Debug, Error)]
#[error(
    "cannot keep alert {alert} on disk; it is sent from memory and lost if the agent stops first; free space, or use \
     another --state-dir"
)]
pub struct StoreError {
    /// The alert.
    pub alert: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// The files.
#[derive(Debug)]
pub struct Store<D> {
    disk: D,
}

/// What was on disk.
#[derive(Debug, Default)]
pub struct Found {
    /// Entries, in no particular order.
    pub entries: Vec<Entry>,
    /// Files that could not be read and were set aside.
    pub set_aside: u64,
}

impl<D: Disk> Store<D> {
    /// Files on `disk`.
    pub const fn new(disk: D) -> Self {
        Self { disk }
    }

    /// Reads what is there. Nothing that is found stops the agent: what is not an entry is set aside and counted.
    pub fn load(&mut self) -> Found {
        let mut found = Found::default();
        let names = self.disk.list().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read the queue's directory: starting with an empty queue");
            Vec::new()
        });
        let mut aside = names.iter().filter(|name| name.ends_with(ASIDE)).count();
        for name in &names {
            if name.ends_with(BESIDE) {
                // A write that a crash cut off: the entry before it, if any, is in force.
                self.discard(name);
            } else if let Some(alert) = name.strip_suffix(SUFFIX) {
                match self.read(name, alert) {
                    Ok(entry) => found.entries.push(entry),
                    Err(reason) => {
                        tracing::warn!(file = name, reason, "cannot read a queued alert: it is set aside");
                        found.set_aside += 1;
                        let kept = aside < MAX_ASIDE && self.disk.rename(name, &format!("{alert}{ASIDE}")).is_ok();
                        if kept {
                            aside += 1;
                        } else {
                            self.discard(name);
                        }
                    }
                }
            }
        }
        found
    }

    fn read(&self, name: &str, alert: &str) -> Result<Entry, String> {
        let content = self.disk.read(name).map_err(|error| error.to_string())?;
        let entry = Entry::from_json(&content).map_err(|error| error.to_string())?;
        if entry.alert.name == alert { Ok(entry) } else { Err(format!("it is of alert {}", entry.alert.name)) }
    }

    fn discard(&mut self, name: &str) {
        if let Err(error) = self.disk.remove(name) {
            tracing::warn!(file = name, %error, "cannot remove a file of the queue");
        }
    }

    /// Keeps an entry. When it returns, a crash no longer loses it.
    ///
    /// # Errors
    /// The disk's; then the entry before it, if any, is still in force.
    pub fn put(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let alert = &entry.alert.name;
        let (file, beside) = (format!("{alert}{SUFFIX}"), format!("{alert}{BESIDE}"));
        let mut written = || -> io::Result<()> {
            self.disk.write(&beside, &entry.to_json()?)?;
            self.disk.sync(&beside)?;
            self.disk.rename(&beside, &file)?;
            self.disk.sync_names()
        };
        written().map_err(|source| {
            // On a full disk half a file is in the way of the next attempt.
            let _ = self.disk.remove(&beside);
            StoreError { alert: alert.clone(), source }
        })
    }

    /// Forgets an entry. A crash may bring it back, which does no harm: all of it was published.
    ///
    /// # Errors
    /// The disk's.
    pub fn remove(&mut self, alert: &str) -> Result<(), StoreError> {
        self.disk.remove(&format!("{alert}{SUFFIX}")).map_err(|source| StoreError { alert: alert.to_owned(), source })
    }
}
