//! An alert as a `PrecursorAlert`: the part that never changes, and its status.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, OwnerReference, Time};
use kube::Resource;
use netprecursor_core::{
    alert::{AffectedPod, Alert, Confirmed, PolicyRef, Subject},
    causes::Cause,
    decide::Trigger,
    policy::Kind,
};
use netprecursor_crds::{
    Duration,
    alert::{
        self, AlertModel, AlertPod, MAX_CAUSES, PodReference, PolicyReference, PrecursorAlert, PrecursorAlertSpec,
        PrecursorAlertStatus, WorkloadReference,
    },
    condition,
    diagnosis::reasons,
    policy::{ClusterPrecursorPolicy, PrecursorPolicy},
};
use serde_json::{Value, json};

use crate::publish::words;

/// Longest text in a status, in bytes; the API allows no more.
const MAX_REASON: usize = 1024;
/// Longest number in a cause.
const MAX_NUMBER: usize = 31;
/// Longest name of a feature in a cause.
const MAX_FEATURE: usize = 127;

/// All of the object, for server-side apply. With `uid` it applies to that object only, and makes none.
pub(super) fn object(alert: &Alert, subject: &Subject, node: &str, uid: Option<&str>) -> Value {
    let workload = alert.affected.as_ref().map(|affected| &affected.workload);
    let pod = || PodReference { name: subject.pod.name.clone(), uid: subject.pod.uid.clone() };
    let mut object = PrecursorAlert::new(
        &alert.name,
        PrecursorAlertSpec {
            policy_ref: PolicyReference {
                kind: subject.policy.kind,
                name: subject.policy.name.clone(),
                uid: subject.policy.uid.clone(),
            },
            rule: alert.rule.clone(),
            workload_ref: workload
                .map(|workload| WorkloadReference { kind: workload.kind.clone(), name: workload.name.clone() }),
            pod_ref: workload.is_none().then(pod),
            node_name: node.to_owned(),
        },
    );
    object.metadata.namespace = Some(subject.pod.namespace.clone());
    object.metadata.owner_references = Some(vec![owner(&subject.policy)]);
    object.metadata.labels = Some(super::labels());
    object.metadata.uid = uid.map(str::to_owned);
    object.status = Some(status(alert, subject));
    json!(object)
}

fn owner(policy: &PolicyRef) -> OwnerReference {
    let (version, kind) = match policy.kind {
        Kind::Cluster => (ClusterPrecursorPolicy::api_version(&()), ClusterPrecursorPolicy::kind(&())),
        Kind::Namespaced => (PrecursorPolicy::api_version(&()), PrecursorPolicy::kind(&())),
    };
    OwnerReference {
        api_version: version.into_owned(),
        kind: kind.into_owned(),
        name: policy.name.clone(),
        uid: policy.uid.clone(),
        ..OwnerReference::default()
    }
}

/// The pods that the alert is about: how many, how many of them are firing, and the worst.
fn pods(alert: &Alert, subject: &Subject) -> (u32, u32, Vec<AlertPod>) {
    let pod = |pod: &AffectedPod| AlertPod {
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        state: pod.state,
        predicted: rtt(pod.predicted_us),
        measured: rtt(pod.measured_us),
    };
    match &alert.affected {
        Some(affected) => {
            (affected.count.max(1), affected.firing, affected.worst.iter().take(alert::MAX_PODS).map(pod).collect())
        }
        None => {
            let only = AffectedPod {
                name: subject.pod.name.clone(),
                uid: subject.pod.uid.clone(),
                state: alert.state,
                predicted_us: alert.predicted_us,
                measured_us: alert.measured_us,
            };
            (1, u32::from(alert.is_firing()), vec![pod(&only)])
        }
    }
}

/// A forecast or measured RTT, as the API writes it.
fn rtt(us: Option<f32>) -> Option<Duration> {
    words::us(us).map(|us| Duration::new(words::rounded(us)))
}

