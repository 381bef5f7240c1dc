//! Alertmanager and webhooks as sinks of an agent on a single host: its alerts as notices, and what hands them in.

use std::sync::Arc;

use netprecursor_core::{
    alert::{Alert, CAPACITY, Transition},
    policy::Name,
};
use netprecursor_sinks::{
    notice::{About, Notice, Target},
    receivers::{Inlet, Limits, Receivers},
    settings::Settings,
};

use super::{sink::Sink, words};
use crate::health::Health;

/// Who says that it sends.
const PROGRAM: &str = concat!("netprecursor-agent/", env!("CARGO_PKG_VERSION"));

/// Alerts and messages for each receiver: all that the agent keeps, each firing and resolving.
const HELD: usize = 2 * CAPACITY;

/// The tick thread's end.
#[derive(Debug)]
pub struct ReceiversSink {
    inlet: Inlet,
    node: String,
}

/// The receivers that the settings name, and the tick thread's end of them; `cluster` and `node` say where the agent is. To be
/// called where Tokio runs.
pub fn receivers<S>(settings: &Settings, node: &str, cluster: Option<&str>) -> (Receivers<S>, ReceiversSink)
where
    S: Future<Output = ()> + Clone + Send + 'static,
{
    let (inlet, receivers) = Receivers::new(settings, cluster, PROGRAM, &Limits::new(HELD));
    (receivers, ReceiversSink { inlet, node: node.to_owned() })
}

impl ReceiversSink {
    /// Where receivers say how they are doing.
    pub fn inlet(&self) -> &Inlet {
        &self.inlet
    }
}

impl Sink for ReceiversSink {
    fn publish(&mut self, transition: &Transition) {
        if !self.inlet.boards().is_empty() {
            self.inlet.put(&Arc::new(notice(transition.alert(), &self.node)));
        }
    }

    fn health(&self) -> Health {
        self.inlet.health()
    }
}

/// An alert as receivers get it.
pub fn notice(alert: &Alert, node: &str) -> Notice {
    let rtt = |us| words::us(us).map(words::rounded);
    Notice {
        id: alert.name.clone(),
        about: about(alert, node),
        state: alert.state,
        severity: alert.severity,
        trigger: alert.trigger,
        count: alert.count.max(1),
        fired_unix: alert.fired_unix,
        resolved_unix: alert.resolved_unix.filter(|_| !alert.is_firing()),
        rtt: words::rtt(alert),
        threshold: words::exact(alert.threshold_us),
        predicted: rtt(alert.predicted_us),
        chance_percent: alert.chance.map(words::percent),
        measured: rtt(alert.measured_us),
        lead: alert.lead_seconds.map(|lead| format!("{lead}s")),
        confirmed: alert.confirmed,
        causes: alert.causes.iter().map(words::cause).collect(),
        model: alert.model.name.clone(),
        description: words::note(alert),
    }
}

fn about(alert: &Alert, node: &str) -> About {
    let target = match (&alert.affected, &alert.subject) {
        (Some(affected), _) => {
            let workload = &affected.workload;
            Target::Workload { kind: workload.kind.clone(), name: workload.name.clone() }
        }
        (None, Some(subject)) => Target::Pod(subject.pod.name.clone()),
        (None, None) => Target::Named(alert.target.clone()),
    };
    let own = Some(alert.namespace()).filter(|namespace| !namespace.is_empty());
    let namespace = own.or_else(|| alert.policy.namespace.as_ref().map(Name::as_str));
    About {
        policy_kind: alert.policy.kind,
        policy: alert.policy.name.as_str().to_owned(),
        rule: alert.rule.clone(),
        namespace: namespace.map(str::to_owned),
        target,
        node: node.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use netprecursor_core::decide::Resolution;

    use super::*;
    use crate::publish::firing::{alert, on_workload};

    #[test]
    fn an_alert_of_a_host_names_the_target_and_the_policys_namespace() {
        let alone = Alert { subject: None, target: "web1".to_owned(), ..alert(0) };
        let notice = notice(&alone, "host1");
        assert_eq!(notice.about.target, Target::Named("web1".to_owned()));
        assert_eq!((notice.about.namespace.as_deref(), notice.about.node.as_str()), (Some("shop"), "host1"));
        assert_eq!((notice.threshold.as_str(), notice.predicted.as_deref()), ("200ms", Some("231ms")));
        assert_eq!((notice.chance_percent, notice.resolved_unix), (Some(74), None));
        assert_eq!(notice.causes[0].to_string(), "queue (61 %: standing_queue_max_10s is 182 kB, usually 9 kB)");
        assert!(notice.description.starts_with("RTT is forecast to reach 231ms"), "{}", notice.description);
    }

    #[test]
    fn an_alert_on_pods_names_the_pod_or_their_workload() {
        assert_eq!(notice(&alert(3), "node1").about.target, Target::Pod("checkout-3".to_owned()));
        let expected = Target::Workload { kind: "Deployment".to_owned(), name: "checkout".to_owned() };
        assert_eq!(notice(&on_workload(0, 30), "node1").about.target, expected);
    }

    #[test]
    fn an_alert_that_is_over_says_since_when() {
        let mut over = alert(0);
        over.resolve(Resolution::Recovered, 1_700_000_030);
        let notice = notice(&over, "node1");
        assert_eq!((notice.is_firing(), notice.resolved_unix), (false, Some(1_700_000_030)));
    }
}
