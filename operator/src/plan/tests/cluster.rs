//! A cluster as watches show it, and an API server that does what is written, in memory.

use std::sync::Arc;

use jiff::Timestamp;
use netprecursor_crds::{alert::PolicyKind, model_copy};
use serde_json::{Value, json};

use super::super::{Plan, Write, plan};
use crate::{
    agents::share::Dealt,
    config::{Settings, tests::settings},
    models::{Looked, ModelCopy, Payload, Source, Trouble},
    observe::{self, AgentPod, Failure, Key, Mirror, Node, Observed, Reported, Seen, Sight},
};

/// A point in time, in seconds after the test began.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(super) struct Cluster {
    pub(super) observed: Observed,
    pub(super) settings: Settings,
    version: u64,
    now: Timestamp,
}

fn complete<T>(mirror: &mut Mirror<T>) {
    mirror.take(Sight::Listing);
    mirror.take(Sight::Complete);
}

impl Cluster {
    /// An empty cluster with the chart installed.
    pub(super) fn new() -> Self {
        let mut observed = Observed::default();
        complete(&mut observed.policies);
        complete(&mut observed.cluster_policies);
        complete(&mut observed.alerts);
        complete(&mut observed.reports);
        complete(&mut observed.daemon_sets);
        complete(&mut observed.shares);
        complete(&mut observed.agents);
        complete(&mut observed.failures);
        complete(&mut observed.nodes);
        complete(&mut observed.namespaces);
        complete(&mut observed.pods);
        complete(&mut observed.copies);
        complete(&mut observed.anchors);
        let mut cluster = Self { observed, settings: settings(), version: 0, now: at(0) };
        let anchor = Key::new("netprecursor-system", "netprecursor-anchor");
        let seen = cluster.seen("anchor-uid", ());
        cluster.observed.anchors.take(Sight::Applied(anchor, seen));
        cluster
    }

    /// One with the policy `checkout` in `shop`.
    pub(super) fn with_policy() -> Self {
        let mut cluster = Self::new();
        cluster.policy("shop", "checkout", json!({}));
        cluster
    }

    /// The plan of now, after what was seen was settled.
    pub(super) fn plan(&mut self, now: Timestamp) -> Plan {
        self.now = now;
        self.observed.settle(&self.settings, now);
        plan(&self.observed, &self.settings, now)
    }

    /// The plan of now, carried out; what was written.
    pub(super) fn settled(&mut self, now: Timestamp) -> Vec<Write> {
        let writes = self.plan(now).writes;
        writes.iter().for_each(|write| self.carry_out(write));
        self.observed.settle(&self.settings, now);
        writes
    }

    /// Statuses that the plan of now writes.
    pub(super) fn statuses(&mut self, now: Timestamp) -> usize {
        self.plan(now).writes.iter().filter(|write| matches!(write, Write::PolicyStatus { .. })).count()
    }

    fn seen<T>(&mut self, uid: &str, value: T) -> Seen<T> {
        self.version += 1;
        Seen { uid: uid.to_owned(), version: self.version, value }
    }

