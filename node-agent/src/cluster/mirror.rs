//! What the API server has said so far, and what follows from it: which policies there are and which of this node's pods
//! each of them selects. Pure; watches feed it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use netprecursor_core::{
    alert::PolicyRef,
    policy::{Kind as PolicyKind, Labels, ModelRef, Policy, Scope},
};

use super::pod::Pod;
use crate::desired::{self, Desired, DesiredPolicy, Digest, Published};

/// Namespace and name of an object; no namespace for a cluster's.
pub type Key = (String, String);

/// What a watch says.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<V> {
    /// A list begins: what is in it is all there is.
    Init,
    /// An object of the list.
    InitApply(Key, Option<V>),
    /// The list is complete.
    InitDone,
    /// An object is there, new or changed; `None`: it is not fit for use.
    Apply(Key, Option<V>),
    /// An object is gone.
    Delete(Key),
}

/// The objects of one kind.
#[derive(Debug)]
pub struct Listed<V> {
    objects: BTreeMap<Key, V>,
    list: Option<BTreeMap<Key, V>>,
    synced: bool,
}

impl<V> Default for Listed<V> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), list: None, synced: false }
    }
}

impl<V> Listed<V> {
    /// Takes in what the watch says. A list replaces what was known when it is complete, so that an interrupted one
    /// takes nothing away.
    pub fn apply(&mut self, event: Event<V>) {
        match event {
            Event::Init => self.list = Some(BTreeMap::new()),
            Event::InitApply(key, value) => put(self.list.get_or_insert_default(), key, value),
            Event::InitDone => {
                self.objects = self.list.take().unwrap_or_default();
                self.synced = true;
            }
            Event::Apply(key, value) => put(&mut self.objects, key, value),
            Event::Delete(key) => {
                self.objects.remove(&key);
            }
        }
    }
}

fn put<V>(objects: &mut BTreeMap<Key, V>, key: Key, value: Option<V>) {
    match value {
        Some(value) => objects.insert(key, value),
        None => objects.remove(&key),
    };
}

/// Everything that was said.
#[derive(Debug, Default)]
pub struct Mirror {
    /// `PrecursorPolicy` objects that convert.
    pub policies: Listed<Policy>,
    /// `ClusterPrecursorPolicy` objects that convert.
    pub cluster_policies: Listed<Policy>,
    /// Labels of namespaces.
    pub namespaces: Listed<Labels>,
    /// Pods of this node that have not ended.
    pub pods: Listed<Pod>,
}

impl Mirror {
    /// Whether everything was listed at least once.
    pub const fn is_synced(&self) -> bool {
        self.policies.synced && self.cluster_policies.synced && self.namespaces.synced && self.pods.synced
    }

    fn all_policies(&self) -> impl Iterator<Item = (PolicyKind, &Key, &Policy)> {
        let namespaced = self.policies.objects.iter().map(|(key, policy)| (PolicyKind::Namespaced, key, policy));
        let cluster = self.cluster_policies.objects.iter().map(|(key, policy)| (PolicyKind::Cluster, key, policy));
        namespaced.chain(cluster)
    }

    /// Whether a policy selects a pod. The labels of a namespace that is not known yet match nothing.
    fn selects(&self, policy: &Policy, pod: &Pod) -> bool {
        let namespace = &pod.reference.namespace;
        let is_in_scope = match &policy.scope {
            Scope::Namespace(own) => own.as_ref().is_some_and(|own| own.as_str() == namespace),
            Scope::Cluster(selector) => {
                let labels = self.namespaces.objects.get(&(String::new(), namespace.clone()));
                labels.is_some_and(|labels| selector.matches(labels))
            }
        };
        is_in_scope && policy.target.matches(&pod.labels)
    }

    /// What is to be watched, with the models as far as they are there.
    pub fn desired(&self, models: &BTreeMap<Digest, Arc<Published>>) -> Desired {
        let policies = self.all_policies().map(|(kind, (namespace, name), policy)| DesiredPolicy {
            reference: PolicyRef {
                kind,
                namespace: (kind == PolicyKind::Namespaced).then(|| namespace.clone()),
                name: name.clone(),
                uid: policy.uid.clone(),
            },
            policy: policy.clone(),
        });
        let pods = self.pods.objects.values().map(|pod| {
            let selected = self.all_policies().filter(|(_, _, policy)| self.selects(policy, pod));
            desired::Pod {
                reference: Arc::clone(&pod.reference),
                labels: pod.labels.clone(),
                addresses: pod.addresses.clone(),
                host_network: pod.host_network,
                static_uid: pod.static_uid.clone(),
                watched_by: selected.map(|(_, _, policy)| policy.uid.clone()).collect(),
            }
        });
        let host_addresses: BTreeSet<IpAddr> =
            self.pods.objects.values().flat_map(|pod| pod.host_addresses.iter().copied()).collect();
        Desired {
            synced: self.is_synced(),
            policies: policies.collect(),
            pods: pods.collect(),
            host_addresses: host_addresses.into_iter().collect(),
            models: models.clone(),
        }
    }
}

