//! A transition as an Event on the pod, with the alert beside it. Its name is made of alert, count and state, so that
//! publishing it twice makes one Event.

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::Resource;
use netprecursor_core::{
    alert::{AlertState, Subject},
    policy::Severity,
};
use netprecursor_crds::alert::PrecursorAlert;

use super::alerts::time;
use crate::publish::{
    queue::entry::{Entry, Pending},
    words,
};

/// The reporting controller.
const CONTROLLER: &str = "netprecursor.io/agent";
/// Bytes of the reporting instance, as the API bounds them.
const MAX_INSTANCE: usize = 128;

/// Name of the Event of a transition of `alert`.
pub(super) fn name(alert: &str, pending: &Pending) -> String {
    let state = match pending.state {
        AlertState::Firing => "firing",
        AlertState::Resolved => "resolved",
    };
    format!("{alert}.{}.{state}", pending.count)
}

/// The Event; `instance` is the agent's pod.
pub(super) fn event(entry: &Entry, subject: &Subject, pending: &Pending, instance: &str) -> Event {
    let alert = &entry.alert;
    let pod = &subject.pod;
    let is_firing = pending.state == AlertState::Firing;
    let kind = if is_firing && alert.severity >= Severity::Warning { "Warning" } else { "Normal" };
    Event {
        metadata: ObjectMeta {
            name: Some(name(&alert.name, pending)),
            namespace: Some(pod.namespace.clone()),
            labels: Some(super::labels()),
            ..ObjectMeta::default()
        },
        action: Some(if is_firing { "Warn" } else { "Resolve" }.to_owned()),
        reason: Some(pending.reason.clone()),
        note: Some(words::cut(&pending.note, words::MAX_NOTE)),
        type_: Some(kind.to_owned()),
        event_time: Some(MicroTime(moment(pending.at))),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(words::cut(instance, MAX_INSTANCE)),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(pod.name.clone()),
            namespace: Some(pod.namespace.clone()),
            uid: Some(pod.uid.clone()),
            ..ObjectReference::default()
        }),
        related: Some(ObjectReference {
            api_version: Some(PrecursorAlert::api_version(&()).into_owned()),
            kind: Some(PrecursorAlert::kind(&()).into_owned()),
            name: Some(alert.name.clone()),
            namespace: Some(pod.namespace.clone()),
            uid: entry.object.clone().filter(|uid| !uid.is_empty()),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

fn moment(unix: u64) -> Timestamp {
    time(unix).0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::publish::firing::alert;

    fn event_for(state: AlertState) -> serde_json::Value {
        let entry = Entry { object: Some("a-1".to_owned()), ..Entry::new(alert(0)) };
        let (reason, note) = (words::reason(&entry.alert).row().name.to_owned(), words::note(&entry.alert));
        let pending = Pending { count: 2, state, at: 1_700_000_000, reason, note };
        json!(event(&entry, entry.alert.subject.as_ref().unwrap(), &pending, "agent-abcde"))
    }

    #[test]
    fn an_event_is_on_the_pod_and_names_the_alert() {
        let event = event_for(AlertState::Firing);
        assert_eq!(event["metadata"]["name"], "alert-0.2.firing");
        assert_eq!(event["regarding"]["uid"], "pod-uid-0");
        assert_eq!((&event["related"]["kind"], &event["related"]["uid"]), (&json!("PrecursorAlert"), &json!("a-1")));
        assert_eq!(event["eventTime"], "2023-11-14T22:13:20.000000Z");
        assert!(event["note"].as_str().unwrap().contains("Cause: queue"), "{event}");
    }

    #[test]
    fn each_field_that_the_api_wants_is_there_within_its_bounds() {
        for state in [AlertState::Firing, AlertState::Resolved] {
            let event = event_for(state);
            for (field, max) in [("action", 128), ("reason", 128), ("reportingInstance", 128), ("note", 1024)] {
                let text = event[field].as_str().unwrap();
                assert!(!text.is_empty() && text.len() <= max, "{field}: {text}");
            }
            assert_eq!(event["reportingController"], "netprecursor.io/agent");
            let camel = event["reason"].as_str().unwrap();
            assert!(camel.starts_with(|c: char| c.is_uppercase()) && camel.chars().all(char::is_alphanumeric));
        }
        assert_eq!(event_for(AlertState::Firing)["type"], "Warning");
        assert_eq!(event_for(AlertState::Resolved)["type"], "Normal");
    }
}
