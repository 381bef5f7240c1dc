//! Follows policies, namespaces and this node's pods, and hands on what is desired. An API server that is away changes
//! nothing: what was known goes on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Namespace, Pod as PodObject};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::{WatchStreamExt, watcher},
};
use netprecursor_core::policy::Policy;
use netprecursor_crds::{ClusterPrecursorPolicy, PrecursorPolicy, Refusal};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio_stream::{Stream, StreamExt};

use super::{
    mirror::{Event, Key, Mirror, wanted_models},
    models::Shelf,
    pod::Pod,
};
use crate::desired::Desired;

/// Changes that wait to be taken in.
const CHANGES: usize = 256;
/// What changes together is handed on together.
const SETTLE: Duration = Duration::from_millis(50);
/// How long a watch lasts, in seconds: agents that started together do not begin anew together.
const WATCH_SECONDS: std::ops::RangeInclusive<u32> = 230..=290;

/// One event of one kind.
#[derive(Debug)]
enum Change {
    Policy(Event<Policy>),
    ClusterPolicy(Event<Policy>),
    Namespace(Event<netprecursor_core::policy::Labels>),
    Pod(Event<Pod>),
}

/// Follows the cluster until `desired` has no receiver left.
pub async fn follow(watches: Client, shelf: Shelf, node: &str, desired: watch::Sender<Arc<Desired>>) {
    let (sender, mut changes) = mpsc::channel(CHANGES);
    let config = || {
        let seconds = fastrand::u32(WATCH_SECONDS);
        watcher::Config::default().timeout(seconds)
    };
    let policies = Api::<DeserializeGuard<PrecursorPolicy>>::all(watches.clone());
    let cluster_policies = Api::<DeserializeGuard<ClusterPrecursorPolicy>>::all(watches.clone());
    let namespaces = Api::<PartialObjectMeta<Namespace>>::all(watches.clone());
    let pods = Api::<DeserializeGuard<PodObject>>::all(watches);
    let own = config().fields(&format!("spec.nodeName={node}"));
    let watching = [
        tokio::spawn(relay(watcher(policies, config()), policy::<PrecursorPolicy>, Change::Policy, sender.clone())),
        tokio::spawn(relay(
            watcher(cluster_policies, config()),
            policy::<ClusterPrecursorPolicy>,
            Change::ClusterPolicy,
            sender.clone(),
        )),
        tokio::spawn(relay(
            watcher(namespaces, config()),
            |namespace| Some(namespace.metadata.labels.unwrap_or_default()),
            Change::Namespace,
            sender.clone(),
        )),
        tokio::spawn(relay(
            watcher(pods, own),
            |pod| guarded(pod).and_then(|pod| Pod::read(&pod)),
            Change::Pod,
            sender,
        )),
    ];
    let mut mirror = Mirror::default();
    let (arrived, mut arrivals) = mpsc::channel(CHANGES);
    let mut shelf = shelf.with_arrivals(arrived);
    loop {
        tokio::select! {
            change = changes.recv() => match change {
                Some(change) => take_in(&mut mirror, change),
                None => break,
            },
            Some(arrival) = arrivals.recv() => shelf.put(arrival),
            () = desired.closed() => break,
        }
        tokio::time::sleep(SETTLE).await;
        while let Ok(change) = changes.try_recv() {
            take_in(&mut mirror, change);
        }
        while let Ok(arrival) = arrivals.try_recv() {
            shelf.put(arrival);
        }
        if mirror.is_synced() {
            let now = mirror.desired(&BTreeMap::new());
            shelf.want(wanted_models(&now));
            desired.send_replace(Arc::new(Desired { models: shelf.models(), ..now }));
        }
    }
    watching.iter().for_each(tokio::task::JoinHandle::abort);
}

fn take_in(mirror: &mut Mirror, change: Change) {
    match change {
        Change::Policy(event) => mirror.policies.apply(event),
        Change::ClusterPolicy(event) => mirror.cluster_policies.apply(event),
        Change::Namespace(event) => mirror.namespaces.apply(event),
        Change::Pod(event) => mirror.pods.apply(event),
    }
}

/// Hands on what a watch says, for ever. The watcher lists and watches anew after every error, with back-off.
async fn relay<K, V>(
    stream: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    read: impl Fn(K) -> Option<V> + Send,
    wrap: fn(Event<V>) -> Change,
    sender: mpsc::Sender<Change>,
) where
    K: Resource + Clone + Send + 'static,
    K::DynamicType: Default,
{
    let mut stream = std::pin::pin!(stream.default_backoff());
    let mut is_down = false;
    while let Some(event) = stream.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                // Once per outage.
                if !std::mem::replace(&mut is_down, true) {
                    let kind = K::kind(&K::DynamicType::default()).into_owned();
                    tracing::warn!(kind, error = %crate::error::chain(&error), "cannot watch; what is known goes on");
                }
                continue;
            }
        };
        if std::mem::take(&mut is_down) {
            tracing::info!(kind = %K::kind(&K::DynamicType::default()), "watching again");
        }
        let event = match event {
            watcher::Event::Init => Event::Init,
            watcher::Event::InitApply(object) => Event::InitApply(key(&object), read(object)),
            watcher::Event::InitDone => Event::InitDone,
            watcher::Event::Apply(object) => Event::Apply(key(&object), read(object)),
            watcher::Event::Delete(object) => Event::Delete(key(&object)),
        };
        if sender.send(wrap(event)).await.is_err() {
            return;
        }
    }
}

fn key(object: &impl ResourceExt) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// The object, if it can be read: one that cannot stops no other.
fn guarded<K: Resource + DeserializeOwned>(object: DeserializeGuard<K>) -> Option<K>
where
    K::DynamicType: Default,
{
    let (namespace, name) = key(&object);
    match object.0 {
        Ok(object) => Some(object),
        Err(invalid) => {
            let kind = K::kind(&K::DynamicType::default()).into_owned();
            tracing::warn!(kind, namespace, name, error = %invalid.error, "an object cannot be read and is left out");
            None
        }
    }
}

/// The policy, if it converts. The operator says on the object why it does not.
fn policy<K>(object: DeserializeGuard<K>) -> Option<Policy>
where
    K: Resource + DeserializeOwned,
    K::DynamicType: Default,
    for<'a> Policy: TryFrom<&'a K, Error = Refusal>,
{
    let object = guarded(object)?;
    Policy::try_from(&object)
        .inspect_err(|refusal| tracing::warn!(%refusal, "a policy is not understood and is left out"))
        .ok()
}
