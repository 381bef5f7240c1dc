//! Whether a policy is in effect, by the status that the operator writes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    Finding, Place, Severity, condition,
    reasons::{self, AgentsReady, Found, Ready},
    without_advice,
};
use crate::{ConditionStatus, policy::PrecursorPolicyStatus};

/// Conditions that a policy always has; others are present only while they apply.
const ALWAYS: [&str; 4] = ["Ready", "ModelReady", "TargetsResolved", "AgentsReady"];

/// A policy of either kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy<'a> {
    /// The generation of its spec.
    pub generation: Option<i64>,
    /// Its status, written by the operator.
    pub status: Option<&'a PrecursorPolicyStatus>,
}

/// What the operator reports about agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Whether they work.
    pub is_well: bool,
    /// The reason of `AgentsReady`.
    pub reason: String,
    /// Its message.
    pub message: String,
}

impl<'a> Policy<'a> {
    /// Its conditions, if they are about the current spec.
    pub fn conditions(&self) -> &'a [Condition] {
        let current = self.status.filter(|status| status.observed_generation == self.generation);
        current.map(|status| status.conditions.as_slice()).unwrap_or_default()
    }

    /// One of its conditions.
    pub fn condition(&self, type_: &str) -> Option<&'a Condition> {
        condition(self.conditions(), type_)
    }

    /// Whether it is in effect, and the reason in one word.
    pub fn standing(&self) -> (bool, &'a str) {
        match self.condition("Ready") {
            Some(ready) => (ready.status == ConditionStatus::True, &ready.reason),
            None => (false, Found::NotObserved.row().name),
        }
    }
}

/// What is wrong with a policy: `Ready` first, then the other conditions by name, without repetition. `is_heard`: whether
/// the operator is available.
pub fn findings(policy: &Policy<'_>, is_heard: bool, place: &Place) -> Vec<Finding> {
    if policy.condition("Ready").is_none() {
        let what = if policy.status.is_some_and(|status| !status.conditions.is_empty()) {
            "the operator has not observed the policy's last change yet"
        } else {
            "the operator has not observed the policy yet"
        };
        let mut finding = Finding::of(Found::NotObserved, what, place);
        if !is_heard {
            finding.advice = "see the operator: it is not available".to_owned();
        }
        return vec![finding];
    }
    let mut found: Vec<&Condition> = policy.conditions().iter().filter(|condition| is_adverse(condition)).collect();
    found.sort_by_key(|condition| (condition.type_ != "Ready", condition.type_.as_str()));
    let mut findings: Vec<Finding> = Vec::new();
    for condition in found {
        let mut finding = of(condition, place);
        // `Ready` repeats the message of `AgentsReady`, which has the advice.
        if finding.condition == "AgentsReady"
            && let Some(ready) = findings.iter_mut().find(|ready| ready.reason == Ready::AgentsNotReady)
        {
            ready.message = format!("{}: {}", finding.reason, finding.message);
            ready.advice = finding.advice;
            continue;
        }
        if findings.iter().any(|same| same.message == finding.message) {
            finding.message.clear();
        }
        findings.push(finding);
    }
    findings.retain(|finding| !finding.message.is_empty());
    findings
}

/// Whether a condition reports a problem.
fn is_adverse(condition: &Condition) -> bool {
    match ALWAYS.contains(&condition.type_.as_str()) {
        true => condition.status != ConditionStatus::True || condition.reason == AgentsReady::Replacing,
        false => condition.status == ConditionStatus::True,
    }
}

/// A condition as a finding.
fn of(condition: &Condition, place: &Place) -> Finding {
    let Condition { type_, status, reason, message, .. } = condition;
    let Some(known) = reasons::find(reasons::POLICY, type_, reason) else {
        // Of a later release.
        let severity = if *status == ConditionStatus::False { Severity::Fault } else { Severity::Warning };
        let (condition, reason, message) = (type_.clone(), reason.clone(), message.clone());
        return Finding { severity, condition, reason, message, advice: String::new() };
    };
    let message = without_advice(message, known, place);
    let message = if message.is_empty() { format!("{type_} is {status}") } else { message.to_owned() };
    let finding = Finding::of(known, message, place);
    // The message of `ModelReady` already has the advice, with names and numbers.
    if type_ == "ModelReady" { Finding { advice: String::new(), ..finding } } else { finding }
}

/// What the operator reports about agents: the worst over all policies, because it writes them one after another.
pub fn word_about_agents(policies: &[Policy<'_>]) -> Option<Word> {
    let words = policies.iter().filter_map(|policy| policy.condition("AgentsReady"));
    let worst = words.min_by_key(|condition| {
        (condition.status == ConditionStatus::True, condition.reason == AgentsReady::AllReady)
    })?;
    Some(Word {
        is_well: worst.status == ConditionStatus::True,
        reason: worst.reason.clone(),
        message: worst.message.clone(),
    })
}
