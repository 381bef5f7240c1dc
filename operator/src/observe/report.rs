//! What the plan needs of a node's report. Counters go to the ledger and are not kept here.

use jiff::Timestamp;
use kube::core::DeserializeGuard;
use netprecursor_crds::{ConditionStatus, diagnosis, policy::SkillPercent, report::PrecursorNodeReport};

use crate::ledger::{Reported, RuleKey};

/// A node's report.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// When the agent last wrote.
    pub heartbeat: Option<Timestamp>,
    /// In words, what is missing for forecasts to be as good as they can.
    pub degraded: Vec<String>,
    /// Rules that forecast with something else than they ask for, and why.
    pub fallbacks: Vec<(RuleKey, String)>,
    /// Pods watched, by rule.
    pub targets: Vec<(RuleKey, u32)>,
    /// Alerts that no object was made for, by policy.
    pub throttled: Vec<(String, u64)>,
    /// Alerts that wait to be written, by policy.
    pub waiting: Vec<(String, u64)>,
    /// Whether nothing was seen for long enough yet.
    pub is_warming_up: bool,
    /// How sure rules that watch pods here have to be, and how sure they were; agents of before 0.2 do not say.
    pub bars: Vec<(RuleKey, Bar)>,
    /// The recent skill of forecasts of rules that watch pods here.
    pub merits: Vec<(RuleKey, Merit)>,
    /// What was counted, until the ledger has it.
    pub counted: Vec<Reported>,
}

/// What a node's warnings of a rule need, and what there was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// Of which rule, by what it means.
    pub hash: String,
    /// The chance in percent that a warning needs.
    pub needed: u8,
    /// The highest recent chance in percent.
    pub reachable: u8,
}

/// The recent skill of a node's forecasts of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merit {
    /// Of which rule, by what it means.
    pub hash: String,
    /// Pods that it watches.
    pub targets: u32,
    /// Over the best rule of thumb.
    pub skill: SkillPercent,
    /// The expert of the highest weight.
    pub leading: Option<String>,
}

impl Bar {
    /// Whether some recent chance was enough for a warning.
    pub const fn is_reached(&self) -> bool {
        self.reachable >= self.needed
    }

    /// By how much the highest recent chance is above what a warning needs, in percentage points.
    pub fn margin(&self) -> i16 {
        i16::from(self.reachable) - i16::from(self.needed)
    }
}

/// What is kept of a report.
pub(crate) fn reduce(object: DeserializeGuard<PrecursorNodeReport>) -> Option<Report> {
    let object = object
        .0
        .inspect_err(|broken| {
            tracing::warn!(name = broken.metadata.name, error = broken.error, "cannot parse a node report");
        })
        .ok()?;
    let status = object.status.unwrap_or_default();
    let key = |policy: &str, rule: &str| RuleKey { policy: policy.to_owned(), rule: rule.to_owned() };
    let fallbacks = status.models.iter().filter(|model| !model.ready).map(|model| {
        let reason = model.reason.as_deref().unwrap_or("no reason given");
        (key(&model.policy_uid, &model.rule), format!("falls back to {}: {reason}", model.name))
    });
    let counted = status.rules.iter().map(|rule| Reported {
        key: key(&rule.policy_uid, &rule.rule),
        hash: rule.rule_hash.clone(),
        since: rule.since.0,
        card: (&rule.counters).into(),
    });
    let bars = status.rules.iter().filter(|rule| rule.targets > 0).filter_map(|rule| {
        let (needed, reachable) = rule.needed_percent.zip(rule.reachable_percent)?;
        Some((key(&rule.policy_uid, &rule.rule), Bar { hash: rule.rule_hash.clone(), needed, reachable }))
    });
    let merits = status.rules.iter().filter(|rule| rule.targets > 0).filter_map(|rule| {
        let (hash, leading) = (rule.rule_hash.clone(), rule.leading_expert.clone());
        let merit = Merit { hash, targets: rule.targets, skill: rule.skill_percent?, leading };
        Some((key(&rule.policy_uid, &rule.rule), merit))
    });
    Some(Report {
        merits: merits.collect(),
        bars: bars.collect(),
        heartbeat: status.heartbeat.as_ref().map(|time| time.0),
        degraded: diagnosis::report::lessened(&status),
        fallbacks: fallbacks.collect(),
        targets: status.rules.iter().map(|rule| (key(&rule.policy_uid, &rule.rule), rule.targets)).collect(),
        throttled: status
            .rules
            .iter()
            .filter(|rule| rule.throttled > 0)
            .map(|rule| (rule.policy_uid.clone(), rule.throttled))
            .collect(),
        waiting: status
            .rules
            .iter()
            .filter(|rule| rule.waiting > 0)
            .map(|rule| (rule.policy_uid.clone(), rule.waiting))
            .collect(),
        is_warming_up: status
            .conditions
            .iter()
            .any(|condition| condition.type_ == "WarmingUp" && condition.status == ConditionStatus::True),
        counted: counted.collect(),
    })
}
