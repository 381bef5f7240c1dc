//! What is wrong with an installation and what to do about it: one source for the operator's conditions, the kubectl
//! plugin's `status`, `doctor`, `install-check` and `explain`, the agents' reports and `docs/troubleshooting.md`.
//!
//! It lives in the crate of the API's types because operator, agent and plugin all depend on that one; two crates that each
//! decide for themselves contradict each other sooner or later. Everything is a pure function of [`Facts`]: the caller asks
//! the API server and interprets its refusals, so this crate needs no client.
//!
//! [`reasons`] is the table of every reason that a condition can have, with what to do; [`agents`], [`node`], [`report`],
//! [`operator`] and [`policy`] find what is wrong with each; [`alert`] describes the outcome of a warning; [`diagnose`]
//! combines them so that no two of them contradict each other.

pub mod agents;
pub mod alert;
pub mod node;
pub mod operator;
pub mod policy;
pub mod reasons;
pub mod report;
mod span;
#[cfg(test)]
mod tests;

use std::fmt;

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use serde::Serialize;

pub use agents::Agents;
pub use node::{Node, Standing};
pub use operator::Operator;
pub use policy::Policy;
use reasons::{Found, Reason};
pub use span::{some_of, span};

/// Separates what is wrong from what to do.
const ADVICE: &str = "; ";

/// What is known of something that may or may not exist.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Known<T> {
    /// It exists.
    There(T),
    /// It does not exist.
    Absent,
    /// The user may not see it, so nothing can be concluded.
    #[default]
    Hidden,
}

impl<T> Known<T> {
    /// The value, if it exists.
    pub const fn there(&self) -> Option<&T> {
        match self {
            Self::There(value) => Some(value),
            Self::Absent | Self::Hidden => None,
        }
    }

    /// Whether it is known to be missing.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Severity {
    /// Something that should happen does not.
    Fault,
    /// It happens, but deserves a look.
    Warning,
    /// It works as intended, but could be better.
    Remark,
}

/// A problem, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The condition that reports it; empty if it was found without one.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub condition: String,
    /// The reason in one word, like that of a condition.
    pub reason: String,
    /// The message, with names and numbers.
    pub message: String,
    /// What to do; empty if unknown.
    pub advice: String,
}

impl Finding {
    /// A finding with the advice from the table of [`reasons`], with the names of `place`.
    pub(crate) fn of(reason: impl Into<&'static Reason>, message: impl Into<String>, place: &Place) -> Self {
        let reason = reason.into();
        Self {
            severity: reason.severity.unwrap_or(Severity::Remark),
            condition: reason.condition.to_owned(),
            reason: reason.name.to_owned(),
            message: message.into(),
            advice: place.fill(reason.advice),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&advised(&self.message, &self.advice))
    }
}

/// A message followed by what to do.
pub fn advised(message: &str, advice: &str) -> String {
    if advice.is_empty() { message.to_owned() } else { format!("{message}{ADVICE}{advice}") }
}

/// A condition's message without the advice at its end. The writer may know less about the place than the reader, so the
/// advice is filled with the namespace only.
fn without_advice<'a>(message: &'a str, reason: &Reason, place: &Place) -> &'a str {
    let advice = Place::new(&place.namespace).fill(reason.advice);
    message.strip_suffix(&advice).map_or(message, |alone| alone.trim_end_matches(ADVICE))
}

/// The condition of a type.
pub fn condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Where netprecursor is installed: the names that commands in an advice need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The namespace.
    pub namespace: String,
    /// Helm's release, if known.
    pub release: Option<String>,
    /// The operator's Deployment, if known.
    pub operator: Option<String>,
}

impl Place {
    /// A place of which only the namespace is known.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), release: None, operator: None }
    }

    /// An advice from the table with the names of this place.
    pub fn fill(&self, advice: &str) -> String {
        let operator = self.operator.as_deref().unwrap_or("netprecursor-operator");
        let release = self.release.as_deref().unwrap_or("RELEASE");
        advice.replace("{namespace}", &self.namespace).replace("{operator}", operator).replace("{release}", release)
    }
}

/// The input of a diagnosis. What was not queried is [`Known::Hidden`].
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Where netprecursor is installed.
    pub place: Place,
    /// The operator.
    pub operator: Known<Operator>,
    /// The agents.
    pub agents: Agents,
    /// The policies in the namespaces that were queried.
    pub policies: Vec<Policy<'a>>,
    /// The number of firing alerts; `None` if it was not queried.
    pub firing: Option<usize>,
}

/// What is wrong with the installation and with each of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Findings about the operator and about the agents as a whole, worst first.
    pub findings: Vec<Finding>,
    /// The numbers of agents.
    pub tally: agents::Tally,
    /// The state of each node, in the order of the facts.
    pub nodes: Vec<node::Stand>,
    /// Findings about each policy, in the order of the facts.
    pub policies: Vec<Vec<Finding>>,
}

impl Diagnosis {
    /// All findings.
    pub fn all(&self) -> impl Iterator<Item = &Finding> {
        let nodes = self.nodes.iter().flat_map(|stand| &stand.findings);
        self.findings.iter().chain(nodes).chain(self.policies.iter().flatten())
    }

    /// The worst severity; `None` if nothing is wrong.
    pub fn worst(&self) -> Option<Severity> {
        self.all().map(|finding| finding.severity).min()
    }
}

/// What is wrong, and what to do.
pub fn diagnose(facts: &Facts<'_>, now: Timestamp) -> Diagnosis {
    let mut findings = operator::findings(&facts.operator, facts.agents.has_policy, &facts.place, now);
    // If the operator is not available, what it reported may no longer be true.
    let is_heard = findings.is_empty();
    let word = if is_heard { policy::word_about_agents(&facts.policies) } else { None };
    let agents = agents::assess(&facts.agents, word.as_ref(), &facts.place, now);
    findings.extend(agents.finding);
    findings.sort_by_key(|finding| finding.severity);
    let policies = facts.policies.iter().map(|policy| policy::findings(policy, is_heard, &facts.place)).collect();
    findings.extend(facts.firing.filter(|firing| *firing > 0).map(|firing| {
        let (alerts, are) = if firing == 1 { ("alert", "is") } else { ("alerts", "are") };
        Finding::of(Found::AlertsFiring, format!("{firing} {alerts} {are} firing"), &facts.place)
    }));
    Diagnosis { findings, tally: agents.tally, nodes: agents.nodes, policies }
}
