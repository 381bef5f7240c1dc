//! The last writes before the release is uninstalled: what is kept then must not claim to be watched.

use jiff::Timestamp;
use netprecursor_crds::{alert::Resolution, diagnosis::reasons::Ready, policy::PrecursorPolicyStatus};

use super::{Deletion, Write, alerts, condition::Verdict};
use crate::observe::{Alert, Key, Observed, Policy, Seen};

const MESSAGE: &str =
    "netprecursor was uninstalled: nothing watches these pods; install it again, or delete the policy";

/// What to write once no agent is at work any more. `scores` are the kept shards, by key and UID.
pub fn retire(observed: &Observed, scores: Vec<(Key, String)>, now: Timestamp) -> Vec<Write> {
    let alerts = observed.alerts.iter().filter_map(|(key, alert)| over(key, alert, now));
    let reports = observed.reports.iter().map(|(key, seen)| (key.clone(), seen.uid.clone()));
    let reports = reports.map(|(key, uid)| Write::DeleteReport { key, uid });
    let policies = observed.all_policies().map(|(key, policy)| {
        let (kind, uid) = (policy.value.kind, policy.uid.clone());
        Write::PolicyStatus { kind, key: key.clone(), uid, status: Box::new(status(&policy.value, now)) }
    });
    let scores = scores.into_iter().map(|(key, uid)| Write::DeleteScores { key, uid });
    alerts.chain(reports).chain(policies).chain(scores).collect()
}

/// What ends an alert, unless it is over. One without a status says nothing and never will.
fn over(key: &Key, alert: &Seen<Alert>, now: Timestamp) -> Option<Write> {
    if alert.value.reported.is_none() {
        return Some(alerts::deletion(key, alert, Deletion::Unfinished));
    }
    let resolution = Resolution::Uninstalled;
    let write = || Write::ResolveAlert {
        key: key.clone(),
        uid: alert.uid.clone(),
        resolution,
        status: alerts::resolved(key, alert, resolution, now),
    };
    alert.value.is_firing().then(write)
}

/// One condition; what the others said has ended as well. Scores are of the past and stay.
fn status(policy: &Policy, now: Timestamp) -> PrecursorPolicyStatus {
    let before = &policy.status;
    let ready = Verdict::new(Ready::Uninstalled, MESSAGE);
    PrecursorPolicyStatus {
        observed_generation: Some(policy.generation),
        targets: Some(0),
        firing: Some(0),
        waiting: None,
        rules: before.rules.clone(),
        conditions: vec![ready.condition(&before.conditions, Some(policy.generation), now)],
    }
}
