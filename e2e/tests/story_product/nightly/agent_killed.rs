//! An agent that is killed again and again while an alert is out.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::DeleteParams};
use netprecursor_e2e::{
    Error,
    agent::{Agent, PROGRAM},
    cluster::{Hands, SYSTEM_NAMESPACE, story},
    product::Product,
};
use std::time::Duration;

use super::{Trouble, told};
use crate::shared::request;

/// Each makes the kubelet wait twice as long as the one before, ten seconds at first.
const KILLS: usize = 3;

#[tokio::test]
#[ignore = "nightly: six minutes; E2E_PRODUCT=nightly make e2e"]
async fn an_agent_that_is_killed_again_and_again_loses_no_alert_and_tells_none_twice() {
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

        let resolved = trouble.end(story).await?;
        println!("killed {} times; the alert fired {} times", KILLS + 1, resolved.status.unwrap().count);
        let alerts = told::once(story).await?;
        assert_eq!(alerts.len(), 1, "{alerts:#?}");
        let (_, dropped) = told::drained(&agent, Duration::from_secs(120)).await?;
        assert!(dropped.abs() < 0.5, "{dropped} messages were given up");
        Ok::<_, Error>(())
    })
    .await;
}
