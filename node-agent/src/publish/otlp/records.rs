//! Events as log records: sent at once, kept for a while when nobody takes them.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use netprecursor_core::alert::{Alert, AlertState, Transition};
use opentelemetry::{
    InstrumentationScope,
    logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity},
};
use opentelemetry_proto::{
    tonic::collector::logs::v1::ExportLogsServiceRequest,
    transform::{common::tonic::ResourceAttributesWithSchema, logs::tonic::group_logs_by_resource_and_scope},
};
use opentelemetry_sdk::logs::{LogBatch, SdkLogRecord, SdkLogger, SdkLoggerProvider};

use super::sensors::Change;
use crate::{
    metrics::{
        figures::{place_labels, rule_labels},
        label::{self, Label},
        seen::Place,
    },
    publish::words,
};

/// Records that wait at most; the oldest go first.
const MAX_WAITING: usize = 512;

/// Records of one export.
const MAX_BATCH: usize = 128;

/// What each record of an alert is called.
const EVENT: &str = "netprecursor.alert";

/// What records are about.
#[derive(Debug)]
pub(super) enum Event {
    /// Boxed: an alert is large.
    Alert(Box<Transition>),
    Sensor(Change),
}

/// Records on their way.
#[derive(Debug)]
pub(super) struct Records {
    waiting: VecDeque<SdkLogRecord>,
    scope: InstrumentationScope,
    logger: SdkLogger,
}

impl Default for Records {
    fn default() -> Self {
        let scope = InstrumentationScope::builder("netprecursor").with_version(env!("CARGO_PKG_VERSION")).build();
        // Only makes records: the SDK's own processors would bring a thread.
        let logger = SdkLoggerProvider::builder().build().logger("netprecursor");
        Self { waiting: VecDeque::new(), scope, logger }
    }
}

impl Records {
    /// Adds an event that happened at `at`. Returns whether an older one was dropped for it.
    pub(super) fn add(&mut self, event: &Event, at: SystemTime) -> bool {
        let is_full = self.waiting.len() >= MAX_WAITING;
        if is_full {
            self.waiting.pop_front();
        }
        let mut record = self.logger.create_log_record();
        record.set_timestamp(at);
        record.set_observed_timestamp(at);
        match event {
            Event::Alert(transition) => fill(&mut record, transition),
            Event::Sensor(change) => change.fill(&mut record),
        }
        self.waiting.push_back(record);
        is_full
    }

    /// Records that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The oldest, as one message; they go on waiting.
    pub(super) fn batch(&self, resource: &ResourceAttributesWithSchema) -> ExportLogsServiceRequest {
        let batch: Vec<_> = self.waiting.iter().take(MAX_BATCH).map(|record| (record, &self.scope)).collect();
        ExportLogsServiceRequest { resource_logs: group_logs_by_resource_and_scope(&LogBatch::new(&batch), resource) }
    }

    /// Those of [`Records::batch`] wait no longer; how many that were.
    pub(super) fn remove_batch(&mut self) -> u64 {
        let count = self.waiting.len().min(MAX_BATCH);
        self.waiting.drain(..count);
        count as u64
    }
}

fn fill(record: &mut SdkLogRecord, transition: &Transition) {
    let alert = transition.alert();
    let (severity, text) = match (alert.state, alert.severity) {
        (AlertState::Firing, netprecursor_core::policy::Severity::Critical) => (Severity::Error, "ERROR"),
        (AlertState::Firing, netprecursor_core::policy::Severity::Warning) => (Severity::Warn, "WARN"),
        _ => (Severity::Info, "INFO"),
    };
    record.set_event_name(EVENT);
    record.set_severity_number(severity);
    record.set_severity_text(text);
    record.set_body(AnyValue::from(format!(
        "alert {} {}: {} of {} ({}, rule {})",
        alert.name,
        transition.word(),
        words::rtt(alert),
        alert.target,
        alert.policy,
        alert.rule
    )));
    record.add_attributes(
        subject(alert)
            .into_iter()
            .chain(rule_labels(&alert.policy, &alert.rule))
            .map(|(label, value)| (label.attribute, AnyValue::from(value))),
    );
    let words = [
        ("netprecursor.alert.name", alert.name.clone()),
        ("netprecursor.alert.transition", transition.word().to_owned()),
        ("netprecursor.alert.state", format!("{:?}", alert.state)),
        ("netprecursor.alert.severity", format!("{:?}", alert.severity)),
        ("netprecursor.alert.trigger", format!("{:?}", alert.trigger)),
        ("netprecursor.alert.confirmed", format!("{:?}", alert.confirmed)),
        ("netprecursor.model.name", alert.model.name.clone()),
    ];
    record.add_attributes(words.map(|(key, value)| (key, AnyValue::from(value))));
    record.add_attribute("netprecursor.alert.count", i64::try_from(alert.count).unwrap_or(i64::MAX));
    if let Some(affected) = &alert.affected {
        record.add_attribute("netprecursor.alert.pods", i64::from(affected.count));
        record.add_attribute("netprecursor.alert.pods.firing", i64::from(affected.firing));
    }
    let seconds = |us: f32| Duration::from_secs_f64(f64::from(us.max(0.0)) / 1e6).as_secs_f64();
    let numbers = [
        ("netprecursor.alert.threshold", Some(alert.threshold_us as f64 / 1e6)),
        ("netprecursor.alert.predicted", alert.predicted_us.filter(|us| us.is_finite()).map(seconds)),
        ("netprecursor.alert.chance", alert.chance.filter(|chance| chance.is_finite()).map(f64::from)),
        ("netprecursor.alert.measured", alert.measured_us.filter(|us| us.is_finite()).map(seconds)),
        ("netprecursor.alert.lead", alert.lead_seconds.map(|s| s as f64)),
    ];
    for (key, value) in numbers {
        if let Some(value) = value {
            record.add_attribute(key, value);
        }
    }
    if let Some(causes) = words::causes(&alert.causes) {
        record.add_attribute("netprecursor.alert.causes", causes);
    }
}

/// The pod's UID, which no series carries.
const POD_UID: Label = Label { attribute: "k8s.pod.uid", label: "pod_uid" };

/// The pod and its workload; outside a cluster the target.
fn subject(alert: &Alert) -> Vec<(Label, String)> {
    let Some(subject) = &alert.subject else {
        return place_labels(&Place { name: alert.target.clone(), ..Place::default() });
    };
    let mut labels = place_labels(&Place::from(&*subject.pod));
    labels.retain(|(label, _)| *label != label::POD);
    labels.push((label::POD, subject.pod.name.clone()));
    labels.push((POD_UID, subject.pod.uid.clone()));
    labels
}
