//! A `PrecursorAlert` as the page knows alerts. Pure.

use std::borrow::Cow;

use netprecursor_core::{
    alert::{Alert, Confirmed, Model},
    causes,
    features::Group,
    policy::{Identity, Kind, Name},
};
use netprecursor_crds::{
    ConditionStatus, Duration, PrecursorAlert,
    alert::{Cause, PrecursorAlertStatus},
    diagnosis::condition,
};

use crate::dashboard::cluster::Placed;

/// The alert; `None` before its agent has said anything of it.
pub(super) fn placed(object: &PrecursorAlert) -> Option<Placed> {
    let (spec, status) = (&object.spec, object.status.as_ref()?);
    let namespace = object.metadata.namespace.clone()?;
    let (pod, uid) = object.pod()?;
    let policy = &spec.policy_ref;
    let threshold_us = status.threshold.us().ok()?;
    let (confirmed, judged_unix) = verdict(status);
    let resolve_us = status.resolve_threshold.as_ref().and_then(|duration| duration.us().ok());
    let alert = Alert {
        name: object.metadata.name.clone()?,
        policy: Identity {
            kind: policy.kind,
            namespace: (policy.kind == Kind::Namespaced).then(|| Name::label(&namespace).ok()).flatten(),
            name: Name::subdomain(&policy.name).ok()?,
        },
        rule: spec.rule.clone(),
        target: format!("{namespace}/{pod}"),
        target_uid: uid.to_owned(),
        severity: status.severity,
        state: status.state,
        trigger: status.trigger,
        rtt: status.rtt.clone().unwrap_or_else(|| "RTT".to_owned()),
        rtt_from: status.rtt_from.unwrap_or_default(),
        threshold_us,
        // The default of a rule.
        resolve_us: resolve_us.unwrap_or(threshold_us / 5 * 4),
        predicted_us: us(status.predicted.as_ref()),
        chance: status.chance_percent.map(|percent| f32::from(percent) / 100.0),
        measured_us: us(status.measured.as_ref()),
        lead_seconds: status.lead.as_ref().and_then(|lead| Some(lead.us().ok()? / 1_000_000)),
        confirmed,
        judged_unix,
        count: status.count,
        fired_unix: unix(status.fired_at.0.as_second()),
        resolved_unix: status.resolved_at.as_ref().map(|time| unix(time.0.as_second())),
        resolution: status.resolution,
        causes: status.causes.iter().filter_map(cause).collect(),
        model: Model {
            name: status.model.name.clone(),
            sha256: status.model.sha256.clone(),
            fallback: status.model.fallback.clone(),
        },
        subject: None,
        part_of: None,
        affected: None,
    };
    let workload = spec.workload_ref.as_ref().map(|workload| format!("{}/{}", workload.kind, workload.name));
    let pods = if spec.pod_ref.is_none() { status.pods.clone() } else { Vec::new() };
    Some(Placed { alert, namespace, node: spec.node_name.clone(), workload, pods })
}

/// Causes that [`placed`] leaves out: their group is of a later release.
pub(super) fn unknown_causes(object: &PrecursorAlert) -> usize {
    let causes = object.status.iter().flat_map(|status| &status.causes);
    causes.filter(|each| cause(each).is_none()).count()
}

fn cause(cause: &Cause) -> Option<causes::Cause> {
    // What is not a number was not measured.
    let number = |text: &str| text.parse().unwrap_or(f32::NAN);
    Some(causes::Cause {
        group: Group::ALL.into_iter().find(|group| group.name() == cause.group)?,
        feature: Cow::Owned(cause.feature.clone()),
        unit: Cow::Owned(cause.unit.clone()),
        value: number(&cause.value),
        baseline: number(&cause.baseline),
        share_percent: cause.share_percent,
    })
}

/// Whether the warning came true, and when that was known.
fn verdict(status: &PrecursorAlertStatus) -> (Confirmed, Option<u64>) {
    let Some(confirmed) = condition(&status.conditions, "Confirmed") else { return (Confirmed::Unknown, None) };
    let at = Some(unix(confirmed.last_transition_time.0.as_second()));
    match ConditionStatus::of(confirmed) {
        ConditionStatus::True => (Confirmed::True, at),
        ConditionStatus::False => (Confirmed::False, at),
        ConditionStatus::Unknown => (Confirmed::Unknown, None),
    }
}

fn us(duration: Option<&Duration>) -> Option<f32> {
    duration.and_then(|duration| duration.us().ok()).map(|us| us as f32)
}

fn unix(second: i64) -> u64 {
    // Before 1970 no clock is set.
    u64::try_from(second).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(group: &str) -> PrecursorAlert {
        let condition = json!({
            "type": "Confirmed", "status": "True", "reason": "BreachFollowed", "message": "", "lastTransitionTime": "2026-01-01T00:00:06Z"
        });
        serde_json::from_value(json!({
            "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorAlert",
            "metadata": {"name": "checkout-1", "namespace": "shop"},
            "spec": {
                "policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "p1"}, "rule": "rtt", "nodeName": "node1",
                "workloadRef": {"kind": "Deployment", "name": "checkout"}
            },
            "status": {
                "state": "Firing", "severity": "Warning", "threshold": "200ms", "predicted": "231ms", "chancePercent": 62,
                "measured": "244ms", "lead": "6s", "count": 2, "firedAt": "2026-01-01T00:00:00Z", "trigger": "Forecast",
                "pods": [{"name": "checkout-x2", "uid": "u1", "state": "Firing"}],
                "causes": [{"group": group, "feature": "standing_queue", "unit": "bytes", "value": "182000", "baseline": "unknown", "sharePercent": 61}],
                "model": {"name": "adaptive"}, "conditions": [condition]
            }
        }))
        .unwrap()
    }

    #[test]
    fn an_alert_has_its_worst_pod_and_its_node() {
        let Placed { alert, namespace, node, workload, .. } = placed(&object("Queue")).unwrap();
        assert_eq!((alert.target.as_str(), alert.target_uid.as_str()), ("shop/checkout-x2", "u1"));
        assert_eq!(
            (namespace.as_str(), node.as_str(), workload.as_deref()),
            ("shop", "node1", Some("Deployment/checkout"))
        );
        assert_eq!((alert.threshold_us, alert.resolve_us, alert.lead_seconds), (200_000, 160_000, Some(6)));
        assert_eq!((alert.confirmed, alert.judged_unix), (Confirmed::True, Some(alert.fired_unix + 6)));
        assert!((alert.causes[0].value - 182_000.0).abs() < 1.0 && alert.causes[0].baseline.is_nan());
    }

    #[test]
    fn a_cause_of_a_later_release_is_counted() {
        let object = object("Wormholes");
        assert_eq!((placed(&object).unwrap().alert.causes.len(), unknown_causes(&object)), (0, 1));
    }
}
