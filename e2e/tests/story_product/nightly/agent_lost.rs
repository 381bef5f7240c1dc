//! An agent that goes for good while its alert is out: nobody else could close it but the operator.

use std::time::Duration;

use netprecursor_crds::alert::{AlertState, PrecursorAlert, Resolution};
use netprecursor_e2e::{
    Error,
    cluster::{story, wait_for},
    product::Product,
};

use super::Trouble;
use crate::shared::condition;

/// The operator waits two minutes for an agent to come back.
const LIMIT: Duration = Duration::from_secs(240);

#[tokio::test]
#[ignore = "nightly: takes all agents away; E2E_STORIES=nightly make e2e"]
async fn the_operator_resolves_the_alert_of_an_agent_that_is_gone_for_good_and_removes_it_in_time() {
    story("agent-lost", async |story| {
        let product = Product::new(story.cluster());
        product.install(&[]).await?;
        let trouble = Trouble::make(story, &product).await?;
        // No node fits any more.
        product.install(&["agent.nodeSelector.netprecursor\\.io/here=nowhere", "alerts.ttl=30s"]).await?;
        let name = trouble.alert.metadata.name.clone().unwrap();
        let lost = |alert: Option<&PrecursorAlert>| {
            alert.and_then(|alert| alert.status.as_ref()).is_some_and(|status| status.state == AlertState::Resolved)
        };
        let alert = wait_for(&story.api(), &name, "the operator to resolve the alert", LIMIT, lost).await?.unwrap();
        assert_eq!(alert.metadata.uid, trouble.alert.metadata.uid);
        let status = alert.status.unwrap();
        assert_eq!(status.resolution, Some(Resolution::AgentLost));
        assert_eq!(condition(&status.conditions, "Firing"), "False");
        // Over for as long as alerts are kept, it goes.
        let gone = |alert: Option<&PrecursorAlert>| alert.is_none();
        wait_for(&story.api(), &name, "the alert to be removed when its time is over", LIMIT, gone).await?;
        Ok::<_, Error>(())
    })
    .await;
}
