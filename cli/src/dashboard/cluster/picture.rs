//! What the API server shows of a cluster, cut to what pages need. Whoever watches the cluster makes a new one when something
//! changes; nothing here knows how.

use netprecursor_core::{alert::Alert, policy::Identity};
use netprecursor_crds::{Duration, alert::AlertPod, diagnosis::Finding};
use serde::Serialize;

use crate::dashboard::nodes::{ConditionView, Nodes};

/// The cluster at a moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Picture {
    /// When it was made, Unix s.
    pub(crate) unix: u64,
    /// Why it may be old; none while everything that may be read is.
    pub(crate) trouble: Option<Trouble>,
    /// What the user may not see, and what works without it.
    pub(crate) notes: Vec<String>,
    pub(crate) nodes: Nodes,
    /// Nodes whose agent can be asked for a stream.
    pub(crate) with_agent: Vec<String>,
    pub(crate) policies: Vec<PolicyView>,
    /// None where they may not be listed.
    pub(crate) alerts: Option<Vec<Placed>>,
}

/// Why the API server is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Since when, Unix s.
    pub(crate) since: u64,
    pub(crate) words: String,
}

/// An alert, and where it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    pub(crate) alert: Alert,
    pub(crate) namespace: String,
    pub(crate) node: String,
    /// Its workload, such as `Deployment/checkout`.
    pub(crate) workload: Option<String>,
    /// The pods that an alert on a workload lists; none where it is about one pod.
    pub(crate) pods: Vec<AlertPod>,
}

impl Placed {
    /// The same alert on each of its pods.
    pub(crate) fn on_each(&self) -> Vec<Self> {
        if self.pods.is_empty() {
            return vec![self.clone()];
        }
        let us = |duration: &Option<Duration>| duration.as_ref().and_then(|it| it.us().ok()).map(|us| us as f32);
        let on = |pod: &AlertPod| {
            let mut placed = Self { pods: Vec::new(), ..self.clone() };
            placed.alert.target = format!("{}/{}", self.namespace, pod.name);
            placed.alert.target_uid.clone_from(&pod.uid);
            placed.alert.state = pod.state;
            (placed.alert.predicted_us, placed.alert.measured_us) = (us(&pod.predicted), us(&pod.measured));
            placed
        };
        self.pods.iter().map(on).collect()
    }
}

/// A policy with what is wrong with it, in the words of `kubectl netprecursor status`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PolicyView {
    #[serde(flatten)]
    pub(crate) policy: Identity,
    pub(crate) mode: String,
    pub(crate) ready: bool,
    pub(crate) reason: String,
    /// Pods that it selects, on all nodes.
    pub(crate) targets: Option<u32>,
    pub(crate) firing: Option<u32>,
    /// Alerts whose object is behind.
    pub(crate) waiting: Option<u32>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) conditions: Vec<ConditionView>,
    pub(crate) rules: Vec<PolicyRule>,
}

/// A rule, and how it did over all nodes in the last 24 hours.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PolicyRule {
    pub(crate) name: String,
    pub(crate) threshold: Option<String>,
    /// The model that it names.
    pub(crate) model: String,
    /// The digest that the model has to have.
    pub(crate) sha256: Option<String>,
    pub(crate) alerts: u64,
    pub(crate) confirmed: u64,
    pub(crate) missed: u64,
    pub(crate) precision_percent: Option<u8>,
    pub(crate) recall_percent: Option<u8>,
    pub(crate) lead_median: Option<String>,
    pub(crate) needed_percent: Option<u8>,
    pub(crate) reachable_percent: Option<u8>,
    pub(crate) leading_expert: Option<String>,
}
