//! What is known of the cluster: mirrors of what watches show, cut down to what the plan needs, and what was made of
//! it. Everything here is data; only [`watch`] and [`read`] talk to the API server.

mod agents;
pub(crate) mod alert;
mod mirror;
pub(crate) mod network;
pub(crate) mod policy;
pub mod read;
mod report;
mod source;
pub mod watch;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use ipnet::IpNet;
use jiff::Timestamp;
use netprecursor_core::policy::Labels;
use netprecursor_crds::model_copy;

pub use agents::{AgentPod, Agents, Failure, RawDaemonSet, daemon_set};
pub use alert::{Alert, Reported};
pub use mirror::{Mirror, Seen};
pub use netprecursor_kit::{Key, Sight, Wire};
pub use network::Node;
pub use policy::{Policy, Spec};
#[cfg(test)]
pub(crate) use report::reduce as report;
pub use report::{Bar, Merit, Report};
pub(crate) use source::seen;
pub use source::{Source, Visitor, sources};

use crate::{
    agents::share::Dealt,
    config::Settings,
    ledger::Ledger,
    metrics::Tally,
    models::{self, ModelCopy, Models},
};

/// What was refused is not asked for again for so long.
pub const REFUSED_SECONDS: i64 = 60;

/// What is known of the cluster.
#[derive(Debug, Default)]
pub struct Observed {
    /// Policies of one namespace.
    pub policies: Mirror<Policy>,
    /// Policies of several namespaces.
    pub cluster_policies: Mirror<Policy>,
    /// Alerts.
    pub alerts: Mirror<Alert>,
    /// What agents say of themselves, by node.
    pub reports: Mirror<Report>,
    /// The agents' DaemonSet: one or none.
    pub daemon_sets: Mirror<Agents>,
    /// What is dealt to agents: one or none.
    pub shares: Mirror<Dealt>,
    /// The agents' pods.
    pub agents: Mirror<AgentPod>,
    /// Pods of the DaemonSet that could not be made.
    pub failures: Mirror<Failure>,
    /// Nodes.
    pub nodes: Mirror<Node>,
    /// Whether the API server serves ServiceCIDRs, as [`read::serves_service_cidrs`] found out.
    pub serves_service_cidrs: bool,
    /// Networks of Services, by ServiceCIDR; never synced where none are served.
    pub service_cidrs: Mirror<Vec<IpNet>>,
    /// Namespaces with their labels.
    pub namespaces: Mirror<Labels>,
    /// Pods that have not ended, with their labels; equal ones are kept once.
    pub pods: Mirror<Arc<Labels>>,
    /// Published models.
    pub copies: Mirror<ModelCopy>,
    /// The object that owns what the operator makes: one or none.
    pub anchors: Mirror<()>,
    /// What was counted.
    pub ledger: Ledger,
    /// When each shard of the ledger was last kept.
    pub kept: BTreeMap<u32, Timestamp>,
    /// What came of looking at users' models.
    pub models: Models,
    /// Since when things are missed.
    pub absent: Absences,
    /// Alerts deleted because there were too many, by policy.
    pub over_cap: BTreeMap<String, u64>,
    /// What the API server refused, by the id of the write, and when: it is not asked again at once.
    pub refused: BTreeMap<String, Timestamp>,
    /// Why it refused the DaemonSet.
    pub agents_refused: Option<String>,
    /// What was put right in the DaemonSet last and has no Event yet.
    pub reverted: Option<Reverted>,
}

/// A change by somebody else that was put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reverted {
    /// The object.
    pub uid: String,
    /// Its version since.
    pub version: u64,
    /// What was changed, in words.
    pub change: String,
}

/// Since when things are missed that something else refers to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Absences(BTreeMap<Absent, Timestamp>);

/// Something that is missed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Absent {
    /// The agent of a node.
    Agent(String),
    /// A node.
    Node(String),
    /// A pod, by UID.
    Pod(String),
    /// Anybody who wants the copy of this name.
    Use(String),
    /// Pods of the DaemonSet that should be there.
    AgentPods,
}

impl Absences {
    /// Since when this is missed; `None` while it is there.
    pub fn since(&self, absent: &Absent) -> Option<Timestamp> {
        self.0.get(absent).copied()
    }

    /// What is missed now: what is new is missed since `now`, what is not listed is there again.
    fn note(&mut self, missed: BTreeSet<Absent>, now: Timestamp) {
        let before = std::mem::take(&mut self.0);
        self.0 = missed
            .into_iter()
            .map(|absent| {
                let since = before.get(&absent).copied().unwrap_or(now);
                (absent, since)
            })
            .collect();
    }
}

impl Observed {
    /// What is known, in numbers.
    pub fn tally(&self) -> Tally {
        let objects = [
            ("policy", self.all_policies().count()),
            ("alert", self.alerts.len()),
            ("report", self.reports.len()),
            ("node", self.nodes.len()),
            ("pod", self.pods.len()),
            ("model", self.copies.len()),
        ];
        Tally { is_synced: self.is_synced(), objects, over_cap: self.over_cap.values().sum() }
    }

