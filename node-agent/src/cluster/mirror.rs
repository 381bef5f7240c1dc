//! The state of the API server as seen so far, and what follows from it: which policies there are and which of this node's
//! pods each of them selects. Pure; watches feed it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use netprecursor_core::{
    alert::PolicyRef,
    policy::{Kind as PolicyKind, Labels, ModelRef, Policy, Scope},
};
use netprecursor_kit::{self as kit, Key};

use super::pod::Pod;
use crate::desired::{self, Desired, DesiredPolicy, Digest, Published};

/// Everything that was received.
#[derive(Debug, Default)]
pub struct Mirror {
    /// `PrecursorPolicy` objects that convert.
    pub policies: kit::Mirror<Policy>,
    /// `ClusterPrecursorPolicy` objects that convert.
    pub cluster_policies: kit::Mirror<Policy>,
    /// Labels of namespaces.
    pub namespaces: kit::Mirror<Labels>,
    /// Pods of this node that have not ended.
    pub pods: kit::Mirror<Pod>,
}

impl Mirror {
    /// Whether everything was listed at least once.
    pub const fn is_synced(&self) -> bool {
        self.policies.is_synced()
            && self.cluster_policies.is_synced()
            && self.namespaces.is_synced()
            && self.pods.is_synced()
    }

    fn all_policies(&self) -> impl Iterator<Item = (PolicyKind, &Key, &Policy)> {
        let namespaced = self.policies.iter().map(|(key, policy)| (PolicyKind::Namespaced, key, policy));
        let cluster = self.cluster_policies.iter().map(|(key, policy)| (PolicyKind::Cluster, key, policy));
        namespaced.chain(cluster)
    }

    /// Whether a policy selects a pod. The labels of a namespace that is not known yet match nothing.
    fn selects(&self, policy: &Policy, pod: &Pod) -> bool {
        let namespace = &pod.reference.namespace;
        let is_in_scope = match &policy.scope {
            Scope::Namespace(own) => own.as_ref().is_some_and(|own| own.as_str() == namespace),
            Scope::Cluster(selector) => {
                let labels = self.namespaces.find(&Key::new("", namespace));
                labels.is_some_and(|labels| selector.matches(labels))
            }
        };
        is_in_scope && policy.target.matches(&pod.labels)
    }

    /// What is to be watched, with the models as far as they are there.
    pub fn desired(&self, models: &BTreeMap<Digest, Arc<Published>>) -> Desired {
        let policies = self.all_policies().map(|(kind, Key { namespace, name }, policy)| DesiredPolicy {
            reference: PolicyRef {
                kind,
                namespace: (kind == PolicyKind::Namespaced).then(|| namespace.clone()),
                name: name.clone(),
                uid: policy.uid.clone(),
            },
            policy: policy.clone(),
            remembered: Vec::new(),
        });
        let pods = self.pods.iter().map(|(_, pod)| {
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
            self.pods.iter().flat_map(|(_, pod)| pod.host_addresses.iter().copied()).collect();
        Desired {
            synced: self.is_synced(),
            policies: policies.collect(),
            pods: pods.collect(),
            host_addresses: host_addresses.into_iter().collect(),
            networks: Arc::default(),
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
    use netprecursor_kit::Sight;

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
        Key::new(namespace, name)
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
                controller: None,
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
        mirror.policies.take(Sight::Applied(key("shop", "own"), policy("own", own, "web")));
        let wide = Scope::Cluster(require("team", "shop"));
        mirror.cluster_policies.take(Sight::Applied(key("", "wide"), policy("wide", wide, "web")));
        mirror.namespaces.take(Sight::Applied(key("", "shop"), labels("team", "shop")));
        mirror.namespaces.take(Sight::Applied(key("", "bank"), labels("team", "bank")));
        for (namespace, name, app) in [("shop", "a", "web"), ("shop", "b", "db"), ("bank", "c", "web")] {
            mirror.pods.take(Sight::Applied(key(namespace, name), pod(namespace, name, app)));
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
        mirror.namespaces.take(Sight::Applied(key("", "bank"), labels("team", "shop")));
        assert_eq!(watched_by(&mirror, "c"), ["uid-wide"]);
        mirror.pods.take(Sight::Applied(key("shop", "a"), pod("shop", "a", "db")));
        assert_eq!(watched_by(&mirror, "a"), [] as [String; 0]);
        mirror.namespaces.take(Sight::Deleted(key("", "bank")));
        assert_eq!(watched_by(&mirror, "c"), [] as [String; 0]);
    }

    #[test]
    fn a_list_takes_away_only_when_it_is_complete() {
        let mut mirror = shop();
        mirror.pods.take(Sight::Listing);
        mirror.pods.take(Sight::Listed(key("shop", "a"), pod("shop", "a", "web")));
        assert_eq!(mirror.desired(&BTreeMap::new()).pods.len(), 3);
        mirror.pods.take(Sight::Complete);
        assert_eq!(mirror.desired(&BTreeMap::new()).pods.len(), 1);
    }

    #[test]
    fn nothing_is_known_to_be_gone_before_every_kind_was_listed() {
        let mut mirror = shop();
        assert!(!mirror.desired(&BTreeMap::new()).synced);
        mirror.policies.take(Sight::Complete);
        mirror.cluster_policies.take(Sight::Complete);
        mirror.namespaces.take(Sight::Complete);
        assert!(!mirror.is_synced());
        mirror.pods.take(Sight::Complete);
        assert!(mirror.desired(&BTreeMap::new()).synced);
    }
}
