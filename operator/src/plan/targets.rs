//! Which pods policies select, and where they select the same ones.
//!
//! Pods are taken together by namespace and labels: thousands of pods are a few hundred groups.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use netprecursor_core::policy::{self, Labels, Scope};
use netprecursor_crds::diagnosis::{
    reasons::{Overlapping, TargetsResolved},
    some_of,
};

use super::condition::Verdict;
use crate::observe::{Key, Observed, Policy, Seen};

/// Who selects what.
#[derive(Debug, Default)]
pub(super) struct Targets<'a> {
    /// Pods in each group.
    groups: Vec<u32>,
    /// Policies by group.
    policies: Vec<Vec<&'a Key>>,
    /// Groups by policy.
    selected: BTreeMap<&'a str, Vec<usize>>,
    /// What there is instead, by policy that selects nothing.
    instead: BTreeMap<&'a str, String>,
}

/// Pods' labels by namespace, with the number of their group.
type Groups<'a> = BTreeMap<&'a str, Vec<(usize, &'a Labels)>>;

/// Labels and namespaces that a message names at most.
const NAMED: usize = 5;

impl<'a> Targets<'a> {
    pub(super) fn find(observed: &'a Observed) -> Self {
        let mut by_namespace: BTreeMap<&str, HashMap<*const Labels, (&Labels, u32)>> = BTreeMap::new();
        for (key, pod) in observed.pods.iter() {
            let groups = by_namespace.entry(&key.namespace).or_default();
            groups.entry(Arc::as_ptr(&pod.value)).or_insert((&pod.value, 0)).1 += 1;
        }
        let mut targets = Self::default();
        let mut groups = Groups::new();
        for (namespace, members) in by_namespace {
            for (labels, pods) in members.into_values() {
                groups.entry(namespace).or_default().push((targets.groups.len(), labels));
                targets.groups.push(pods);
            }
        }
        targets.policies.resize(targets.groups.len(), Vec::new());
        for (key, seen) in observed.all_policies() {
            let Ok(spec) = &seen.value.spec else { continue };
            let policy = &spec.policy;
            let namespaces = groups.iter().filter(|(namespace, _)| is_in_scope(observed, policy, namespace));
            let members = namespaces.flat_map(|(_, members)| members);
            let selected: Vec<usize> =
                members.filter(|(_, labels)| policy.target.matches(labels)).map(|(group, _)| *group).collect();
            selected.iter().for_each(|group| targets.policies[*group].push(key));
            if selected.is_empty() {
                targets.instead.insert(&seen.uid, instead(observed, policy, &groups));
            }
            targets.selected.insert(&seen.uid, selected);
        }
        targets
    }

    fn of(&self, policy: &Seen<Policy>) -> &[usize] {
        self.selected.get(policy.uid.as_str()).map_or(&[], Vec::as_slice)
    }

    /// How many pods a policy selects.
    pub(super) fn count(&self, policy: &Seen<Policy>) -> u32 {
        self.of(policy).iter().map(|group| self.groups[*group]).sum()
    }

    /// Whether a policy selects any pods.
    pub(super) fn verdict(&self, policy: &Seen<Policy>) -> Verdict {
        match self.count(policy) {
            0 => {
                let instead = self.instead.get(policy.uid.as_str()).map_or("", String::as_str);
                Verdict::new(TargetsResolved::NoPods, format!("no running pod matches `target`{instead}"))
            }
            1 => Verdict::new(TargetsResolved::Selected, "1 pod"),
            count => Verdict::new(TargetsResolved::Selected, format!("{count} pods")),
        }
    }

    /// Which other policies select some of the same pods; `None` when there are none.
    pub(super) fn overlap(&self, key: &Key, policy: &Seen<Policy>) -> Option<Verdict> {
        let (mut pods, mut others) = (0, BTreeSet::new());
        for group in self.of(policy) {
            let mut also = self.policies[*group].iter().copied().filter(|other| *other != key).peekable();
            if also.peek().is_some() {
                pods += self.groups[*group];
            }
            others.extend(also);
        }
        let count = self.count(policy);
        (pods > 0).then(|| {
            // The same name may be a namespace's and the cluster's.
            let named = |key: &Key| match key.namespace.as_str() {
                "" => format!("ClusterPrecursorPolicy {}", key.name),
                _ => key.to_string(),
            };
            let names = some_of(others.into_iter().map(named), 5);
            let each = "each policy alerts independently";
            Verdict::new(Overlapping::SamePods, format!("{pods} of {count} pods are also selected by {names}; {each}"))
        })
    }
}

/// What comes nearest to the labels that a policy asks for in vain: in its own scope alone, because who may read a policy of
/// one namespace need not know of another; and of labels that it asks for, because others come and go with every pod.
fn instead(observed: &Observed, policy: &policy::Policy, groups: &Groups<'_>) -> String {
    if let Scope::Cluster(_) = policy.scope
        && policy.target.keys().next().is_some()
    {
        let elsewhere =
            groups.iter().filter(|(_, members)| members.iter().any(|(_, labels)| policy.target.matches(labels)));
        let elsewhere = some_of(elsewhere.map(|(namespace, _)| (*namespace).to_owned()), NAMED);
        if !elsewhere.is_empty() {
            return format!("; matching pods are in {elsewhere}, which `target.namespaceSelector` does not select");
        }
    }
    let mut members =
        groups.iter().filter(|(namespace, _)| is_in_scope(observed, policy, namespace)).flat_map(|(_, m)| m);
    let asked: BTreeSet<&str> = policy.target.keys().collect();
    let near = members.clone().flat_map(|(_, labels)| labels.iter()).filter(|(key, _)| asked.contains(key.as_str()));
    let near = some_of(near.map(|(key, value)| format!("{key}={value}")), NAMED);
    match (&policy.scope, members.next().is_some(), near.is_empty()) {
        (_, true, false) => format!("; pods there have {near}"),
        (_, true, true) => "; no pod there has a label with that key".to_owned(),
        (Scope::Namespace(_), false, _) => "; no pod is running in the policy's namespace".to_owned(),
        (Scope::Cluster(_), false, _) => {
            "; no pod is running in a namespace that `target.namespaceSelector` selects".to_owned()
        }
    }
}

fn is_in_scope(observed: &Observed, policy: &policy::Policy, namespace: &str) -> bool {
    match &policy.scope {
        Scope::Namespace(own) => own.as_ref().is_some_and(|own| own.as_str() == namespace),
        Scope::Cluster(selector) => {
            let labels = observed.namespaces.find(&Key::new("", namespace));
            labels.is_some_and(|labels| selector.matches(&labels.value))
        }
    }
}