/// The published models that the rules of these policies ask for, as far as they watch a pod here.
pub fn wanted_models(desired: &Desired) -> BTreeMap<Digest, String> {
    let watching: BTreeSet<&String> = desired.pods.iter().flat_map(|pod| &pod.watched_by).collect();
    let policies = desired.policies.iter().filter(|desired| watching.contains(&desired.policy.uid));
    policies
        .flat_map(|desired| desired.policy.rules.iter())
        .filter_map(|rule| match &rule.model {
            ModelRef::Published { name, sha256 } => Some((*sha256, name.clone())),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use netprecursor_core::policy::{Name, Operator, Requirement, Selector};

    use super::*;
    use netprecursor_core::alert::PodRef;

    fn policy(name: &str, scope: Scope, app: &str) -> Policy {
        let yaml = "apiVersion: netprecursor.io/v1alpha1\nkind: PrecursorPolicy\nmetadata: {name: web}\n\
                    spec: {target: {podSelector: {}}, rules: [{name: rtt, signal: RttForecast, rttForecast: {threshold: 200ms}}]}\n";
        let policy = netprecursor_crds::policies_from_yaml("test", yaml).unwrap().remove(0);
        Policy {
            name: Name::subdomain(name).unwrap(),
            uid: format!("uid-{name}"),
            scope,
            target: require("app", app),
            ..policy
        }
    }

    fn require(key: &str, value: &str) -> Selector {
        let operator = Operator::In(vec![value.to_owned()]);
        Selector::new(vec![Requirement { key: key.to_owned(), operator }])
    }

    fn key(namespace: &str, name: &str) -> Key {
        (namespace.to_owned(), name.to_owned())
    }

    fn labels(key: &str, value: &str) -> Labels {
        Labels::from([(key.to_owned(), value.to_owned())])
    }

    fn pod(namespace: &str, name: &str, app: &str) -> Pod {
        Pod {
            reference: Arc::new(PodRef {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                uid: format!("uid-{name}"),
                workload: None,
            }),
            labels: labels("app", app),
            addresses: Vec::new(),
            host_addresses: vec!["192.0.2.1".parse().unwrap()],
            host_network: false,
            static_uid: None,
        }
    }

    fn shop() -> Mirror {
        let mut mirror = Mirror::default();
        let own = Scope::Namespace(Some(Name::label("shop").unwrap()));
        mirror.policies.apply(Event::Apply(key("shop", "own"), Some(policy("own", own, "web"))));
        let wide = Scope::Cluster(require("team", "shop"));
        mirror.cluster_policies.apply(Event::Apply(key("", "wide"), Some(policy("wide", wide, "web"))));
        mirror.namespaces.apply(Event::Apply(key("", "shop"), Some(labels("team", "shop"))));
        mirror.namespaces.apply(Event::Apply(key("", "bank"), Some(labels("team", "bank"))));
        for (namespace, name, app) in [("shop", "a", "web"), ("shop", "b", "db"), ("bank", "c", "web")] {
            mirror.pods.apply(Event::Apply(key(namespace, name), Some(pod(namespace, name, app))));
        }
        mirror
    }

    fn watched_by(mirror: &Mirror, name: &str) -> Vec<String> {
        let desired = mirror.desired(&BTreeMap::new());
        desired.pods.into_iter().find(|pod| pod.reference.name == name).unwrap().watched_by
    }

    #[test]
    fn a_policy_sees_its_own_namespace_and_a_clusters_those_it_selects() {
        let mirror = shop();
        assert_eq!(watched_by(&mirror, "a"), ["uid-own", "uid-wide"]);
        assert_eq!(watched_by(&mirror, "b"), [] as [String; 0]);
        assert_eq!(watched_by(&mirror, "c"), [] as [String; 0]);
        assert_eq!(mirror.desired(&BTreeMap::new()).host_addresses, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn labels_that_change_change_who_is_watched() {
        let mut mirror = shop();
        mirror.namespaces.apply(Event::Apply(key("", "bank"), Some(labels("team", "shop"))));
        assert_eq!(watched_by(&mirror, "c"), ["uid-wide"]);
        mirror.pods.apply(Event::Apply(key("shop", "a"), Some(pod("shop", "a", "db"))));
        assert_eq!(watched_by(&mirror, "a"), [] as [String; 0]);
        mirror.namespaces.apply(Event::Delete(key("", "bank")));
        assert_eq!(watched_by(&mirror, "c"), [] as [String; 0]);
    }

    #[test]
    fn a_list_takes_away_only_when_it_is_complete() {
        let mut mirror = shop();
        mirror.pods.apply(Event::Init);
        mirror.pods.apply(Event::InitApply(key("shop", "a"), Some(pod("shop", "a", "web"))));
        assert_eq!(mirror.desired(&BTreeMap::new()).pods.len(), 3);
        mirror.pods.apply(Event::InitDone);
        assert_eq!(mirror.desired(&BTreeMap::new()).pods.len(), 1);
    }

    #[test]
    fn nothing_is_known_to_be_gone_before_every_kind_was_listed() {
        let mut mirror = shop();
        assert!(!mirror.desired(&BTreeMap::new()).synced);
        mirror.policies.apply(Event::InitDone);
        mirror.cluster_policies.apply(Event::InitDone);
        mirror.namespaces.apply(Event::InitDone);
        assert!(!mirror.is_synced());
        mirror.pods.apply(Event::InitDone);
        assert!(mirror.desired(&BTreeMap::new()).synced);
    }

    #[test]
    fn an_object_that_is_no_longer_fit_is_as_good_as_gone() {
        let mut mirror = shop();
        mirror.policies.apply(Event::Apply(key("shop", "own"), None));
        assert_eq!(watched_by(&mirror, "a"), ["uid-wide"]);
    }
}
