//! What is to be watched, and for what: made by the cluster thread as a whole, the latest wins, taken up by the tick thread.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use ipnet::IpNet;
use netprecursor_core::{
    alert::{PodRef, PolicyRef},
    policy::{Labels, Policy, Rule},
    watch::Ledger,
};
use netprecursor_kit::Networks;
use netprecursor_models::Scorer;

use crate::lock::lock;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

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

/// What one thread has ready for another: whoever comes first takes it.
pub type Handover<T> = Arc<Mutex<Option<T>>>;

/// A policy that converted.
#[derive(Debug, Clone)]
pub struct DesiredPolicy {
    /// The object.
    pub reference: PolicyRef,
    /// What it asks for.
    pub policy: Policy,
    /// What is remembered of its rules, in their order, from before they came; empty when that is nothing.
    pub remembered: Vec<Handover<Ledger>>,
}

impl DesiredPolicy {
    /// Takes what is remembered of a rule.
    pub fn take_remembered(&self, rule: &Rule) -> Option<Ledger> {
        let position = self.policy.rules.iter().position(|known| known.name == rule.name)?;
        lock(self.remembered.get(position)?).take()
    }
}

/// A model that the operator published, fetched and checked off the tick thread.
#[derive(Debug)]
pub enum Published {
    /// Ready to forecast.
    Ready(Handover<Box<Scorer>>),
    /// Not usable, or not there yet.
    Refused(String),
}

/// The networks of the cluster, which rules class peers by, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterNetworks {
    /// Those that were dealt last.
    pub known: Option<Networks>,
    /// Why the file with them cannot be read now.
    pub problem: Option<String>,
}

impl ClusterNetworks {
    /// The networks; none while they are not known.
    pub fn list(&self) -> &[IpNet] {
        self.known.as_ref().map_or(&[][..], |known| known.networks.as_slice())
    }

    /// Why they are not known, if they are not.
    pub fn why_unknown(&self) -> &str {
        self.problem.as_deref().unwrap_or(
            "got no --networks-file, expected one, which the operator deals: without it, name networks in `peers.cidrs`",
        )
    }
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
    /// The networks of the cluster.
    pub networks: Arc<ClusterNetworks>,
    /// The models that the policies ask for, by digest.
    pub models: BTreeMap<Digest, Arc<Published>>,
}
