//! What is wrong with an installation and what to do about it: one answer for the operator's conditions, the kubectl
//! plugin's `status`, `doctor`, `install-check` and `explain`, the agents' reports and `docs/troubleshooting.md`.
//!
//! It is here, in the crate of the API's types, because operator, agent and plugin all use that one, and two crates that
//! each decide by themselves contradict each other sooner or later. Everything is a pure function of [`Facts`]: who asks
//! the API server, and what a refusal means there, stays with the caller, so no client comes along.
//!
//! [`reasons`] is the one table of every reason that a condition can have, with what to do; [`agents`], [`node`],
//! [`report`], [`operator`] and [`policy`] find what is wrong with each; [`alert`] puts into words how a warning turned out;
//! [`diagnose`] takes them together, so that no two of them contradict each other.

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

/// Between what is wrong and what to do.
const ADVICE: &str = "; ";

/// What is known of something that there may or may not be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Known<T> {
    /// It is there.
    There(T),
    /// It is not.
    Absent,
    /// Whoever looks may not see it. Nothing follows from that.
    #[default]
    Hidden,
}

impl<T> Known<T> {
    /// What is there.
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

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Severity {
    /// Something that was asked for does not happen.
    Fault,
    /// It happens; somebody should look at it.
    Warning,
    /// As it is meant to be, and less than it could be.
    Remark,
}

/// Something that is not as it should be, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The condition that says so; empty where it is found without one.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub condition: String,
    /// In one word, as the reason of a condition.
    pub reason: String,
    /// In words, with names and numbers.
    pub message: String,
    /// What to do; empty where that is not known.
    pub advice: String,
}

impl Finding {
    /// A finding whose advice is that of the table of [`reasons`], for what is installed in `namespace`.
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

/// A message with what to do behind it.
pub fn advised(message: &str, advice: &str) -> String {
    if advice.is_empty() { message.to_owned() } else { format!("{message}{ADVICE}{advice}") }
}

/// What is wrong alone, of a condition's message that has what to do behind it. Whoever wrote it need not know as much of
/// the place as whoever reads it, so the advice is that of the namespace alone.
fn without_advice<'a>(message: &'a str, reason: &Reason, place: &Place) -> &'a str {
    let advice = Place::new(&place.namespace).fill(reason.advice);
    message.strip_suffix(&advice).map_or(message, |alone| alone.trim_end_matches(ADVICE))
}

/// The condition of a type.
pub fn condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Where netprecursor is: what commands in an advice have to name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The namespace.
    pub namespace: String,
    /// Helm's release, where that is known.
    pub release: Option<String>,
    /// The operator's Deployment, where that is known.
    pub operator: Option<String>,
}

impl Place {
    /// In a namespace of which no more is known.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), release: None, operator: None }
    }

    /// An advice of the table with the names of this place.
    pub fn fill(&self, advice: &str) -> String {
        let operator = self.operator.as_deref().unwrap_or("netprecursor-operator");
        let release = self.release.as_deref().unwrap_or("RELEASE");
        advice.replace("{namespace}", &self.namespace).replace("{operator}", operator).replace("{release}", release)
    }
}

/// Everything that a diagnosis is made of. What nobody asked for is [`Known::Hidden`].
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Where it is installed.
    pub place: Place,
    /// The operator.
    pub operator: Known<Operator>,
    /// The agents.
    pub agents: Agents,
    /// The policies, of the namespaces that were looked at.
    pub policies: Vec<Policy<'a>>,
    /// Alerts that are out; `None` where nobody looked.
    pub firing: Option<usize>,
}

/// What is wrong with the whole, and how each part of it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// What concerns operator and agents as a whole, the worst first.
    pub findings: Vec<Finding>,
    /// The agents in numbers.
    pub tally: agents::Tally,
    /// The nodes, in the order of the facts.
    pub nodes: Vec<node::Stand>,
    /// What concerns the policies, in the order of the facts.
    pub policies: Vec<Vec<Finding>>,
}

impl Diagnosis {
    /// Every finding, wherever it belongs.
    pub fn all(&self) -> impl Iterator<Item = &Finding> {
        let nodes = self.nodes.iter().flat_map(|stand| &stand.findings);
        self.findings.iter().chain(nodes).chain(self.policies.iter().flatten())
    }

    /// The worst of all findings; `None` when nothing is wrong.
    pub fn worst(&self) -> Option<Severity> {
        self.all().map(|finding| finding.severity).min()
    }
}

/// What is wrong, and what to do.
pub fn diagnose(facts: &Facts<'_>, now: Timestamp) -> Diagnosis {
    let mut findings = operator::findings(&facts.operator, facts.agents.has_policy, &facts.place, now);
    // What an operator that does not run once reported may no longer be true.
    let is_heard = findings.is_empty();
    let word = if is_heard { policy::word_about_agents(&facts.policies) } else { None };
    let agents = agents::assess(&facts.agents, word.as_ref(), &facts.place, now);
    findings.extend(agents.finding);
    findings.sort_by_key(|finding| finding.severity);
    let policies = facts.policies.iter().map(|policy| policy::findings(policy, is_heard, &facts.place)).collect();
    findings.extend(facts.firing.filter(|firing| *firing > 0).map(|firing| {
        let (alerts, are) = if firing == 1 { ("alert", "is") } else { ("alerts", "are") };
        Finding::of(Found::AlertsFiring, format!("{firing} {alerts} {are} out"), &facts.place)
    }));
    Diagnosis { findings, tally: agents.tally, nodes: agents.nodes, policies }
}
