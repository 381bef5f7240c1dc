//! What one run of the agent hands over to the next, seconds old: the last minute of each target, where each rule stands with
//! it, and the alerts that are out. Plain data; [`pipeline`](super::pipeline) makes it and takes it up.

use std::collections::BTreeMap;

use netprecursor_core::{
    alert::{Alert, Group},
    features::COUNT,
    policy::{Policy, Rule},
    score::Scorecard,
    signal::Signals,
    source::Source,
    tick::Tick,
    watch::{Kept, Ledger},
};
use netprecursor_models::builtin;
use serde::{Deserialize, Serialize};

/// All that is handed over.
#[derive(Debug, Clone, Default)]
pub struct Handover {
    /// The last tick.
    pub tick: Tick,
    /// When it was handed over, within that second, by the kernel's monotonic clock.
    pub monotonic_ns: u64,
    /// The rules that watches stand for, by their positions here.
    pub rules: Vec<HandedRule>,
    /// The targets.
    pub targets: Vec<HandedTarget>,
    /// Alerts that are out or wait for their verdict.
    pub alerts: Vec<Alert>,
    /// What they are parts of.
    pub groups: Vec<Group>,
}

/// A rule that means something else begins anew.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleKey {
    policy_uid: String,
    rule: String,
    meaning: String,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedRule {
    /// Which one.
    pub key: RuleKey,
    /// What it counted: its ledger may have been written a minute ago.
    pub scorecard: Scorecard,
}

/// A target.
#[derive(Debug, Clone, PartialEq)]
pub struct HandedTarget {
    /// The pod's UID, or what distinguishes the namespace since the machine was started.
    pub uid: String,
    /// Since when it is watched.
    pub since: Tick,
    /// What is in sight of it: the RTT of all its connections, then what else its rules mean by RTT.
    pub views: Vec<HandedView>,
    /// Where the rule at this position stands with it.
    pub watches: Vec<(usize, Kept)>,
}

/// What is in sight of a target in one view.
#[derive(Debug, Clone, PartialEq)]
pub struct HandedView {
    /// Positions of the rules that mean this by RTT; none for the RTT of all connections, which needs no rule.
    pub rules: Vec<usize>,
    /// The last tick in its window.
    pub last: Tick,
    /// Where its RTT comes from.
    pub source: Source,
    /// Its window, oldest first.
    pub signals: Vec<Signals>,
    /// How its features looked before: what causes are measured against.
    pub usual: Option<Box<[f32; COUNT]>>,
}

impl RuleKey {
    /// Of a rule of a policy.
    pub fn of(policy: &Policy, rule: &Rule) -> Self {
        Self { policy_uid: policy.uid.clone(), rule: rule.name.to_string(), meaning: rule.meaning() }
    }
}

/// What rules had counted when the last run of the agent ended.
#[derive(Debug, Clone, Default)]
pub struct Counted(BTreeMap<RuleKey, Scorecard>);

impl Counted {
    /// As it was handed over.
    pub fn of(handover: &Handover) -> Self {
        Self(handover.rules.iter().map(|rule| (rule.key.clone(), rule.scorecard.clone())).collect())
    }

    /// The ledger of a rule as it was written, with what was counted since.
    pub fn add_to(&self, ledger: Option<Ledger>, policy: &Policy, rule: &Rule) -> Option<Ledger> {
        let Some(counted) = self.0.get(&RuleKey::of(policy, rule)) else { return ledger };
        let mut ledger = ledger.unwrap_or_else(|| Ledger::starting_from(builtin::prior()));
        if counted.target_seconds > ledger.scorecard.target_seconds {
            ledger.scorecard = counted.clone();
        }
        Some(ledger)
    }
}