    /// Does what an API server would.
    pub(super) fn carry_out(&mut self, write: &Write) {
        self.version += 1;
        let (version, now) = (self.version, self.now);
        match write {
            Write::PublishModel { sha256, .. } => {
                let key = Key::new(&self.settings.namespace, model_copy::name(sha256));
                let seen = self.seen(sha256, ModelCopy { sha256: sha256.clone() });
                self.observed.copies.take(Sight::Applied(key, seen));
            }
            Write::DeleteModel { key, .. } => self.observed.copies.take(Sight::Deleted(key.clone())),
            Write::DealShare { manifest } => {
                let text = |key: &str| manifest["data"][key].as_str().map(str::to_owned);
                let (share, networks) = (text("share.json"), text("networks.json"));
                let seen = self.seen("share-uid", Dealt { share, networks, applied: Some(now) });
                self.observed.shares.take(Sight::Applied(Key::new("netprecursor-system", "share"), seen));
            }
            Write::ApplyAgents { manifest, .. } => {
                let mut object = manifest.clone();
                object["metadata"]["resourceVersion"] = version.to_string().into();
                object["metadata"]["uid"] = "agents-uid".into();
                object["metadata"]["managedFields"] =
                    json!([{"manager": "netprecursor-operator", "operation": "Apply", "time": now.to_string()}]);
                let object = serde_json::from_value(object).unwrap();
                let (key, seen) = observe::seen(object, observe::daemon_set);
                let mut seen = seen.unwrap();
                // What the controller counted stays.
                if let Some(known) = self.observed.daemon_sets.find(&key).map(|known| &known.value) {
                    let counts = (known.wanted, known.scheduled, known.updated, known.ready);
                    (seen.value.wanted, seen.value.scheduled, seen.value.updated, seen.value.ready) = counts;
                }
                self.observed.daemon_sets.take(Sight::Applied(key, seen));
            }
            Write::RecordEvent { .. } => self.observed.reverted = None,
            Write::DeleteAgents { key, .. } => self.observed.daemon_sets.take(Sight::Deleted(key.clone())),
            Write::ResolveAlert { key, uid, .. } => {
                let mut alert = self.observed.alerts.find(key).unwrap().value.clone();
                let reported = alert.reported.unwrap();
                let state = netprecursor_crds::alert::AlertState::Resolved;
                alert.reported = Some(Reported { state, resolved: Some(now), ..reported });
                let seen = Seen { uid: uid.clone(), version, value: alert };
                self.observed.alerts.take(Sight::Applied(key.clone(), seen));
            }
            Write::DeleteAlert { key, .. } => self.observed.alerts.take(Sight::Deleted(key.clone())),
            Write::PolicyStatus { kind, key, uid, status } => {
                let mirror = match kind {
                    PolicyKind::Namespaced => &mut self.observed.policies,
                    PolicyKind::Cluster => &mut self.observed.cluster_policies,
                };
                let mut policy = mirror.find(key).unwrap().value.clone();
                (policy.status, policy.written) = (status.as_ref().clone(), Some(now));
                mirror.take(Sight::Applied(key.clone(), Seen { uid: uid.clone(), version, value: policy }));
            }
            Write::DeleteReport { key, .. } => self.observed.reports.take(Sight::Deleted(key.clone())),
            Write::DeleteScores { .. } => {}
            Write::KeepScores { shard, .. } => {
                self.observed.ledger.kept(*shard);
                self.observed.kept.insert(*shard, now);
            }
        }
    }

    fn metadata(&mut self, namespace: &str, name: &str) -> Value {
        self.version += 1;
        let mut metadata = json!({
            "name": name,
            "uid": format!("{namespace}-{name}"),
            "resourceVersion": self.version.to_string(),
            "generation": 1,
            "creationTimestamp": self.now.to_string(),
        });
        if !namespace.is_empty() {
            metadata["namespace"] = namespace.into();
        }
        metadata
    }

    /// A policy for pods with `app: checkout`, but for what `spec` says otherwise.
    pub(super) fn policy(&mut self, namespace: &str, name: &str, spec: Value) {
        let metadata = self.metadata(namespace, name);
        let object = policy("PrecursorPolicy", metadata, spec);
        let (key, seen) = observe::seen(serde_json::from_value(object).unwrap(), observe::policy::namespaced);
        self.observed.policies.take(Sight::Applied(key, seen.unwrap()));
    }

    pub(super) fn cluster_policy(&mut self, name: &str, spec: Value) {
        let metadata = self.metadata("", name);
        let object = policy("ClusterPrecursorPolicy", metadata, spec);
        let (key, seen) = observe::seen(serde_json::from_value(object).unwrap(), observe::policy::cluster);
        self.observed.cluster_policies.take(Sight::Applied(key, seen.unwrap()));
    }

    pub(super) fn remove_policy(&mut self, namespace: &str, name: &str) {
        self.observed.policies.take(Sight::Deleted(Key::new(namespace, name)));
    }