    /// Whether all was listed once. Before that nothing is known to be gone.
    pub fn is_synced(&self) -> bool {
        self.policies.is_synced()
            && self.cluster_policies.is_synced()
            && self.alerts.is_synced()
            && self.reports.is_synced()
            && self.daemon_sets.is_synced()
            && self.shares.is_synced()
            && self.agents.is_synced()
            && self.failures.is_synced()
            && self.nodes.is_synced()
            && (!self.serves_service_cidrs || self.service_cidrs.is_synced())
            && self.namespaces.is_synced()
            && self.pods.is_synced()
            && self.copies.is_synced()
            && self.anchors.is_synced()
    }

    /// All policies.
    pub fn all_policies(&self) -> impl Iterator<Item = (&Key, &Seen<Policy>)> {
        self.policies.iter().chain(self.cluster_policies.iter())
    }

    /// Where the models of a policy are, by rule.
    pub fn model_sources(policy: &Policy, settings: &Settings) -> Vec<(String, models::Source)> {
        let models = policy.spec.as_ref().map_or(&[][..], |spec| &spec.models);
        models.iter().map(|(rule, source)| (rule.clone(), source.clone().in_install(&settings.namespace))).collect()
    }

    /// Makes of what was seen what the plan needs: counters go to the ledger, equal labels become one, and what is
    /// missed is noted. To be called before planning.
    pub fn settle(&mut self, settings: &Settings, now: Timestamp) {
        for (key, seen) in self.reports.iter_mut() {
            for reported in std::mem::take(&mut seen.value.counted) {
                self.ledger.absorb(&key.name, &reported, now);
            }
        }
        if self.is_synced() {
            let mut ledger = std::mem::take(&mut self.ledger);
            let alive: BTreeSet<(&str, &str)> = self.all_policies().flat_map(|(_, seen)| rules(seen)).collect();
            ledger.sweep(|key| alive.contains(&(key.policy.as_str(), key.rule.as_str())), now);
            self.ledger = ledger;
            self.absent.note(self.missed(settings), now);
            let policies: BTreeSet<String> = self.all_policies().map(|(_, seen)| seen.uid.clone()).collect();
            self.over_cap.retain(|policy, _| policies.contains(policy));
            self.refused.retain(|_, at| now.duration_since(*at).as_secs() < REFUSED_SECONDS);
            let sources: BTreeSet<models::Source> = self
                .all_policies()
                .flat_map(|(_, seen)| Self::model_sources(&seen.value, settings))
                .map(|(_, source)| source)
                .collect();
            // A copy that is there is proof enough, and the bytes need not be kept.
            let copies = &self.copies;
            let is_copied = |source: &models::Source| {
                copies.find(&Key::new(&settings.namespace, model_copy::name(&source.sha256))).is_some()
            };
            self.models
                .retain(|source, looked| sources.contains(source) && !(looked.outcome.is_ok() && is_copied(source)));
        }
        self.intern();
    }

    fn missed(&self, settings: &Settings) -> BTreeSet<Absent> {
        let mut missed = BTreeSet::new();
        let staffed: BTreeSet<&str> = self.agents.iter().map(|(_, pod)| pod.value.node.as_str()).collect();
        let pods: BTreeSet<&str> = self.pods.iter().map(|(_, pod)| pod.uid.as_str()).collect();
        for (_, alert) in
            self.alerts.iter().filter(|(_, alert)| alert.value.is_firing() || alert.value.reported.is_none())
        {
            let alert = &alert.value;
            if self.nodes.find(&Key::new("", &alert.node)).is_none() {
                missed.insert(Absent::Node(alert.node.clone()));
            }
            if !staffed.contains(alert.node.as_str()) {
                missed.insert(Absent::Agent(alert.node.clone()));
            }
            let gone = alert.pods.iter().filter(|pod| !pods.contains(pod.as_str()));
            missed.extend(gone.cloned().map(Absent::Pod));
        }
        let used: BTreeSet<String> = self
            .all_policies()
            .flat_map(|(_, seen)| Self::model_sources(&seen.value, settings))
            .map(|(_, source)| model_copy::name(&source.sha256))
            .collect();
        let unused = self.copies.iter().filter(|(key, _)| !used.contains(&key.name));
        missed.extend(unused.map(|(key, _)| Absent::Use(key.name.clone())));
        let short = |agents: &Agents| !agents.is_current || agents.ready.min(agents.updated) < agents.wanted;
        if self.daemon_sets.iter().any(|(_, agents)| short(&agents.value)) {
            missed.insert(Absent::AgentPods);
        }
        missed
    }

    /// Pods of one workload have the same labels: a thousand pods, a few dozen label sets.
    fn intern(&mut self) {
        let mut known: HashMap<Arc<Labels>, ()> = HashMap::new();
        for (_, pod) in self.pods.iter_mut() {
            match known.get_key_value(&pod.value) {
                Some((same, ())) => pod.value = Arc::clone(same),
                None => {
                    known.insert(Arc::clone(&pod.value), ());
                }
            }
        }
    }
}

fn rules(seen: &Seen<Policy>) -> Vec<(&str, &str)> {
    match &seen.value.spec {
        Ok(spec) => spec.policy.rules.iter().map(|rule| (seen.uid.as_str(), rule.name.as_str())).collect(),
        Err(_) => Vec::new(),
    }
}
