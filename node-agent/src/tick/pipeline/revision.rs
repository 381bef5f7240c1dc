//! Policies that change while they are followed: what was learned under a rule is kept as long as the rule means the
//! same, wherever in its policy it stands now.

use std::{collections::BTreeMap, sync::Arc};

use netprecursor_core::{
    alert::{self, PolicyRef},
    gate::Start,
    policy::{Mode, Name, Policy, Rule},
    watch::Ledger,
};

use super::{Pipeline, RuleId};
use crate::tick::active::{ActivePolicy, ActiveRule};

/// How each rule changed.
#[derive(Debug, Default)]
pub(super) struct Revision(BTreeMap<RuleId, Entry>);

/// How one rule changed.
#[derive(Debug)]
pub(super) struct Entry {
    policy: Name,
    policy_uid: String,
    rule: Name,
    /// Where it is now; `None`: it is gone.
    pub(super) now: Option<Now>,
}

/// Where a rule is now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// Its position.
    pub(super) rule: RuleId,
    /// Whether it means what it meant.
    pub(super) is_same: bool,
    /// Whether it means the same by RTT.
    pub(super) has_same_view: bool,
    /// Whether its policy has just stopped publishing alerts.
    pub(super) is_muted: bool,
}

impl Revision {
    /// Every rule of these policies is where it was.
    pub(super) fn unchanged(policies: &[ActivePolicy]) -> Self {
        let mut entries = BTreeMap::new();
        for (policy, active) in policies.iter().enumerate() {
            for (index, rule) in active.rules.iter().enumerate() {
                let at = RuleId { policy, rule: index };
                let now = Some(Now { rule: at, is_same: true, has_same_view: true, is_muted: false });
                entries.insert(at, Entry::new(&active.policy, &rule.rule, now));
            }
        }
        Self(entries)
    }

    /// How the rule at `old` changed.
    pub(super) fn entry(&self, old: RuleId) -> Option<&Entry> {
        self.0.get(&old)
    }
}

impl Entry {
    fn new(policy: &Policy, rule: &Rule, now: Option<Now>) -> Self {
        Self { policy: policy.name.clone(), policy_uid: policy.uid.clone(), rule: rule.name.clone(), now }
    }

    /// The name of its alert for a target.
    pub(super) fn alert_name(&self, target_uid: &str) -> String {
        alert::name(&self.policy, &self.policy_uid, target_uid, &self.rule)
    }
}

impl Pipeline {
    /// Follows these policies from now on; `remembered` is asked of a rule that is new here. The targets' watches still name the rules by their old positions: the
    /// revision maps them to the new ones.
    pub(super) fn revise(
        &mut self,
        policies: Vec<(Policy, Option<PolicyRef>)>,
        unix: u64,
        mut remembered: impl FnMut(&Policy, &Rule) -> Option<Ledger>,
    ) -> Revision {
        let mut revision = BTreeMap::new();
        let mut before: BTreeMap<String, (usize, Mode, Vec<Option<ActiveRule>>)> = BTreeMap::new();
        for (position, active) in std::mem::take(&mut self.policies).into_iter().enumerate() {
            for (index, rule) in active.rules.iter().enumerate() {
                let entry = Entry::new(&active.policy, &rule.rule, None);
                revision.insert(RuleId { policy: position, rule: index }, entry);
            }
            let rules = active.rules.into_iter().map(Some).collect();
            before.insert(active.policy.uid.clone(), (position, active.policy.mode, rules));
        }
        for (position, (policy, reference)) in policies.into_iter().enumerate() {
            let mut old = before.remove(&policy.uid);
            let is_muted =
                policy.mode == Mode::Shadow && old.as_ref().is_some_and(|(_, mode, _)| *mode == Mode::Active);
            let mut rules = Vec::new();
            for (index, rule) in policy.rules.iter().enumerate() {
                let forecaster = self.forecasters.load(&rule.model);
                let mut found = None;
                if let Some((old_position, _, old_rules)) = &mut old {
                    let is_it = |old: &Option<ActiveRule>| old.as_ref().is_some_and(|old| old.rule.name == rule.name);
                    if let Some(at) = old_rules.iter().position(is_it) {
                        found = old_rules[at].take().map(|old| (RuleId { policy: *old_position, rule: at }, old));
                    }
                }
                let active = match found {
                    Some((id, old)) => {
                        let is_same = old.rule.meaning() == rule.meaning();
                        let has_same_view = old.rule.view == rule.view;
                        if let Some(entry) = revision.get_mut(&id) {
                            let rule = RuleId { policy: position, rule: index };
                            entry.now = Some(Now { rule, is_same, has_same_view, is_muted });
                        }
                        if is_same {
                            ActiveRule { rule: Arc::new(rule.clone()), forecaster, ..old }
                        } else {
                            tracing::info!(policy = %policy.identity(), rule = %rule.name, "a rule means something else now");
                            ActiveRule::new(rule.clone(), forecaster, unix)
                        }
                    }
                    None => {
                        let remembered = remembered(&policy, rule);
                        if remembered.is_some() && self.targets.is_empty() {
                            self.start = Start::Restart;
                        }
                        let kept = remembered.as_ref().map(|ledger| ledger.scorecard.target_seconds);
                        let new = ActiveRule::new(rule.clone(), forecaster, unix);
                        ActiveRule { ledger: remembered.unwrap_or(new.ledger), kept, ..new }
                    }
                };
                rules.push(active);
            }
            self.policies.push(ActivePolicy { policy: Arc::new(policy), reference, rules });
        }
        Revision(revision)
    }

    /// Drops what no rule uses any more.
    pub(super) fn forget_unused(&mut self) {
        let used: Vec<_> = self.policies.iter().flat_map(|active| &active.rules).map(|rule| rule.forecaster).collect();
        self.forecasters.keep(&used);
    }
}
