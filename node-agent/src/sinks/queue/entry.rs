//! The latest state of one alert, and how much of it has been told: what a file of the queue holds.

use std::{collections::VecDeque, io};

use netprecursor_core::{
    decide::{Resolution, Trigger},
    policy::Severity,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    cluster::seam::{PolicyKind, Subject},
    sinks::words,
    tick::alerts::{Alert, AlertState, CauseView, Confirmed},
};

/// The version of the files. Additions that older releases may ignore keep it.
const VERSION: u32 = 1;

/// Causes kept, as the API bounds them.
pub const MAX_CAUSES: usize = 8;

/// Transitions of one alert that wait to become Events; older ones are given up and counted.
pub const MAX_EVENTS: usize = 8;

/// Who owns an alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// Whether the policy is the whole cluster's.
    pub cluster: bool,
    /// Its name.
    pub name: String,
    /// Never reused, unlike the name.
    pub uid: String,
}

/// Why an alert is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// RTT stayed below the resolve threshold.
    Recovered,
    /// Nothing was measured any more.
    Silent,
    /// The pod or the rule is no more.
    Gone,
    /// The agent was started anew and saw no trouble since.
    Restarted,
}

impl From<Resolution> for Ending {
    fn from(resolution: Resolution) -> Self {
        match resolution {
            Resolution::Recovered => Self::Recovered,
            Resolution::Silent => Self::Silent,
            Resolution::Gone => Self::Gone,
        }
    }
}

/// A cause, its numbers as they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Group of features.
    pub group: String,
    /// The feature that shows it best.
    pub feature: String,
    /// Its unit.
    pub unit: String,
    /// Its value when the alert fired.
    pub value: String,
    /// What it stays below three quarters of the pod's own time.
    pub baseline: String,
    /// Share of all that speaks for a cause, percent.
    pub share_percent: u8,
}

/// Who forecast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Name of the model or rule of thumb.
    pub name: String,
    /// Digest of the model.
    pub sha256: Option<String>,
    /// Why it stands in for the one that the rule asks for.
    pub stands_in: Option<String>,
}

/// An alert as the API is told of it. Times are unix seconds, round trips µs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its identity: the same for a repeat.
    pub name: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The policy.
    pub policy: Owner,
    /// The rule in it.
    pub rule: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's UID.
    pub pod_uid: String,
    /// Whether it is out.
    pub state: AlertState,
    /// How urgent.
    pub severity: Severity,
    /// What made it fire.
    pub trigger: Trigger,
    /// The rule's threshold.
    pub threshold_us: u64,
    /// Below what it resolves.
    pub resolve_us: Option<u64>,
    /// The worst forecast told.
    pub predicted_us: Option<u64>,
    /// The highest chance of a breach told, percent; records of before 0.2 have none.
    #[serde(default)]
    pub chance_percent: Option<u8>,
    /// The worst measured value told.
    pub measured_us: Option<u64>,
    /// Seconds between warning and breach.
    pub lead_seconds: Option<u64>,
    /// What became of the warning.
    pub confirmed: Confirmed,
    /// When that was known; else when it fired.
    pub judged: u64,
    /// How often it fired.
    pub count: u64,
    /// When it fired last.
    pub fired: u64,
    /// When it resolved.
    pub resolved: Option<u64>,
    /// Why it resolved.
    pub ending: Option<Ending>,
    /// Why the forecast rose.
    pub causes: Vec<Cause>,
    /// Who forecast.
    pub model: Model,
}

impl Record {
    /// The alert on `subject`.
    pub fn new(alert: &Alert, subject: &Subject) -> Self {
        let us = |us: Option<f32>| us.filter(|us| us.is_finite() && *us >= 0.0).map(|us| us.round() as u64);
        Self {
            name: alert.name.clone(),
            namespace: subject.pod.namespace.clone(),
            policy: Owner {
                cluster: subject.policy.kind == PolicyKind::Cluster,
                name: subject.policy.name.clone(),
                uid: subject.policy.uid.clone(),
            },
            rule: alert.rule.clone(),
            pod: subject.pod.name.clone(),
            pod_uid: subject.pod.uid.clone(),
            state: alert.state,
            severity: alert.severity,
            trigger: alert.trigger,
            threshold_us: alert.threshold_us,
            resolve_us: Some(alert.resolve_us),
            predicted_us: us(alert.predicted_us),
            chance_percent: alert.chance.map(words::percent),
            measured_us: us(alert.measured_us),
            lead_seconds: alert.lead_seconds,
            confirmed: alert.confirmed,
            judged: alert.judged_unix.unwrap_or(alert.fired_unix),
            count: alert.count,
            fired: alert.fired_unix,
            resolved: alert.resolved_unix,
            ending: alert.resolution.map(Into::into),
            causes: alert.causes.iter().take(MAX_CAUSES).map(Into::into).collect(),
            model: Model {
                name: alert.model.name.clone(),
                sha256: alert.model.sha256.clone(),
                stands_in: alert.model.stands_in.clone(),
            },
        }
    }

