//! The pods that policies select.

use serde_json::{Value, json};

use super::super::Write;
use super::{
    cluster::{Cluster, at},
    condition, is, status,
};

#[test]
fn policies_that_select_the_same_pods_say_so() {
    let mut cluster = Cluster::with_policy();
    cluster.pod("shop", "web-1", json!({"app": "checkout"}));
    cluster.pod("shop", "web-2", json!({"app": "other"}));
    let alone = cluster.plan(at(0));
    assert_eq!(
        (condition(&alone, "TargetsResolved"), condition(&alone, "Overlapping")),
        (is("True", "Selected"), None)
    );
    cluster.policy("shop", "everything", json!({"target": {"podSelector": {}}}));
    let plan = cluster.plan(at(0));
    let messages: Vec<String> = plan
        .writes
        .iter()
        .filter_map(|write| match write {
            Write::PolicyStatus { status, .. } => status.conditions.iter().find(|one| one.type_ == "Overlapping"),
            _ => None,
        })
        .map(|condition| condition.message.clone())
        .collect();
    assert!(messages[0].contains("1 of 1 pods") && messages[0].contains("shop/everything"), "{messages:?}");
    assert!(messages[1].contains("1 of 2 pods") && messages[1].contains("shop/checkout"), "{messages:?}");
}

#[test]
fn a_policy_of_the_cluster_selects_in_the_namespaces_that_it_names() {
    let mut cluster = Cluster::new();
    cluster.namespace("shop", json!({"team": "a"}));
    cluster.namespace("bank", json!({"team": "b"}));
    for namespace in ["shop", "bank"] {
        cluster.pod(namespace, "web", json!({"app": "checkout"}));
    }
    let target = json!({"podSelector": {}, "namespaceSelector": {"matchLabels": {"team": "a"}}});
    cluster.cluster_policy("all", json!({"target": target}));
    let plan = cluster.plan(at(0));
    let resolved = status(&plan).conditions.iter().find(|one| one.type_ == "TargetsResolved").unwrap();
    assert_eq!((resolved.status.as_str(), resolved.message.as_str()), ("True", "1 pod"));
}

#[test]
fn a_policy_that_selects_nothing_names_what_comes_near() {
    let message = |build: &dyn Fn(&mut Cluster)| {
        let mut cluster = Cluster::new();
        build(&mut cluster);
        let plan = cluster.plan(at(0));
        let resolved = status(&plan).conditions.iter().find(|one| one.type_ == "TargetsResolved").unwrap();
        assert_eq!((resolved.status.as_str(), resolved.reason.as_str()), ("False", "NoPods"));
        resolved.message.clone()
    };
    let in_shop = |labels: Value| {
        message(&|cluster: &mut Cluster| {
            cluster.policy("shop", "checkout", json!({}));
            cluster.pod("shop", "web", labels.clone());
            cluster.pod("bank", "web", json!({"app": "checkout"}));
        })
    };
    // Of other namespaces a policy of one says nothing: who reads it may not see them.
    let near = in_shop(json!({"app": "check-out", "pod-template-hash": "x"}));
    assert!(near.contains("; pods there have app=check-out; compare `target`"), "{near}");
    assert!(in_shop(json!({"tier": "web"})).contains("; no pod there has a label with that key; compare `target`"));
    let empty = message(&|cluster| cluster.policy("shop", "checkout", json!({})));
    assert!(empty.contains("no pod is running in the policy's namespace"), "{empty}");

    let everywhere = message(&|cluster| {
        cluster.namespace("shop", json!({"team": "b"}));
        cluster.pod("shop", "web", json!({"app": "checkout"}));
        let namespaces = json!({"matchLabels": {"team": "a"}});
        let pods = json!({"matchLabels": {"app": "checkout"}});
        cluster.cluster_policy("all", json!({"target": {"podSelector": pods, "namespaceSelector": namespaces}}));
    });
    assert!(everywhere.contains("are in shop, which `target.namespaceSelector` does not select"), "{everywhere}");
}
