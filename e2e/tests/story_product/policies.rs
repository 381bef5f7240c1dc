//! The life of a policy: waited for, changed while an alert fires, deleted.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::DaemonSet, events::v1::Event};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use netprecursor_crds::{
    alert::{AlertState, PrecursorAlert},
    policy::PrecursorPolicy,
};
use netprecursor_e2e::{
    Error,
    cluster::{SYSTEM_NAMESPACE, story, wait_for, wait_for_list},
    congestion::Scene,
    product::{AGENTS, Product},
};
use serde_json::json;

use crate::shared::{alert_in, policy, request, wait_with_kubectl};

#[tokio::test]
async fn kubectl_wait_returns_when_a_policy_is_ready() {
    story("wait", async |story| {
        let product = Product::new(story.cluster());
        product.install(&[]).await?;
        let _server = story.server("web", None).await?;
        policy(story, "web", json!({})).await?;
        for condition in ["Ready", "ModelReady", "TargetsResolved", "AgentsReady"] {
            wait_with_kubectl(&product, story, "web", condition).await?;
        }
        Ok::<_, Error>(())
    })
    .await;
}

#[tokio::test]
async fn raising_the_threshold_resolves_an_alert_and_deleting_the_policy_removes_its_alerts_and_agents() {
    story("change", async |story| {
        let product = Product::new(story.cluster());
        // Agents go soon after the last policy, instead of after five minutes.
        product.install(&["agent.lingerAfterLastPolicySeconds=5"]).await?;
        policy(story, "web", json!({})).await?;
        let scene = Scene::start(story).await?;
        product.agents_ready().await?;
        product.fresh_agents().await?;
        scene.warm_up(story, &["web"]).await?;
        scene.narrow().await?;
        alert_in(story, "web", AlertState::Firing, Duration::from_secs(60)).await?;

        let policies: Api<PrecursorPolicy> = story.api();
        let raised = json!({"spec": {"rules": [{
            "name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "20s"}, "keepFiringFor": "3s",
        }]}});
        policies
            .patch("web", &PatchParams::default(), &Patch::Merge(&raised))
            .await
            .map_err(request("raising the threshold"))?;
        alert_in(story, "web", AlertState::Resolved, Duration::from_secs(120)).await?;

        policies.delete("web", &DeleteParams::default()).await.map_err(request("deleting the policy"))?;
        let alerts: Api<PrecursorAlert> = story.api();
        let limit = Duration::from_secs(60);
        wait_for_list(&alerts, Default::default(), "no alert to be left", limit, |alerts| {
            alerts.is_empty().then_some(())
        })
        .await?;
        let events: Api<Event> = story.api();
        let events = events.list(&Default::default()).await.map_err(request("listing events"))?;
        let left: Vec<&str> = events
            .items
            .iter()
            .filter(|event| event.reporting_controller.as_deref() == Some("netprecursor.io/agent"))
            .filter_map(|event| event.reason.as_deref())
            .collect();
        assert!(left.contains(&"RttBreachForecast"), "{left:?}");
        let sets: Api<DaemonSet> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
        wait_for(&sets, AGENTS, "the agents to be gone", limit, |set| set.is_none()).await?;
        Ok::<_, Error>(())
    })
    .await;
}
