//! What happened in which order: by the Events, and by the alert itself where those of its last firing are gone.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::events::v1::Event, apimachinery::pkg::apis::meta::v1::Time};
use netprecursor_crds::{
    ConditionStatus, PrecursorAlert,
    alert::{AlertState, PrecursorAlertStatus, Trigger, WorkloadReference},
    diagnosis::condition,
};
use serde::Serialize;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Step {
    pub(super) at: Time,
    pub(super) what: What,
    /// In words, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) says: Option<String>,
}

/// In the order in which things of the same second happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum What {
    Fired,
    Breach,
    Confirmed,
    Unconfirmed,
    Resolved,
}

impl What {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Breach => "breach",
            Self::Confirmed => "confirmed",
            Self::Unconfirmed => "not confirmed",
            Self::Resolved => "resolved",
        }
    }
}

/// What selects the alert's Events: those on the workload, which has one each time; else those on the pod.
pub(super) fn selected(alert: &PrecursorAlert) -> String {
    match &alert.spec.workload_ref {
        Some(WorkloadReference { kind, name }) => format!("regarding.kind={kind},regarding.name={name}"),
        None => format!("regarding.uid={}", alert.pod().map_or("", |(_, uid)| uid)),
    }
}

/// Every step that is known, oldest first.
pub(super) fn steps(alert: &PrecursorAlert, events: &[Event]) -> Vec<Step> {
    let name = alert.metadata.name.as_deref().unwrap_or_default();
    let from_events: Vec<(u64, Step)> = events.iter().filter_map(|event| step(event, name)).collect();
    let known = alert.status.as_ref().map(known).unwrap_or_default();
    let last = alert.status.as_ref().map_or(0, |status| status.count);
    // The Event of a transition has more words.
    let has_event = |what| from_events.iter().any(|(count, step)| *count == last && step.what == what);
    let mut steps: Vec<Step> = known.into_iter().filter(|step| !has_event(step.what)).collect();
    steps.extend(from_events.into_iter().map(|(_, step)| step));
    steps.sort_by_key(|step| (step.at.0, step.what));
    steps
}

/// An Event about this alert, and about which of its firings. Its name is made of alert, count and state.
fn step(event: &Event, alert: &str) -> Option<(u64, Step)> {
    event.related.as_ref().filter(|related| related.name.as_deref() == Some(alert))?;
    let (count, state) = event.metadata.name.as_deref()?.strip_prefix(alert)?.strip_prefix('.')?.split_once('.')?;
    // Those on a workload have another name than those on a pod.
    let what = match state.strip_suffix(".workload").unwrap_or(state) {
        "firing" => What::Fired,
        "resolved" => What::Resolved,
        _ => return None,
    };
    let step = Step { at: Time(event.event_time.as_ref()?.0), what, says: event.note.clone() };
    Some((count.parse().ok()?, step))
}

/// What the alert itself knows of its last firing.
fn known(status: &PrecursorAlertStatus) -> Vec<Step> {
    let step = |at: Timestamp, what, says| Step { at: Time(at), what, says };
    let fired = status.fired_at.0;
    let firing = condition(&status.conditions, "Firing").map(|condition| condition.message.clone());
    let is_firing = status.state == AlertState::Firing;
    let mut steps = vec![step(fired, What::Fired, firing.clone().filter(|_| is_firing))];
    let lead = status.lead.as_ref().and_then(|lead| lead.us().ok()).and_then(|us| i64::try_from(us).ok());
    let breach = match (status.trigger, lead) {
        (Trigger::Measured, _) => Some(fired),
        (Trigger::Forecast, Some(us)) => fired.checked_add(SignedDuration::from_micros(us)).ok(),
        (Trigger::Forecast, None) => None,
    };
    steps.extend(breach.map(|at| step(at, What::Breach, Some(format!("measured RTT is above {}", status.threshold)))));
    let confirmed =
        condition(&status.conditions, "Confirmed").filter(|condition| condition.status != ConditionStatus::Unknown);
    steps.extend(confirmed.map(|condition| {
        let what = if condition.status == ConditionStatus::True { What::Confirmed } else { What::Unconfirmed };
        step(condition.last_transition_time.0, what, Some(condition.message.clone()))
    }));
    steps.extend(status.resolved_at.as_ref().map(|at| step(at.0, What::Resolved, firing.filter(|_| !is_firing))));
    steps
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubectl::explain::tests::{FIRED, alert, time};

    fn event(count: u32, state: &str, at: i64, related: &str) -> Event {
        serde_json::from_value(json!({
            "metadata": {"name": format!("checkout-3f9a1c20be.{count}.{state}"), "namespace": "shop"},
            "eventTime": time(at).replace('Z', ".000000Z"),
            "note": format!("{state} {count}"),
            "related": {"kind": "PrecursorAlert", "name": related},
        }))
        .unwrap()
    }

    fn seconds(steps: &[Step]) -> Vec<(i64, What)> {
        steps.iter().map(|step| (step.at.0.as_second() - FIRED, step.what)).collect()
    }

    #[test]
    fn the_alert_alone_knows_its_last_firing() {
        let steps = steps(&alert(|_| {}), &[]);
        let expected = [(0, What::Fired), (6, What::Breach), (6, What::Confirmed), (30, What::Resolved)];
        assert_eq!(seconds(&steps), expected);
    }

    #[test]
    fn events_add_earlier_firings_and_are_not_shown_twice() {
        let ours = "checkout-3f9a1c20be";
        let events = [
            event(2, "firing", FIRED, ours),
            event(1, "resolved", FIRED - 500, ours),
            event(1, "firing", FIRED - 600, ours),
            event(7, "firing", FIRED + 1, "another-alert"),
        ];
        let steps = steps(&alert(|_| {}), &events);
        let expected = [
            (-600, What::Fired),
            (-500, What::Resolved),
            (0, What::Fired),
            (6, What::Breach),
            (6, What::Confirmed),
            (30, What::Resolved),
        ];
        assert_eq!(seconds(&steps), expected);
        assert_eq!(steps[2].says.as_deref(), Some("firing 2"));
    }

    #[test]
    fn what_fired_on_the_breach_itself_has_its_breach_in_the_same_second() {
        let late = alert(|alert| {
            let status = &mut alert["status"];
            (status["trigger"], status["lead"]) = ("Measured".into(), serde_json::Value::Null);
            status["conditions"][1]["status"] = "Unknown".into();
        });
        assert_eq!(seconds(&steps(&late, &[])), [(0, What::Fired), (0, What::Breach), (30, What::Resolved)]);
    }

    #[test]
    fn a_false_alarm_is_called_one() {
        let vain = alert(|alert| {
            alert["status"]["lead"] = serde_json::Value::Null;
            alert["status"]["conditions"][1]["status"] = "False".into();
        });
        assert_eq!(seconds(&steps(&vain, &[]))[1], (6, What::Unconfirmed));
    }
}
