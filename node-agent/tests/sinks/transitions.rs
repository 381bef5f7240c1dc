//! Made-up transitions of alerts.

use std::sync::Arc;

use netprecursor_core::{
    alert::{Alert, AlertState, Confirmed, PodRef, PolicyRef, Subject, Transition, Workload},
    decide::Resolution,
    policy::{Identity, Name},
};

/// About when everything happens, unix s.
pub(crate) const DAY: u64 = 1_750_000_000;

/// The name of an alert.
pub(crate) fn name(alert: usize) -> String {
    format!("checkout-{alert:010x}")
}

/// An alert of `policy` fires for the `count`th time, or is over.
pub(crate) fn transition(policy: &PolicyRef, alert: usize, count: u64, state: AlertState) -> Transition {
    let is_over = state == AlertState::Resolved;
    let pod = PodRef {
        namespace: "shop".to_owned(),
        name: format!("checkout-{alert}"),
        uid: format!("pod-{alert}"),
        workload: Some(Workload { kind: "Deployment".to_owned(), name: "checkout".to_owned() }),
        controller: None,
    };
    let alert_now = Alert {
        name: name(alert),
        policy: Identity {
            kind: policy.kind,
            namespace: policy.namespace.as_deref().map(|name| Name::label(name).unwrap()),
            name: Name::subdomain(&policy.name).unwrap(),
        },
        target: format!("shop/{}", pod.name),
        target_uid: pod.uid.clone(),
        state,
        chance: Some(0.744),
        measured_us: is_over.then_some(244_000.0),
        lead_seconds: is_over.then_some(6),
        confirmed: if is_over { Confirmed::True } else { Confirmed::Unknown },
        judged_unix: is_over.then_some(DAY + 100 * count + 6),
        count,
        fired_unix: DAY + 100 * count,
        resolved_unix: is_over.then_some(DAY + 100 * count + 50),
        resolution: is_over.then_some(Resolution::Recovered),
        subject: Some(Arc::new(Subject { policy: policy.clone(), pod: Arc::new(pod) })),
        part_of: None,
        affected: None,
        ..super::alert(alert)
    };
    if is_over { Transition::Resolved(alert_now) } else { Transition::Fired(alert_now) }
}