    pub(super) fn remove_anchor(&mut self) {
        self.observed.anchors.take(Sight::Deleted(Key::new("netprecursor-system", "netprecursor-anchor")));
    }

    /// What the DaemonSet's controller says: nodes that should have an agent, that have one, and where it works.
    pub(super) fn agents(&mut self, wanted: i64, scheduled: i64, ready: i64) {
        self.with_agents(|agents| {
            (agents.wanted, agents.scheduled, agents.ready, agents.is_current) = (wanted, scheduled, ready, true);
            agents.updated = scheduled;
        });
    }

    /// Of the agents that its controller counted so many are of the newest spec.
    pub(super) fn updated_agents(&mut self, updated: i64) {
        self.with_agents(|agents| agents.updated = updated);
    }

    pub(super) fn change_agents(&mut self, change: impl FnOnce(&mut Value)) {
        self.with_agents(|agents| change(&mut agents.object));
    }

    pub(super) fn with_agents(&mut self, change: impl FnOnce(&mut observe::Agents)) {
        let (_, seen) = self.observed.daemon_sets.iter_mut().next().unwrap();
        change(&mut seen.value);
    }

    pub(super) fn failure(&mut self, message: &str) {
        let failure = Failure { at: self.now, message: message.to_owned() };
        let seen = self.seen("event", failure);
        self.observed.failures.take(Sight::Applied(Key::new("netprecursor-system", "event"), seen));
    }

    pub(super) fn namespace(&mut self, name: &str, labels: Value) {
        let seen = self.seen(name, serde_json::from_value(labels).unwrap());
        self.observed.namespaces.take(Sight::Applied(Key::new("", name), seen));
    }

    pub(super) fn pod(&mut self, namespace: &str, name: &str, labels: Value) {
        let seen = self.seen(&format!("pod-{name}"), Arc::new(serde_json::from_value(labels).unwrap()));
        self.observed.pods.take(Sight::Applied(Key::new(namespace, name), seen));
    }

    pub(super) fn remove_pod(&mut self, namespace: &str, name: &str) {
        self.observed.pods.take(Sight::Deleted(Key::new(namespace, name)));
    }

    /// A node whose agent works.
    pub(super) fn staffed_node(&mut self, name: &str) {
        self.take_node(name, Node::default());
        self.agent(name, true);
    }

    /// A node with the networks of its pods, and its own addresses.
    pub(super) fn node(&mut self, name: &str, pods: &[&str], hosts: &[&str]) {
        let pod_networks = pods.iter().map(|text| text.parse().unwrap()).collect();
        let addresses = hosts.iter().map(|text| text.parse().unwrap()).collect();
        self.take_node(name, Node { pod_networks, addresses, created: None });
    }

    /// A node of which nothing is known but since when it is there.
    pub(super) fn young_node(&mut self, name: &str, created: Timestamp) {
        self.take_node(name, Node { created: Some(created), ..Node::default() });
    }

    pub(super) fn remove_node(&mut self, name: &str) {
        self.observed.nodes.take(Sight::Deleted(Key::new("", name)));
    }

    fn take_node(&mut self, name: &str, node: Node) {
        let seen = self.seen(name, node);
        self.observed.nodes.take(Sight::Applied(Key::new("", name), seen));
    }

    /// Networks of Services, of an API server that serves them.
    pub(super) fn service_cidr(&mut self, name: &str, networks: &[&str]) {
        self.observed.serves_service_cidrs = true;
        complete(&mut self.observed.service_cidrs);
        let seen = self.seen(name, networks.iter().map(|text| text.parse().unwrap()).collect());
        self.observed.service_cidrs.take(Sight::Applied(Key::new("", name), seen));
    }

    pub(super) fn agent(&mut self, node: &str, is_ready: bool) {
        self.take_agent(node, is_ready, &[]);
    }

    /// A node's agent that works and has these addresses.
    pub(super) fn agent_at(&mut self, node: &str, addresses: &[&str]) {
        self.take_agent(node, true, addresses);
    }

