//! An alert fires while the API server is away for minutes. Once the server is back it is published once, with the time at
//! which it fired.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use k8s_openapi::api::core::v1::Node;
use kube::{Api, ResourceExt as _, api::ListParams};
use netprecursor_crds::alert::AlertState;
use netprecursor_e2e::{
    Error,
    agent::Agent,
    cluster::{Hands, Story, is_of_kind, story},
    congestion::Scene,
    product::Product,
};
use serde_json::json;

use super::delivered;
use crate::shared::{RAMP, alert_in, policy, request, wait_with_kubectl};

/// How long the server's manifest is away.
const AWAY: u64 = 120;
/// The kubelet ends and starts it, and then it has to come up.
const SLOWLY: Duration = Duration::from_secs(180);
/// Between two looks: a server that is away cannot be watched.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Messages are published within a minute of the server's return and the longest back-off.
const DRAINED: Duration = Duration::from_secs(90);

/// The node whose kubelet runs the API server, if nobody else minds.
async fn control_plane(story: &Story) -> Result<Option<String>, Error> {
    let nodes: Api<Node> = Api::all(story.client());
    let params = ListParams::default().labels("node-role.kubernetes.io/control-plane");
    let nodes = nodes.list(&params).await.map_err(request("listing nodes"))?.items;
    match nodes.as_slice() {
        [one] if is_of_kind(one) => Ok(Some(one.name_any())),
        _ => Ok(None),
    }
}

/// Waits until the server answers, or no longer does.
async fn answers(story: &Story, expected: bool, limit: Duration) -> Result<(), Error> {
    let begun = Instant::now();
    loop {
        let asked = http::Request::get("/readyz").body(Vec::new()).unwrap();
        let answered = tokio::time::timeout(Duration::from_secs(5), story.client().request_text(asked)).await;
        if matches!(answered, Ok(Ok(_))) == expected {
            return Ok(());
        }
        if begun.elapsed() > limit {
            let what = format!("the API server {}", if expected { "to answer again" } else { "to be gone" });
            return Err(Error::Timeout { what, waited: limit, last: format!("{answered:?}") });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn unix() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

#[tokio::test]
#[ignore = "nightly: takes the API server away; E2E_STORIES=nightly make e2e"]
async fn an_alert_that_fires_while_the_api_server_is_away_is_published_once_when_it_is_back() {
    story("outage", async |story| {
        let Some(node) = control_plane(story).await? else {
            println!("skipped: the API server is not the one of a single kind node, and cannot be taken away");
            return Ok(());
        };
        let product = Product::new(story.cluster());
        product.install(&[]).await?;
        policy(story, "web", json!({})).await?;
        let scene = Scene::start(story).await?;
        product.agents_ready().await?;
        scene.warm_up(story, &["web"]).await?;
        let hands = Hands::on(story, &node).await?;
        let manifests = "/etc/kubernetes/manifests";
        // The script brings the server back even if this test dies.
        let away = format!(
            "sleep 2; nsenter -t 1 -m /bin/sh -c 'mv {manifests}/kube-apiserver.yaml /etc/kubernetes/ && sleep {AWAY}; \
             mv /etc/kubernetes/kube-apiserver.yaml {manifests}/'"
        );
        scene.narrow_after(20).await?;
        hands.start(&away).await?;
        answers(story, false, Duration::from_secs(60)).await?;
        let (gone, since) = (Instant::now(), unix());
        answers(story, true, Duration::from_secs(AWAY) + SLOWLY).await?;
        let (back, until) = (Instant::now(), unix());
        println!("the API server was away for {:.0} s", gone.elapsed().as_secs_f64());

        let (alert, after) = alert_in(story, "web", AlertState::Firing, RAMP).await?;
        println!("it was published {:.1} s after the server was back", after.as_secs_f64());
        let fired = alert.status.as_ref().unwrap().fired_at.0.as_second();
        assert!((since..=until).contains(&fired), "fired at {fired}, the server was away from {since} to {until}");
        let agent = Agent::ready_on(story.cluster(), &alert.spec.node_name, &[]).await?;
        let (_, dropped) = delivered::drained(&agent, DRAINED).await?;
        println!("nothing was pending {:.1} s after the server was back", back.elapsed().as_secs_f64());
        assert!(dropped.abs() < 0.5, "{dropped} messages were dropped");
        scene.widen().await?;
        let (resolved, _) = alert_in(story, "web", AlertState::Resolved, RAMP).await?;
        assert_eq!(resolved.metadata.uid, alert.metadata.uid);
        assert_eq!(delivered::once(story).await?.len(), 1);
        // Operators lost their lease meanwhile, and the policy is followed all the same.
        wait_with_kubectl(&product, story, "web", "Ready").await?;
        Ok::<_, Error>(())
    })
    .await;
}
