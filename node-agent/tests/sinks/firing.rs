//! The alert that tests of sinks fire, of the agent's own modules as well as from outside.

use std::sync::Arc;

use netprecursor_core::{
    alert::{
        Affected, AffectedPod, Alert, AlertState, Confirmed, MAX_LISTED, Model, PodRef, PolicyRef, Subject, Workload,
    },
    causes::Cause,
    decide::Trigger,
    features::Group,
    policy::{Identity, Kind, Name, Severity},
};

/// The policy `checkout` in the namespace `shop`.
pub(crate) fn reference(uid: &str) -> PolicyRef {
    PolicyRef {
        kind: Kind::Namespaced,
        namespace: Some("shop".to_owned()),
        name: "checkout".to_owned(),
        uid: uid.to_owned(),
    }
}

/// That policy, and pod `number` in another namespace.
pub(crate) fn subject(namespace: &str, number: usize) -> Option<Arc<Subject>> {
    let pod = PodRef {
        namespace: namespace.to_owned(),
        name: format!("checkout-{number}"),
        uid: format!("pod-uid-{number}"),
        workload: None,
        controller: None,
    };
    Some(Arc::new(Subject { policy: reference("policy-uid"), pod: Arc::new(pod) }))
}

/// Alert `number` on so many pods of a Deployment, as it fires for the first time.
pub(crate) fn on_workload(number: usize, pods: u32) -> Alert {
    let alone = alert(number);
    let listed = (0..pods).take(MAX_LISTED).map(|pod| (format!("checkout-{pod}"), format!("pod-uid-{pod}")));
    Alert { affected: Some(Box::new(affected(&alone, pods, listed))), ..alone }
}

/// So many pods of the Deployment `checkout`, each as bad as that of `alone`; listed are those of these names and UIDs.
pub(crate) fn affected(alone: &Alert, pods: u32, listed: impl IntoIterator<Item = (String, String)>) -> Affected {
    let pod = |(name, uid)| AffectedPod {
        name,
        uid,
        state: AlertState::Firing,
        predicted_us: alone.predicted_us,
        measured_us: None,
    };
    let workload = Workload { kind: "Deployment".to_owned(), name: "checkout".to_owned() };
    Affected { workload, count: pods, firing: pods, worst: listed.into_iter().map(pod).collect() }
}

/// Alert `number` as it fires for the first time.
pub(crate) fn alert(number: usize) -> Alert {
    let (namespace, name) = (Name::label("shop").unwrap(), Name::subdomain("checkout").unwrap());
    Alert {
        name: format!("alert-{number}"),
        policy: Identity { kind: Kind::Namespaced, namespace: Some(namespace), name },
        rule: "rtt".to_owned(),
        target: format!("shop/checkout-{number}"),
        target_uid: format!("pod-uid-{number}"),
        state: AlertState::Firing,
        severity: Severity::Warning,
        trigger: Trigger::Forecast,
        threshold_us: 200_000,
        rtt: "RTT".to_owned(),
        rtt_from: Default::default(),
        resolve_us: 160_000,
        predicted_us: Some(231_400.0),
        chance: Some(0.74),
        measured_us: None,
        lead_seconds: None,
        confirmed: Confirmed::Unknown,
        judged_unix: None,
        count: 1,
        fired_unix: 1_700_000_000,
        resolved_unix: None,
        resolution: None,
        causes: vec![Cause {
            group: Group::Queue,
            feature: "standing_queue_max_10s".into(),
            unit: "bytes".into(),
            value: 182_000.0,
            baseline: 9_000.0,
            share_percent: 61,
        }],
        model: Model { name: "rtt-xgboost".to_owned(), sha256: Some("ab".repeat(32)), fallback: None },
        subject: subject("shop", number),
        part_of: None,
        affected: None,
    }
}
