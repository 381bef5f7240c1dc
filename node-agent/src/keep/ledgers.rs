//! What the rules learned and counted, on disk: one small file per rule, replaced whole.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use netprecursor_core::{
    hex,
    policy::{Identity, Name, Policy, Rule},
    watch::Ledger,
};
use sha2::{Digest as _, Sha256};

use super::{KeepError, replace};

/// How ledgers are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// After the policy's kind, namespace and name, and the rule: files of a user who knows them.
    Names,
    /// After the policy's UID, the rule and its meaning: a recreated policy, or a rule that means something else, starts
    /// from zero.
    Identities,
}

/// A ledger that no rule has claimed for this long is removed.
const UNCLAIMED: Duration = Duration::from_secs(7 * 24 * 3600);

/// Letters of a file's name before its ending. File systems take 255, some of those that encrypt 143.
const MAX_NAME: usize = 128;

/// Bytes of the digest that replaces the excess of a long name.
const DIGEST_BYTES: usize = 16;

/// A name that every file system takes. `~` is in no name of the API, so that a name that was cut is no other one's.
fn bounded(name: &str) -> Cow<'_, str> {
    if name.len() <= MAX_NAME {
        return name.into();
    }
    let digest = Sha256::digest(name);
    let digits = hex(&digest[..DIGEST_BYTES]);
    format!("{}~{digits}", &name[..name.floor_char_boundary(MAX_NAME - digits.len() - 1)]).into()
}

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
    pub fn sweep(&self, claimed: &BTreeSet<PathBuf>) {
        if self.naming == Naming::Names {
            return;
        }
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let is_ledger = entry.file_name().to_str().is_some_and(|name| name.starts_with("ledger."));
            let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|at| at.elapsed().ok());
            if is_ledger && !claimed.contains(&entry.path()) && age.is_some_and(|age| age > UNCLAIMED) {
                tracing::info!(path = %entry.path().display(), "the ledger of a rule that is no more is removed");
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// The file of a rule. Names and UIDs are DNS names: no separator, no dot at the start.
    pub fn path(&self, policy: &Policy, rule: &Rule) -> PathBuf {
        if self.naming == Naming::Identities {
            let name = format!("ledger.{}.{}.{}.json", policy.uid, rule.name.as_str(), rule.meaning());
            return self.directory.join(name);
        }
        let Identity { kind, namespace, name } = policy.identity();
        let namespace = namespace.as_ref().map_or("_", Name::as_str);
        let whole = format!("ledger.{}.{namespace}.{name}.{}", kind.name(), rule.name);
        self.directory.join(format!("{}.json", bounded(&whole)))
    }

    /// Where earlier releases kept it: without the kind, so that a rule of a cluster's policy and one of a policy without
    /// a namespace had the same file.
    fn path_without_kind(&self, policy: &Policy, rule: &Rule) -> PathBuf {
        let Identity { namespace, name, .. } = policy.identity();
        let namespace = namespace.as_ref().map_or("_", Name::as_str);
        self.directory.join(format!("ledger.{namespace}.{name}.{}.json", rule.name))
    }

    /// Gives what earlier releases kept for the rules of `policies` its present name. What two rules had in common is of
    /// use to neither: it is set aside, and both start from zero.
    pub fn take_over(&self, policies: &[Policy]) {
        if self.naming == Naming::Identities {
            return;
        }
        let mut claims: BTreeMap<PathBuf, Vec<(String, PathBuf)>> = BTreeMap::new();
        for (policy, rule) in policies.iter().flat_map(|policy| policy.rules.iter().map(move |rule| (policy, rule))) {
            let whose = format!("rule {} of {}", rule.name, policy.identity());
            claims.entry(self.path_without_kind(policy, rule)).or_default().push((whose, self.path(policy, rule)));
        }
        for (old, mut claims) in claims.into_iter().filter(|(old, _)| old.exists()) {
            claims.retain(|(_, new)| !new.exists());
            let whose = claims.iter().map(|(whose, _)| whose.as_str()).collect::<Vec<_>>().join(" and ");
            let moved = match claims.as_slice() {
                [] => continue,
                [(_, new)] => fs::rename(&old, new)
                    .map(|()| tracing::info!(path = %new.display(), whose, "a ledger has a new name")),
                _ => {
                    tracing::warn!(path = %old.display(), whose, "a ledger was shared: it is set aside, counting begins anew");
                    fs::rename(&old, old.with_extension("json.shared"))
                }
            };
            if let Err(error) = moved {
                tracing::warn!(path = %old.display(), whose, %error, "a ledger cannot be taken over: counting begins anew");
            }
        }
    }

    /// What is remembered of a rule. What cannot be read is left where it is and logged, and counting starts from zero.
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

    /// Keeps what a rule learned, in the file that [`Self::path`] names.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, path: &Path, ledger: &Ledger) -> Result<(), KeepError> {
        let json = ledger.to_json()?;
        let loss = "scores stay in memory, and are lost";
        replace(path, json.as_bytes()).map_err(|source| KeepError::Write { path: path.to_owned(), loss, source })
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
        ledgers.write(&ledgers.path(&policy, rule), &ledger).unwrap();
        assert_eq!(ledgers.read(&policy, rule), Some(ledger));
    }

    /// Without a namespace, in two, and the cluster's.
    fn namesakes() -> Vec<Policy> {
        netprecursor_crds::policies_from_yaml("namesakes", include_str!("../../tests/namesakes.yaml")).unwrap()
    }

    fn counted(alerts: u64) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.scorecard.alerts = alerts;
        ledger
    }

    fn rule(policy: &Policy) -> &Rule {
        policy.rules.iter().next().unwrap()
    }

    #[test]
    fn policies_of_one_name_in_two_namespaces_and_of_both_kinds_have_a_ledger_each() {
        let directory = tempfile::tempdir().unwrap();
        let ledgers = Ledgers::new(directory.path());
        let policies = namesakes();
        for (alerts, policy) in (1..).zip(&policies) {
            ledgers.write(&ledgers.path(policy, rule(policy)), &counted(alerts)).unwrap();
        }
        for (alerts, policy) in (1..).zip(&policies) {
            assert_eq!(ledgers.read(policy, rule(policy)), Some(counted(alerts)), "{}", policy.identity());
        }
    }

    #[test]
    fn a_name_as_long_as_the_api_allows_has_a_ledger_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let ledgers = Ledgers::new(directory.path());
        let named = |last: char| {
            let name = format!("{}.{}.{}.{}{last}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(60));
            Policy { name: Name::subdomain(&name).unwrap(), ..policy() }
        };
        let policies = [named('x'), named('y')];
        for (alerts, policy) in (1..).zip(&policies) {
            assert_eq!(policy.name.as_str().len(), 253);
            ledgers.write(&ledgers.path(policy, rule(policy)), &counted(alerts)).unwrap();
        }
        for (alerts, policy) in (1..).zip(&policies) {
            assert_eq!(ledgers.read(policy, rule(policy)), Some(counted(alerts)));
        }
    }

    #[test]
    fn ledgers_of_earlier_releases_are_taken_over_unless_two_rules_shared_them() {
        let directory = tempfile::tempdir().unwrap();
        let ledgers = Ledgers::new(directory.path());
        let policies = namesakes();
        for (alerts, policy) in (1..).zip(&policies) {
            fs::write(ledgers.path_without_kind(policy, rule(policy)), counted(alerts).to_json().unwrap()).unwrap();
        }
        ledgers.take_over(&policies);
        let read = |policy: &Policy| ledgers.read(policy, rule(policy)).map(|ledger| ledger.scorecard.alerts);
        assert_eq!(policies.iter().map(read).collect::<Vec<_>>(), [None, Some(2), Some(3), None]);
        assert!(directory.path().join("ledger._.checkout.rtt.json.shared").exists());
        // Alone, a policy without a namespace takes over what it had.
        fs::write(ledgers.path_without_kind(&policies[3], rule(&policies[3])), counted(9).to_json().unwrap()).unwrap();
        ledgers.take_over(&policies[3..]);
        assert_eq!(read(&policies[3]), Some(9));
        // What was counted since is not written over.
        fs::write(ledgers.path_without_kind(&policies[3], rule(&policies[3])), counted(1).to_json().unwrap()).unwrap();
        ledgers.take_over(&policies[3..]);
        assert_eq!(read(&policies[3]), Some(9));
    }

    #[test]
    fn in_a_cluster_a_rule_that_means_something_else_remembers_nothing() {
        use netprecursor_core::policy::Thresholds;

        let directory = tempfile::tempdir().unwrap();
        let ledgers = Ledgers::in_cluster(directory.path());
        let policy = Policy { uid: "0f3c1b2a-1111-4222-8333-444455556666".to_owned(), ..policy() };
        let rule = policy.rules.iter().next().unwrap().clone();
        ledgers.write(&ledgers.path(&policy, &rule), &Ledger::default()).unwrap();
        assert!(ledgers.read(&policy, &rule).is_some());
        let changed = Rule { thresholds: Thresholds::new(1000, None).unwrap(), ..rule.clone() };
        assert!(ledgers.read(&policy, &changed).is_none());
        let renewed = Policy { uid: "1f3c1b2a-1111-4222-8333-444455556666".to_owned(), ..policy.clone() };
        assert!(ledgers.read(&renewed, &rule).is_none());

        // Unclaimed, but not for long yet; then for long.
        ledgers.sweep(&BTreeSet::new());
        assert!(ledgers.read(&policy, &rule).is_some());
        let file = fs::File::open(ledgers.path(&policy, &rule)).unwrap();
        file.set_modified(std::time::SystemTime::now() - 2 * UNCLAIMED).unwrap();
        ledgers.sweep(&BTreeSet::from([ledgers.path(&policy, &rule)]));
        assert!(ledgers.read(&policy, &rule).is_some());
        ledgers.sweep(&BTreeSet::new());
        assert!(ledgers.read(&policy, &rule).is_none());
    }

    #[test]
    fn a_torn_ledger_starts_from_zero_and_a_full_disk_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let policy = policy();
        let rule = policy.rules.iter().next().unwrap();
        let ledgers = Ledgers::new(directory.path());
        fs::write(ledgers.path(&policy, rule), "{\"version\":1").unwrap();
        assert!(ledgers.read(&policy, rule).is_none());
        // A device without room simulates a full disk.
        let full = Ledgers::new(Path::new("/dev/full"));
        let error = full.write(&full.path(&policy, rule), &Ledger::default()).unwrap_err();
        assert!(error.to_string().contains("--state-dir"), "{error}");
    }
}
