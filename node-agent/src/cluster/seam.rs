//! Where the two threads meet: the cluster thread, which alone talks to the API server, and the tick thread, which never
//! waits for it. What is desired comes as a whole and the latest wins; what happened goes through a bounded channel.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex},
};

use netprecursor_core::{
    forecast::QUANTILES,
    policy::{Labels, Policy},
    score::Scorecard,
};
use netprecursor_models::Scorer;
use tokio::sync::{mpsc, watch};

use crate::{sensors::Status, tick::outcome::Transition};

pub use netprecursor_core::policy::Kind as PolicyKind;

/// Transitions that wait between the two threads.
const CHANNEL: usize = 256;
/// Transitions that wait on the tick thread's side when the channel is full.
const WAITING: usize = 1024;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// A policy object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyRef {
    /// Its kind.
    pub kind: PolicyKind,
    /// Its namespace; none for a cluster's policy.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Never reused, unlike the name.
    pub uid: String,
}

/// A pod object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Never reused, unlike the name and the address.
    pub uid: String,
    /// What runs it, as far as its owner tells: the Deployment for a ReplicaSet's pod.
    pub workload: Option<Workload>,
}

/// What a pod is one of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workload {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `Job`…
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// What an alert is about, as objects of the API; every alert in a cluster carries one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The policy.
    pub policy: PolicyRef,
    /// The pod.
    pub pod: Arc<PodRef>,
}

/// A pod of this node that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// The object.
    pub reference: Arc<PodRef>,
    /// What policies select by.
    pub labels: Labels,
    /// Its addresses, IPv4 as IPv4; empty until it has some.
    pub addresses: Vec<IpAddr>,
    /// Whether it lives in the node's network namespace.
    pub host_network: bool,
    /// What the kubelet calls a static pod in cgroup paths, where that is not the UID of the API.
    pub static_uid: Option<String>,
    /// UIDs of the policies that select it. A pod that none selects is known, so that what is its is nobody else's,
    /// but not watched.
    pub watched_by: Vec<String>,
}

/// A policy that converted.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredPolicy {
    /// The object.
    pub reference: PolicyRef,
    /// What it asks for.
    pub policy: Policy,
}

/// A model that the operator published, fetched and checked off the tick thread.
#[derive(Debug)]
pub enum Published {
    /// Ready to forecast. Whoever comes first takes it.
    Ready(Mutex<Option<Box<Scorer>>>),
    /// Not usable, or not there yet.
    Refused(String),
}

/// What is to be watched, and for what.
#[derive(Debug, Default)]
pub struct Desired {
    /// Whether all of it was listed at least once. Before that nothing is known to be gone.
    pub synced: bool,
    /// The policies of the cluster.
    pub policies: Vec<DesiredPolicy>,
    /// The pods of this node.
    pub pods: Vec<Pod>,
    /// The node's own addresses.
    pub host_addresses: Vec<IpAddr>,
    /// The models that the policies ask for, by digest.
    pub models: BTreeMap<Digest, Arc<Published>>,
}

/// Which RTT the kernel gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RttSource {
    /// Each round trip.
    Measured,
    /// The smoothed one of before (kernels before 6.10).
    Smoothed,
    /// None: the sensor does not work.
    #[default]
    Unavailable,
}

/// What forecasts for one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelData {
    /// The policy.
    pub policy: PolicyRef,
    /// The rule.
    pub rule: String,
    /// Who forecasts.
    pub name: String,
    /// Whether that is who the rule asks for.
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// What one rule counted on this node.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleData {
    /// The policy.
    pub policy: PolicyRef,
    /// The rule.
    pub rule: String,
    /// Changes when the rule's meaning does: then the counters start anew.
    pub hash: String,
    /// Since when it counts, unix s.
    pub since: u64,
    /// The pods of this node that it watches.
    pub targets: u32,
    /// The chance that a warning needs.
    pub needed: f32,
    /// The highest chance that was said of late.
    pub reachable: f32,
    /// Of the forecast over the best rule of thumb of late, by quantile, and the expert that is heard most; `None` before a
    /// minute and for a model by itself.
    pub merit: Option<([Option<f64>; QUANTILES.len()], &'static str)>,
    /// The counters.
    pub scorecard: Scorecard,
}

