//! A target whose rules change: by other policies, or by other labels.

use netprecursor_core::{alert::Transition, decide::Action, gate::Start, tick::Tick, watch::Watch};

use super::{Pipeline, RuleId, revision::Revision};
use crate::tick::{alerts::AlertBook, target::Watched};

impl Pipeline {
    /// Gives a target the rules that select it now: a rule that did before continues, a new one begins with what is
    /// known of the target, and one that no longer does has its alert resolved.
    pub(super) fn rewatch(
        &mut self,
        position: usize,
        revision: &Revision,
        rules: &[RuleId],
        now: Tick,
        unix: u64,
        transitions: &mut Vec<Transition>,
    ) {
        let Self { targets, policies, alerts, .. } = self;
        let target = &mut targets[position];
        let mut watches = Vec::with_capacity(rules.len());
        for Watched { rule: old, view, mut watch } in std::mem::take(&mut target.watches) {
            let Some(entry) = revision.entry(old) else { continue };
            let name = entry.alert_name(&target.about.uid);
            match entry.now.filter(|now| rules.contains(&now.rule)) {
                // What it means by RTT is another quantity now: nothing of the alert and of the last minute is about it.
                Some(now) if !now.has_same_view => resolve(watch.retire(), &name, alerts, unix, transitions),
                Some(now) => {
                    if now.is_muted {
                        resolve(watch.restart(), &name, alerts, unix, transitions);
                    } else if !now.is_same {
                        watch.forget_score();
                    }
                    watches.push(Watched { rule: now.rule, view, watch });
                }
                None => resolve(watch.retire(), &name, alerts, unix, transitions),
            }
        }
        for rule in rules {
            if !watches.iter().any(|known| known.rule == *rule) {
                let view = &policies[rule.policy].rules[rule.rule].rule.view;
                // A window that is known counts as warm-up.
                let is_known = target.views.iter().any(|viewed| viewed.view == *view);
                let watch = Watch::new(Start::Fresh, if is_known { target.about.since } else { now });
                watches.push(Watched { rule: *rule, view: None, watch });
            }
        }
        watches.sort_by_key(|watched| watched.rule);
        target.watches = watches;
        self.align_views(position, now);
    }
}

/// Applies the last action of a watch to its alert.
fn resolve(action: Option<Action>, name: &str, alerts: &mut AlertBook, unix: u64, transitions: &mut Vec<Transition>) {
    if let (Some(action), Some(alert)) = (action, alerts.get_mut(name)) {
        super::course::act(alert, &action, unix, transitions);
    }
}
