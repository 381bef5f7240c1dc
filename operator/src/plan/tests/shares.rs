//! What agents may write, as nodes come and go.

use netprecursor_kit::{Share, Sight};
use serde_json::json;

use super::super::{Plan, Write};
use super::cluster::{Cluster, at};

/// The share that a plan deals, if any.
fn dealt(plan: &Plan) -> Option<Share> {
    let manifests = plan.writes.iter().filter_map(|write| match write {
        Write::DealShare { manifest } => Some(manifest),
        _ => None,
    });
    let texts: Vec<_> = manifests.map(|manifest| manifest["data"]["share.json"].as_str().unwrap()).collect();
    assert!(texts.len() <= 1, "{texts:?}");
    texts.first().map(|text| Share::read(text).unwrap())
}

fn nodes(cluster: &mut Cluster, numbers: std::ops::Range<usize>) {
    numbers.for_each(|number| cluster.staffed_node(&format!("n{number}")));
}

#[test]
fn a_share_is_there_before_the_agents_are() {
    let mut cluster = Cluster::with_policy();
    nodes(&mut cluster, 0..40);
    let plan = cluster.plan(at(0));
    assert!(matches!(plan.writes[..2], [Write::DealShare { .. }, Write::ApplyAgents { .. }]), "{:?}", plan.writes);
    assert_eq!(dealt(&plan), Some(Share::of(40)));
    let Write::ApplyAgents { manifest, .. } = &plan.writes[1] else { panic!() };
    let pod = &manifest["spec"]["template"]["spec"];
    let volume = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "share").unwrap();
    assert_eq!(volume["configMap"], json!({"name": "netprecursor-agent-share", "optional": true}));
    let Write::DealShare { manifest } = &plan.writes[0] else { panic!() };
    assert_eq!(manifest["metadata"]["name"], "netprecursor-agent-share");
}

#[test]
fn a_cluster_without_nodes_and_policies_has_nothing_to_deal() {
    assert_eq!(dealt(&Cluster::new().plan(at(0))), None);
    // With a policy nodes may come at any time: they begin with the least.
    assert_eq!(dealt(&Cluster::with_policy().plan(at(0))), Some(Share::of(0)));
}

#[test]
fn nodes_that_come_and_go_change_the_share_and_never_the_agents() {
    let mut cluster = Cluster::with_policy();
    nodes(&mut cluster, 0..3);
    cluster.settled(at(0));
    for (second, wanted, expected) in [(20, 3, None), (40, 401, Some(401)), (60, 402, None), (80, 20, Some(20))] {
        cluster.agents(wanted, wanted, wanted);
        let plan = cluster.plan(at(second));
        assert_eq!(dealt(&plan), expected.map(Share::of), "{wanted} nodes");
        assert!(!plan.writes.iter().any(|write| matches!(write, Write::ApplyAgents { .. })));
        cluster.settled(at(second));
    }
}

#[test]
fn nodes_that_come_one_after_another_are_dealt_for_together() {
    let mut cluster = Cluster::with_policy();
    nodes(&mut cluster, 0..3);
    cluster.settled(at(0));
    cluster.agents(400, 400, 400);
    let early = cluster.plan(at(4));
    assert_eq!((dealt(&early), early.again.as_secs()), (None, 6));
    cluster.agents(900, 900, 900);
    assert_eq!(dealt(&cluster.plan(at(10))), Some(Share::of(900)));
}

#[test]
fn a_share_that_others_change_or_delete_is_dealt_again_but_not_all_the_time() {
    let mut cluster = Cluster::with_policy();
    nodes(&mut cluster, 0..3);
    cluster.settled(at(0));
    let (key, seen) = cluster.observed.shares.iter_mut().next().unwrap();
    seen.value.share = Some("1000 a second".to_owned());
    let key = key.clone();
    assert_eq!(dealt(&cluster.plan(at(5))), None);
    assert_eq!(dealt(&cluster.plan(at(10))), Some(Share::of(3)));
    cluster.observed.shares.take(Sight::Deleted(key));
    assert_eq!(dealt(&cluster.plan(at(11))), Some(Share::of(3)));
}
