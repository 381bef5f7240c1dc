//! Sensors that change their state, as log records: what a node measures, and since when it does not.

use std::collections::BTreeMap;

use netprecursor_core::tick::Tick;
use opentelemetry::logs::{AnyValue, LogRecord as _, Severity};
use opentelemetry_sdk::logs::SdkLogRecord;

use crate::{
    metrics::label,
    status::{Need, State, Status},
};

/// What each of these records is called.
const EVENT: &str = "netprecursor.sensor";

/// Seconds between two records of one sensor at least: one that comes and goes must not crowd out alerts.
const APART: u64 = 60;

/// A sensor as it is now, and its state when it was last reported, if it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    status: Status,
    before: Option<&'static str>,
}

/// The state of each sensor when it was last reported, and when that was.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<&'static str, (&'static str, Tick)>);

impl Known {
    /// What is to be reported at `now`: sensors that are new, and those in another state than was reported. A reason alone is no
    /// news: it may have numbers in it.
    pub(super) fn changes(&mut self, now: Tick, sensors: &[Status]) -> Vec<Change> {
        let mut changes = Vec::new();
        for status in sensors {
            let state = status.state.word();
            let before = self.0.get(status.name).copied();
            if before.is_none_or(|(told, at)| told != state && now.since(at) >= APART) {
                self.0.insert(status.name, (state, now));
                changes.push(Change { status: status.clone(), before: before.map(|(told, _)| told) });
            }
        }
        changes
    }
}

impl Change {
    /// Writes all but the time into a record.
    pub(super) fn fill(&self, record: &mut SdkLogRecord) {
        let Self { status, before } = self;
        let (severity, text) = match (&status.state, status.need) {
            (State::Active, _) => (Severity::Info, "INFO"),
            (State::Unavailable(_), Need::Required) => (Severity::Error, "ERROR"),
            _ => (Severity::Warn, "WARN"),
        };
        record.set_event_name(EVENT);
        record.set_severity_number(severity);
        record.set_severity_text(text);
        record.set_body(AnyValue::from(format!("sensor {}: {}", status.name, status.state)));
        record.add_attribute(label::SENSOR.attribute, status.name);
        record.add_attribute(label::SENSOR_STATE.attribute, status.state.word());
        record.add_attribute("netprecursor.sensor.required", status.need == Need::Required);
        if let Some(before) = *before {
            record.add_attribute("netprecursor.sensor.state.before", before);
        }
        if !status.state.reason().is_empty() {
            record.add_attribute("netprecursor.sensor.reason", status.state.reason().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sched(state: State) -> Vec<Status> {
        vec![Status::new("sched", Need::Optional, state)]
    }

    fn degraded(reason: &str) -> Vec<Status> {
        sched(State::Degraded(reason.to_owned()))
    }

    /// States before and now.
    fn words(changes: &[Change]) -> Vec<(Option<&'static str>, &'static str)> {
        changes.iter().map(|change| (change.before, change.status.state.word())).collect()
    }

    #[test]
    fn a_sensor_is_reported_when_it_is_new_and_when_its_state_changes() {
        let mut known = Known::default();
        assert_eq!(words(&known.changes(Tick(100), &sched(State::Active))), [(None, "Active")]);
        assert!(known.changes(Tick(101), &sched(State::Active)).is_empty());
        assert_eq!(words(&known.changes(Tick(200), &degraded("5 lost"))), [(Some("Active"), "Degraded")]);
        assert!(known.changes(Tick(300), &degraded("6 lost")).is_empty());
    }

    #[test]
    fn one_that_comes_and_goes_is_reported_once_a_minute_and_as_it_is_then() {
        let mut known = Known::default();
        let mut reported = Vec::new();
        for second in 0..180 {
            let now = if second % 2 == 0 { sched(State::Active) } else { degraded("busy") };
            reported.extend(words(&known.changes(Tick(second), &now)).into_iter().map(|(_, state)| (second, state)));
        }
        assert_eq!(reported, [(0, "Active"), (61, "Degraded"), (122, "Active")]);
    }
}
