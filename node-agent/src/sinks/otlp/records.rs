//! Transitions as log records: sent at once, kept for a while when nobody takes them.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity},
};
use opentelemetry_sdk::{
    error::OTelSdkError,
    logs::{LogBatch, LogExporter, SdkLogRecord, SdkLogger, SdkLoggerProvider},
};

use super::{figures::place_attributes, seen::Place};
use crate::{
    sinks::{queue::entry::Cause, words},
    tick::{
        alerts::{Alert, AlertState},
        outcome::Transition,
    },
};

/// Records that wait at most; the oldest go first.
const MAX_WAITING: usize = 512;

/// Records of one export.
const MAX_BATCH: usize = 128;

/// What every record is called.
const EVENT: &str = "netprecursor.alert";

/// Records on their way.
#[derive(Debug)]
pub(super) struct Records {
    waiting: VecDeque<SdkLogRecord>,
    scope: InstrumentationScope,
    logger: SdkLogger,
    dropped: u64,
}

impl Default for Records {
    fn default() -> Self {
        let scope = InstrumentationScope::builder("netprecursor").with_version(env!("CARGO_PKG_VERSION")).build();
        // Only makes records: the SDK's own processors would bring a thread.
        let logger = SdkLoggerProvider::builder().build().logger("netprecursor");
        Self { waiting: VecDeque::new(), scope, logger, dropped: 0 }
    }
}

impl Records {
    /// Adds a transition that happened at `at`.
    pub(super) fn add(&mut self, transition: &Transition, at: SystemTime) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        let mut record = self.logger.create_log_record();
        fill(&mut record, transition, at);
        self.waiting.push_back(record);
    }

    /// Records that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Records that were given up.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Sends the oldest; how many that were.
    ///
    /// # Errors
    /// The exporter's; then they go on waiting.
    pub(super) async fn send<E: LogExporter>(&mut self, exporter: &E) -> Result<usize, OTelSdkError> {
        let batch: Vec<_> = self.waiting.iter().take(MAX_BATCH).map(|record| (record, &self.scope)).collect();
        let count = batch.len();
        exporter.export(LogBatch::new(&batch)).await?;
        self.waiting.drain(..count);
        Ok(count)
    }
}

fn fill(record: &mut SdkLogRecord, transition: &Transition, at: SystemTime) {
    let alert = transition.alert();
    let (severity, text) = match (alert.state, alert.severity) {
        (AlertState::Firing, netprecursor_core::policy::Severity::Critical) => (Severity::Error, "ERROR"),
        (AlertState::Firing, netprecursor_core::policy::Severity::Warning) => (Severity::Warn, "WARN"),
        _ => (Severity::Info, "INFO"),
    };
    record.set_event_name(EVENT);
    record.set_timestamp(at);
    record.set_observed_timestamp(at);
    record.set_severity_number(severity);
    record.set_severity_text(text);
    record.set_body(AnyValue::from(format!(
        "alert {} {}: RTT of {} under policy {}, rule {}",
        alert.name,
        transition.word(),
        alert.target,
        alert.policy,
        alert.rule
    )));
    record.add_attributes(
        subject(alert).into_iter().map(|attribute| (attribute.key, AnyValue::from(attribute.value.to_string()))),
    );
    let words = [
        ("netprecursor.alert.name", alert.name.clone()),
        ("netprecursor.alert.transition", transition.word().to_owned()),
        ("netprecursor.alert.state", format!("{:?}", alert.state)),
        ("netprecursor.alert.severity", format!("{:?}", alert.severity)),
        ("netprecursor.alert.trigger", format!("{:?}", alert.trigger)),
        ("netprecursor.alert.confirmed", format!("{:?}", alert.confirmed)),
        ("netprecursor.policy.name", alert.policy.clone()),
        ("netprecursor.rule.name", alert.rule.clone()),
        ("netprecursor.model.name", alert.model.name.clone()),
    ];
    record.add_attributes(words.map(|(key, value)| (key, AnyValue::from(value))));
    record.add_attribute("netprecursor.alert.count", i64::try_from(alert.count).unwrap_or(i64::MAX));
    let seconds = |us: f32| Duration::from_secs_f64(f64::from(us.max(0.0)) / 1e6).as_secs_f64();
    let numbers = [
        ("netprecursor.alert.threshold", Some(alert.threshold_us as f64 / 1e6)),
        ("netprecursor.alert.predicted", alert.predicted_us.filter(|us| us.is_finite()).map(seconds)),
        ("netprecursor.alert.measured", alert.measured_us.filter(|us| us.is_finite()).map(seconds)),
        ("netprecursor.alert.lead", alert.lead_seconds.map(|s| s as f64)),
    ];
    for (key, value) in numbers {
        if let Some(value) = value {
            record.add_attribute(key, value);
        }
    }
    let causes: Vec<Cause> = alert.causes.iter().map(Into::into).collect();
    if !causes.is_empty() {
        record.add_attribute("netprecursor.alert.causes", words::causes(&causes));
    }
}

/// The pod and its workload; outside a cluster the target.
fn subject(alert: &Alert) -> Vec<KeyValue> {
    let Some(subject) = &alert.subject else {
        return place_attributes(&Place { name: alert.target.clone(), ..Place::default() });
    };
    let mut attributes = place_attributes(&(&subject.pod).into());
    attributes.retain(|attribute| attribute.key.as_str() != "k8s.pod.name");
    attributes.push(KeyValue::new("k8s.pod.name", subject.pod.name.clone()));
    attributes.push(KeyValue::new("k8s.pod.uid", subject.pod.uid.clone()));
    attributes
}
