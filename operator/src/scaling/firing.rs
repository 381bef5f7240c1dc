//! What scaling goes by of an alert that is firing. Pure.

use std::collections::BTreeMap;

use kube::core::DeserializeGuard;
use netprecursor_crds::alert::{AlertState, PrecursorAlert, PrecursorAlertSpec, PrecursorAlertStatus};

/// What an alert can be selected by. `pod` is there for alerts on one pod, `workload` and `workload_kind` for all others. Names
/// are those of the agents' own metrics.
pub const LABELS: [&str; 8] = ["node", "pod", "policy", "policy_kind", "rule", "severity", "workload", "workload_kind"];

/// An alert that is firing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Firing {
    /// Some of [`LABELS`].
    pub(super) labels: BTreeMap<String, String>,
    /// The highest RTT since it fired, forecast or measured, in percent of the threshold.
    pub(super) forecast_percent: u64,
    /// The highest chance of a breach since it fired, in percent; 100 once there was one.
    pub(super) chance_percent: u64,
}

/// What is kept of an alert; `None` for one that is not firing, or that a newer release wrote so that it cannot be read, which
/// the log of the operator that leads tells.
pub(super) fn firing(object: DeserializeGuard<PrecursorAlert>) -> Option<Firing> {
    let alert = object.0.ok()?;
    let status = alert.status.as_ref().filter(|status| status.state == AlertState::Firing)?;
    let threshold_us = status.threshold.us().ok()?;
    let [predicted_us, measured_us] =
        [&status.predicted, &status.measured].map(|rtt| rtt.as_ref().and_then(|rtt| rtt.us().ok()).unwrap_or(0));
    let is_breach = measured_us >= threshold_us;
    Some(Firing {
        labels: labels(&alert.spec, status),
        forecast_percent: percent(predicted_us.max(measured_us), threshold_us),
        chance_percent: if is_breach { 100 } else { status.chance_percent.unwrap_or(0).into() },
    })
}

fn percent(us: u64, of_us: u64) -> u64 {
    us.saturating_mul(100).checked_div(of_us).unwrap_or(0)
}

fn labels(spec: &PrecursorAlertSpec, status: &PrecursorAlertStatus) -> BTreeMap<String, String> {
    let mut labels = vec![
        ("node", spec.node_name.clone()),
        ("policy", spec.policy_ref.name.clone()),
        ("policy_kind", spec.policy_ref.kind.name().to_owned()),
        ("rule", spec.rule.clone()),
        ("severity", format!("{:?}", status.severity)),
    ];
    if let Some(workload) = &spec.workload_ref {
        labels.extend([("workload", workload.name.clone()), ("workload_kind", workload.kind.clone())]);
    }
    if let Some(pod) = &spec.pod_ref {
        labels.push(("pod", pod.name.clone()));
    }
    labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// An alert on a Deployment that fires, with these fields of its status.
    pub(in crate::scaling) fn alert(workload: &str, status: Value) -> DeserializeGuard<PrecursorAlert> {
        let mut alert = json!({
            "apiVersion": "netprecursor.io/v1alpha1",
            "kind": "PrecursorAlert",
            "metadata": {"name": workload, "namespace": "shop", "uid": "u"},
            "spec": {
                "policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "p"},
                "rule": "rtt",
                "workloadRef": {"kind": "Deployment", "name": workload},
                "nodeName": "node1",
            },
            "status": {
                "state": "Firing", "severity": "Warning", "threshold": "200ms", "count": 1,
                "firedAt": "2025-06-15T15:06:40Z", "trigger": "Forecast", "model": {"name": "adaptive"},
            },
        });
        for (field, value) in status.as_object().unwrap() {
            alert["status"][field] = value.clone();
        }
        serde_json::from_value(alert).unwrap()
    }

    #[test]
    fn a_warning_counts_with_its_forecast_and_its_chance() {
        let warned = firing(alert("checkout", json!({"predicted": "231ms", "chancePercent": 74}))).unwrap();
        assert_eq!((warned.forecast_percent, warned.chance_percent), (115, 74));
        let label = |name: &str| warned.labels.get(name).map(String::as_str);
        assert_eq!(label("workload"), Some("checkout"));
        assert_eq!(label("workload_kind"), Some("Deployment"));
        assert_eq!((label("policy_kind"), label("severity")), (Some("PrecursorPolicy"), Some("Warning")));
        assert_eq!(label("pod"), None);
        assert!(warned.labels.keys().all(|name| LABELS.contains(&name.as_str())));
    }

    #[test]
    fn a_breach_is_certain_and_counts_with_what_was_measured() {
        let status = json!({"predicted": "231ms", "measured": "300ms", "chancePercent": 74});
        let breach = firing(alert("checkout", status)).unwrap();
        assert_eq!((breach.forecast_percent, breach.chance_percent), (150, 100));
        let late = firing(alert("checkout", json!({"trigger": "Measured", "measured": "200ms"}))).unwrap();
        assert_eq!((late.forecast_percent, late.chance_percent), (100, 100));
    }

    #[test]
    fn what_is_over_or_cannot_be_read_does_not_count() {
        assert_eq!(firing(alert("checkout", json!({"state": "Resolved"}))), None);
        assert_eq!(firing(alert("checkout", json!({"severity": "Fatal"}))), None);
    }
}
