//! What receivers learn of an alert: one shape, made of an agent's own alerts and of `PrecursorAlert` objects.

use std::{collections::BTreeMap, fmt};

use netprecursor_core::{
    alert::{AlertState, Confirmed},
    decide::Trigger,
    policy::{Kind, Severity},
};

use crate::words;

/// Labels of an alert: what Alertmanager takes for its identity.
pub type Labels = BTreeMap<&'static str, String>;

/// The label `alertname`, which all alerts have in common: the name of their kind in the API.
pub const ALERT_NAME: &str = "PrecursorAlert";

/// The state of an alert. Texts are bounded by the API, or by those that make notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The alert's own name, the same for each time that it fires; in a cluster with its namespace.
    pub id: String,
    /// What distinguishes it from every other one.
    pub about: About,
    /// Whether it is firing.
    pub state: AlertState,
    /// How urgent it is.
    pub severity: Severity,
    /// What triggered it.
    pub trigger: Trigger,
    /// How often it fired.
    pub count: u64,
    /// When it fired last, unix s.
    pub fired_unix: u64,
    /// When it resolved, unix s; none while it is firing.
    pub resolved_unix: Option<u64>,
    /// What the rule means by RTT.
    pub rtt: String,
    /// The rule's threshold, as the API writes it.
    pub threshold: String,
    /// The highest forecast.
    pub predicted: Option<String>,
    /// The highest chance of a breach, in percent.
    pub chance_percent: Option<u8>,
    /// The highest measured value.
    pub measured: Option<String>,
    /// Time from the warning to the breach.
    pub lead: Option<String>,
    /// Whether the warning came true.
    pub confirmed: Confirmed,
    /// Why the forecast rose, the largest share first.
    pub causes: Vec<Cause>,
    /// The model or rule of thumb that made the forecast.
    pub model: String,
    /// All of it in one to three sentences.
    pub description: String,
}

/// What distinguishes an alert from every other one that is there at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The policy's kind.
    pub policy_kind: Kind,
    /// The policy's name.
    pub policy: String,
    /// The rule in it.
    pub rule: String,
    /// The namespace of the pods; outside a cluster that of the policy, if its file names one.
    pub namespace: Option<String>,
    /// Who is in trouble.
    pub target: Target,
    /// The node.
    pub node: String,
}

/// Who is in trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The pods of a workload on the node.
    Workload {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
    },
    /// One pod.
    Pod(String),
    /// A target outside a cluster.
    Named(String),
}

/// A cause, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The group of features.
    pub group: String,
    /// The feature that shows it best.
    pub feature: String,
    /// Its value, with its unit.
    pub value: String,
    /// Its usual value, with its unit.
    pub baseline: String,
    /// The group's share of all that raises the forecast.
    pub share_percent: u8,
}

impl Cause {
    /// A cause of the group of this name in the API; numbers are in `unit`.
    pub fn new(group: &str, feature: &str, unit: &str, [value, baseline]: [&str; 2], share_percent: u8) -> Self {
        Self {
            group: words::group(group),
            feature: feature.to_owned(),
            value: words::quantity(value, unit),
            baseline: words::quantity(baseline, unit),
            share_percent,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, feature, value, baseline, share_percent } = self;
        write!(f, "{group} ({share_percent} %: {feature} is {value}, usually {baseline})")
    }
}

impl Notice {
    /// Whether it is firing.
    pub fn is_firing(&self) -> bool {
        self.state == AlertState::Firing
    }

    /// Its labels. None is empty, which Alertmanager would take for absent.
    pub fn labels(&self, cluster: Option<&str>) -> Labels {
        let About { policy_kind, policy, rule, namespace, target, node } = &self.about;
        let mut labels = Labels::from([
            ("alertname", ALERT_NAME.to_owned()),
            ("policy", policy.clone()),
            ("policy_kind", policy_kind.name().to_owned()),
            ("rule", rule.clone()),
            ("severity", severity(self.severity).to_owned()),
            ("node", node.clone()),
        ]);
        match target {
            Target::Workload { kind, name } => {
                labels.insert("workload", name.clone());
                labels.insert("workload_kind", kind.clone());
            }
            Target::Pod(name) => drop(labels.insert("pod", name.clone())),
            Target::Named(name) => drop(labels.insert("target", name.clone())),
        }
        labels.extend(namespace.clone().map(|namespace| ("namespace", namespace)));
        labels.extend(cluster.map(|cluster| ("cluster", cluster.to_owned())));
        labels.retain(|_, value| !value.is_empty());
        labels
    }
}

/// As rules of Prometheus and routes of Alertmanager usually write it.
pub const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// When it fired.
    pub(crate) const FIRED: u64 = 1_700_000_000;

    /// A warning about a Deployment, just fired.
    pub(crate) fn notice() -> Notice {
        Notice {
            id: "shop/checkout-3f9a1c20be".to_owned(),
            about: About {
                policy_kind: Kind::Namespaced,
                policy: "checkout".to_owned(),
                rule: "rtt".to_owned(),
                namespace: Some("shop".to_owned()),
                target: Target::Workload { kind: "Deployment".to_owned(), name: "checkout".to_owned() },
                node: "node1".to_owned(),
            },
            state: AlertState::Firing,
            severity: Severity::Warning,
            trigger: Trigger::Forecast,
            count: 1,
            fired_unix: FIRED,
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

    /// The same, half a minute later.
    pub(crate) fn resolved() -> Notice {
        Notice {
            state: AlertState::Resolved,
            resolved_unix: Some(FIRED + 30),
            measured: Some("244ms".to_owned()),
            lead: Some("6s".to_owned()),
            confirmed: Confirmed::True,
            description: "Resolved: RTT stayed below the resolve threshold.".to_owned(),
            ..notice()
        }
    }

    #[test]
    fn labels_say_whose_alert_it_is_and_do_not_change_while_it_fires() {
        let labels = notice().labels(Some("production"));
        let expected = [
            ("alertname", "PrecursorAlert"),
            ("cluster", "production"),
            ("namespace", "shop"),
            ("node", "node1"),
            ("policy", "checkout"),
            ("policy_kind", "PrecursorPolicy"),
            ("rule", "rtt"),
            ("severity", "warning"),
            ("workload", "checkout"),
            ("workload_kind", "Deployment"),
        ];
        assert_eq!(labels.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>(), expected);
        assert_eq!(resolved().labels(Some("production")), labels);
    }

    #[test]
    fn what_there_is_not_has_no_label() {
        let mut alone = notice();
        alone.about.namespace = None;
        alone.about.target = Target::Named("web1".to_owned());
        let labels = alone.labels(None);
        assert_eq!(labels.get("target").map(String::as_str), Some("web1"));
        for name in ["cluster", "namespace", "pod", "workload", "workload_kind"] {
            assert!(!labels.contains_key(name), "{name}");
        }
    }

    #[test]
    fn policies_of_both_kinds_with_one_name_have_alerts_of_their_own() {
        let mut other = notice();
        other.about.policy_kind = Kind::Cluster;
        assert_ne!(other.labels(None), notice().labels(None));
    }
}
