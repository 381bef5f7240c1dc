//! What is wrong, or could be better, by the report of an agent.

use super::{
    Finding, Known, Place, condition,
    node::Report,
    policy::Word,
    reasons::{self, Found},
};
use crate::ConditionStatus;
use crate::report::{Need, PrecursorNodeReportStatus, RttSource, Sensor, SensorState};

/// Whether the agent reports that it works.
pub fn ready(status: &PrecursorNodeReportStatus) -> Option<Word> {
    condition(&status.conditions, "Ready").map(|ready| Word {
        is_well: ready.status == ConditionStatus::True,
        reason: ready.reason.clone(),
        message: ready.message.clone(),
    })
}

/// The parts of a report that a diagnosis needs. `newest`: the newest version of all agents.
pub fn of(status: Option<&PrecursorNodeReportStatus>, newest: &str, place: &Place) -> Known<Report> {
    Known::There(status.map_or_else(Report::default, |status| {
        let mut findings = findings(status, place);
        if number(&status.agent_version) < number(newest) {
            let what = format!("the agent runs version {}, others run {newest}", status.agent_version);
            findings.push(Finding::of(Found::VersionSkew, what, place));
        }
        let heartbeat = status.heartbeat.as_ref().map(|time| time.0);
        Report { heartbeat, ready: ready(status), findings }
    }))
}

/// The newest of some versions.
pub fn newest<'a>(versions: impl Iterator<Item = &'a str>) -> &'a str {
    versions.max_by_key(|version| number(version)).unwrap_or_default()
}

/// The numbers of a version, without what follows them.
fn number(version: &str) -> Vec<u64> {
    let parts = version.split(['.', '-', '+']).map_while(|part| part.parse().ok());
    parts.take(3).collect()
}

/// What is missing for the best possible forecasts, as text.
pub fn lessened(status: &PrecursorNodeReportStatus) -> Vec<String> {
    let mut lessened: Vec<String> = match status.rtt_source {
        RttSource::Measured => Vec::new(),
        RttSource::Smoothed => vec![SMOOTHED.to_owned()],
        RttSource::Unavailable => vec!["RTT is not available".to_owned()],
    };
    lessened.extend(status.sensors.iter().filter(|sensor| sensor.need == Need::Required).filter_map(words_of));
    lessened.extend(no_room(status));
    lessened
}

const SMOOTHED: &str = "the kernel provides smoothed RTT only (6.10 and later provide the RTT of each round trip)";

/// The text for a sensor that is not fully active.
fn words_of(sensor: &Sensor) -> Option<String> {
    let state = match sensor.state {
        SensorState::Active => return None,
        SensorState::Degraded => "degraded",
        SensorState::Unavailable => "unavailable",
    };
    Some(format!("sensor {} is {state}: {}", sensor.name, sensor.reason.as_deref().unwrap_or("no reason given")))
}

fn no_room(status: &PrecursorNodeReportStatus) -> Option<String> {
    let pods = status.targets_over_capacity;
    (pods > 0).then(|| format!("{pods} selected pods are not watched: the agent has no free slot for them"))
}

/// The problems that a report shows, worst first.
pub fn findings(status: &PrecursorNodeReportStatus, place: &Place) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |reason: Found, what: String| findings.push(Finding::of(reason, what, place));
    for sensor in &status.sensors {
        let is_needed = (sensor.need, sensor.state) == (Need::Required, SensorState::Unavailable);
        let reason = if is_needed { Found::SensorUnavailable } else { Found::SensorDegraded };
        words_of(sensor).into_iter().for_each(|words| find(reason, words));
    }
    if status.queue.dropped > 0 {
        let what = format!("{} messages were dropped because the queue was full", status.queue.dropped);
        find(Found::MessagesDropped, what);
    }
    let throttled: u64 = status.rules.iter().map(|rule| rule.throttled).sum();
    if throttled > 0 {
        let what = format!("{throttled} alerts have no object because they exceeded the caps");
        find(Found::AlertsOverCap, what);
    }
    no_room(status).into_iter().for_each(|words| find(Found::OverCapacity, words));
    for model in status.models.iter().filter(|model| !model.ready) {
        let why = model.reason.as_deref().unwrap_or("no reason given");
        find(Found::ModelFallback, format!("rule {} falls back to {}: {why}", model.rule, model.name));
    }
    if status.queue.pending > 0 {
        find(Found::MessagesPending, format!("{} messages are waiting to be sent", status.queue.pending));
    }
    if status.rtt_source == RttSource::Smoothed {
        find(Found::SmoothedRtt, SMOOTHED.to_owned());
    }
    // Sensors, queue, caps and slots are reported with their numbers; the rest is only in the condition.
    for type_ in ["Degraded", "WarmingUp"] {
        if let Some(found) = condition(&status.conditions, type_).filter(|found| found.status == ConditionStatus::True)
            && let Some(reason) = reasons::find(reasons::REPORT, type_, &found.reason)
            && (type_ == "WarmingUp" || findings.is_empty() || found.message.contains("disk"))
        {
            findings.push(Finding::of(reason, found.message.clone(), place));
        }
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(newest(["0.9.2", "0.10.0", "0.10.0-rc.1"].into_iter()).split('-').next(), Some("0.10.0"));
        assert!(number("0.2.0") > number("0.1.9") && number("") < number("0.1"));
    }
}
