//! A transition as an Event on the pod or on its workload, with the alert beside it. Its name is made of alert, count, state
//! and which of the two it is on, so that publishing it twice makes one Event.

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference},
};
use kube::Resource;
use netprecursor_core::{
    alert::{AlertState, Controller, Subject, Workload},
    policy::Severity,
};
use netprecursor_crds::alert::PrecursorAlert;

use super::alerts::time;
use crate::publish::{
    queue::entry::{Entry, Pending, Regarding},
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
    let on = if pending.is_on_workload() { ".workload" } else { "" };
    format!("{alert}.{}.{state}{on}", pending.count)
}

/// The object that an Event is on. A workload of which only the ReplicaSet is known is named without a UID: who asks for Events
/// by kind and name finds it.
fn regarding(pending: &Pending, subject: &Subject) -> ObjectReference {
    let pod = |name: &str, uid: &str| ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    };
    let object = match &pending.regarding {
        None => pod(&subject.pod.name, &subject.pod.uid),
        Some(Regarding::Pod { name, uid }) => pod(name, uid),
        Some(Regarding::Workload { workload, controller }) => ObjectReference {
            api_version: controller.as_ref().map(|controller| controller.api_version.clone()),
            kind: Some(workload.kind.clone()),
            name: Some(workload.name.clone()),
            uid: controller.as_ref().filter(|controller| is_it(controller, workload)).map(|it| it.uid.clone()),
            ..ObjectReference::default()
        },
    };
    ObjectReference { namespace: Some(subject.pod.namespace.clone()), ..object }
}

/// Whether the object is the workload itself.
fn is_it(object: &Controller, workload: &Workload) -> bool {
    object.kind == workload.kind && object.name == workload.name
}

/// The ReplicaSet that has to be asked whose it is: a pod knows its Deployment by name alone.
pub(super) fn replica_set(pending: &Pending) -> Option<&str> {
    let Some(Regarding::Workload { workload, controller: Some(controller) }) = &pending.regarding else { return None };
    (controller.kind == "ReplicaSet" && !is_it(controller, workload)).then_some(controller.name.as_str())
}

/// Puts an Event on a workload that the ReplicaSet, as it was read, is controlled by; on the ReplicaSet itself when another one
/// has adopted it or none controls it any more.
pub(super) fn put_on_controller(event: &mut Event, replica_set: &ObjectMeta) {
    let (Some(regarding), Some(uid)) = (&mut event.regarding, &replica_set.uid) else { return };
    let owner = replica_set.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let is_it = |owner: &&OwnerReference| {
        (regarding.kind.as_deref(), regarding.name.as_deref()) == (Some(&owner.kind), Some(&owner.name))
    };
    match owner.filter(is_it) {
        Some(owner) => {
            regarding.api_version = Some(owner.api_version.clone());
            regarding.uid = Some(owner.uid.clone());
        }
        None => {
            regarding.kind = Some("ReplicaSet".to_owned());
            regarding.name.clone_from(&replica_set.name);
            regarding.uid = Some(uid.clone());
        }
    }
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
        regarding: Some(regarding(pending, subject)),
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
    use crate::publish::firing::{self, alert};

    fn event_for(state: AlertState) -> serde_json::Value {
        let entry = Entry { object: Some("a-1".to_owned()), ..Entry::new(alert(0)) };
        let (reason, note) = (words::reason(&entry.alert).row().name.to_owned(), words::note(&entry.alert));
        let pending = Pending { count: 2, state, at: 1_700_000_000, reason, note, regarding: None };
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

    fn on_workload(controller: Controller) -> (Entry, Pending) {
        let entry = Entry::new(firing::on_workload(0, 3));
        let workload = entry.alert.affected.as_ref().unwrap().workload.clone();
        let regarding = Some(Regarding::Workload { workload, controller: Some(controller) });
        let (reason, note) = (words::reason(&entry.alert).row().name.to_owned(), words::note(&entry.alert));
        let pending = Pending { count: 2, state: AlertState::Firing, at: 1_700_000_000, reason, note, regarding };
        (entry, pending)
    }

    fn controller(kind: &str, name: &str) -> Controller {
        Controller {
            api_version: "apps/v1".to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            uid: "c-1".to_owned(),
        }
    }

    #[test]
    fn an_event_on_a_deployment_has_the_uid_that_its_replica_set_names() {
        let (entry, pending) = on_workload(controller("ReplicaSet", "checkout-7d4b9c"));
        let mut event = event(&entry, entry.alert.subject.as_ref().unwrap(), &pending, "agent");
        assert_eq!(event.metadata.name.as_deref(), Some("alert-0.2.firing.workload"));
        let on = |event: &Event| json!(event.regarding);
        let by_name = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout", "namespace": "shop"});
        assert_eq!(on(&event), by_name, "as long as only the ReplicaSet is known");
        assert_eq!(replica_set(&pending), Some("checkout-7d4b9c"));
        put_on_controller(&mut event, &ObjectMeta::default());
        assert_eq!(on(&event), by_name, "it could not be read");
        let owned = |by: &str| {
            let owner =
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": by, "uid": "d-1", "controller": true});
            let read = json!({"name": "checkout-7d4b9c", "uid": "rs-1", "ownerReferences": [owner]});
            serde_json::from_value::<ObjectMeta>(read).unwrap()
        };
        let mut adopted = event.clone();
        put_on_controller(&mut event, &owned("checkout"));
        assert_eq!((&on(&event)["uid"], &on(&event)["kind"]), (&json!("d-1"), &json!("Deployment")));
        put_on_controller(&mut adopted, &owned("another"));
        assert_eq!((&on(&adopted)["uid"], &on(&adopted)["kind"]), (&json!("rs-1"), &json!("ReplicaSet")));
    }

    #[test]
    fn an_event_on_what_controls_the_pod_itself_asks_nobody() {
        let (_, pending) = on_workload(controller("Deployment", "checkout"));
        assert_eq!(replica_set(&pending), None);
        let (entry, mut pending) = on_workload(controller("StatefulSet", "db"));
        let workload = Workload { kind: "StatefulSet".to_owned(), name: "db".to_owned() };
        let controller = Some(controller("StatefulSet", "db"));
        pending.regarding = Some(Regarding::Workload { workload, controller });
        assert_eq!(replica_set(&pending), None);
        let event = event(&entry, entry.alert.subject.as_ref().unwrap(), &pending, "agent");
        assert_eq!(event.regarding.unwrap().uid.as_deref(), Some("c-1"));
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
