//! A node that is cut off from all others while an alert fires on it, and comes back.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use netprecursor_crds::alert::AlertState;
use netprecursor_e2e::{
    Error,
    agent::Agent,
    cluster::{Hands, is_of_kind, story, wait_for},
    congestion::Scene,
    product::Product,
};
use serde_json::json;

use super::delivered;
use crate::shared::{RAMP, alert_in, policy, request};

/// Longer than the control plane waits for a node, shorter than it leaves its pods alone.
const CUT_OFF: u64 = 120;
const LIMIT: Duration = Duration::from_secs(CUT_OFF + 60);

/// The condition `Ready` of a node; `Unknown` when nothing was heard of it.
fn ready(node: Option<&Node>) -> Option<&str> {
    let conditions = node?.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "Ready").map(|condition| condition.status.as_str())
}

/// A script that cuts its node off and mends that by itself: after the answer to the request for it, and with nothing of
/// nftables that kube-proxy does not use too.
fn cutting() -> String {
    // By its path: busybox's shell would take its own ip.
    let device = "dev=$($(which ip) -4 route show default | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -n 1)";
    // Both families: kind's networks have both, and a kubelet takes whichever its name server returns first.
    let rules = ["ip", "ip6"].map(|family| {
        format!(
            "add table {family} e2e; \
             add chain {family} e2e in {{ type filter hook prerouting priority -500; }}; \
             add chain {family} e2e out {{ type filter hook postrouting priority 500; }}; \
             add rule {family} e2e in iifname $dev drop; \
             add rule {family} e2e out oifname $dev drop"
        )
    });
    let (nft, rules) = ("nsenter -t 1 -m nft", rules.join("; "));
    let mended = format!("{nft} delete table ip e2e; {nft} delete table ip6 e2e");
    format!("sleep 2; {device}; {nft} \"{rules}\" && sleep {CUT_OFF}; {mended}")
}

#[tokio::test]
#[ignore = "nightly: cuts a node off; E2E_STORIES=nightly make e2e"]
async fn an_alert_that_fires_on_a_node_that_is_cut_off_is_published_once_when_it_is_back() {
    story("cut-off", async |story| {
        let nodes: Api<Node> = Api::all(story.client());
        let workers = story.cluster().workers().await?;
        let name = workers.last().unwrap().clone();
        let node = nodes.get(&name).await.map_err(request(format!("getting node {name}")))?;
        if !is_of_kind(&node) {
            println!("skipped: node {name} is not one of kind, and is not cut off");
            return Ok(());
        }
        let product = Product::new(story.cluster());
        product.install(&[]).await?;
        policy(story, "web", json!({})).await?;
        // Both on this node: they go on when nobody else is reached.
        let scene = Scene::start_on(story, Some(&name), Some(&name)).await?;
        product.agents_ready().await?;
        scene.warm_up(story, &["web"]).await?;
        let hands = Hands::on(story, &name).await?;
        scene.narrow_after(10).await?;
        hands.start(&cutting()).await?;
        let what = format!("node {name} to be missed");
        wait_for(&nodes, &name, &what, LIMIT, |node| ready(node) == Some("Unknown")).await?;
        let what = format!("node {name} to be back");
        wait_for(&nodes, &name, &what, LIMIT, |node| ready(node) == Some("True")).await?;

        let (alert, after) = alert_in(story, "web", AlertState::Firing, RAMP).await?;
        println!("it was published {:.1} s after the node was back", after.as_secs_f64());
        let (fired, created) = (alert.status.as_ref().unwrap().fired_at.0, alert.metadata.creation_timestamp.as_ref());
        let waited = created.unwrap().0.as_second() - fired.as_second();
        println!("and {waited} s after it had fired");
        assert!(waited > 10, "it fired at {fired}, when the node could be reached");
        let agent = Agent::ready_on(story.cluster(), &name, &[]).await?;
        let (drained, dropped) = delivered::drained(&agent, Duration::from_secs(90)).await?;
        println!("nothing was pending after {:.1} s", drained.as_secs_f64());
        assert!(dropped.abs() < 0.5, "{dropped} messages were dropped");
        scene.widen().await?;
        let (resolved, _) = alert_in(story, "web", AlertState::Resolved, RAMP).await?;
        assert_eq!(resolved.metadata.uid, alert.metadata.uid);
        assert_eq!(delivered::once(story).await?.len(), 1);
        Ok::<_, Error>(())
    })
    .await;
}
