//! A `PrecursorAlert` as receivers get it. Pure.

use jiff::Timestamp;
use netprecursor_core::alert::Confirmed;
use netprecursor_crds::{
    ConditionStatus,
    alert::{AlertState, Cause, PrecursorAlert, PrecursorAlertStatus},
    diagnosis::condition,
};
use netprecursor_sinks::notice::{self, About, Notice, Target};

/// The alert's state; `None` before the first report, or without anything that it is about.
pub(super) fn notice(alert: &PrecursorAlert) -> Option<Notice> {
    let (spec, status) = (&alert.spec, alert.status.as_ref()?);
    let (name, namespace) = (alert.metadata.name.clone()?, alert.metadata.namespace.clone()?);
    let target = match (&spec.workload_ref, &spec.pod_ref) {
        (Some(workload), _) => Target::Workload { kind: workload.kind.clone(), name: workload.name.clone() },
        (None, Some(pod)) => Target::Pod(pod.name.clone()),
        (None, None) => return None,
    };
    Some(Notice {
        id: format!("{namespace}/{name}"),
        about: About {
            policy_kind: spec.policy_ref.kind,
            policy: spec.policy_ref.name.clone(),
            rule: spec.rule.clone(),
            namespace: Some(namespace),
            target,
            node: spec.node_name.clone(),
        },
        state: status.state,
        severity: status.severity,
        trigger: status.trigger,
        count: status.count,
        fired_unix: unix(status.fired_at.0),
        resolved_unix: resolved(status),
        rtt: status.rtt.clone().unwrap_or_else(|| "RTT".to_owned()),
        threshold: status.threshold.to_string(),
        predicted: status.predicted.as_ref().map(ToString::to_string),
        chance_percent: status.chance_percent,
        measured: status.measured.as_ref().map(ToString::to_string),
        lead: status.lead.as_ref().map(ToString::to_string),
        confirmed: confirmed(status),
        causes: status.causes.iter().map(cause).collect(),
        model: status.model.name.clone(),
        description: condition(&status.conditions, "Firing").map(|firing| firing.message.clone()).unwrap_or_default(),
    })
}

/// Unix seconds.
pub(super) fn unix(time: Timestamp) -> u64 {
    // Before 1970 no clock is set.
    u64::try_from(time.as_second()).unwrap_or_default()
}

/// When it resolved; an alert that says that it is over and not since when is over since it fired.
fn resolved(status: &PrecursorAlertStatus) -> Option<u64> {
    let is_over = status.state == AlertState::Resolved;
    is_over.then(|| unix(status.resolved_at.as_ref().unwrap_or(&status.fired_at).0))
}

fn confirmed(status: &PrecursorAlertStatus) -> Confirmed {
    match condition(&status.conditions, "Confirmed").map(ConditionStatus::of) {
        Some(ConditionStatus::True) => Confirmed::True,
        Some(ConditionStatus::False) => Confirmed::False,
        Some(ConditionStatus::Unknown) | None => Confirmed::Unknown,
    }
}

fn cause(cause: &Cause) -> notice::Cause {
    let Cause { group, feature, unit, value, baseline, share_percent } = cause;
    notice::Cause::new(group, feature, unit, [value, baseline], *share_percent)
}

#[cfg(test)]
pub(super) mod tests {
    use netprecursor_core::policy::{Kind, Severity};
    use serde_json::json;

    use super::*;

    /// An alert on a workload that fires; over half a minute later if `is_over`.
    pub(in crate::notify) fn alert(name: &str, is_over: bool) -> PrecursorAlert {
        let mut alert = json!({
            "apiVersion": "netprecursor.io/v1alpha1",
            "kind": "PrecursorAlert",
            "metadata": {"name": name, "namespace": "shop", "uid": "u"},
            "spec": {
                "policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "p"},
                "rule": "rtt",
                "workloadRef": {"kind": "Deployment", "name": name},
                "nodeName": "node1",
            },
            "status": {
                "state": "Firing",
                "severity": "Warning",
                "threshold": "200ms",
                "predicted": "231ms",
                "chancePercent": 74,
                "count": 2,
                "firedAt": "2023-11-14T22:13:20Z",
                "trigger": "Forecast",
                "causes": [{
                    "group": "Queue",
                    "feature": "standing_queue_max_10s",
                    "unit": "bytes",
                    "value": "182000",
                    "baseline": "9000",
                    "sharePercent": 61,
                }],
                "model": {"name": "adaptive"},
                "conditions": [{
                    "type": "Firing",
                    "status": "True",
                    "reason": "RttBreachForecast",
                    "message": "RTT is forecast to reach 231ms within 10s.",
                    "lastTransitionTime": "2023-11-14T22:13:20Z",
                }],
            },
        });
        if is_over {
            alert["status"]["state"] = "Resolved".into();
            alert["status"]["resolvedAt"] = "2023-11-14T22:13:50Z".into();
            let judged = json!({
                "type": "Confirmed",
                "status": "True",
                "reason": "BreachFollowed",
                "message": "",
                "lastTransitionTime": "2023-11-14T22:13:26Z",
            });
            alert["status"]["conditions"].as_array_mut().unwrap().push(judged);
        }
        serde_json::from_value(alert).unwrap()
    }

    #[test]
    fn a_notice_says_what_the_object_says() {
        let notice = notice(&alert("checkout", false)).unwrap();
        assert_eq!(notice.id, "shop/checkout");
        assert_eq!((notice.about.policy_kind, notice.about.node.as_str()), (Kind::Namespaced, "node1"));
        let workload = Target::Workload { kind: "Deployment".to_owned(), name: "checkout".to_owned() };
        assert_eq!(notice.about.target, workload);
        assert_eq!((notice.count, notice.fired_unix, notice.resolved_unix), (2, 1_700_000_000, None));
        assert_eq!((notice.severity, notice.chance_percent), (Severity::Warning, Some(74)));
        assert_eq!((notice.threshold.as_str(), notice.predicted.as_deref()), ("200ms", Some("231ms")));
        assert_eq!(notice.causes[0].to_string(), "queue (61 %: standing_queue_max_10s is 182 kB, usually 9 kB)");
        assert_eq!(notice.description, "RTT is forecast to reach 231ms within 10s.");
        assert_eq!(notice.confirmed, Confirmed::Unknown);
    }

    #[test]
    fn the_end_has_its_time_and_its_verdict() {
        let notice = notice(&alert("checkout", true)).unwrap();
        assert_eq!((notice.is_firing(), notice.resolved_unix), (false, Some(1_700_000_030)));
        assert_eq!(notice.confirmed, Confirmed::True);
    }

    #[test]
    fn an_alert_that_nobody_reported_on_says_nothing() {
        assert_eq!(notice(&PrecursorAlert { status: None, ..alert("checkout", false) }), None);
    }
}
