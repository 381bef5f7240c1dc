//! What is remembered of a rule from before it came, read off the tick thread: a disk may take seconds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use netprecursor_core::{
    policy::{Name, Policy, Rule},
    watch::Ledger,
};

use crate::desired::{Desired, Handover};

/// Reads the ledger of a rule; `None` when there is none that can be used.
pub type Read = Arc<dyn Fn(&Policy, &Rule) -> Option<Ledger> + Send + Sync>;

/// A disk that takes longer holds up no policy: its rules begin anew.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A rule as its ledger goes: another meaning is another rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    policy_uid: String,
    rule: Name,
    meaning: String,
}

/// The ledgers of the rules that are desired.
pub struct Recall {
    read: Read,
    known: BTreeMap<Key, Handover<Ledger>>,
}

impl Recall {
    /// Reads by `read`.
    pub const fn new(read: Read) -> Self {
        Self { read, known: BTreeMap::new() }
    }

    /// Adds to what is desired what is remembered. Reads of the rules that have just come.
    pub async fn add_to(&mut self, desired: &mut Desired) {
        let mut before = std::mem::take(&mut self.known);
        let mut new = Vec::new();
        for desired in &mut desired.policies {
            for rule in &desired.policy.rules {
                let key =
                    Key { policy_uid: desired.policy.uid.clone(), rule: rule.name.clone(), meaning: rule.meaning() };
                let handover = before.remove(&key).unwrap_or_else(|| {
                    let handover = Handover::default();
                    new.push((desired.policy.clone(), rule.clone(), Arc::clone(&handover)));
                    handover
                });
                desired.remembered.push(Arc::clone(&handover));
                self.known.insert(key, handover);
            }
        }
        if new.is_empty() {
            return;
        }
        let read = Arc::clone(&self.read);
        let reading = tokio::task::spawn_blocking(move || {
            for (policy, rule, handover) in new {
                *crate::lock::lock(&handover) = read(&policy, &rule);
            }
        });
        if tokio::time::timeout(TIMEOUT, reading).await.is_err() {
            let seconds = TIMEOUT.as_secs();
            tracing::warn!("no ledger could be read within {seconds} s: the rules that have just come begin anew");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use netprecursor_core::{alert::PolicyRef, policy::Kind};

    use super::*;
    use crate::{desired::DesiredPolicy, lock::lock};

    fn desired(thresholds: &[&str]) -> Desired {
        let policies = thresholds.iter().enumerate().map(|(number, threshold)| {
            let yaml = format!(
                "apiVersion: netprecursor.io/v1alpha1\nkind: PrecursorPolicy\nmetadata: {{name: p{number}, uid: u{number}}}\n\
                 spec: {{target: {{podSelector: {{}}}}, rules: [{{name: rtt, signal: RttForecast, rttForecast: {{threshold: \
                 {threshold}}}}}]}}\n"
            );
            let policy = netprecursor_crds::policies_from_yaml("test", &yaml).unwrap().remove(0);
            let (name, uid) = (policy.name.to_string(), policy.uid.clone());
            let reference = PolicyRef { kind: Kind::Namespaced, namespace: None, name, uid };
            DesiredPolicy { reference, policy, remembered: Vec::new() }
        });
        Desired { policies: policies.collect(), ..Desired::default() }
    }

    fn takes(desired: &Desired) -> Vec<bool> {
        let take =
            |desired: &DesiredPolicy| desired.policy.rules.iter().all(|rule| desired.take_remembered(rule).is_some());
        desired.policies.iter().map(take).collect()
    }

    #[tokio::test]
    async fn a_rule_is_read_when_it_comes_and_what_is_read_is_taken_once_even_if_the_first_offer_was_missed() {
        let reads = Arc::new(Mutex::new(Vec::new()));
        let mut recall = Recall::new(Arc::new({
            let reads = Arc::clone(&reads);
            move |policy: &Policy, _: &Rule| {
                lock(&reads).push(policy.uid.clone());
                Some(Ledger::default())
            }
        }));
        let mut missed = desired(&["200ms"]);
        recall.add_to(&mut missed).await;
        let mut both = desired(&["200ms", "300ms"]);
        recall.add_to(&mut both).await;
        assert_eq!(takes(&both), [true, true]);
        assert_eq!((takes(&both), takes(&missed)), (vec![false, false], vec![false]));
        assert_eq!(*lock(&reads), ["u0", "u1"]);
        // Another meaning is another rule, and one that was gone is read again.
        let mut changed = desired(&["250ms"]);
        recall.add_to(&mut changed).await;
        let mut back = desired(&["200ms"]);
        recall.add_to(&mut back).await;
        assert_eq!((takes(&changed), takes(&back)), (vec![true], vec![true]));
        assert_eq!(*lock(&reads), ["u0", "u1", "u0", "u0"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_hangs_holds_up_no_policy() {
        let (go_on, hang) = mpsc::channel::<()>();
        let hang = Mutex::new(hang);
        let mut recall = Recall::new(Arc::new(move |_: &Policy, _: &Rule| {
            // Ends when the other end is dropped.
            let _ = lock(&hang).recv();
            None
        }));
        let mut desired = desired(&["200ms"]);
        let begun = tokio::time::Instant::now();
        {
            let mut adding = std::pin::pin!(recall.add_to(&mut desired));
            // The clock stands still while a blocking call runs, so that it has to be turned.
            while futures::poll!(&mut adding).is_pending() {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
        }
        assert!(begun.elapsed() >= TIMEOUT);
        assert_eq!(takes(&desired), [false]);
        drop(go_on);
    }
}
