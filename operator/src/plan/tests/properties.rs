//! What holds for every cluster.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::super::{Deletion, Write};
use super::cluster::{Cluster, at};

/// Something that happens in a cluster.
#[derive(Debug, Clone)]
enum Act {
    Policy { namespace: u8, name: u8, is_shadow: bool, selects_all: bool, is_broken: bool },
    RemovePolicy { namespace: u8, name: u8 },
    Pod { namespace: u8, name: u8 },
    RemovePod { namespace: u8, name: u8 },
    Node { name: u8 },
    Agent { node: u8, is_ready: bool },
    RemoveAgent { node: u8 },
    Report { node: u8, alerts: u8, throttled: u8 },
    Fallback { node: u8 },
    Alert { namespace: u8, name: u8, pod: u8, node: u8, is_firing: bool },
    Controller { wanted: u8, scheduled: u8, ready: u8 },
    Meddle,
    Pass { seconds: u16 },
}

fn act() -> impl Strategy<Value = Act> {
    let (few, flag) = (0..3_u8, any::<bool>());
    prop_oneof![
        (few.clone(), few.clone(), flag, flag, prop::bool::weighted(0.2)).prop_map(
            |(namespace, name, is_shadow, selects_all, is_broken)| Act::Policy {
                namespace,
                name,
                is_shadow,
                selects_all,
                is_broken
            }
        ),
        (few.clone(), few.clone()).prop_map(|(namespace, name)| Act::RemovePolicy { namespace, name }),
        (few.clone(), few.clone()).prop_map(|(namespace, name)| Act::Pod { namespace, name }),
        (few.clone(), few.clone()).prop_map(|(namespace, name)| Act::RemovePod { namespace, name }),
        few.clone().prop_map(|name| Act::Node { name }),
        (few.clone(), flag).prop_map(|(node, is_ready)| Act::Agent { node, is_ready }),
        few.clone().prop_map(|node| Act::RemoveAgent { node }),
        (few.clone(), 0..9_u8, 0..3_u8).prop_map(|(node, alerts, throttled)| Act::Report { node, alerts, throttled }),
        few.clone().prop_map(|node| Act::Fallback { node }),
        (few.clone(), 0..12_u8, few.clone(), few.clone(), flag).prop_map(|(namespace, name, pod, node, is_firing)| {
            Act::Alert { namespace, name, pod, node, is_firing }
        }),
        (few.clone(), few.clone(), few).prop_map(|(wanted, scheduled, ready)| Act::Controller {
            wanted,
            scheduled,
            ready
        }),
        Just(Act::Meddle),
        (0..5_000_u16).prop_map(|seconds| Act::Pass { seconds }),
    ]
}

const NAMESPACES: [&str; 3] = ["shop", "bank", "lab"];

fn happen(cluster: &mut Cluster, act: &Act, second: &mut i64) {
    let namespace = |index: u8| NAMESPACES[usize::from(index)];
    let has_agents = !cluster.observed.daemon_sets.is_empty();
    match *act {
        Act::Policy { namespace: index, name, is_shadow, selects_all, is_broken } => {
            let mut spec = json!({"mode": if is_shadow { "Shadow" } else { "Active" }});
            if selects_all {
                spec["target"] = json!({"podSelector": {}});
            }
            if is_broken {
                spec["rules"] = json!([]);
            }
            let name = if name == 0 { "checkout".to_owned() } else { format!("policy-{name}") };
            cluster.policy(namespace(index), &name, spec);
        }
        Act::RemovePolicy { namespace: index, name } => {
            let name = if name == 0 { "checkout".to_owned() } else { format!("policy-{name}") };
            cluster.remove_policy(namespace(index), &name);
        }
        Act::Pod { namespace: index, name } => {
            cluster.pod(namespace(index), &format!("pod-{name}"), json!({"app": "checkout"}));
        }
        Act::RemovePod { namespace: index, name } => cluster.remove_pod(namespace(index), &format!("pod-{name}")),
        Act::Node { name } => cluster.staffed_node(&format!("n{name}")),
        Act::Agent { node, is_ready } => cluster.agent(&format!("n{node}"), is_ready),
        Act::RemoveAgent { node } => cluster.remove_agent(&format!("n{node}")),
        Act::Report { node, alerts, throttled } => {
            let counts = json!({"targets": 2, "alerts": alerts, "confirmed": alerts, "throttled": throttled});
            cluster.report(&format!("n{node}"), counts);
        }
        Act::Fallback { node } => cluster.fallback(&format!("n{node}"), "not there"),
        Act::Alert { namespace: index, name, pod, node, is_firing } => {
            let state = if is_firing { "Firing" } else { "Resolved" };
            let (pod, node) = (format!("pod-{pod}"), format!("n{node}"));
            cluster.alert(namespace(index), &format!("alert-{name}"), &pod, &node, state, at(*second));
        }
        Act::Controller { wanted, scheduled, ready } if has_agents => {
            cluster.agents(wanted.into(), scheduled.into(), ready.into());
        }
        Act::Meddle if has_agents => {
            cluster.change_agents(|object| object["spec"]["template"]["spec"]["hostPID"] = false.into());
        }
        Act::Controller { .. } | Act::Meddle => {}
        Act::Pass { seconds } => *second += i64::from(seconds),
    }
}

