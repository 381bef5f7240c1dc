//! An alert as a `PrecursorAlert`: the part that never changes, and its status.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, OwnerReference, Time};
use kube::Resource;
use netprecursor_core::{decide, policy};
use netprecursor_crds::{
    Duration,
    alert::{
        self, AlertState, ModelSpeaking, PodReference, PolicyKind, PolicyReference, PrecursorAlert, PrecursorAlertSpec,
        PrecursorAlertStatus, Resolution,
    },
    diagnosis::reasons,
    policy::{ClusterPrecursorPolicy, PrecursorPolicy, Severity},
};
use serde_json::{Value, json};

use crate::{
    sinks::{
        queue::entry::{Cause, Ending, Record},
        words,
    },
    tick::alerts::{AlertState as State, Confirmed},
};

/// Longest text in a status, in bytes; the API allows no more.
const MAX_REASON: usize = 1024;
/// Longest number in a cause.
const MAX_NUMBER: usize = 31;
/// Longest name of a feature in a cause.
const MAX_FEATURE: usize = 127;

/// The object without its status, for server-side apply.
pub(super) fn object(record: &Record, node: &str) -> Value {
    let (kind, owner) = owner(record);
    let mut object = PrecursorAlert::new(
        &record.name,
        PrecursorAlertSpec {
            policy_ref: PolicyReference { kind, name: record.policy.name.clone(), uid: record.policy.uid.clone() },
            rule: record.rule.clone(),
            pod_ref: PodReference { name: record.pod.clone(), uid: record.pod_uid.clone() },
            node_name: node.to_owned(),
        },
    );
    object.metadata.namespace = Some(record.namespace.clone());
    object.metadata.owner_references = Some(vec![owner]);
    object.metadata.labels = Some(super::labels());
    json!(object)
}

fn owner(record: &Record) -> (PolicyKind, OwnerReference) {
    let (kind, version, name) = if record.policy.cluster {
        let (version, kind) = (ClusterPrecursorPolicy::api_version(&()), ClusterPrecursorPolicy::kind(&()));
        (PolicyKind::ClusterPrecursorPolicy, version, kind)
    } else {
        (PolicyKind::PrecursorPolicy, PrecursorPolicy::api_version(&()), PrecursorPolicy::kind(&()))
    };
    let owner = OwnerReference {
        api_version: version.into_owned(),
        kind: name.into_owned(),
        name: record.policy.name.clone(),
        uid: record.policy.uid.clone(),
        ..OwnerReference::default()
    };
    (kind, owner)
}

/// The status alone, for server-side apply to the subresource.
pub(super) fn with_status(record: &Record) -> Value {
    json!({
        "apiVersion": PrecursorAlert::api_version(&()),
        "kind": PrecursorAlert::kind(&()),
        "metadata": {"name": record.name, "namespace": record.namespace},
        "status": status(record),
    })
}

/// What the status says.
pub(super) fn status(record: &Record) -> PrecursorAlertStatus {
    PrecursorAlertStatus {
        observed_generation: None,
        state: match record.state {
            State::Firing => AlertState::Firing,
            State::Resolved => AlertState::Resolved,
        },
        severity: match record.severity {
            policy::Severity::Info => Severity::Info,
            policy::Severity::Warning => Severity::Warning,
            policy::Severity::Critical => Severity::Critical,
        },
        threshold: Duration::new(words::exact(record.threshold_us)),
        resolve_threshold: record.resolve_us.map(|us| Duration::new(words::exact(us))),
        predicted: record.predicted_us.map(|us| Duration::new(words::rounded(us))),
        chance_percent: record.chance_percent.map(|percent| percent.min(100)),
        measured: record.measured_us.map(|us| Duration::new(words::rounded(us))),
        lead: record.lead_seconds.map(|s| Duration::new(format!("{}s", s.min(86_400)))),
        count: record.count.max(1),
        fired_at: time(record.fired),
        resolved_at: record.resolved.map(time),
        trigger: match record.trigger {
            decide::Trigger::Forecast => alert::Trigger::Forecast,
            decide::Trigger::Measured => alert::Trigger::Measured,
        },
        resolution: record.ending.map(|ending| match ending {
            Ending::Recovered => Resolution::Recovered,
            Ending::Silent => Resolution::Silent,
            Ending::Gone => Resolution::Gone,
            Ending::Restarted => Resolution::AgentLost,
        }),
        causes: record.causes.iter().map(cause).collect(),
        model: ModelSpeaking {
            name: record.model.name.clone(),
            sha256: record.model.sha256.clone(),
            fallback: record.model.stands_in.as_ref().map(|reason| words::cut(reason, MAX_REASON)),
        },
        conditions: vec![firing(record), confirmed(record)],
    }
}

fn cause(cause: &Cause) -> alert::Cause {
    alert::Cause {
        group: cause.group.clone(),
        feature: words::cut(&cause.feature, MAX_FEATURE),
        unit: words::cut(&cause.unit, MAX_NUMBER),
        value: words::cut(&cause.value, MAX_NUMBER),
        baseline: words::cut(&cause.baseline, MAX_NUMBER),
        share_percent: cause.share_percent,
    }
}

