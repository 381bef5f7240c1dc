//! Targets on one host: the network namespaces whose names match.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use netprecursor_core::{alert::Transition, tick::Tick};

use super::{Pipeline, revision::Revision};
use crate::{
    targets::{
        names::{self, Named},
        namespace::{self, Namespace},
        selector::Selector,
    },
    tick::target::{About, Origin, Target},
};

/// Ticks until a namespace that could not be entered is tried again.
const RETRY_TICKS: u64 = 10;
/// Ticks after which the names are read although none came or went: a namespace may be mounted over a name that is there.
const READ_TICKS: u64 = 5;

/// What is looked for.
#[derive(Debug)]
pub(super) struct Namespaces {
    selectors: Vec<Selector>,
    /// The names with their inodes when everything was last looked at; `None`: it is to be looked at again.
    listed: Option<Vec<(String, u64)>>,
    /// When a name had last come or gone as the names were read, and the tick in which they are read again in any case.
    read: Option<(Option<SystemTime>, Tick)>,
    /// Since when a namespace, by inode, is not watched although it matches.
    refused: BTreeMap<u64, u64>,
}

impl Namespaces {
    pub(super) const fn new(selectors: Vec<Selector>) -> Self {
        Self { selectors, listed: None, read: None, refused: BTreeMap::new() }
    }

    /// Admits namespaces that match and lets go of those that are gone.
    pub(super) fn look(&mut self, pipeline: &mut Pipeline, now: Tick, unix: u64, transitions: &mut Vec<Transition>) {
        let changed = namespace::changed();
        let is_changed = self.read.is_none_or(|(before, _)| before != changed);
        let is_due = is_changed || self.read.is_none_or(|(_, again)| now >= again);
        if self.refused.is_empty() && self.listed.is_some() && !is_due {
            return;
        }
        // After a change soon again: `ip netns add` makes the name first and mounts the namespace then.
        let again = if is_changed { Tick(now.0 + 1) } else { Tick(now.0 + READ_TICKS) };
        self.read = Some((changed, again));
        let named = match namespace::named() {
            Ok(named) => named,
            Err(error) => {
                tracing::warn!(%error, directory = namespace::DIRECTORY, "cannot list network namespaces");
                return;
            }
        };
        // Hardly ever anything changes from one tick to the next.
        if self.refused.is_empty() && self.listed.as_ref() == Some(&named) {
            return;
        }
        let wanted = names::group(&named, &self.selectors);
        pipeline.select(&self.selectors, &named);
        self.listed = Some(named);
        // What is watched is kept open, so that no other namespace gets its inode.
        pipeline.let_go_unless(now, unix, transitions, |target| match target.about.origin {
            Origin::Namespace { inode } => wanted.contains_key(&inode),
            Origin::Pod(_) => false,
        });
        self.refused.retain(|inode, _| wanted.contains_key(inode));
        for (inode, named) in &wanted {
            let origin = Origin::Namespace { inode: *inode };
            match pipeline.targets.iter().position(|target| target.about.origin == origin) {
                Some(position) => pipeline.rename(position, named, now, unix, transitions),
                None if self.refused.get(inode).is_some_and(|since| now.0 < since + RETRY_TICKS) => {}
                None => self.take_up(pipeline, *inode, named, now),
            }
        }
        pipeline.first_look_is_over(unix, transitions);
    }

    fn take_up(&mut self, pipeline: &mut Pipeline, inode: u64, named: &Named, now: Tick) {
        let (name, aliases) = named.called(None);
        let namespace = match Namespace::enter(&name) {
            Ok(namespace) => namespace,
            Err(error) => {
                if self.refused.insert(inode, now.0).is_none() {
                    pipeline.counters.unwatchable += 1;
                    tracing::warn!(target = name, error = %crate::error::chain(&error), "a namespace is not watched");
                }
                return;
            }
        };
        if namespace.inode != inode {
            // The name was given to another namespace since it was listed.
            self.listed = None;
            return;
        }
        let Some(slot) = pipeline.slots.take(now.0) else {
            if self.refused.insert(inode, now.0).is_none() {
                pipeline.counters.over_capacity += 1;
                tracing::warn!(target = name, max = netprecursor_agent_common::MAX_SLOTS, "no free slot: not watched");
            }
            return;
        };
        self.refused.remove(&inode);
        let cookie = namespace.cookie;
        let place = pipeline.suite.watch(slot, namespace);
        let labels = named.labels.clone();
        let rules = pipeline.rules_for(|active| active.policy.target.matches(&labels));
        tracing::info!(target = name, ?aliases, slot, rules = rules.len(), "watching");
        let uid = format!("netns:{name}:{cookie}");
        let about = About { name, aliases, uid, origin: Origin::Namespace { inode }, labels, since: now };
        pipeline.admit(Target::new(about, place, &rules, pipeline.start), now);
    }
}

impl Pipeline {
    /// Follows the names of a namespace that is watched, and the labels that come with them.
    fn rename(&mut self, position: usize, named: &Named, now: Tick, unix: u64, transitions: &mut Vec<Transition>) {
        let about = &mut self.targets[position].about;
        let (name, aliases) = named.called(Some(&about.name));
        if about.name != name || about.aliases != aliases {
            tracing::info!(target = about.name, name, ?aliases, "the names of a namespace have changed");
            let about = Arc::make_mut(about);
            (about.name, about.aliases) = (name, aliases);
        }
        if about.labels != named.labels {
            Arc::make_mut(about).labels.clone_from(&named.labels);
            let rules = self.rules_for(|active| active.policy.target.matches(&named.labels));
            let revision = Revision::unchanged(&self.policies);
            self.rewatch(position, &revision, &rules, now, unix, transitions);
        }
    }
}