/// What a write is about.
fn object(write: &Write) -> String {
    match write {
        Write::PublishModel { sha256, .. } => format!("model {sha256}"),
        Write::DeleteModel { key, .. } => format!("copy {key}"),
        Write::DealShare { .. } => "share".to_owned(),
        Write::ApplyAgents { .. } | Write::DeleteAgents { .. } => "agents".to_owned(),
        Write::ResolveAlert { key, .. } | Write::DeleteAlert { key, .. } => format!("alert {key}"),
        Write::PolicyStatus { kind, key, .. } => format!("{kind:?} {key}"),
        Write::KeepScores { shard, .. } => format!("scores {shard}"),
        Write::RecordEvent { event } => format!("event {}", event["metadata"]["name"]),
        Write::DeleteReport { .. } | Write::DeleteScores { .. } => panic!("{write:?} is for who retires the release"),
    }
}

fn check(cluster: &mut Cluster, writes: &[Write], second: i64) {
    let objects: BTreeSet<String> = writes.iter().map(object).collect();
    assert_eq!(objects.len(), writes.len(), "one write per object: {writes:?}");
    if writes.iter().any(|write| matches!(write, Write::DeleteAgents { .. })) {
        assert!(cluster.observed.all_policies().next().is_none(), "agents go while there are policies");
    }
    let caps = cluster.settings.config.caps;
    let mut by_namespace: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, _) in cluster.observed.alerts.iter() {
        *by_namespace.entry(&key.namespace).or_default() += 1;
    }
    assert!(by_namespace.values().all(|count| *count <= caps.alerts_per_namespace as usize), "{by_namespace:?}");
    assert!(cluster.observed.alerts.len() <= caps.alerts_per_cluster as usize);
    // What the first round made may be news for the policies; after that there is none.
    for write in cluster.settled(at(second)) {
        assert!(matches!(write, Write::PolicyStatus { .. }), "{write:?} is wanted a second time");
    }
    let again = cluster.plan(at(second));
    assert_eq!(again.writes, [], "what was carried out twice is wanted a third time");
    assert!(again.again <= super::LONGEST && !again.again.is_zero());
}

proptest! {
    #[test]
    fn every_plan_carried_out_leaves_nothing_to_do_and_keeps_the_bounds(
        acts in prop::collection::vec(act(), 1..60),
        per_namespace in 1..6_u32,
        per_cluster in 1..12_u32,
    ) {
        let mut cluster = Cluster::new();
        cluster.settings.config.caps.alerts_per_namespace = per_namespace;
        cluster.settings.config.caps.alerts_per_cluster = per_cluster;
        let mut second = 0;
        for act in &acts {
            happen(&mut cluster, act, &mut second);
            let before: BTreeMap<_, _> = cluster.observed.alerts.iter().map(|(key, seen)| (key.clone(), seen.clone())).collect();
            let writes = cluster.settled(at(second));
            for write in &writes {
                // Nothing that fires goes as if it were over.
                if let Write::DeleteAlert { key, reason: Deletion::Expired, .. } = write {
                    prop_assert!(!before[key].value.is_firing());
                }
            }
            check(&mut cluster, &writes, second);
        }
    }

    #[test]
    fn an_alert_whose_agent_and_pod_are_well_is_left_to_its_agent(
        acts in prop::collection::vec(act(), 0..40),
    ) {
        let mut cluster = Cluster::new();
        let mut second = 0;
        for act in &acts {
            let is_ours = matches!(act, Act::Alert { .. } | Act::RemoveAgent { .. } | Act::Agent { .. });
            if !is_ours {
                happen(&mut cluster, act, &mut second);
            }
            cluster.pod("shop", "well", json!({}));
            cluster.staffed_node("well");
            cluster.alert("shop", "well", "well", "well", "Firing", at(0));
            for write in cluster.settled(at(second)) {
                prop_assert!(object(&write) != "alert shop/well", "{write:?}");
            }
        }
    }
}
