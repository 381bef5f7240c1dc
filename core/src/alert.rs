//! An alert: one shape from the decision to every edge. What publishes it (API objects, log records, pages) converts it
//! once, there.

mod group;
mod name;
mod subject;
mod transition;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use group::{Affected, AffectedPod, Group, Groups, MAX_LISTED};
pub use name::{name, workload_name};
pub use subject::{Controller, PodRef, PolicyRef, Subject, Workload};
pub use transition::Transition;

use crate::{
    causes::Cause,
    decide::{Resolution, Trigger},
    policy::{Identity, Severity, View},
    score::Verdict,
    source::RttFrom,
};

/// Alerts that an agent keeps of each kind; what is over longest goes first.
pub const CAPACITY: usize = 512;

/// Whether an alert is firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AlertState {
    /// The alert is firing.
    Firing,
    /// The alert is over.
    Resolved,
}

/// Whether a warning came true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Confirmed {
    /// A breach followed within the horizon.
    True,
    /// No breach followed.
    False,
    /// There is no verdict yet, or the alert fired on a measured breach.
    Unknown,
}

/// The model or rule of thumb that made the forecast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// Its name.
    pub name: String,
    /// SHA-256 digest of the model in hexadecimal; absent for a rule of thumb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Why the rule fell back to this model. Absent if it is the model that the rule names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// What alerts of releases without views were about.
fn plain() -> String {
    View::default().to_string()
}

/// An alert. Times are unix seconds, round trips µs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Its identity: the same for a repeat.
    pub name: String,
    /// The policy.
    #[serde(flatten)]
    pub policy: Identity,
    /// The rule in it.
    pub rule: String,
    /// The target's name.
    pub target: String,
    /// The target's identity.
    pub target_uid: String,
    /// How urgent the alert is.
    pub severity: Severity,
    /// Whether it is firing.
    pub state: AlertState,
    /// What triggered it.
    pub trigger: Trigger,
    /// What the rule means by RTT, in words: a [`View`].
    #[serde(default = "plain")]
    pub rtt: String,
    /// Where that RTT came from when the alert fired.
    #[serde(default)]
    pub rtt_from: RttFrom,
    /// The rule's threshold, µs.
    pub threshold_us: u64,
    /// The RTT below which it resolves, µs.
    pub resolve_us: u64,
    /// The worst forecast published, µs.
    pub predicted_us: Option<f32>,
    /// The highest chance of a breach published, 0 to 1.
    pub chance: Option<f32>,
    /// The worst measured value published, µs.
    pub measured_us: Option<f32>,
    /// Seconds between warning and breach.
    pub lead_seconds: Option<u64>,
    /// Whether the warning came true.
    pub confirmed: Confirmed,
    /// When that was known, unix s.
    pub judged_unix: Option<u64>,
    /// How often it fired.
    pub count: u64,
    /// When it fired last, unix s.
    pub fired_unix: u64,
    /// When it resolved, unix s.
    pub resolved_unix: Option<u64>,
    /// Why it resolved.
    pub resolution: Option<Resolution>,
    /// Why the forecast rose.
    pub causes: Vec<Cause>,
    /// The model that made the forecast.
    pub model: Model,
    /// Policy and pod as objects of the API; none outside a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Arc<Subject>>,
    /// Name of the alert on its workload, of which this one is a part; none where it is published by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
    /// The pods of the workload that the alert is about; none for an alert about one target. Target and subject are then the
    /// worst of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affected: Option<Box<Affected>>,
}

impl Alert {
    /// Whether it is firing.
    pub fn is_firing(&self) -> bool {
        self.state == AlertState::Firing
    }

    /// Since when it is in its state, unix s: when it resolved, or else when it fired.
    pub fn since_unix(&self) -> u64 {
        self.resolved_unix.filter(|_| !self.is_firing()).unwrap_or(self.fired_unix)
    }

    /// The highest RTT that was published, forecast or measured, µs; 0 without any.
    pub fn reach_us(&self) -> f32 {
        reach_us(self.predicted_us, self.measured_us)
    }

    /// The pod's namespace; empty outside a cluster.
    pub fn namespace(&self) -> &str {
        self.subject.as_ref().map_or("", |subject| &subject.pod.namespace)
    }

    /// Takes in how the warning turned out.
    pub fn judge(&mut self, verdict: Verdict, unix: u64) {
        self.judged_unix = Some(unix);
        match verdict {
            Verdict::Confirmed { lead } => {
                self.confirmed = Confirmed::True;
                self.lead_seconds = Some(lead);
            }
            Verdict::Unconfirmed => self.confirmed = Confirmed::False,
            _ => self.confirmed = Confirmed::Unknown,
        }
    }

    /// It is over since `unix`.
    pub fn resolve(&mut self, resolution: Resolution, unix: u64) {
        self.state = AlertState::Resolved;
        self.resolution = Some(resolution);
        self.resolved_unix = Some(unix);
        if let Some(affected) = &mut self.affected {
            affected.resolve();
        }
    }
}

fn reach_us(predicted_us: Option<f32>, measured_us: Option<f32>) -> f32 {
    predicted_us.unwrap_or(0.0).max(measured_us.unwrap_or(0.0))
}

/// The higher of two figures.
pub fn worse(before: Option<f32>, now: Option<f32>) -> Option<f32> {
    match (before, now) {
        (Some(before), Some(now)) => Some(before.max(now)),
        (before, now) => before.or(now),
    }
}
