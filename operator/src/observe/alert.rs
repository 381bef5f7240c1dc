//! What the plan needs of an alert.

use jiff::Timestamp;
use kube::core::DeserializeGuard;
use netprecursor_crds::{
    ConditionStatus,
    alert::{AlertState, PrecursorAlert},
    diagnosis::condition,
};

/// An alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The UID of its policy.
    pub policy: String,
    /// UIDs of all pods that it is firing for; none for one on more pods of a workload than it lists, of which its agent alone
    /// keeps track.
    pub pods: Vec<String>,
    /// The node of its pods.
    pub node: String,
    /// When it was made.
    pub created: Timestamp,
    /// What its agent reports; `None` before the first report.
    pub reported: Option<Reported>,
}

/// What an alert's agent reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    /// Whether it is out.
    pub state: AlertState,
    /// When it last fired.
    pub fired: Timestamp,
    /// When it last resolved.
    pub resolved: Option<Timestamp>,
    /// Whether it is known if it came true.
    pub is_judged: bool,
    /// Since when it is as certain as it is whether it came true.
    pub judged: Option<Timestamp>,
}

impl Alert {
    /// Whether it is out.
    pub fn is_firing(&self) -> bool {
        self.reported.is_some_and(|reported| reported.state == AlertState::Firing)
    }

    /// Since when it is over; an alert that was never reported on is over from the beginning.
    pub fn over_since(&self) -> Option<Timestamp> {
        match self.reported {
            None => Some(self.created),
            Some(reported) if reported.state == AlertState::Resolved => {
                Some(reported.resolved.unwrap_or(reported.fired))
            }
            Some(_) => None,
        }
    }
}

/// What is kept of an alert.
pub(crate) fn reduce(object: DeserializeGuard<PrecursorAlert>) -> Option<Alert> {
    let object = object
        .0
        .inspect_err(|broken| {
            let metadata = &broken.metadata;
            tracing::warn!(
                name = metadata.name,
                namespace = metadata.namespace,
                error = broken.error,
                "cannot parse an alert"
            );
        })
        .ok()?;
    let reported = object.status.as_ref().map(|status| {
        let confirmed = condition(&status.conditions, "Confirmed");
        Reported {
            state: status.state,
            fired: status.fired_at.0,
            resolved: status.resolved_at.as_ref().map(|time| time.0),
            is_judged: confirmed.is_some_and(|condition| condition.status != ConditionStatus::Unknown),
            judged: confirmed.map(|condition| condition.last_transition_time.0),
        }
    });
    let listed = object.status.iter().flat_map(|status| &status.pods);
    let firing = listed.filter(|pod| pod.state == AlertState::Firing).map(|pod| pod.uid.clone());
    let pods = match (object.spec.pod_ref, &object.status) {
        (Some(pod), _) => vec![pod.uid],
        (None, Some(status)) => {
            let firing: Vec<String> = firing.collect();
            let is_all = status.firing_pod_count.is_some_and(|count| count as usize == firing.len());
            if is_all { firing } else { Vec::new() }
        }
        (None, None) => Vec::new(),
    };
    Some(Alert {
        policy: object.spec.policy_ref.uid,
        pods,
        node: object.spec.node_name,
        created: object.metadata.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        reported,
    })
}
