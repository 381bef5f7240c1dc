//! What is handed over to the next run of the agent, and taken up from the last one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use netprecursor_core::{
    alert::{self, Transition},
    decide::Resolution,
    gate::Start,
    watch::Watch,
};

use super::Pipeline;
use crate::{
    host::monotonic_ns,
    tick::{
        active::ActiveRule,
        handover::{HandedRule, HandedTarget, HandedView, Handover, RuleKey},
        target::{RuleId, Target, Watched},
        viewed::Viewed,
    },
};

/// What waits to be taken up by the targets of the first look.
#[derive(Debug)]
pub(super) struct Handed {
    /// When, by the kernel's monotonic clock.
    monotonic_ns: u64,
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
        let rules = handover.rules.into_iter().map(|rule| rule.key).collect();
        self.handed = Some(Handed { monotonic_ns: handover.monotonic_ns, rules, targets, alerts });
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
            let position = |rule: &RuleId| positions.get(rule).copied();
            let view = |(index, viewed): (usize, &Viewed)| {
                let means_it = |watched: &&Watched| index > 0 && watched.view == Some(index);
                let rules = target.watches.iter().filter(means_it).filter_map(|watched| position(&watched.rule));
                Some(HandedView {
                    rules: rules.collect(),
                    last: viewed.window.tick()?,
                    source: target.source_of(&viewed.view).clone(),
                    signals: viewed.window.iter().copied().collect(),
                    usual: viewed.baseline.median().map(Box::new),
                })
            };
            // Of a target that was never measured there is nothing to hand over.
            target.plain().window.tick()?;
            let handed = |watched: &Watched| Some((position(&watched.rule)?, watched.watch.keep()?));
            Some(HandedTarget {
                uid: target.about.uid.clone(),
                since: target.about.since,
                views: target.views.iter().enumerate().filter_map(view).collect(),
                watches: target.watches.iter().filter(|watched| watched.view.is_some()).filter_map(handed).collect(),
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
        let unsettled = watches.filter(|(_, watched)| watched.view.is_some() && !watched.watch.is_settled());
        let name = |(target, watched): (&Target, &Watched)| {
            let active = &self.policies[watched.rule.policy];
            let rule = &active.rules[watched.rule.rule].rule;
            alert::name(&active.policy.name, &active.policy.uid, &target.about.uid, &rule.name)
        };
        unsettled.map(name).collect()
    }

    /// Gives a target that is admitted, with its views, what was handed over of it, if anything was.
    pub(super) fn resume(&mut self, position: usize) {
        let Self { handed: Some(all), targets, policies, .. } = self else { return };
        let target = &mut targets[position];
        let Some(handed) = all.targets.remove(&target.about.uid) else { return };
        let now = target.about.since;
        Arc::make_mut(&mut target.about).since = handed.since;
        // The rule by which something was handed over, if it still means the same.
        let is = |id: RuleId, rule: usize| {
            let active = &policies[id.policy];
            all.rules.get(rule) == Some(&RuleKey::of(&active.policy, &active.rules[id.rule].rule))
        };
        let mut resumed = BTreeSet::new();
        for view in handed.views {
            let means_it = |watched: &&Watched| view.rules.iter().any(|rule| is(watched.rule, *rule));
            let index = if view.rules.is_empty() {
                Some(0)
            } else {
                target.watches.iter().find(means_it).and_then(|watched| watched.view)
            };
            if let Some(index) = index {
                target.resume_view(index, view);
                resumed.insert(index);
            }
        }
        // A rule without what it saw begins anew.
        for Watched { rule: id, watch, view } in &mut target.watches {
            let kept = handed.watches.iter().find(|(rule, _)| is(*id, *rule));
            let Some((_, kept)) = kept.filter(|_| view.is_some_and(|view| resumed.contains(&view))) else { continue };
            match Watch::resume(kept, now) {
                Ok(resumed) => *watch = resumed,
                Err(error) => {
                    let rule = &policies[id.policy].rules[id.rule].rule.name;
                    tracing::warn!(target = target.about.name, %rule, %error, "a rule begins anew");
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
        let gap = Duration::from_nanos(monotonic_ns().saturating_sub(handed.monotonic_ns));
        self.counters.handover_gap = Some(gap);
        tracing::info!(
            gap_seconds = gap.as_secs_f32(),
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
