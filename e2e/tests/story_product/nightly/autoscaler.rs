//! A Deployment is scaled before its RTT breaches: the example's autoscaler reads the chance of a breach from the operator.

use std::{fs, time::Duration};

use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::Pod};
use kube::{Api, ResourceExt as _, api::ListParams};
use netprecursor_crds::alert::{AlertState, PrecursorAlert, PrecursorAlertStatus, Trigger};
use netprecursor_e2e::{
    Error,
    agent::Agent,
    cluster::{Story, story, tools_image, wait_for},
    congestion::warmed_up,
    product::Product,
    road,
};
use serde_json::json;

use crate::shared::{RAMP, alert_in, condition, policy, request};

/// Deployment, policy and autoscaler of the examples.
const NAME: &str = "checkout";
/// How often the controller manager looks, in clusters by `cargo xtask cluster`.
const PERIOD: &str = "--horizontal-pod-autoscaler-sync-period=2s";
/// Until pods run, or the autoscaler has a value.
const STARTED: Duration = Duration::from_secs(120);
const US_PER_SECOND: u64 = 1_000_000;

/// Whether autoscalers are looked at more often than a warning takes to come true.
async fn is_quick(story: &Story) -> Result<bool, Error> {
    let pods: Api<Pod> = Api::namespaced(story.client(), "kube-system");
    let managers = pods.list(&ListParams::default().labels("component=kube-controller-manager")).await;
    let managers = managers.map_err(request("listing controller managers"))?.items;
    let containers = managers.iter().filter_map(|pod| pod.spec.as_ref()).flat_map(|spec| &spec.containers);
    Ok(containers.filter_map(|container| container.command.as_ref()).flatten().any(|word| word == PERIOD))
}

/// Applies an example in the story's own namespace.
async fn apply(story: &Story, product: &Product, example: &str) -> Result<(), Error> {
    let text = fs::read_to_string(road::checkout().join("examples").join(example)).unwrap();
    let documents = text.split("\n---\n").filter(|document| !document.contains("kind: Namespace"));
    let text = documents.collect::<Vec<_>>().join("\n---\n");
    let text = text.replace("namespace: shop", &format!("namespace: {}", story.namespace()));
    let text = text.replace("netprecursor/e2e-tools:1", &tools_image());
    product.kubectl_with(&["apply", "--filename", "-"], &text).await.map(|_| ())
}

/// The agent of the node on which the one pod of the Deployment runs, once it does.
async fn agent(story: &Story) -> Result<Agent, Error> {
    let deployments: Api<Deployment> = story.api();
    let is_ready = |found: Option<&Deployment>| ready(found) >= 1;
    wait_for(&deployments, NAME, "the Deployment to run", STARTED, is_ready).await?;
    let pods: Api<Pod> = story.api();
    let pods =
        pods.list(&ListParams::default().labels(&format!("app={NAME}"))).await.map_err(request("listing pods"))?;
    let node = pods.items.iter().find_map(|pod| pod.spec.as_ref()?.node_name.as_deref()).unwrap_or_default();
    Agent::ready_on(story.cluster(), node, &[]).await
}

fn ready(deployment: Option<&Deployment>) -> i32 {
    deployment.and_then(|found| found.status.as_ref()).and_then(|status| status.ready_replicas).unwrap_or_default()
}

/// Unix second of the breach that an alert warned of.
fn breach(status: &PrecursorAlertStatus) -> Option<i64> {
    let lead = status.lead.as_ref()?.us().unwrap() / US_PER_SECOND;
    Some(status.fired_at.0.as_second() + i64::try_from(lead).unwrap())
}

