//! The conditions of a report.

use netprecursor_crds::{
    diagnosis::reasons::{Reason, ReportDegraded, ReportReady, ReportWarmingUp},
    report::MAX_ENTRIES,
};

use super::{MAX_REASON, Own};
use crate::{publish::words, status, tick::report::ReportData};

/// The window of every target is empty for this long after a start, in seconds.
const WARM_UP: u64 = netprecursor_core::gate::WARM_UP_TICKS;

/// A reason, and its message.
pub(super) type Verdict = (&'static Reason, String);

/// Whether the required sensors work.
pub(super) fn ready(data: &ReportData) -> Verdict {
    let is_missing = |status: &&status::Status| {
        status.need == status::Need::Required && matches!(status.state, status::State::Unavailable(_))
    };
    let missing: Vec<&str> = data.sensors.iter().filter(is_missing).map(|status| status.name).collect();
    if data.sensors.is_empty() {
        (ReportReady::Starting.row(), "The sensors have not started yet.".to_owned())
    } else if missing.is_empty() {
        (ReportReady::SensorsWork.row(), "All required sensors work.".to_owned())
    } else {
        let message = format!("No forecasts: {} unavailable; see `status.sensors` for the reason.", missing.join(", "));
        (ReportReady::SensorsMissing.row(), message)
    }
}

/// Whether windows still fill.
pub(super) fn warming_up(own: &Own, unix: u64) -> Verdict {
    if unix < own.started + WARM_UP {
        let message = format!("The agent started less than {WARM_UP} s ago: nothing fires yet.");
        (ReportWarmingUp::WindowsFill.row(), message)
    } else {
        (ReportWarmingUp::WindowsFilled.row(), format!("The agent has been running for more than {WARM_UP} s."))
    }
}

/// What this agent lacks.
pub(super) fn degraded(data: &ReportData, own: &Own) -> Verdict {
    let lesser = |status: &status::Status| match status.state {
        status::State::Active => None,
        status::State::Degraded(_) => Some(format!("sensor {} is degraded", status.name)),
        status::State::Unavailable(_) => Some(format!("sensor {} is unavailable", status.name)),
    };
    let mut reasons: Vec<String> = data.sensors.iter().filter_map(lesser).collect();
    if own.is_unsaved {
        reasons.push(
            "alerts cannot be kept on disk: the agent's state directory (`agent.stateDir`) is full or not writable"
                .to_owned(),
        );
    }
    if let Some(problem) = &own.share_problem {
        reasons.push(format!("alerts are published at one write each 20 s: {problem}"));
    }
    if let Some(problem) = &data.networks.problem {
        let what = if data.networks.known.is_some() { "may be outdated" } else { "are not known" };
        reasons.push(format!("the networks of the cluster {what}: {problem}"));
    }
    if own.dropped > 0 || data.transitions_lost > 0 {
        reasons.push("alerts were dropped unpublished because the queue was full".to_owned());
    }
    if own.throttled > 0 {
        reasons.push("some alerts have no object because they exceeded the caps".to_owned());
    }
    if data.over_capacity > 0 {
        reasons.push("some selected pods are not watched because no slot is free".to_owned());
    }
    let fall_back = data.models.iter().filter(|model| !model.ready).count();
    if fall_back > 0 {
        reasons.push(format!("{fall_back} rules fall back to another model"));
    }
    if data.rules.len().max(data.models.len()) > MAX_ENTRIES {
        reasons.push("some rules did not fit into this report".to_owned());
    }
    if reasons.is_empty() {
        (ReportDegraded::Complete.row(), "Nothing is degraded.".to_owned())
    } else {
        (ReportDegraded::Incomplete.row(), words::cut(&reasons.join("; "), MAX_REASON))
    }
}
