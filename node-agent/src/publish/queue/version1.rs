//! Files of releases up to 0.1.0: an alert of its own shape, numbers as they were shown. What such a release left unsent is
//! still sent, and what it left firing is still resolved.

use std::{borrow::Cow, collections::VecDeque, sync::Arc};

use netprecursor_core::{
    alert::{Alert, AlertState, Confirmed, Model, PodRef, PolicyRef, Subject},
    causes,
    decide::{Resolution, Trigger},
    features::Group,
    policy::{Identity, Kind, Name, Severity, View},
};
use serde::Deserialize;

use super::entry::{self, Delivered, Pending};

#[derive(Deserialize)]
pub(super) struct Entry {
    alert: Record,
    revision: u64,
    object: Option<String>,
    delivered: Option<Delivered>,
    events: VecDeque<Pending>,
}

#[derive(Deserialize)]
struct Record {
    name: String,
    namespace: Name,
    policy: Owner,
    rule: String,
    pod: String,
    pod_uid: String,
    state: AlertState,
    severity: Severity,
    trigger: Trigger,
    threshold_us: u64,
    resolve_us: Option<u64>,
    predicted_us: Option<u64>,
    #[serde(default)]
    chance_percent: Option<u8>,
    measured_us: Option<u64>,
    lead_seconds: Option<u64>,
    confirmed: Confirmed,
    judged: u64,
    count: u64,
    fired: u64,
    resolved: Option<u64>,
    ending: Option<Ending>,
    causes: Vec<Cause>,
    model: Forecaster,
}

#[derive(Deserialize)]
struct Owner {
    cluster: bool,
    name: Name,
    uid: String,
}

#[derive(Deserialize)]
enum Ending {
    Recovered,
    Silent,
    Gone,
    Restarted,
}

#[derive(Deserialize)]
struct Cause {
    group: Group,
    feature: String,
    unit: String,
    value: String,
    baseline: String,
    share_percent: u8,
}

#[derive(Deserialize)]
struct Forecaster {
    name: String,
    sha256: Option<String>,
    stands_in: Option<String>,
}

impl From<Entry> for entry::Entry {
    fn from(entry: Entry) -> Self {
        let Entry { alert, revision, object, delivered, events } = entry;
        Self { alert: alert.into(), revision, object, delivered, events, warned: None }
    }
}

impl From<Record> for Alert {
    fn from(record: Record) -> Self {
        let kind = if record.policy.cluster { Kind::Cluster } else { Kind::Namespaced };
        let namespace = (!record.policy.cluster).then(|| record.namespace.clone());
        let policy = PolicyRef {
            kind,
            namespace: namespace.as_ref().map(Name::to_string),
            name: record.policy.name.to_string(),
            uid: record.policy.uid,
        };
        let pod = PodRef {
            namespace: record.namespace.to_string(),
            name: record.pod.clone(),
            uid: record.pod_uid.clone(),
            workload: None,
            controller: None,
        };
        Self {
            name: record.name,
            policy: Identity { kind, namespace, name: record.policy.name },
            rule: record.rule,
            target: format!("{}/{}", record.namespace, record.pod),
            target_uid: record.pod_uid,
            severity: record.severity,
            state: record.state,
            trigger: record.trigger,
            threshold_us: record.threshold_us,
            rtt: View::default().to_string(),
            rtt_from: Default::default(),
            resolve_us: record.resolve_us.unwrap_or(record.threshold_us),
            predicted_us: record.predicted_us.map(|us| us as f32),
            chance: record.chance_percent.map(|percent| f32::from(percent) / 100.0),
            measured_us: record.measured_us.map(|us| us as f32),
            lead_seconds: record.lead_seconds,
            confirmed: record.confirmed,
            judged_unix: Some(record.judged),
            count: record.count,
            fired_unix: record.fired,
            resolved_unix: record.resolved,
            resolution: record.ending.map(|ending| match ending {
                Ending::Recovered => Resolution::Recovered,
                Ending::Silent => Resolution::Silent,
                Ending::Gone => Resolution::Gone,
                Ending::Restarted => Resolution::AgentLost,
            }),
            causes: record.causes.into_iter().map(Into::into).collect(),
            model: Model { name: record.model.name, sha256: record.model.sha256, fallback: record.model.stands_in },
            subject: Some(Arc::new(Subject { policy, pod: Arc::new(pod) })),
            part_of: None,
            affected: None,
        }
    }
}

impl From<Cause> for causes::Cause {
    fn from(cause: Cause) -> Self {
        let number = |text: &str| text.parse().unwrap_or(f32::NAN);
        Self {
            group: cause.group,
            value: number(&cause.value),
            baseline: number(&cause.baseline),
            feature: Cow::Owned(cause.feature),
            unit: Cow::Owned(cause.unit),
            share_percent: cause.share_percent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::firing::alert;

    const FILE: &str = r#"{"version":1,"alert":{"name":"alert-0","namespace":"shop",
        "policy":{"cluster":false,"name":"checkout","uid":"policy-uid"},"rule":"rtt","pod":"checkout-0","pod_uid":"pod-uid-0",
        "state":"Firing","severity":"Warning","trigger":"Forecast","threshold_us":200000,"resolve_us":160000,
        "predicted_us":231400,"measured_us":null,"lead_seconds":null,"confirmed":"Unknown","judged":1700000000,"count":1,
        "fired":1700000000,"resolved":null,"ending":null,"causes":[{"group":"Queue","feature":"standing_queue_max_10s",
        "unit":"bytes","value":"182000","baseline":"9000","share_percent":61}],
        "model":{"name":"rtt-xgboost","sha256":null,"stands_in":null}},"revision":3,"object":"a-1",
        "delivered":{"revision":2,"state":"Firing","count":1},"events":[]}"#;

    #[test]
    fn what_an_earlier_release_left_unsent_is_read_as_if_this_one_had_written_it() {
        let read = entry::Entry::from_json(FILE.as_bytes()).unwrap();
        let expected = Alert { chance: None, judged_unix: Some(1_700_000_000), ..alert(0) };
        let expected = Alert { model: Model { sha256: None, ..expected.model.clone() }, ..expected };
        assert_eq!(read.alert, expected);
        assert_eq!((read.revision, read.object.as_deref(), read.events.len()), (3, Some("a-1"), 0));
    }
}
