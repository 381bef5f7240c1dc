//! What to do: a pure function of what is known, the settings and the time.
//!
//! Every request that would change something is one [`Write`]. Where nothing differs there is none; what cannot be done
//! yet is in [`Plan::again`]. The order is that in which objects need one another.

mod agents;
mod alerts;
mod condition;
mod events;
mod models;
mod networks;
mod retire;
mod scores;
mod shares;
mod status;
mod targets;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use netprecursor_crds::{
    alert::{PolicyKind, Resolution},
    policy::PrecursorPolicyStatus,
};
use serde_json::Value;

pub use agents::IDLE_SINCE;
pub use retire::retire;
pub use scores::{CONTENT, SCORES, snapshot_of};

use crate::{
    config::Settings,
    models::{Payload, Source},
    observe::{Key, Observed, Seen},
};

/// The longest time until the next plan, whatever happens.
const LONGEST: Duration = Duration::from_secs(60);

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What to write, in this order.
    pub writes: Vec<Write>,
    /// Users' models to look at, and the generations of the policies that name them.
    pub looks: Vec<(Source, i64)>,
    /// When to plan again at the latest.
    pub again: Duration,
}

/// One request that changes something.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Publishes a checked model.
    PublishModel {
        /// Its digest.
        sha256: String,
        /// The model.
        payload: Arc<Payload>,
        /// UID of the anchor.
        anchor: String,
    },
    /// Deletes a copy that no policy wants.
    DeleteModel {
        /// The copy.
        key: Key,
        /// Its UID.
        uid: String,
    },
    /// Says what each agent may write, and where the cluster is.
    DealShare {
        /// The ConfigMap.
        manifest: Value,
    },
    /// Makes or changes the agents' DaemonSet.
    ApplyAgents {
        /// All of it.
        manifest: Value,
        /// What somebody else changed and is put right, if that is why.
        reverts: Option<String>,
    },
    /// Tells whoever changed the DaemonSet that it was put right.
    RecordEvent {
        /// The Event.
        event: Value,
    },
    /// Deletes the agents' DaemonSet.
    DeleteAgents {
        /// The DaemonSet.
        key: Key,
        /// Its UID.
        uid: String,
    },
    /// Resolves an alert that nobody else can resolve.
    ResolveAlert {
        /// The alert.
        key: Key,
        /// Its UID.
        uid: String,
        /// Why.
        resolution: Resolution,
        /// What is applied to its status.
        status: Value,
    },
    /// Deletes an alert.
    DeleteAlert {
        /// The alert.
        key: Key,
        /// Its UID.
        uid: String,
        /// As it was seen; it stays when it changed since.
        version: u64,
        /// Why.
        reason: Deletion,
    },
    /// Says how a policy is doing.
    PolicyStatus {
        /// Which of the two kinds.
        kind: PolicyKind,
        /// The policy.
        key: Key,
        /// Its UID.
        uid: String,
        /// All of its status.
        status: Box<PrecursorPolicyStatus>,
    },
    /// Deletes what a node's agent reported.
    DeleteReport {
        /// The report.
        key: Key,
        /// Its UID.
        uid: String,
    },
    /// Keeps a shard of the ledger.
    KeepScores {
        /// The shard.
        shard: u32,
        /// The ConfigMap.
        manifest: Value,
    },
    /// Deletes a kept shard.
    DeleteScores {
        /// The ConfigMap.
        key: Key,
        /// Its UID.
        uid: String,
    },
}

/// Why an alert is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// It has been over for long enough.
    Expired,
    /// Its agent is gone and never reported anything.
    Unfinished,
    /// There are too many; counts for the policy of this UID.
    OverCap {
        /// The policy.
        policy: String,
    },
}

impl Write {
    /// The same for the same change of the same object: refusals are distinguished by it.
    pub fn id(&self) -> String {
        match self {
            Self::PublishModel { sha256, .. } => format!("publish {sha256}"),
            Self::DeleteModel { uid, .. } => format!("delete model {uid}"),
            Self::DealShare { .. } => "deal share".to_owned(),
            Self::ApplyAgents { .. } => "apply agents".to_owned(),
            Self::RecordEvent { event } => format!("record {}", event["metadata"]["name"]),
            Self::DeleteAgents { uid, .. } => format!("delete agents {uid}"),
            Self::ResolveAlert { uid, .. } => format!("resolve {uid}"),
            Self::DeleteAlert { uid, .. } => format!("delete alert {uid}"),
            Self::PolicyStatus { uid, .. } => format!("status {uid}"),
            Self::DeleteReport { uid, .. } => format!("delete report {uid}"),
            Self::KeepScores { shard, .. } => format!("keep {shard}"),
            Self::DeleteScores { uid, .. } => format!("delete scores {uid}"),
        }
    }
}

/// The next point in time at which something is due.
#[derive(Debug)]
pub(crate) struct Due {
    now: Timestamp,
    next: Timestamp,
}

impl Due {
    fn new(now: Timestamp) -> Self {
        Self { now, next: now + LONGEST }
    }

    /// Whether this time has come; otherwise it is planned for.
    pub(crate) fn has_come(&mut self, at: Timestamp) -> bool {
        if at > self.now {
            self.next = self.next.min(at);
        }
        at <= self.now
    }

    /// Whether so many seconds have passed since; otherwise that is planned for.
    pub(crate) fn passed(&mut self, since: Timestamp, seconds: i64) -> bool {
        self.has_come(since.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX))
    }
}

/// What to do. Nothing before everything was listed once: what is not known yet is not gone.
pub fn plan(observed: &Observed, settings: &Settings, now: Timestamp) -> Plan {
    let mut due = Due::new(now);
    let mut plan = Plan { writes: Vec::new(), looks: Vec::new(), again: LONGEST };
    if !observed.is_synced() {
        return plan;
    }
    let anchor = anchor(observed);
    models::plan(observed, settings, anchor, &mut due, &mut plan);
    // Before the agents, which begin with it.
    shares::plan(observed, settings, anchor, &mut due, &mut plan.writes);
    agents::plan(observed, settings, anchor, &mut due, &mut plan.writes);
    plan.writes.extend(events::reverted(observed, settings, now));
    alerts::plan(observed, settings, &mut due, &mut plan.writes);
    status::plan(observed, settings, &mut due, &mut plan.writes);
    scores::plan(observed, settings, &mut due, &mut plan.writes);
    plan.again = Duration::try_from(now.duration_until(due.next)).unwrap_or(LONGEST).max(Duration::from_millis(100));
    plan
}

/// The UID of the object that owns the agents, their shares and the copies of models. Without it none of them is made, for
/// nothing would clean them up.
fn anchor(observed: &Observed) -> Option<&str> {
    observed.anchors.iter().next().map(|(_, anchor): (&Key, &Seen<()>)| anchor.uid.as_str())
}

#[cfg(test)]
mod tests;