/// The status.
fn status(alert: &Alert, subject: &Subject) -> PrecursorAlertStatus {
    let (pod_count, firing_pod_count, pods) = pods(alert, subject);
    PrecursorAlertStatus {
        observed_generation: None,
        state: alert.state,
        severity: alert.severity,
        rtt: Some(words::rtt(alert)),
        rtt_from: Some(alert.rtt_from),
        threshold: Duration::new(words::exact(alert.threshold_us)),
        resolve_threshold: Some(Duration::new(words::exact(alert.resolve_us))),
        pod_count: Some(pod_count),
        firing_pod_count: Some(firing_pod_count),
        pods,
        predicted: rtt(alert.predicted_us),
        chance_percent: alert.chance.map(words::percent),
        measured: rtt(alert.measured_us),
        lead: alert.lead_seconds.map(|s| Duration::new(format!("{}s", s.min(86_400)))),
        count: alert.count.max(1),
        fired_at: time(alert.fired_unix),
        resolved_at: alert.resolved_unix.map(time),
        trigger: alert.trigger,
        resolution: alert.resolution,
        causes: alert.causes.iter().take(MAX_CAUSES).map(cause).collect(),
        model: AlertModel {
            name: alert.model.name.clone(),
            sha256: alert.model.sha256.clone(),
            fallback: alert.model.fallback.as_ref().map(|reason| words::cut(reason, MAX_REASON)),
        },
        conditions: vec![firing(alert), confirmed(alert)],
    }
}

fn cause(cause: &Cause) -> alert::Cause {
    alert::Cause {
        group: cause.group.name().to_owned(),
        feature: words::cut(&cause.feature, MAX_FEATURE),
        unit: words::cut(&cause.unit, MAX_NUMBER),
        value: words::cut(&words::number(cause.value), MAX_NUMBER),
        baseline: words::cut(&words::number(cause.baseline), MAX_NUMBER),
        share_percent: cause.share_percent.min(100),
    }
}

fn firing(alert: &Alert) -> Condition {
    condition::of(words::reason(alert), &words::note(alert), None, &[], time(alert.since_unix()).0)
}

fn confirmed(alert: &Alert) -> Condition {
    let rtt = words::rtt(alert);
    let later = |lead| format!("{rtt} breached the threshold {lead}s later.");
    let (reason, message) = match (alert.confirmed, alert.lead_seconds) {
        (Confirmed::True, Some(lead)) => (reasons::Confirmed::BreachFollowed, &*later(lead)),
        (Confirmed::True, None) => {
            (reasons::Confirmed::BreachFollowed, &*format!("{rtt} breached the threshold in time."))
        }
        (Confirmed::False, _) => (reasons::Confirmed::NoBreachFollowed, "No breach followed in time."),
        (Confirmed::Unknown, _) if alert.trigger == Trigger::Measured => {
            (reasons::Confirmed::MeasuredFirst, "The alert fired on a measured breach: there is nothing to confirm.")
        }
        (Confirmed::Unknown, _) if words::us(alert.measured_us).is_some_and(|us| us > alert.threshold_us) => (
            reasons::Confirmed::NotJudged,
            "The breach came before the warning or after its horizon: there is nothing to confirm.",
        ),
        (Confirmed::Unknown, _) if !alert.is_firing() => {
            (reasons::Confirmed::NotJudged, "Too little was measured within the horizon for a verdict.")
        }
        (Confirmed::Unknown, _) => (reasons::Confirmed::NotYetJudged, "The forecast's horizon is not over yet."),
    };
    condition::of(reason, message, None, &[], time(alert.judged_unix.unwrap_or(alert.fired_unix)).0)
}

