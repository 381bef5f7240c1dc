//! What sends, as agents and the operator do, and what is sent.

use std::{
    future,
    sync::Arc,
    time::{Duration, SystemTime},
};

use netprecursor_core::{
    alert::{AlertState, Confirmed},
    decide::Trigger,
    policy::{Kind, Severity},
};
use netprecursor_sinks::{
    notice::{About, Cause, Notice, Target},
    receivers::{Inlet, Limits, Receivers},
    settings::{Given, GivenAlertmanager, Settings, Style},
};
use tokio::task::JoinHandle;

/// The shortest interval that may be set: what does not come again within four of them is over.
const RESEND: Duration = Duration::from_secs(5);

/// Sends to every replica.
pub(crate) struct Sender {
    inlet: Inlet,
    task: JoinHandle<()>,
}

impl Sender {
    /// To these replicas.
    pub(crate) fn start(urls: Vec<String>) -> Self {
        let alertmanager = GivenAlertmanager { urls, resend: Some(RESEND), ..GivenAlertmanager::default() };
        let settings = Settings::new(Given { alertmanager, ..Given::default() }, Style::Flags).unwrap();
        let (inlet, receivers) = Receivers::new(&settings, Some("production"), "tests", &Limits::new(64));
        Self { inlet, task: tokio::spawn(receivers.run(future::pending::<()>())) }
    }

    pub(crate) fn put(&self, notice: Notice) {
        self.inlet.put(&Arc::new(notice));
    }

    /// Goes away without a word.
    pub(crate) fn vanish(self) {
        self.task.abort();
    }
}

/// An alert about a pod, as it fires.
pub(crate) fn firing(policy: &str, pod: &str) -> Notice {
    Notice {
        id: format!("shop/{policy}-{pod}"),
        about: About {
            policy_kind: Kind::Namespaced,
            policy: policy.to_owned(),
            rule: "rtt".to_owned(),
            namespace: Some("shop".to_owned()),
            target: Target::Pod(pod.to_owned()),
            node: "node1".to_owned(),
        },
        state: AlertState::Firing,
        severity: Severity::Critical,
        trigger: Trigger::Forecast,
        count: 1,
        fired_unix: now(),
        resolved_unix: None,
        rtt: "RTT".to_owned(),
        threshold: "200ms".to_owned(),
        predicted: Some("231ms".to_owned()),
        chance_percent: Some(74),
        measured: None,
        lead: None,
        confirmed: Confirmed::Unknown,
        causes: vec![Cause::new("Queue", "standing_queue_max_10s", "bytes", ["182000", "9000"], 61)],
        model: "adaptive".to_owned(),
        description: "RTT is forecast to reach 231ms within 10s.".to_owned(),
    }
}

/// It after the breach that it warned of is over.
pub(crate) fn resolved(firing: Notice) -> Notice {
    Notice {
        state: AlertState::Resolved,
        resolved_unix: Some(now()),
        measured: Some("244ms".to_owned()),
        lead: Some("6s".to_owned()),
        confirmed: Confirmed::True,
        description: "Resolved: RTT stayed below the resolve threshold.".to_owned(),
        ..firing
    }
}

/// Alertmanager's default of `group_wait` counts from when an alert began: it has to be just now.
fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}