#[expect(clippy::print_stdout, reason = "a story says why it is skipped, and how much time there was")]
async fn run(story: &Story) -> Result<(), Error> {
    let product = Product::new(story.cluster());
    if !is_quick(story).await? {
        println!("skipped: got no controller manager with {PERIOD}, expected one: the default looks after the breach");
        return Ok(());
    }
    product.install(&["externalMetrics.enabled=true"]).await?;
    let target = json!({"podSelector": {"matchLabels": {"app": NAME}}});
    policy(story, NAME, json!({"spec": {"target": target}})).await?;
    apply(story, &product, "shop.yaml").await?;
    product.agents_ready().await?;
    let served = ["wait", "--for=condition=Available", "apiservice/v1beta1.external.metrics.k8s.io", "--timeout=55s"];
    product.kubectl(&served).await?;
    product.fresh_agents().await?;
    warmed_up(&agent(story).await?, story, &[NAME]).await?;

    apply(story, &product, "autoscaler.yaml").await?;
    let autoscalers: Api<HorizontalPodAutoscaler> = story.api();
    let has_value = |found: Option<&HorizontalPodAutoscaler>| {
        let conditions = found.and_then(|found| found.status.as_ref()).and_then(|status| status.conditions.as_ref());
        conditions.into_iter().flatten().any(|one| one.type_ == "ScalingActive" && one.status == "True")
    };
    wait_for(&autoscalers, NAME, "the autoscaler to have a value", STARTED, has_value).await?;

    let deployments: Api<Deployment> = story.api();
    let (namespace, deployment) = (story.namespace(), format!("deployment/{NAME}"));
    let narrow = ["exec", "--namespace", namespace, &deployment, "--container", "link", "--", "sh", "/link/narrow"];
    let asks = |found: Option<&Deployment>| {
        found.and_then(|found| found.spec.as_ref()).and_then(|spec| spec.replicas).is_some_and(|replicas| replicas > 1)
    };
    let calm = deployments.get(NAME).await.map_err(request("reading the Deployment"))?;
    assert!(!asks(Some(&calm)), "got more pods before the link is narrow, expected one: {calm:#?}");
    let scaled = wait_for(&deployments, NAME, "the autoscaler to ask for more pods", RAMP, asks);
    let (narrowed, scaled) = tokio::join!(product.kubectl(&narrow), scaled);
    narrowed?;
    scaled?;
    let scaled = |found: Option<&HorizontalPodAutoscaler>| {
        let time = found.and_then(|found| found.status.as_ref()).and_then(|status| status.last_scale_time.clone());
        time.map(|time| time.0.as_second())
    };
    let autoscaler = wait_for(&autoscalers, NAME, "the time of it", STARTED, |found| scaled(found).is_some()).await?;
    let scaled = scaled(autoscaler.as_ref()).unwrap();

    // The connections that there are stay where they are, so the warning comes true.
    let (alert, _) = alert_in(story, NAME, AlertState::Firing, RAMP).await?;
    let confirmed = |alert: Option<&PrecursorAlert>| {
        let status = alert.and_then(|alert| alert.status.as_ref());
        status.is_some_and(|status| condition(&status.conditions, "Confirmed") == "True" && status.lead.is_some())
    };
    let alerts: Api<PrecursorAlert> = story.api();
    let alert = wait_for(&alerts, &alert.name_any(), "the breach", RAMP, confirmed).await?.unwrap();
    let status = alert.status.unwrap();
    assert_eq!(status.trigger, Trigger::Forecast, "{status:#?}");
    let breach = breach(&status).unwrap();
    println!(
        "scaled {} s after the warning, {} s before the breach",
        scaled - status.fired_at.0.as_second(),
        breach - scaled
    );
    assert!(scaled < breach, "scaled at {scaled}, breached at {breach}: {status:#?}");
    wait_for(&deployments, NAME, "another pod to be ready", STARTED, |found| ready(found) > 1).await?;
    // The stories after this one find the cluster as they expect it.
    product.install(&[]).await
}

#[tokio::test]
#[ignore = "nightly: an autoscaler beside all else; E2E_STORIES=nightly make e2e"]
async fn a_deployment_is_scaled_before_its_rtt_breaches() {
    story("autoscaler", run).await;
}
