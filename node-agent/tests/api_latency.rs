//! From the decision to what a watch of alerts shows, before a real API server.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

mod sinks;

use std::{sync::Arc, time::Duration};

use kube::{
    Api, Client,
    api::PostParams,
    runtime::{conditions, wait::await_condition},
};
use netprecursor_agent::publish::{
    kubernetes::{self, Settings},
    queue::Limits,
};
use netprecursor_core::alert::{AlertState, PolicyRef};
use netprecursor_crds::{PrecursorAlert, PrecursorPolicy};
use netprecursor_e2e::{ApiServer, Version};
use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout},
};

/// Agents, one after the other, each with its own budget of writes.
const AGENTS: usize = 13;
/// Alerts that fit into what one agent may write at once: object, status and Event of each.
const ALERTS: usize = 8;
/// Not an aim: what takes longer has got lost.
const LIMIT: Duration = Duration::from_secs(60);

async fn create<K>(client: &Client, namespace: Option<&str>, object: serde_json::Value) -> K
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    let api: Api<kube::api::DynamicObject> = {
        let resource = kube::api::ApiResource::erase::<K>(&());
        match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        }
    };
    let object = serde_json::from_value(object).unwrap();
    let made = api.create(&PostParams::default(), &object).await.unwrap();
    serde_json::from_value(serde_json::to_value(made).unwrap()).unwrap()
}

async fn policy(client: &Client) -> PolicyRef {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

    for definition in netprecursor_crds::schema::definitions().unwrap() {
        let api: Api<CustomResourceDefinition> = Api::all(client.clone());
        let name = api.create(&PostParams::default(), &definition).await.unwrap().metadata.name.unwrap();
        timeout(LIMIT, await_condition(api, &name, conditions::is_crd_established())).await.unwrap().unwrap();
    }
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    create::<k8s_openapi::api::core::v1::Namespace>(client, None, namespace).await;
    let policy: PrecursorPolicy = create(client, Some("shop"), sinks::checkout::policy()).await;
    sinks::reference(&policy.metadata.uid.unwrap())
}

#[tokio::test]
async fn api_alerts_within_the_budget_are_visible_soon_after_the_decision() {
    let server = ApiServer::start(Version::DEFAULT).await.unwrap();
    let client = server.client().await.unwrap();
    let policy = policy(&client).await;
    let alerts: Api<PrecursorAlert> = Api::namespaced(client.clone(), "shop");
    let mut took = Vec::new();
    for agent in 0..AGENTS {
        let node = format!("node-{agent}");
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}});
        create::<k8s_openapi::api::core::v1::Node>(&client, None, object).await;
        let state = tempfile::tempdir().unwrap();
        let (transitions, received) = mpsc::channel(16);
        let (_report, reported) = watch::channel(Arc::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let settings = Settings {
            node,
            instance: format!("agent-{agent}"),
            state_dir: state.path().to_owned(),
            limits: Limits::default(),
            share_file: None,
            kernel: "6.18.4".to_owned(),
        };
        let ended = async move { drop(stopped.await) };
        let own = server.client().await.unwrap();
        let publishing =
            tokio::spawn(kubernetes::publish(own, settings, received, reported, kubernetes::board(), ended));
        for number in 0..ALERTS {
            let alert = agent * ALERTS + number;
            let name = sinks::transitions::name(alert);
            let fires = |alert: Option<&PrecursorAlert>| {
                let status = alert.and_then(|alert| alert.status.as_ref());
                status.is_some_and(|status| status.state == AlertState::Firing)
            };
            let (seen, begun) = (await_condition(alerts.clone(), &name, fires), Instant::now());
            transitions.send(sinks::transitions::transition(&policy, alert, 1, AlertState::Firing)).await.unwrap();
            timeout(LIMIT, seen).await.unwrap().unwrap();
            took.push(begun.elapsed());
        }
        stop.send(()).unwrap();
        publishing.await.unwrap();
    }
    took.sort();
    let share = |percent: usize| took[(took.len() * percent).div_ceil(100) - 1];
    println!(
        "decision to visible by watch, {} alerts: median {:?}, p99 {:?}, at most {:?}",
        took.len(),
        share(50),
        share(99),
        share(100)
    );
    assert_eq!(alerts.list(&Default::default()).await.unwrap().items.len(), AGENTS * ALERTS);
}
