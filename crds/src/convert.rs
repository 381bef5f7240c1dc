//! From the API's types into the domain's. Every problem is gathered, none ends the conversion.

mod rule;
mod selector;

use kube::ResourceExt as _;
use netprecursor_core::policy as core;

use crate::{
    ClusterPrecursorPolicy, Fault, PrecursorPolicy, Refusal,
    policy::{self as spec, MAX_RULES},
    problem::Problems,
};

pub(crate) use rule::rule;
pub(crate) use selector::selector;

/// Where a policy is followed: decides which models can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a cluster: models come with the release or in ConfigMaps.
    Cluster,
    /// Outside Kubernetes: models come with the release or in files.
    Standalone,
}

impl Place {
    /// The members of a model that can be had.
    const fn models(self) -> &'static str {
        match self {
            Self::Cluster => "`builtin` and `configMapKeyRef`",
            Self::Standalone => "`builtin` and `file`",
        }
    }
}

impl From<spec::Mode> for core::Mode {
    fn from(mode: spec::Mode) -> Self {
        match mode {
            spec::Mode::Active => Self::Active,
            spec::Mode::Shadow => Self::Shadow,
        }
    }
}

/// A policy of a cluster. What the API server has accepted converts, with a name, a UID and at least one rule; an object
/// that it accepted by an older schema may not, and becomes the policy's `Ready=False`.
impl TryFrom<&PrecursorPolicy> for core::Policy {
    type Error = Refusal;

    fn try_from(policy: &PrecursorPolicy) -> Result<Self, Refusal> {
        let namespace = policy.namespace().unwrap_or_default();
        let origin = format!("PrecursorPolicy {namespace}/{}", policy.name_any());
        let mut problems = Problems::of_object();
        let scope = problems.keep("metadata.namespace", core::Name::label(&namespace));
        let scope = scope.map(|namespace| core::Scope::Namespace(Some(namespace)));
        let target = selector(&policy.spec.target.pod_selector, "spec.target.podSelector", &mut problems);
        object(origin, policy, scope, policy.spec.mode, target, &policy.spec.rules, problems)
    }
}

impl TryFrom<&ClusterPrecursorPolicy> for core::Policy {
    type Error = Refusal;

    fn try_from(policy: &ClusterPrecursorPolicy) -> Result<Self, Refusal> {
        let origin = format!("ClusterPrecursorPolicy {}", policy.name_any());
        let mut problems = Problems::of_object();
        let wanted = &policy.spec.target;
        let namespaces = wanted.namespace_selector.clone().unwrap_or_default();
        let scope = selector(&namespaces, "spec.target.namespaceSelector", &mut problems).map(core::Scope::Cluster);
        let target = selector(&wanted.pod_selector, "spec.target.podSelector", &mut problems);
        object(origin, policy, scope, policy.spec.mode, target, &policy.spec.rules, problems)
    }
}

/// What both kinds have in common.
fn object(
    origin: String,
    object: &impl kube::ResourceExt,
    scope: Option<core::Scope>,
    mode: spec::Mode,
    target: Option<core::Selector>,
    rules: &[spec::Rule],
    mut problems: Problems,
) -> Result<core::Policy, Refusal> {
    let name = problems.keep("metadata.name", core::Name::subdomain(&object.name_any()));
    let uid = object.uid();
    if uid.is_none() {
        problems
            .add("metadata.uid", Fault::Shape("got none, expected an object as the API server gives it".to_owned()));
    }
    let converted: Vec<_> = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| self::rule(rule, Place::Cluster, &format!("spec.rules[{index}]"), &mut problems))
        .collect();
    let rules = together(converted, &mut problems);
    match (name, uid, scope, target, rules) {
        (Some(name), Some(uid), Some(scope), Some(target), Some(rules)) if problems.is_empty() => {
            Ok(core::Policy { name, uid, scope, mode: mode.into(), target, rules })
        }
        _ => Err(Refusal { origin, problems: problems.into_found() }),
    }
}

/// The rules of a policy from each of them, `None` where one did not convert; `None` when a problem was or is added.
pub(crate) fn together(rules: Vec<Option<core::Rule>>, problems: &mut Problems) -> Option<core::Rules> {
    let count = rules.len();
    if count > MAX_RULES {
        let hint = "make a second policy of the rest";
        problems.add("spec.rules", Fault::TooMany { got: count, max: MAX_RULES, hint });
        return None;
    }
    // Positions among the rules that converted, as positions in the policy.
    let (positions, rules): (Vec<_>, Vec<_>) =
        rules.into_iter().enumerate().filter_map(|(index, rule)| Some((index, rule?))).unzip();
    if rules.is_empty() && count > 0 {
        return None;
    }
    match core::Rules::new(rules) {
        Ok(rules) => (positions.len() == count).then_some(rules),
        Err(error @ core::RulesError::Empty) => {
            problems.add("spec.rules", error);
            None
        }
        Err(error @ core::RulesError::Duplicate { index, .. }) => {
            problems.add(format!("spec.rules[{}].name", positions[index]), error);
            None
        }
    }
}
