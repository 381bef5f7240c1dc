//! A Deployment whose pods are all in breach: one alert with the worst pod, and Events on the Deployment and that pod.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, events::v1::Event};
use kube::{Api, ResourceExt as _, api::PostParams, runtime::watcher::Config};
use netprecursor_crds::alert::{AlertState, MAX_PODS, PrecursorAlert};
use netprecursor_e2e::{
    Error,
    agent::Agent,
    cluster::{Story, story, tools_image, wait_for, wait_for_list},
    product::Product,
};
use serde_json::json;

use crate::{
    breach::{BREACH, CALM, calm_policy, set_threshold, warmed_up},
    shared::{alert_in, request},
};

/// Pods of the Deployment, more than an alert lists.
const PODS: u32 = 12;
/// Until all of them run.
const STARTED: Duration = Duration::from_secs(120);
/// From the breach to what is shown of it: the rule's hold, and pods that join one after the other.
const SHOWN: Duration = Duration::from_secs(60);

/// A Deployment of clients on one node, each of which keeps a connection busy.
async fn clients(story: &Story, node: &str, url: &str) -> Result<Deployment, Error> {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "clients"},
        "spec": {
            "replicas": PODS,
            "selector": {"matchLabels": {"app": "clients"}},
            "template": {
                "metadata": {"labels": {"app": "clients"}},
                "spec": {
                    "nodeName": node, "terminationGracePeriodSeconds": 0,
                    "containers": [{
                        "name": "requests", "image": tools_image(), "imagePullPolicy": "IfNotPresent",
                        "command": ["/bin/sh", "-c", format!("while :; do wget -q -O /dev/null {url}; sleep 1; done")],
                    }],
                },
            },
        },
    });
    let deployments: Api<Deployment> = story.api();
    let deployment = serde_json::from_value(deployment).unwrap();
    deployments.create(&PostParams::default(), &deployment).await.map_err(request("creating the Deployment"))?;
    let is_there = |found: Option<&Deployment>| {
        let ready = found.and_then(|found| found.status.as_ref()).and_then(|status| status.ready_replicas);
        ready == i32::try_from(PODS).ok()
    };
    let started = wait_for(&deployments, "clients", "all pods of the Deployment", STARTED, is_there).await?;
    started.ok_or_else(|| Error::NoCluster("the Deployment vanished".to_owned()))
}

#[tokio::test]
#[ignore = "nightly: a Deployment of twelve pods; E2E_STORIES=nightly make e2e"]
async fn the_pods_of_a_deployment_in_breach_are_one_alert() {
    story("workloads", async |story| {
        let product = Product::new(story.cluster());
        product.install(&[]).await?;
        let workers = story.cluster().workers().await?;
        let (near, far) = (workers[0].clone(), workers[workers.len() - 1].clone());
        let server = story.server("web", Some(&far)).await?;
        calm_policy(story, "clients").await?;
        product.agents_ready().await?;
        let deployment = clients(story, &near, &server.url()).await?;
        let agent = Agent::ready_on(story.cluster(), &near, &[]).await?;
        warmed_up(&agent, story, PODS as usize).await?;

        let begun = set_threshold(story, "clients", BREACH).await?;
        let (first, _) = alert_in(story, "clients", AlertState::Firing, SHOWN).await?;
        println!("the first pod is shown after {:?}", begun.elapsed());
        let alerts: Api<PrecursorAlert> = story.api();
        let all = |alert: Option<&PrecursorAlert>| {
            let status = alert.and_then(|alert| alert.status.as_ref());
            status.is_some_and(|status| status.firing_pod_count == Some(PODS))
        };
        let name = first.name_any();
        let alert = wait_for(&alerts, &name, "all pods to be part of the alert", SHOWN, all).await?.unwrap();
        println!("all {PODS} after {:?}", begun.elapsed());
        let found = alerts.list(&Default::default()).await.map_err(request("listing alerts"))?.items;
        assert_eq!(found.len(), 1, "{:?}", found.iter().map(|alert| alert.name_any()).collect::<Vec<_>>());
        let workload = alert.spec.workload_ref.as_ref().unwrap();
        assert_eq!((&*workload.kind, &*workload.name), ("Deployment", "clients"));
        let status = alert.status.as_ref().unwrap();
        assert_eq!((status.pods.len(), status.count), (MAX_PODS, 1), "{status:#?}");
        assert!(status.pods[0].name.starts_with("clients-"), "{status:#?}");
        println!("{}", product.kubectl(&["get", "precursoralerts", "--namespace", story.namespace()]).await?);

        let events: Api<Event> = story.api();
        let on = |event: &Event| {
            let regarding = event.regarding.clone().unwrap_or_default();
            (regarding.kind.unwrap_or_default(), regarding.uid.unwrap_or_default())
        };
        let config = || Config::default().fields("reportingController=netprecursor.io/agent");
        let fired = [("Deployment".to_owned(), deployment.uid().unwrap_or_default())];
        wait_for_list(&events, config(), "an Event on the Deployment and one on a pod", SHOWN, |events| {
            let found: Vec<(String, String)> = events.iter().map(|event| on(event)).collect();
            (fired.iter().all(|wanted| found.contains(wanted)) && found.iter().any(|(kind, _)| kind == "Pod"))
                .then_some(())
        })
        .await?;
        // Where its owner would look for it.
        let described =
            product.kubectl(&["describe", "deployment", "clients", "--namespace", story.namespace()]).await?;
        assert!(described.contains("RttBreach"), "{described}");

        let repaired = set_threshold(story, "clients", CALM).await?;
        let (over, _) = alert_in(story, "clients", AlertState::Resolved, SHOWN).await?;
        println!("over {:?} after the repair", repaired.elapsed());
        assert_eq!((over.name_any(), over.status.unwrap().firing_pod_count), (name, Some(0)));
        // An object and two Events for each of both transitions, whatever the number of pods.
        wait_for_list(&events, config(), "four Events", SHOWN, |events| (events.len() >= 4).then_some(())).await?;
        let events = events.list(&Default::default()).await.map_err(request("listing Events"))?.items;
        let ours = events.iter().filter(|event| event.reporting_controller.as_deref() == Some("netprecursor.io/agent"));
        assert_eq!(ours.count(), 4);
        Ok::<_, Error>(())
    })
    .await;
}
