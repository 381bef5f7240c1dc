//! Whether the operator runs: without it nothing is reconciled, and conditions are out of date.

use k8s_openapi::jiff::Timestamp;

use super::{Finding, Known, Place, reasons::Found};

/// The operator's Deployment and who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Replicas that there should be.
    pub wanted: i32,
    /// Replicas that are ready.
    pub ready: i32,
    /// Why it is not available, in the words of the Deployment; `None` when it is.
    pub trouble: Option<String>,
    /// Who leads.
    pub lease: Known<Lease>,
}

/// What the Lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it.
    pub holder: Option<String>,
    /// Until when.
    pub until: Option<Timestamp>,
}

impl Operator {
    /// How many replicas are ready.
    pub fn count(&self) -> String {
        format!("{} of {} ready", self.ready, self.wanted)
    }

    /// What is wrong with the Deployment.
    pub fn deployment(&self, place: &Place) -> Option<Finding> {
        if self.wanted == 0 {
            return Some(Finding::of(Found::OperatorScaledDown, "the operator is scaled to 0 replicas", place));
        }
        let why = match (&self.trouble, self.ready) {
            (None, 1..) => return None,
            (Some(why), _) => why.as_str(),
            (None, _) => "no replica is ready",
        };
        let what = format!("the operator is not available: {}; {why}", self.count());
        Some(Finding::of(Found::OperatorDown, what, place))
    }

    /// What is wrong with the leader. `Ok` has its name, or `None` if the user may not see it.
    pub fn leader(&self, place: &Place, now: Timestamp) -> Result<Option<&str>, Finding> {
        let none = |what: String| Err(Finding::of(Found::NoLeader, what, place));
        let lease = match &self.lease {
            Known::There(lease) => lease,
            Known::Absent => return none("no operator has ever held the lease".to_owned()),
            Known::Hidden => return Ok(None),
        };
        match (lease.holder.as_deref().filter(|holder| !holder.is_empty()), lease.until) {
            (Some(holder), Some(until)) if until >= now => Ok(Some(holder)),
            (Some(holder), _) => none(format!("{holder} no longer renews its lease")),
            (None, _) => none("no operator holds the lease".to_owned()),
        }
    }
}

/// What is wrong with the operator; one thing, the first of a chain.
pub fn findings(operator: &Known<Operator>, has_policy: Option<bool>, place: &Place, now: Timestamp) -> Vec<Finding> {
    let found = match operator {
        Known::Hidden => None,
        Known::Absent if has_policy == Some(true) => Some(missing(place)),
        Known::Absent => None,
        Known::There(operator) => operator.deployment(place).or_else(|| operator.leader(place, now).err()),
    };
    found.into_iter().collect()
}

/// That there is none.
pub fn missing(place: &Place) -> Finding {
    let what = format!("there is no operator in namespace {} or in any other that you may see", place.namespace);
    Finding::of(Found::OperatorMissing, what, place)
}
