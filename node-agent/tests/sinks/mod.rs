//! What tests of sinks share.
#![allow(dead_code, reason = "each test program uses its part")]

pub(crate) mod disk;

use netprecursor_agent::{
    sinks::queue::entry::{Cause, Model, Owner, Record},
    tick::alerts::{AlertState, Confirmed},
};
use netprecursor_core::{decide::Trigger, policy::Severity};

/// Alert `number` as it fires for the first time.
pub(crate) fn record(number: usize) -> Record {
    Record {
        name: format!("alert-{number}"),
        namespace: "shop".to_owned(),
        policy: Owner { cluster: false, name: "checkout".to_owned(), uid: "policy-uid".to_owned() },
        rule: "rtt".to_owned(),
        pod: format!("checkout-{number}"),
        pod_uid: format!("pod-uid-{number}"),
        state: AlertState::Firing,
        severity: Severity::Warning,
        trigger: Trigger::Forecast,
        threshold_us: 200_000,
        resolve_us: Some(160_000),
        predicted_us: Some(231_400),
        chance_percent: Some(74),
        measured_us: None,
        lead_seconds: None,
        confirmed: Confirmed::Unknown,
        judged: 1_700_000_000,
        count: 1,
        fired: 1_700_000_000,
        resolved: None,
        ending: None,
        causes: vec![Cause {
            group: "Queue".to_owned(),
            feature: "standing_queue_max_10s".to_owned(),
            unit: "bytes".to_owned(),
            value: "182000".to_owned(),
            baseline: "9000".to_owned(),
            share_percent: 61,
        }],
        model: Model { name: "rtt-xgboost".to_owned(), sha256: None, stands_in: None },
    }
}