    /// Whether it is out.
    pub fn is_firing(&self) -> bool {
        self.state == AlertState::Firing
    }
}

impl From<&CauseView> for Cause {
    fn from(cause: &CauseView) -> Self {
        Self {
            group: cause.group.clone(),
            feature: cause.feature.to_owned(),
            unit: cause.unit.to_owned(),
            value: shown(cause.value),
            baseline: shown(cause.baseline),
            share_percent: cause.share_percent.min(100),
        }
    }
}

/// Three digits that matter, as a decimal number.
fn shown(value: f32) -> String {
    if !value.is_finite() {
        return "unknown".to_owned();
    }
    let whole = value.abs().max(1.0).log10().floor() as usize;
    let text = format!("{value:.*}", 2_usize.saturating_sub(whole));
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A transition that waits to become an Event: its identity and its words, as they were then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// How often the alert had fired.
    pub count: u64,
    /// What it became.
    pub state: AlertState,
    /// When, unix s.
    pub at: u64,
    /// Why it is told, in CamelCase.
    pub reason: String,
    /// What is said of it.
    pub note: String,
}

/// What the API is known to hold of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The revision.
    pub revision: u64,
    /// The state in it.
    pub state: AlertState,
    /// The count in it.
    pub count: u64,
}

/// One alert in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The alert as it is now.
    pub alert: Record,
    /// One more with each transition.
    pub revision: u64,
    /// UID of the object, once it is made.
    pub object: Option<String>,
    /// What its status says.
    pub delivered: Option<Delivered>,
    /// Events to make, oldest first.
    pub events: VecDeque<Pending>,
}

/// A file that is no entry.
#[derive(Debug, Error)]
pub enum EntryError {
    /// Written by another release.
    #[error("got version {got}, expected {VERSION}")]
    Version {
        /// Its version.
        got: u32,
    },
    /// More than the API takes.
    #[error("got {got} {what}, expected at most {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        got: usize,
        /// The bound.
        max: usize,
    },
    /// Not an entry.
    #[error("expected an alert as the agent writes it: {0}")]
    Json(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    #[serde(flatten)]
    entry: &'a Entry,
}

impl Entry {
    /// An alert that nothing has been told of.
    pub const fn new(alert: Record) -> Self {
        Self { alert, revision: 1, object: None, delivered: None, events: VecDeque::new() }
    }

    /// Whether the API lacks something of it.
    pub fn is_pending(&self) -> bool {
        !self.is_current() || !self.events.is_empty()
    }

    /// Whether the object says what is so.
    pub fn is_current(&self) -> bool {
        self.delivered.is_some_and(|delivered| delivered.revision == self.revision)
    }

    /// Whether the object says whether it fires and how often; if so, the rest can wait.
    pub fn is_told(&self) -> bool {
        self.delivered
            .is_some_and(|delivered| (delivered.state, delivered.count) == (self.alert.state, self.alert.count))
    }

    /// The file's content.
    ///
    /// # Errors
    /// None that an entry in memory can cause; the encoder's are passed on.
    pub fn to_json(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&Written { version: VERSION, entry: self })?)
    }

    /// An entry from a file's content.
    ///
    /// # Errors
    /// Another version, lists beyond their bounds, or something else altogether.
    pub fn from_json(json: &[u8]) -> Result<Self, EntryError> {
        let Versioned { version: got } = serde_json::from_slice(json)?;
        if got != VERSION {
            return Err(EntryError::Version { got });
        }
        let entry: Self = serde_json::from_slice(json)?;
        for (what, got, max) in
            [("causes", entry.alert.causes.len(), MAX_CAUSES), ("events", entry.events.len(), MAX_EVENTS)]
        {
            if got > max {
                return Err(EntryError::TooMany { what, got, max });
            }
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_the_digits_that_matter() {
        let cases: [(f32, &str); 9] = [
            (182_345.0, "182345"),
            (9.0, "9"),
            (0.034, "0.03"),
            (12.345, "12.3"),
            (1.0, "1"),
            (-0.001, "0"),
            (-2.81759, "-2.82"),
            (100.0, "100"),
            (f32::NAN, "unknown"),
        ];
        for (value, expected) in cases {
            assert_eq!(shown(value), expected);
        }
    }

    #[test]
    fn an_alert_that_an_earlier_release_kept_is_read_without_a_chance() {
        let entry = Entry::new(words::tests::firing());
        let written = String::from_utf8(entry.to_json().unwrap()).unwrap();
        let before = written.replace(r#""chance_percent":74,"#, "");
        assert_ne!(written, before);
        let read = Entry::from_json(before.as_bytes()).unwrap();
        assert_eq!(read.alert, Record { chance_percent: None, ..entry.alert });
    }
}
