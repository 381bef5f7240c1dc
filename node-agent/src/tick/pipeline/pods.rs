//! Targets in a cluster: the pods of this node that some policy selects.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use netprecursor_core::{alert::Transition, tick::Tick};
use tokio::sync::watch;

use super::Pipeline;
use crate::{
    desired::{Desired, Pod},
    targets::ownership::Resident,
    tick::target::{About, Origin, Target},
};

/// Ticks until a pod that found no slot is tried again.
const RETRY_TICKS: u64 = 10;

/// What is followed.
#[derive(Debug)]
pub(super) struct Pods {
    desired: watch::Receiver<Arc<Desired>>,
    /// When pods that found no slot are tried again.
    retry: Option<u64>,
    /// Pods that found no slot, so that each is counted once.
    waiting: BTreeSet<String>,
}

impl From<&Pod> for Resident {
    fn from(pod: &Pod) -> Self {
        Self {
            uid: pod.reference.uid.clone(),
            static_uid: pod.static_uid.clone(),
            addresses: pod.addresses.clone(),
            host_network: pod.host_network,
        }
    }
}

impl Pods {
    pub(super) const fn new(desired: watch::Receiver<Arc<Desired>>) -> Self {
        Self { desired, retry: None, waiting: BTreeSet::new() }
    }

    /// Brings targets and rules to the latest desired state.
    pub(super) fn look(&mut self, pipeline: &mut Pipeline, now: Tick, unix: u64, transitions: &mut Vec<Transition>) {
        // A cluster thread that ended sends nothing new; the last known state stays in force.
        let is_new = self.desired.has_changed().unwrap_or(false);
        let is_retry = self.retry.is_some_and(|at| now.0 >= at);
        if !is_new && !is_retry {
            return;
        }
        let desired = Arc::clone(&self.desired.borrow_and_update());
        if !desired.synced {
            return;
        }
        if is_new {
            pipeline.suite.know(desired.pods.iter().map(Resident::from).collect(), desired.host_addresses.clone());
            pipeline.know_networks(&desired.networks);
            let watched: BTreeMap<&str, &Pod> = watched(&desired).collect();
            // First, while the rules that they were watched by are still known.
            pipeline.let_go_unless(now, unix, transitions, |target| watched.contains_key(target.about.uid.as_str()));
            let policies = desired.policies.iter();
            let policies = policies.map(|desired| (desired.policy.clone(), Some(desired.reference.clone()))).collect();
            let revision = pipeline.revise(policies, unix, |policy, rule| {
                let desired = desired.policies.iter().find(|desired| desired.policy.uid == policy.uid)?;
                desired.take_remembered(rule)
            });
            for (sha256, published) in &desired.models {
                pipeline.forecasters.install(sha256, published);
            }
            for position in 0..pipeline.targets.len() {
                if let Some(pod) = watched.get(pipeline.targets[position].about.uid.as_str()) {
                    let about = &mut pipeline.targets[position].about;
                    if about.labels != pod.labels {
                        Arc::make_mut(about).labels.clone_from(&pod.labels);
                    }
                    // It has a new owner; an alert that is firing stays with the old one.
                    if about.pod() != Some(&pod.reference) {
                        Arc::make_mut(about).origin = Origin::Pod(Arc::clone(&pod.reference));
                    }
                    let rules = pipeline.rules_for(|active| pod.watched_by.contains(&active.policy.uid));
                    pipeline.rewatch(position, &revision, &rules, now, unix, transitions);
                }
            }
            pipeline.forget_unused();
        }
        self.take_up(pipeline, &desired, now);
        pipeline.first_look_is_over(unix, transitions);
    }

    fn take_up(&mut self, pipeline: &mut Pipeline, desired: &Desired, now: Tick) {
        self.retry = None;
        let known: BTreeSet<String> = pipeline.targets.iter().map(|target| target.about.uid.clone()).collect();
        self.waiting.retain(|uid| desired.pods.iter().any(|pod| pod.reference.uid == *uid));
        for (uid, pod) in watched(desired).filter(|(uid, _)| !known.contains(*uid)) {
            let Some(slot) = pipeline.slots.take(now.0) else {
                self.retry = Some(now.0 + RETRY_TICKS);
                if self.waiting.insert(uid.to_owned()) {
                    pipeline.counters.over_capacity += 1;
                    tracing::warn!(pod = uid, max = netprecursor_agent_common::MAX_SLOTS, "no free slot: not watched");
                }
                continue;
            };
            self.waiting.remove(uid);
            let place = pipeline.suite.watch_pod(slot, &Resident::from(pod));
            let rules = pipeline.rules_for(|active| pod.watched_by.contains(&active.policy.uid));
            let name = format!("{}/{}", pod.reference.namespace, pod.reference.name);
            tracing::info!(target = name, uid, slot, rules = rules.len(), "watching");
            let about = About {
                name,
                aliases: Vec::new(),
                uid: uid.to_owned(),
                origin: Origin::Pod(Arc::clone(&pod.reference)),
                labels: pod.labels.clone(),
                since: now,
            };
            pipeline.admit(Target::new(about, place, &rules, pipeline.start), now);
        }
    }
}

/// The pods that some policy selects, by UID.
fn watched(desired: &Desired) -> impl Iterator<Item = (&str, &Pod)> {
    let pods = desired.pods.iter().filter(|pod| !pod.watched_by.is_empty());
    pods.map(|pod| (pod.reference.uid.as_str(), pod))
}
