//! The alerts of this agent: those that are out, and the latest of those that are over. One entry per target and rule;
//! a repeat updates it in place.

use std::{collections::BTreeMap, sync::Arc};

use netprecursor_core::{
    causes::Cause,
    decide::{Resolution, Trigger},
    policy::{Identity, Severity},
    score::Verdict,
};
use serde::{Deserialize, Serialize};

use super::forecaster::Speaker;
use crate::cluster::seam::Subject;

/// Entries kept; what is over longest goes first.
pub const CAPACITY: usize = 512;

/// Whether an alert is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlertState {
    /// It is.
    Firing,
    /// It was.
    Resolved,
}

/// What became of the warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confirmed {
    /// A breach followed within the horizon.
    True,
    /// None did.
    False,
    /// Not known yet, or it fired on the breach itself.
    Unknown,
}

/// Why the forecast was what it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CauseView {
    /// Group of features.
    pub group: String,
    /// The feature that shows it best.
    pub feature: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Its value when the alert fired.
    pub value: f32,
    /// What it stays below three quarters of the target's own time.
    pub baseline: f32,
    /// Share of all that speaks for a cause, percent.
    pub share_percent: u8,
}

impl From<&Cause> for CauseView {
    fn from(cause: &Cause) -> Self {
        Self {
            group: format!("{:?}", cause.group),
            feature: cause.feature,
            unit: cause.unit,
            value: cause.value,
            baseline: cause.baseline,
            share_percent: cause.share_percent,
        }
    }
}

/// An alert.
#[derive(Debug, Clone, Serialize)]
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
    /// How urgent.
    pub severity: Severity,
    /// Whether it is out.
    pub state: AlertState,
    /// What made it fire.
    pub trigger: Trigger,
    /// The rule's threshold, µs.
    pub threshold_us: u64,
    /// Below what it resolves, µs.
    pub resolve_us: u64,
    /// The worst forecast told, µs.
    pub predicted_us: Option<f32>,
    /// The highest chance of a breach told, 0 to 1.
    pub chance: Option<f32>,
    /// The worst measured value told, µs.
    pub measured_us: Option<f32>,
    /// Seconds between warning and breach.
    pub lead_seconds: Option<u64>,
    /// What became of the warning.
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
    pub causes: Vec<CauseView>,
    /// Who forecast.
    pub model: Speaker,
    /// Policy and pod as objects of the API; none outside a cluster.
    #[serde(skip)]
    pub subject: Option<Arc<Subject>>,
}

/// All alerts by name.
#[derive(Debug, Default)]
pub struct AlertBook {
    alerts: BTreeMap<String, Alert>,
    evicted: u64,
}

impl AlertBook {
    /// An alert fires, again or for the first time.
    pub fn fire(&mut self, mut alert: Alert) -> &Alert {
        if let Some(before) = self.alerts.get(&alert.name) {
            alert.count = before.count + 1;
        } else if self.alerts.len() >= CAPACITY {
            self.evict();
        }
        let name = alert.name.clone();
        self.alerts.entry(name).insert_entry(alert).into_mut()
    }

    /// The alert of this name.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Alert> {
        self.alerts.get_mut(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// How many are out.
    pub fn firing(&self) -> usize {
        self.alerts.values().filter(|alert| alert.state == AlertState::Firing).count()
    }

    /// How many had to go to make room.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Makes room: the one that resolved first goes, and if all are out, the one that fired first.
    fn evict(&mut self) {
        let oldest = self
            .alerts
            .values()
            .min_by_key(|alert| (alert.state == AlertState::Firing, alert.resolved_unix.unwrap_or(alert.fired_unix)))
            .map(|alert| alert.name.clone());
        if let Some(name) = oldest {
            self.alerts.remove(&name);
            self.evicted += 1;
        }
    }
}

impl Alert {
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
}