/// Unix seconds as the API writes time.
pub(super) fn time(unix: u64) -> Time {
    // Times beyond the year 9999 cannot be written, and do not occur.
    Time(i64::try_from(unix).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use netprecursor_core::{decide::Resolution, source::RttFrom};

    use super::*;
    use crate::publish::firing::{alert, on_workload};

    fn subject(number: usize) -> Arc<Subject> {
        alert(number).subject.unwrap()
    }

    fn written(alert: &Alert) -> PrecursorAlertStatus {
        status(alert, alert.subject.as_ref().unwrap())
    }

    #[test]
    fn an_alert_on_a_workload_names_it_and_its_worst_pods() {
        let object = object(&on_workload(0, 30), &subject(0), "node1", None);
        assert_eq!(object["spec"]["workloadRef"], json!({"kind": "Deployment", "name": "checkout"}));
        assert!(object["spec"].get("podRef").is_none(), "{object}");
        let status = &object["status"];
        assert_eq!((&status["podCount"], &status["firingPodCount"]), (&json!(30), &json!(30)));
        assert_eq!(status["pods"].as_array().unwrap().len(), alert::MAX_PODS);
        assert_eq!(
            status["pods"][0],
            json!({"name": "checkout-0", "uid": "pod-uid-0", "state": "Firing", "predicted": "231ms"})
        );
    }

    #[test]
    fn an_alert_on_one_pod_lists_that_pod() {
        let status = json!(written(&alert(0)));
        assert_eq!((&status["podCount"], &status["firingPodCount"]), (&json!(1), &json!(1)));
        assert_eq!(status["pods"][0]["name"], "checkout-0");
    }

    #[test]
    fn the_object_says_whose_it_is_and_how_it_is() {
        let subject = alert(0).subject.unwrap();
        let object = object(&alert(0), &subject, "node1", None);
        assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "policy-uid");
        assert_eq!(object["metadata"]["ownerReferences"][0]["kind"], "PrecursorPolicy");
        assert_eq!(
            object["spec"],
            json!({
                "policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "policy-uid"},
                "rule": "rtt",
                "podRef": {"name": "checkout-0", "uid": "pod-uid-0"},
                "nodeName": "node1",
            })
        );
        assert_eq!((&object["status"]["state"], &object["status"]["severity"]), (&json!("Firing"), &json!("Warning")));
        assert!(object["metadata"].get("uid").is_none(), "{object}");
        let policy = PolicyRef { kind: Kind::Cluster, namespace: None, ..subject.policy.clone() };
        let object = super::object(&alert(0), &Subject { policy, pod: Arc::clone(&subject.pod) }, "node1", Some("a-1"));
        assert_eq!(object["metadata"]["uid"], "a-1");
        assert_eq!(object["metadata"]["ownerReferences"][0]["kind"], "ClusterPrecursorPolicy");
    }

    #[test]
    fn the_state_is_what_the_conditions_say() {
        let mut over =
            Alert { confirmed: Confirmed::True, lead_seconds: Some(6), judged_unix: Some(1_700_000_006), ..alert(0) };
        over.resolve(Resolution::Recovered, 1_700_000_030);
        for (alert, state, expected) in
            [(alert(0), "Firing", ["True", "Unknown"]), (over, "Resolved", ["False", "True"])]
        {
            let status = json!(written(&alert));
            assert_eq!(status["state"], state);
            let conditions = status["conditions"].as_array().unwrap();
            let states: Vec<_> = conditions.iter().map(|c| (c["type"].as_str(), c["status"].as_str())).collect();
            assert_eq!(states, [(Some("Firing"), Some(expected[0])), (Some("Confirmed"), Some(expected[1]))]);
            for condition in conditions {
                // Each write of a status is a generation: one that is observed would be outdated with the next.
                assert!(condition.get("observedGeneration").is_none(), "{condition}");
                assert!(!condition["lastTransitionTime"].is_null());
            }
        }
    }

    #[test]
    fn times_of_conditions_are_those_of_the_transitions() {
        let mut over = alert(0);
        over.resolve(Resolution::Silent, 1_700_000_030);
        let status = json!(written(&over));
        assert_eq!(status["conditions"][0]["lastTransitionTime"], "2023-11-14T22:13:50Z");
        assert_eq!(status["conditions"][1]["lastTransitionTime"], "2023-11-14T22:13:20Z");
        assert_eq!(
            (&status["firedAt"], &status["resolvedAt"]),
            (&json!("2023-11-14T22:13:20Z"), &json!("2023-11-14T22:13:50Z"))
        );
    }

    #[test]
    fn where_the_rtt_comes_from_is_said() {
        let inferred = Alert { rtt_from: RttFrom::LowQuantile, ..alert(0) };
        assert_eq!(json!(written(&inferred))["rttFrom"], "LowQuantile");
        assert_eq!(json!(written(&alert(0)))["rttFrom"], "Clean");
    }

    #[test]
    fn durations_are_texts_and_shares_are_whole_percent() {
        let status = json!(written(&alert(0)));
        assert_eq!(status["threshold"], "200ms");
        assert_eq!(status["predicted"], "231ms");
        assert_eq!(status["chancePercent"], 74);
        assert_eq!(status["causes"][0]["value"], "182000");
    }

    #[test]
    fn an_alert_of_an_earlier_release_has_no_chance() {
        let status = json!(written(&Alert { chance: None, ..alert(0) }));
        assert!(status.get("chancePercent").is_none(), "{status}");
    }
}
