//! Watches what the dashboard shows. Who may not list a kind in all namespaces watches it in one.

use std::{fmt::Debug, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Resource,
    core::{ClusterResourceScope, DeserializeGuard, NamespaceResourceScope},
    runtime::watcher,
};
use netprecursor_crds::{ClusterPrecursorPolicy, PrecursorAlert, PrecursorNodeReport, PrecursorPolicy};
use netprecursor_kit::{Change, Failure, Watch, watch::Wire};
use tokio::sync::mpsc;

use super::mirrors::{Mirrors, Trouble, Watched};
use crate::kubectl::{
    connect::{AGENTS, Cluster, ClusterError},
    forward::chain,
    installed::Installed,
};

/// How long a watch lasts, s.
const WATCH_SECONDS: u32 = 270;

/// How often the rest of the installation is asked for, and how long after a failure.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_secs(15);

type Changes = mpsc::Sender<Change<Mirrors>>;

/// Where the watched objects of a kind are.
type Of<K> = fn(&mut Mirrors) -> &mut Watched<K>;

/// Watches policies, alerts and node reports, without end: in `only`, or in all namespaces as far as that is permitted, else
/// in `own`.
pub(super) async fn objects(client: &Client, only: Option<&str>, own: &str, changes: &Changes) {
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    let policies: Of<PrecursorPolicy> = |mirrors| &mut mirrors.policies;
    let cluster_policies: Of<ClusterPrecursorPolicy> = |mirrors| &mut mirrors.cluster_policies;
    let alerts: Of<PrecursorAlert> = |mirrors| &mut mirrors.alerts;
    let reports: Of<PrecursorNodeReport> = |mirrors| &mut mirrors.reports;
    tokio::join!(
        watch(scopes(client, only, own), config.clone(), policies, changes),
        watch(vec![whole(client)], config.clone(), cluster_policies, changes),
        watch(scopes(client, only, own), config.clone(), alerts, changes),
        watch(vec![whole(client)], config, reports, changes),
    );
}

fn scopes<K>(client: &Client, only: Option<&str>, own: &str) -> Vec<Api<DeserializeGuard<K>>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match only {
        Some(namespace) => vec![Api::namespaced(client.clone(), namespace)],
        None => vec![Api::all(client.clone()), Api::namespaced(client.clone(), own)],
    }
}

fn whole<K>(client: &Client) -> Api<DeserializeGuard<K>>
where
    K: Resource<Scope = ClusterResourceScope, DynamicType = ()>,
{
    Api::all(client.clone())
}

/// Watches the agents' pods, and asks for the rest of the installation now and then, without end.
pub(super) async fn installation(cluster: &Cluster, client: &Client, changes: &Changes) {
    let namespace = loop {
        match cluster.installation().await {
            Ok(installation) => break installation.namespace,
            Err(error) => unseen(&error, changes).await,
        }
    };
    let config = watcher::Config::default().timeout(WATCH_SECONDS).labels(AGENTS);
    let pods: Of<Pod> = |mirrors| &mut mirrors.agents;
    let pods = watch(vec![Api::namespaced(client.clone(), &namespace)], config, pods, changes);
    let look = async {
        loop {
            match Installed::ask(cluster).await {
                Ok(installed) => {
                    let change: Change<Mirrors> = Box::new(move |mirrors: &mut Mirrors| {
                        (mirrors.installed, mirrors.unseen) = (Some(installed), None);
                    });
                    if changes.send(change).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Err(error) => unseen(&error, changes).await,
            }
        }
    };
    tokio::join!(pods, look);
}

/// Says that the installation cannot be seen, and waits.
async fn unseen(error: &ClusterError, changes: &Changes) {
    let words = chain(error);
    let change: Change<Mirrors> = Box::new(move |mirrors: &mut Mirrors| mirrors.unseen = Some(words));
    // Nobody to hear it is the end of the program.
    let _ = changes.send(change).await;
    tokio::time::sleep(AGAIN).await;
}

/// Watches a kind in the first of the scopes that is permitted, without end.
async fn watch<K>(scopes: Vec<Api<DeserializeGuard<K>>>, config: watcher::Config, of: Of<K>, changes: &Changes)
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    DeserializeGuard<K>: Wire,
{
    let last = scopes.len().saturating_sub(1);
    for (at, api) in scopes.into_iter().enumerate() {
        let may_narrow = at < last;
        let (narrow, mut narrowed) = mpsc::channel::<String>(1);
        let failed = {
            let changes = changes.clone();
            move |error: &watcher::Error| fail(error, may_narrow.then_some(&narrow), of, &changes)
        };
        let read = |object: DeserializeGuard<K>| Some(object.0.map_err(|broken| broken.error));
        let take = move |sight| -> Change<Mirrors> { Box::new(move |mirrors: &mut Mirrors| of(mirrors).take(sight)) };
        let watch = Watch { kind: "object of the dashboard", api, config: config.clone(), read };
        tokio::select! {
            () = watch.follow_anew(take, failed, changes.clone()) => return,
            Some(words) = narrowed.recv() => {
                let change: Change<Mirrors> = Box::new(move |mirrors: &mut Mirrors| of(mirrors).narrowed = Some(words));
                // Nobody to hear it is the end of the program.
                let _ = changes.send(change).await;
            }
        }
    }
}

/// Says that a watch failed; where a right is missing and there is a narrower scope, that this is for `narrow` to take.
fn fail<K: 'static>(error: &watcher::Error, narrow: Option<&mpsc::Sender<String>>, of: Of<K>, changes: &Changes) {
    let Some(trouble) = Trouble::of(error, unix()) else { return };
    if let Some(narrow) = narrow.filter(|_| trouble.failure == Failure::Forbidden) {
        // Full: it is being narrowed already.
        let _ = narrow.try_send(trouble.words);
        return;
    }
    let change: Change<Mirrors> = Box::new(move |mirrors: &mut Mirrors| of(mirrors).fail(trouble));
    // Of a full queue the end is far: the next failure says it again.
    let _ = changes.try_send(change);
}

/// Now, Unix s. Before 1970 no clock is set.
fn unix() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}
