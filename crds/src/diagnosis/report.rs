//! What an agent that reports says that is wrong, or could be better.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Finding, Known, Place, node::Report, policy::Word, reasons};
use crate::report::{Need, PrecursorNodeReportStatus, RttSource, SensorState};

fn condition<'a>(status: &'a PrecursorNodeReportStatus, type_: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the agent says that it works.
pub fn ready(status: &PrecursorNodeReportStatus) -> Option<Word> {
    condition(status, "Ready").map(|ready| Word {
        is_well: ready.status == "True",
        reason: ready.reason.clone(),
        message: ready.message.clone(),
    })
}

/// A report as far as a diagnosis needs it.
pub fn of(status: Option<&PrecursorNodeReportStatus>, place: &Place) -> Known<Report> {
    Known::There(status.map_or_else(Report::default, |status| Report {
        heartbeat: status.heartbeat.as_ref().map(|time| time.0),
        ready: ready(status),
        findings: findings(status, place),
    }))
}

/// What it says; the worst first.
pub fn findings(status: &PrecursorNodeReportStatus, place: &Place) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |reason: &reasons::Reason, what: String| findings.push(Finding::of(reason, what, place));
    for sensor in &status.sensors {
        let (name, why) = (&sensor.name, sensor.reason.as_deref().unwrap_or("no reason given"));
        match (sensor.need, sensor.state) {
            (_, SensorState::Active) => {}
            (Need::Required, SensorState::Unavailable) => {
                find(const { reasons::found("SensorUnavailable") }, format!("sensor {name} is unavailable: {why}"));
            }
            (Need::Optional, SensorState::Unavailable) => {
                find(const { reasons::found("SensorLess") }, format!("sensor {name} is unavailable: {why}"));
            }
            (_, SensorState::Degraded) => {
                find(const { reasons::found("SensorLess") }, format!("sensor {name} is degraded: {why}"));
            }
        }
    }
    if status.queue.dropped > 0 {
        let what = format!("{} messages were given up because the queue was full", status.queue.dropped);
        find(const { reasons::found("QueueFull") }, what);
    }
    let throttled: u64 = status.rules.iter().map(|rule| rule.throttled).sum();
    if throttled > 0 {
        let what = format!("{throttled} alerts have no object, because there were more than the caps allow");
        find(const { reasons::found("AlertsOverCap") }, what);
    }
    if status.targets_over_capacity > 0 {
        let what =
            format!("{} pods are wanted and not watched: the agent has no room for more", status.targets_over_capacity);
        find(const { reasons::found("NoRoom") }, what);
    }
    for model in status.models.iter().filter(|model| !model.ready) {
        let why = model.reason.as_deref().unwrap_or("no reason given");
        find(
            const { reasons::found("FallsBack") },
            format!("rule {} forecasts with {} instead of the model that it asks for: {why}", model.rule, model.name),
        );
    }
    if status.queue.pending > 0 {
        find(const { reasons::found("QueueWaits") }, format!("{} messages wait to be sent", status.queue.pending));
    }
    if status.rtt_source == RttSource::Smoothed {
        let what = "the kernel gives smoothed round trips only (6.10 and later give each one)".to_owned();
        find(const { reasons::found("Smoothed") }, what);
    }
    // Sensors, queue, caps and room are told with their numbers; what else there is stands only in the condition.
    for type_ in ["Degraded", "WarmingUp"] {
        if let Some(told) = condition(status, type_).filter(|told| told.status == "True")
            && let Some(reason) = reasons::find(reasons::REPORT, type_, &told.reason)
            && (type_ == "WarmingUp" || findings.is_empty() || told.message.contains("disk"))
        {
            findings.push(Finding::of(reason, told.message.clone(), place));
        }
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
}
