//! Follows policies, namespaces, this node's pods and the networks of the cluster, and hands on what is desired. An API
//! server that is away changes nothing: the last known state stays in force.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Namespace, Pod as PodObject};
use kube::{
    Api, Client, Resource,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::watcher,
};
use netprecursor_core::policy::Policy;
use netprecursor_crds::{ClusterPrecursorPolicy, PrecursorPolicy, Refusal};
use netprecursor_kit::{self as kit, Change, Key, Sight, Watch};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, interval_at},
};

use super::{
    mirror::{Mirror, wanted_models},
    models::Shelf,
    networks::NetworksFile,
    pod::Pod,
    recall::Recall,
};
use crate::desired::Desired;

/// Changes that wait to be taken in.
const CHANGES: usize = 256;
/// What changes together is handed on together.
const SETTLE: Duration = Duration::from_millis(50);
/// What was dealt is looked at this often: the kubelet brings what is new within about a minute.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a watch lasts, in seconds: agents that started together do not reconnect together.
const WATCH_SECONDS: std::ops::RangeInclusive<u32> = 230..=290;

/// Follows the cluster until `desired` has no receiver left.
pub async fn follow(
    watches: Client,
    shelf: Shelf,
    mut recall: Recall,
    mut networks: NetworksFile,
    node: &str,
    desired: watch::Sender<Arc<Desired>>,
) {
    let (sender, mut changes) = mpsc::channel(CHANGES);
    let config = || {
        let seconds = fastrand::u32(WATCH_SECONDS);
        watcher::Config::default().timeout(seconds)
    };
    let own = config().fields(&format!("spec.nodeName={node}"));
    let mut tasks = JoinSet::new();
    let (kind, api) = ("PrecursorPolicy", Api::all(watches.clone()));
    let watch = Watch { kind, api, config: config(), read: policy::<PrecursorPolicy> };
    tasks.spawn(watch.follow(into(|mirror| &mut mirror.policies), |_| (), sender.clone()));
    let (kind, api) = ("ClusterPrecursorPolicy", Api::all(watches.clone()));
    let watch = Watch { kind, api, config: config(), read: policy::<ClusterPrecursorPolicy> };
    tasks.spawn(watch.follow(into(|mirror| &mut mirror.cluster_policies), |_| (), sender.clone()));
    let (kind, api) = ("Namespace", Api::all(watches.clone()));
    let read = |namespace: PartialObjectMeta<Namespace>| Some(namespace.metadata.labels.unwrap_or_default());
    let watch = Watch { kind, api, config: config(), read };
    tasks.spawn(watch.follow(into(|mirror| &mut mirror.namespaces), |_| (), sender.clone()));
    let read = |pod: DeserializeGuard<PodObject>| guarded(pod).and_then(|pod| Pod::read(&pod));
    let watch = Watch { kind: "Pod", api: Api::all(watches), config: own, read };
    tasks.spawn(watch.follow(into(|mirror| &mut mirror.pods), |_| (), sender));
    let mut mirror = Mirror::default();
    let (arrived, mut arrivals) = mpsc::channel(CHANGES);
    let mut shelf = shelf.with_arrivals(arrived);
    // Before anything is desired: a rule that needs them should not begin without.
    networks.read();
    let mut look = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    loop {
        tokio::select! {
            change = changes.recv() => match change {
                Some(change) => change(&mut mirror),
                None => break,
            },
            Some(arrival) = arrivals.recv() => shelf.put(arrival),
            _ = look.tick() => if !networks.read() { continue },
            () = desired.closed() => break,
        }
        tokio::time::sleep(SETTLE).await;
        while let Ok(change) = changes.try_recv() {
            change(&mut mirror);
        }
        while let Ok(arrival) = arrivals.try_recv() {
            shelf.put(arrival);
        }
        if mirror.is_synced() {
            let mut now = mirror.desired(&BTreeMap::new());
            recall.add_to(&mut now).await;
            shelf.want(wanted_models(&now));
            desired.send_replace(Arc::new(Desired { models: shelf.models(), networks: networks.networks(), ..now }));
        }
    }
}

/// Applies what a watch shows to its part of the mirror.
fn into<V: Send + 'static>(place: fn(&mut Mirror) -> &mut kit::Mirror<V>) -> impl Fn(Sight<V>) -> Change<Mirror> {
    move |sight| Box::new(move |mirror| place(mirror).take(sight))
}

/// The object, if it can be read: one that cannot stops no other.
fn guarded<K: Resource + DeserializeOwned>(object: DeserializeGuard<K>) -> Option<K>
where
    K::DynamicType: Default,
{
    let Key { namespace, name } = object.meta().into();
    match object.0 {
        Ok(object) => Some(object),
        Err(invalid) => {
            let kind = K::kind(&K::DynamicType::default()).into_owned();
            tracing::warn!(kind, namespace, name, error = %invalid.error, "cannot parse an object: it is ignored");
            None
        }
    }
}

/// The policy, if it converts. The operator reports on the object why it does not.
fn policy<K>(object: DeserializeGuard<K>) -> Option<Policy>
where
    K: Resource + DeserializeOwned,
    K::DynamicType: Default,
    for<'a> Policy: TryFrom<&'a K, Error = Refusal>,
{
    let object = guarded(object)?;
    Policy::try_from(&object).inspect_err(|refusal| tracing::warn!(%refusal, "cannot use a policy: it is ignored")).ok()
}
