//! What is handed over to the next run of the agent, and taken up from the last one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use netprecursor_core::{
    alert::{self, Transition},
    decide::Resolution,
    gate::Start,
    watch::Watch,
    window::Window,
};

use super::Pipeline;
use crate::tick::{
    active::ActiveRule,
    handover::{HandedRule, HandedTarget, Handover, RuleKey},
    target::{RuleId, Target, Watched},
};

/// What waits to be taken up by the targets of the first look.
#[derive(Debug)]
pub(super) struct Handed {
    rules: Vec<RuleKey>,
    targets: BTreeMap<String, HandedTarget>,
    /// Names of the alerts.
    alerts: Vec<String>,
}

impl Pipeline {
    /// Goes on where another pipeline stopped: its alerts are out again, its targets follow with the first look.
    pub fn take_over(&mut self, handover: Handover) {
        let alerts = handover.alerts.iter().map(|alert| alert.name.clone()).collect();
        handover.alerts.into_iter().for_each(|alert| self.alerts.restore(alert));
        handover.groups.into_iter().for_each(|group| self.groups.restore(group));
        let targets = handover.targets.into_iter().map(|target| (target.uid.clone(), target)).collect();
        self.handed =
            Some(Handed { rules: handover.rules.into_iter().map(|rule| rule.key).collect(), targets, alerts });
    }

    /// What the next pipeline needs to go on from the last tick; `None` as long as what was handed over to this one is not
    /// taken up.
    pub fn hand_over(&self, monotonic_ns: u64) -> Option<Handover> {
        if self.handed.is_some() {
            return None;
        }
        let mut positions = BTreeMap::new();
        let mut rules = Vec::new();
        for (policy, active) in self.policies.iter().enumerate() {
            for (rule, ActiveRule { rule: meant, ledger, .. }) in active.rules.iter().enumerate() {
                positions.insert(RuleId { policy, rule }, rules.len());
                let key = RuleKey::of(&active.policy, meant);
                rules.push(HandedRule { key, scorecard: ledger.scorecard.clone() });
            }
        }
        let target = |target: &Target| {
            // What else rules mean by RTT begins anew: its window is not handed over.
            let watches = target.watches.iter().filter(|watched| watched.view == Some(0));
            let handed = |watched: &Watched| Some((*positions.get(&watched.rule)?, watched.watch.keep()?));
            let watches = watches.filter_map(handed).collect();
            let plain = target.plain();
            Some(HandedTarget {
                uid: target.about.uid.clone(),
                since: target.about.since,
                last: plain.window.tick()?,
                source: target.source.clone(),
                signals: plain.window.iter().copied().collect(),
                usual: plain.baseline.median().map(Box::new),
                watches,
            })
        };
        let targets = self.targets.iter().filter_map(target).collect();
        let unsettled = self.unsettled();
        let alerts = unsettled.iter().filter_map(|name| self.alerts.named(name)).cloned().collect();
        let groups = self.groups.with(|name| unsettled.contains(name)).cloned().collect();
        Some(Handover { tick: self.now, monotonic_ns, rules, targets, alerts, groups })
    }

    /// Names of the alerts that are out or wait for their verdict, of what is handed over.
    fn unsettled(&self) -> BTreeSet<String> {
        let watches = self.targets.iter().flat_map(|target| target.watches.iter().map(move |watch| (target, watch)));
        let unsettled = watches.filter(|(_, watched)| watched.view == Some(0) && !watched.watch.is_settled());
        let name = |(target, watched): (&Target, &Watched)| {
            let active = &self.policies[watched.rule.policy];
            let rule = &active.rules[watched.rule.rule].rule;
            alert::name(&active.policy.name, &active.policy.uid, &target.about.uid, &rule.name)
        };
        unsettled.map(name).collect()
    }

    /// Gives a target that is admitted what was handed over of it, if anything was.
    pub(super) fn resume(&mut self, target: &mut Target) {
        let Some(handed) = self.handed.as_mut().and_then(|handed| handed.targets.remove(&target.about.uid)) else {
            return;
        };
        let now = target.about.since;
        Arc::make_mut(&mut target.about).since = handed.since;
        target.source = handed.source;
        let plain = &mut target.views[0];
        let memory = std::mem::take(&mut plain.window).into_memory();
        plain.window = Window::resume(memory, handed.last, &handed.signals);
        if let Some(usual) = handed.usual {
            plain.baseline.observe(handed.last, &usual);
        }
        let keys = self.handed.as_ref().map_or(&[][..], |handed| &handed.rules);
        for Watched { rule: id, watch, .. } in &mut target.watches {
            let active = &self.policies[id.policy];
            let key = RuleKey::of(&active.policy, &active.rules[id.rule].rule);
            let Some((_, kept)) = handed.watches.iter().find(|(rule, _)| keys.get(*rule) == Some(&key)) else {
                continue;
            };
            match Watch::resume(kept, now) {
                Ok(resumed) => *watch = resumed,
                Err(error) => {
                    tracing::warn!(target = target.about.name, rule = %active.rules[id.rule].rule.name, %error, "a rule begins anew");
                }
            }
        }
        self.counters.resumed += 1;
    }

    /// The targets that were there at the start are admitted: what appears later came while the agent was running, and
    /// alerts that nobody took up are over.
    pub(super) fn first_look_is_over(&mut self, unix: u64, transitions: &mut Vec<Transition>) {
        self.start = Start::Fresh;
        let Some(handed) = self.handed.take() else { return };
        tracing::info!(
            targets = self.counters.resumed,
            gone = handed.targets.len(),
            alerts = handed.alerts.len(),
            "the last run of the agent is continued"
        );
        let unsettled = self.unsettled();
        for name in handed.alerts {
            let Some(alert) = self.alerts.get_mut(&name).filter(|alert| alert.is_firing()) else { continue };
            transitions.push(if unsettled.contains(&name) {
                // Publishers end alerts of which they hear nothing after a restart.
                Transition::Updated(alert.clone())
            } else {
                alert.resolve(Resolution::Gone, unix);
                Transition::Resolved(alert.clone())
            });
        }
    }
}
