//! An agent that is killed again and again while an alert is out.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::DeleteParams};
use netprecursor_crds::alert::PrecursorAlert;
use netprecursor_e2e::{
    Error,
    agent::{Agent, PROGRAM},
    cluster::{Hands, SYSTEM_NAMESPACE, story, wait_for},
    product::Product,
};

use super::{Trouble, delivered};
use crate::shared::request;

/// Each makes the kubelet wait twice as long as the one before, ten seconds at first.
const KILLS: usize = 3;
/// A window fills in a minute; an alert that does not fire again within three is resolved.
const AGAIN: Duration = Duration::from_secs(180);

#[tokio::test]
#[ignore = "nightly: six minutes; E2E_STORIES=nightly make e2e"]
async fn an_agent_that_is_killed_again_and_again_loses_no_alert_and_publishes_none_twice() {
    story("agent-killed", async |story| {
        let product = Product::new(story.cluster());
        product.install(&[]).await?;
        let trouble = Trouble::make(story, &product).await?;
        let mut agent = trouble.agent(story).await?;
        let hands = Hands::on(story, agent.node()).await?;
        for _ in 0..KILLS {
            let before = agent.restarts();
            let killed = hands.signal(PROGRAM, "KILL").await?;
            assert!(killed > 0, "no process {PROGRAM} on {}", agent.node());
            agent = agent.restarted(before).await?;
        }
        // And the whole pod, without a moment to write anything.
        hands.signal(PROGRAM, "STOP").await?;
        let pods: Api<Pod> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
        let name = agent.pod.name_any();
        let at_once = DeleteParams::default().grace_period(0);
        pods.delete(&name, &at_once).await.map_err(request(format!("deleting pod {name}")))?;
        let killed = agent.pod.uid().unwrap();
        let agent = Agent::ready_on(story.cluster(), trouble.alert.spec.node_name.as_str(), &[killed]).await?;

        // The link is as narrow as before: the last one sees that for itself, in the alert that there is.
        let name = trouble.alert.name_any();
        let again = |alert: Option<&PrecursorAlert>| {
            alert.and_then(|alert| alert.status.as_ref()).is_some_and(|status| status.count > 1)
        };
        let alert = wait_for(&story.api(), &name, "the alert to fire again", AGAIN, again).await?.unwrap();
        assert_eq!(alert.metadata.uid, trouble.alert.metadata.uid, "another object took the alert's place");
        let resolved = trouble.end(story).await?;
        println!("killed {} times; the alert fired {} times", KILLS + 1, resolved.status.unwrap().count);
        let alerts = delivered::once(story).await?;
        assert_eq!(alerts.len(), 1, "{alerts:#?}");
        let (_, dropped) = delivered::drained(&agent, Duration::from_secs(120)).await?;
        assert!(dropped.abs() < 0.5, "{dropped} messages were dropped");
        Ok::<_, Error>(())
    })
    .await;
}