    fn take_agent(&mut self, node: &str, is_ready: bool, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let pod = AgentPod { node: node.to_owned(), addresses, is_ready, since: Some(self.now), trouble: None };
        let seen = self.seen(&format!("agent-{node}"), pod);
        self.observed.agents.take(Sight::Applied(Key::new("netprecursor-system", format!("agent-{node}")), seen));
    }

    pub(super) fn remove_agent(&mut self, node: &str) {
        self.observed.agents.take(Sight::Deleted(Key::new("netprecursor-system", format!("agent-{node}"))));
    }

    /// What a node's agent says of rule `rtt` of policy `shop/checkout`.
    pub(super) fn report(&mut self, node: &str, counts: Value) {
        let mut rule = json!({
            "policyUID": "shop-checkout",
            "policyName": "checkout",
            "policyNamespace": "shop",
            "rule": "rtt",
            "ruleHash": "h",
            "since": at(0).to_string(),
        });
        let counts = counts.as_object().unwrap().clone();
        rule.as_object_mut().unwrap().extend(counts);
        self.extend_report(node, json!({"rules": [rule]}));
    }

    /// A node's agent forecasts with something else than that rule asks for.
    pub(super) fn fallback(&mut self, node: &str, reason: &str) {
        let (uid, name) = ("shop-checkout", "damped-holt");
        let model = json!({"policyUID": uid, "rule": "rtt", "name": name, "ready": false, "reason": reason});
        self.extend_report(node, json!({"models": [model]}));
    }

    fn extend_report(&mut self, node: &str, part: Value) {
        let mut status = json!({
            "agentVersion": "0.1.0", "kernel": "6.18", "rttSource": "Measured", "heartbeat": self.now.to_string(),
        });
        status.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        let object = json!({
            "apiVersion": "netprecursor.io/v1alpha1",
            "kind": "PrecursorNodeReport",
            "metadata": self.metadata("", node),
            "status": status,
        });
        let (key, seen) = observe::seen(serde_json::from_value(object).unwrap(), observe::report);
        self.observed.reports.take(Sight::Applied(key, seen.unwrap()));
    }

    /// An alert of `shop/checkout` that began or ended when `at` says.
    pub(super) fn alert(&mut self, namespace: &str, name: &str, pod: &str, node: &str, state: &str, at: Timestamp) {
        let mut metadata = self.metadata(namespace, name);
        metadata["creationTimestamp"] = at.to_string().into();
        let mut object = json!({
            "apiVersion": "netprecursor.io/v1alpha1",
            "kind": "PrecursorAlert",
            "metadata": metadata,
            "spec": {
                "policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "shop-checkout"},
                "rule": "rtt",
                "podRef": {"name": pod, "uid": format!("pod-{pod}")},
                "nodeName": node,
            },
            "status": {
                "state": state,
                "severity": "Warning",
                "threshold": "200ms",
                "count": 1,
                "firedAt": at.to_string(),
                "trigger": "Forecast",
                "model": {"name": "damped-holt"},
            },
        });
        if state == "Resolved" {
            object["status"]["resolvedAt"] = at.to_string().into();
        }
        let (key, seen) = observe::seen(serde_json::from_value(object).unwrap(), observe::alert::reduce);
        self.observed.alerts.take(Sight::Applied(key, seen.unwrap()));
    }

    /// What came of looking at a model.
    pub(super) fn looked(
        &mut self,
        source: &Source,
        generation: i64,
        at: Timestamp,
        outcome: Result<Arc<Payload>, Trouble>,
    ) {
        self.observed.models.insert(source.clone(), Looked { at, generation, outcome });
    }
}

fn policy(kind: &str, metadata: Value, changes: Value) -> Value {
    let rule = json!({"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}});
    let mut spec = json!({"target": {"podSelector": {"matchLabels": {"app": "checkout"}}}, "rules": [rule]});
    spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({"apiVersion": "netprecursor.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}
