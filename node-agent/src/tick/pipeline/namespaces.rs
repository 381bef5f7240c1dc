//! Targets on one host: the network namespaces whose names match.

use std::collections::{BTreeMap, BTreeSet};

use netprecursor_core::{gate::Start, tick::Tick};

use super::Pipeline;
use crate::{
    targets::{
        namespace::{self, Namespace},
        selector::Selector,
    },
    tick::{
        outcome::Transition,
        target::{Origin, Target},
    },
};

/// Ticks until a namespace that could not be entered is tried again.
const RETRY_TICKS: u64 = 10;

/// What is looked for.
#[derive(Debug)]
pub(super) struct Namespaces {
    selectors: Vec<Selector>,
    /// Since when a namespace is not watched although it matches.
    refused: BTreeMap<String, u64>,
}

impl Namespaces {
    pub(super) const fn new(selectors: Vec<Selector>) -> Self {
        Self { selectors, refused: BTreeMap::new() }
    }

    /// Takes up namespaces that match and lets go of those that are gone.
    pub(super) fn look(&mut self, pipeline: &mut Pipeline, now: Tick, unix: u64, told: &mut Vec<Transition>) {
        let named = match namespace::named() {
            Ok(named) => named,
            Err(error) => {
                tracing::warn!(%error, directory = namespace::DIRECTORY, "cannot list network namespaces");
                return;
            }
        };
        let present: BTreeSet<(&str, u64)> = named.iter().map(|(name, inode)| (name.as_str(), *inode)).collect();
        pipeline.let_go_unless(now, unix, told, |target| match target.origin {
            Origin::Namespace { inode } => present.contains(&(target.name.as_str(), inode)),
            Origin::Pod(_) => false,
        });
        self.refused.retain(|name, _| present.iter().any(|(present, _)| present == name));
        for (name, _) in &named {
            let known = pipeline.targets.iter().any(|target| target.name == *name);
            let waiting = self.refused.get(name).is_some_and(|since| now.0 < since + RETRY_TICKS);
            if known || waiting {
                continue;
            }
            if let Some(selector) = self.selectors.iter().find(|selector| selector.matches(name)) {
                let labels = selector.labels.clone();
                self.take_up(pipeline, name, labels, now);
            }
        }
        // What appears after the first look came while the agent was running.
        pipeline.start = Start::Fresh;
    }

    fn take_up(&mut self, pipeline: &mut Pipeline, name: &str, labels: BTreeMap<String, String>, now: Tick) {
        let namespace = match Namespace::enter(name) {
            Ok(namespace) => namespace,
            Err(error) => {
                if self.refused.insert(name.to_owned(), now.0).is_none() {
                    pipeline.counters.unwatchable += 1;
                    tracing::warn!(target = name, error = %crate::sensors::chain(&error), "a namespace is not watched");
                }
                return;
            }
        };
        let Some(slot) = pipeline.slots.take(now.0) else {
            if self.refused.insert(name.to_owned(), now.0).is_none() {
                pipeline.counters.over_capacity += 1;
                tracing::warn!(target = name, max = netprecursor_agent_common::MAX_SLOTS, "no free slot: not watched");
            }
            return;
        };
        self.refused.remove(name);
        let (origin, cookie) = (Origin::Namespace { inode: namespace.inode }, namespace.cookie);
        let place = pipeline.suite.watch(slot, namespace);
        let rules = pipeline.rules_for(|active| active.policy.target.matches(&labels));
        tracing::info!(target = name, slot, rules = rules.len(), "watching");
        let uid = format!("netns:{name}:{cookie}");
        let target = Target::new(name.to_owned(), uid, origin, labels, place, &rules, pipeline.start, now);
        pipeline.targets.push(target);
    }
}
