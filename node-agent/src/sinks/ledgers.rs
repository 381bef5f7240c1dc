//! What the rules learned and counted, on disk: one small file per rule, replaced whole.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use netprecursor_core::{
    policy::{Policy, Rule},
    watch::{Ledger, LedgerError},
};
use thiserror::Error;

/// Why a ledger was not kept.
#[derive(Debug, Error)]
pub enum KeepError {
    /// The disk refused.
    #[error(
        "cannot write {path}; scores stay in memory, and are lost if the agent stops; free space, or name another --state-dir"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be encoded.
    #[error(transparent)]
    Encode(#[from] LedgerError),
}

/// The directory.
#[derive(Debug, Clone)]
pub struct Ledgers {
    directory: PathBuf,
}

impl Ledgers {
    /// Ledgers in `directory`, which is made when the first one is written.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Names are DNS names: no separator, no dot at the start.
    fn path(&self, policy: &Policy, rule: &Rule) -> PathBuf {
        let namespace = match &policy.scope {
            netprecursor_core::policy::Scope::Namespace(Some(namespace)) => namespace.as_str(),
            _ => "_",
        };
        self.directory.join(format!("ledger.{namespace}.{}.{}.json", policy.name.as_str(), rule.name.as_str()))
    }

    /// What is remembered of a rule. What cannot be read is left where it is, said, and counting begins anew.
    pub fn read(&self, policy: &Policy, rule: &Rule) -> Option<Ledger> {
        let path = self.path(policy, rule);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a ledger cannot be read: counting begins anew");
                return None;
            }
        };
        Ledger::from_json(&text)
            .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "counting begins anew"))
            .ok()
    }

    /// Keeps what a rule learned: written beside, synced, then renamed, so that a crash leaves the old or the new.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, policy: &Policy, rule: &Rule, ledger: &Ledger) -> Result<(), KeepError> {
        let path = self.path(policy, rule);
        let json = ledger.to_json()?;
        let written = || -> io::Result<()> {
            fs::create_dir_all(&self.directory)?;
            let beside = path.with_extension("json.new");
            let mut file = fs::File::create(&beside)?;
            file.write_all(json.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        };
        written().map_err(|source| KeepError::Write { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        let yaml = "apiVersion: netprecursor.io/v1alpha1\nkind: PrecursorPolicy\nmetadata: {name: web}\n\
                    spec: {target: {podSelector: {}}, rules: [{name: rtt, signal: RttForecast, rttForecast: {threshold: 200ms}}]}\n";
        netprecursor_crds::policies_from_yaml("test", yaml).unwrap().remove(0)
    }

    #[test]
    fn what_was_kept_is_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let ledgers = Ledgers::new(&directory.path().join("made/on/demand"));
        let policy = policy();
        let rule = policy.rules.iter().next().unwrap();
        assert!(ledgers.read(&policy, rule).is_none());
        let mut ledger = Ledger::default();
        ledger.scorecard.alerts = 3;
        ledgers.write(&policy, rule, &ledger).unwrap();
        assert_eq!(ledgers.read(&policy, rule), Some(ledger));
    }

    #[test]
    fn a_torn_ledger_starts_anew_and_a_full_disk_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let policy = policy();
        let rule = policy.rules.iter().next().unwrap();
        let ledgers = Ledgers::new(directory.path());
        fs::write(ledgers.path(&policy, rule), "{\"version\":1").unwrap();
        assert!(ledgers.read(&policy, rule).is_none());
        // A device without room stands in for a full disk.
        let full = Ledgers::new(Path::new("/dev/full"));
        let error = full.write(&policy, rule, &Ledger::default()).unwrap_err();
        assert!(error.to_string().contains("--state-dir"), "{error}");
    }
}
