//! Stories that take long or disturb the whole cluster: `E2E_STORIES=nightly make e2e`, or one by its name.

mod agent_killed;
mod agent_lost;
mod autoscaler;
mod churn;
mod cut_off;
mod dashboard;
mod delivered;
mod density;
mod operator_killed;
mod outage;
mod quota;
mod release;
mod storm;
mod upgrade;
mod workloads;

use std::time::Duration;

use netprecursor_crds::alert::{AlertState, PrecursorAlert};
use netprecursor_e2e::{
    Error,
    agent::Agent,
    cluster::{Story, wait_for},
    congestion::Scene,
    product::Product,
};
use serde_json::json;

use crate::shared::{RAMP, alert_in, policy};

/// A firing alert: the link of the scene's server is narrow and stays so.
struct Trouble {
    scene: Scene,
    /// The alert as it was first seen.
    alert: PrecursorAlert,
}

impl Trouble {
    /// Causes it, with the product installed and a policy `web`.
    async fn make(story: &Story, product: &Product) -> Result<Self, Error> {
        policy(story, "web", json!({})).await?;
        let scene = Scene::start(story).await?;
        product.agents_ready().await?;
        scene.warm_up(story, &["web"]).await?;
        scene.narrow().await?;
        let (alert, _) = alert_in(story, "web", AlertState::Firing, RAMP).await?;
        Ok(Self { scene, alert })
    }

    /// The agent that warned.
    async fn agent(&self, story: &Story) -> Result<Agent, Error> {
        Agent::ready_on(story.cluster(), &self.alert.spec.node_name, &[]).await
    }

    /// Ends it: waits until the same alert is resolved.
    async fn end(&self, story: &Story) -> Result<PrecursorAlert, Error> {
        self.scene.widen().await?;
        let name = self.alert.metadata.name.clone().unwrap_or_default();
        let resolved = |alert: Option<&PrecursorAlert>| {
            alert.and_then(|alert| alert.status.as_ref()).is_some_and(|status| status.state == AlertState::Resolved)
        };
        // A restarted agent gives its old alerts three minutes.
        let limit = Duration::from_secs(300);
        let alert = wait_for(&story.api(), &name, "the alert to be resolved", limit, resolved).await?.unwrap();
        assert_eq!(alert.metadata.uid, self.alert.metadata.uid, "another object took the alert's place");
        Ok(alert)
    }
}
