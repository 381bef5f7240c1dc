//! What the rules learned and counted, on disk: one small file per rule, replaced whole.

use std::{
    collections::HashSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
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

/// How ledgers are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// After policy and rule: files of a user who knows both.
    Names,
    /// After the policy's UID, the rule and its meaning: a policy that was made anew, or a rule that means something
    /// else, counts anew.
    Identities,
}

/// A ledger that no rule has claimed for this long is removed.
const UNCLAIMED: Duration = Duration::from_secs(7 * 24 * 3600);

/// The directory.
#[derive(Debug, Clone)]
pub struct Ledgers {
    directory: PathBuf,
    naming: Naming,
}

impl Ledgers {
    /// Ledgers in `directory`, which is made when the first one is written.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), naming: Naming::Names }
    }

    /// Ledgers of policies of a cluster.
    pub fn in_cluster(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), naming: Naming::Identities }
    }

    /// Removes the ledgers of a cluster's rules that are not among `claimed` and have not been for long. What cannot be
    /// removed stays.
    pub fn sweep<'a>(&self, claimed: impl Iterator<Item = (&'a Policy, &'a Rule)>) {
        if self.naming == Naming::Names {
            return;
        }
        let claimed: HashSet<PathBuf> = claimed.map(|(policy, rule)| self.path(policy, rule)).collect();
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let is_ledger = entry.file_name().to_str().is_some_and(|name| name.starts_with("ledger."));
            let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|at| at.elapsed().ok());
            if is_ledger && !claimed.contains(&entry.path()) && age.is_some_and(|age| age > UNCLAIMED) {
                tracing::info!(path = %entry.path().display(), "the ledger of a rule that is no more is removed");
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Names and UIDs are DNS names: no separator, no dot at the start.
    fn path(&self, policy: &Policy, rule: &Rule) -> PathBuf {
        if self.naming == Naming::Identities {
            let name = format!("ledger.{}.{}.{}.json", policy.uid, rule.name.as_str(), rule.meaning());
            return self.directory.join(name);
        }
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
    fn in_a_cluster_a_rule_that_means_something_else_remembers_nothing() {
        use netprecursor_core::policy::Thresholds;

        let directory = tempfile::tempdir().unwrap();
        let ledgers = Ledgers::in_cluster(directory.path());
        let policy = Policy { uid: "0f3c1b2a-1111-4222-8333-444455556666".to_owned(), ..policy() };
        let rule = policy.rules.iter().next().unwrap().clone();
        ledgers.write(&policy, &rule, &Ledger::default()).unwrap();
        assert!(ledgers.read(&policy, &rule).is_some());
        let changed = Rule { thresholds: Thresholds::new(1000, None).unwrap(), ..rule.clone() };
        assert!(ledgers.read(&policy, &changed).is_none());
        let renewed = Policy { uid: "1f3c1b2a-1111-4222-8333-444455556666".to_owned(), ..policy.clone() };
        assert!(ledgers.read(&renewed, &rule).is_none());

        // Unclaimed, but not for long yet; then for long.
        ledgers.sweep(std::iter::empty());
        assert!(ledgers.read(&policy, &rule).is_some());
        let file = fs::File::open(ledgers.path(&policy, &rule)).unwrap();
        file.set_modified(std::time::SystemTime::now() - 2 * UNCLAIMED).unwrap();
        ledgers.sweep([(&policy, &rule)].into_iter());
        assert!(ledgers.read(&policy, &rule).is_some());
        ledgers.sweep(std::iter::empty());
        assert!(ledgers.read(&policy, &rule).is_none());
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