/// What the tick thread has to say for the node report.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportData {
    /// Unix time, s.
    pub unix: u64,
    /// The sensors.
    pub sensors: Vec<Status>,
    /// Which RTT they measure.
    pub rtt_source: RttSource,
    /// Established sockets of all watched pods, and those of them that are seen; `None` before the first survey.
    pub sockets: Option<(u64, u64)>,
    /// Pods watched.
    pub targets: u32,
    /// Pods that found no slot.
    pub over_capacity: u64,
    /// Transitions that no longer found room between the threads.
    pub transitions_lost: u64,
    /// What forecasts.
    pub models: Vec<ModelData>,
    /// What was counted.
    pub rules: Vec<RuleData>,
}

/// The tick thread's end.
#[derive(Debug)]
pub struct TickEnd {
    /// What is desired.
    pub desired: watch::Receiver<Arc<Desired>>,
    /// What happened.
    pub outbox: Outbox,
    /// What the node report says.
    pub report: watch::Sender<Arc<ReportData>>,
}

/// The cluster thread's end.
#[derive(Debug)]
pub struct ClusterEnd {
    /// What is desired.
    pub desired: watch::Sender<Arc<Desired>>,
    /// What happened. Every alert has a [`Subject`].
    pub transitions: mpsc::Receiver<Transition>,
    /// What the node report says.
    pub report: watch::Receiver<Arc<ReportData>>,
}

/// Both ends.
pub fn seam() -> (TickEnd, ClusterEnd) {
    let (desired, desired_seen) = watch::channel(Arc::default());
    let (report, report_seen) = watch::channel(Arc::default());
    let (sender, transitions) = mpsc::channel(CHANNEL);
    let outbox = Outbox { sender, waiting: VecDeque::new(), lost: 0 };
    (TickEnd { desired: desired_seen, outbox, report }, ClusterEnd { desired, transitions, report: report_seen })
}

/// Transitions on their way out of the tick thread, which never waits. When the other side falls behind, what an alert
/// was is given up for what it became, and only then is anything lost.
#[derive(Debug)]
pub struct Outbox {
    sender: mpsc::Sender<Transition>,
    waiting: VecDeque<Transition>,
    lost: u64,
}

impl Outbox {
    /// Sends a transition, in order, now or with a later call.
    pub fn send(&mut self, transition: Transition) {
        if self.waiting.len() >= WAITING {
            self.make_room(&transition.alert().name);
        }
        self.waiting.push_back(transition);
        self.flush();
    }

    /// Sends what waits, as far as there is room.
    pub fn flush(&mut self) {
        while let Some(transition) = self.waiting.pop_front() {
            if let Err(refused) = self.sender.try_send(transition) {
                let (mpsc::error::TrySendError::Full(transition) | mpsc::error::TrySendError::Closed(transition)) =
                    refused;
                self.waiting.push_front(transition);
                return;
            }
        }
    }

    /// Transitions given up although nothing newer of their alert followed.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Gives up an older transition of the same alert, else of any alert of which a newer one waits, else the oldest.
    fn make_room(&mut self, name: &str) {
        let is_outdated = |index: usize| {
            let old = &self.waiting[index].alert().name;
            old == name || self.waiting.iter().skip(index + 1).any(|newer| newer.alert().name == *old)
        };
        match (0..self.waiting.len()).find(|index| is_outdated(*index)) {
            Some(index) => {
                self.waiting.remove(index);
            }
            None => {
                self.waiting.pop_front();
                self.lost += 1;
            }
        }
    }
}