fn firing(record: &Record) -> Condition {
    let since = match record.state {
        State::Firing => record.fired,
        State::Resolved => record.resolved.unwrap_or(record.fired),
    };
    super::condition(words::reason(record), &words::note(record), since)
}

fn confirmed(record: &Record) -> Condition {
    let later = |lead| format!("RTT was in breach {lead}s later.");
    let (reason, message) = match (record.confirmed, record.lead_seconds) {
        (Confirmed::True, Some(lead)) => (reasons::Confirmed::BreachFollowed, &*later(lead)),
        (Confirmed::True, None) => (reasons::Confirmed::BreachFollowed, "RTT was in breach in time."),
        (Confirmed::False, _) => (reasons::Confirmed::NoBreachFollowed, "No breach followed in time."),
        (Confirmed::Unknown, _) if record.trigger == decide::Trigger::Measured => {
            (reasons::Confirmed::MeasuredFirst, "It fired on the breach itself: there was nothing to confirm.")
        }
        (Confirmed::Unknown, _) if record.measured_us.is_some_and(|us| us > record.threshold_us) => (
            reasons::Confirmed::NotJudged,
            "RTT was in breach before the warning, or after its time: there was nothing to confirm.",
        ),
        (Confirmed::Unknown, _) if record.state == State::Resolved => {
            (reasons::Confirmed::NotJudged, "Too little was measured in its time to confirm it or not.")
        }
        (Confirmed::Unknown, _) => (reasons::Confirmed::NotYetJudged, "The time of the forecast is not over."),
    };
    super::condition(reason, message, record.judged)
}

/// Unix seconds as the API writes time.
pub(super) fn time(unix: u64) -> Time {
    // Beyond the year 9999 there is no time that could be written; nor is there an agent.
    Time(i64::try_from(unix).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::words::tests::firing;

    #[test]
    fn the_object_says_whose_it_is_and_nothing_that_changes() {
        let object = object(&firing(), "node1");
        assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "p-1");
        assert_eq!(object["metadata"]["ownerReferences"][0]["kind"], "PrecursorPolicy");
        assert_eq!(
            object["spec"],
            json!({
                "policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "p-1"},
                "rule": "rtt",
                "podRef": {"name": "checkout-x2", "uid": "u-1"},
                "nodeName": "node1",
            })
        );
        assert!(object.get("status").is_none(), "{object}");
        let cluster =
            Record { policy: crate::sinks::queue::entry::Owner { cluster: true, ..firing().policy }, ..firing() };
        assert_eq!(
            super::object(&cluster, "node1")["metadata"]["ownerReferences"][0]["kind"],
            "ClusterPrecursorPolicy"
        );
    }

    #[test]
    fn the_state_is_what_the_conditions_say() {
        let over = Record {
            state: State::Resolved,
            ending: Some(Ending::Recovered),
            resolved: Some(1_700_000_030),
            confirmed: Confirmed::True,
            lead_seconds: Some(6),
            judged: 1_700_000_006,
            ..firing()
        };
        for (record, state, expected) in
            [(firing(), "Firing", ["True", "Unknown"]), (over, "Resolved", ["False", "True"])]
        {
            let status = json!(status(&record));
            assert_eq!(status["state"], state);
            let conditions = status["conditions"].as_array().unwrap();
            let told: Vec<_> = conditions.iter().map(|c| (c["type"].as_str(), c["status"].as_str())).collect();
            assert_eq!(told, [(Some("Firing"), Some(expected[0])), (Some("Confirmed"), Some(expected[1]))]);
            for condition in conditions {
                assert_eq!(condition["observedGeneration"], 1);
                assert!(!condition["lastTransitionTime"].is_null());
            }
        }
    }

    #[test]
    fn times_of_conditions_are_those_of_the_transitions() {
        let over =
            Record { state: State::Resolved, ending: Some(Ending::Silent), resolved: Some(1_700_000_030), ..firing() };
        let status = json!(status(&over));
        assert_eq!(status["conditions"][0]["lastTransitionTime"], "2023-11-14T22:13:50Z");
        assert_eq!(status["conditions"][1]["lastTransitionTime"], "2023-11-14T22:13:20Z");
        assert_eq!(
            (&status["firedAt"], &status["resolvedAt"]),
            (&json!("2023-11-14T22:13:20Z"), &json!("2023-11-14T22:13:50Z"))
        );
    }

    #[test]
    fn durations_are_texts_and_shares_are_whole_percent() {
        let status = json!(status(&firing()));
        assert_eq!(status["threshold"], "200ms");
        assert_eq!(status["predicted"], "231ms");
        assert_eq!(status["chancePercent"], 74);
        assert_eq!(status["causes"][0]["value"], "182000");
    }

    #[test]
    fn a_record_of_an_earlier_release_has_no_chance() {
        let status = json!(status(&Record { chance_percent: None, ..firing() }));
        assert!(status.get("chancePercent").is_none(), "{status}");
    }
}
