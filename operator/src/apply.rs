//! Does one [`Write`], as one request, and says what is known by its answer.

use std::time::Duration;

use k8s_openapi::api::{core::v1::ConfigMap, events::v1::Event};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, ValidationDirective},
    core::{DeserializeGuard, PartialObjectMeta},
};
use netprecursor_crds::{PrecursorAlert, PrecursorNodeReport, alert::PolicyKind};
use netprecursor_kit::Failure;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    agents::share,
    config::Settings,
    models,
    observe::{self, Key, Mirror, Observed, RawDaemonSet, Reverted, Seen, Sight, Wire, watch::Change},
    owned::MANAGER,
    plan::{Deletion, Write},
};

/// For one request.
const REQUEST: Duration = Duration::from_secs(10);

/// What it means that an alert is firing after it was resolved.
const OLD_DEFINITION: &str = "the API server ignored the alert's status, because the definition of PrecursorAlert is of an \
    earlier release and has a status subresource; expected this release's: upgrade the release with crds.enabled=true, or run \
    `kubectl apply --server-side -f deploy/kustomize/crds.yaml`";

/// Why a write was not done.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The object is not what was seen: plan again by what it is now.
    #[error("the object has changed: {0}")]
    Outdated(String),
    /// As it is, the API server never takes it.
    #[error("the API server refused the request: {0}")]
    Refused(String),
    /// Not now.
    #[error("the API server cannot serve the request now: {message}")]
    Unavailable {
        /// Why.
        message: String,
        /// When the API server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// No answer in time; it may have been done.
    #[error("the API server did not respond within {0:?}")]
    TimedOut(Duration),
    /// Another operator leads.
    #[error("another operator is the leader")]
    NotLeading,
}

/// Does a write within `left`.
///
/// # Errors
/// Why it was not done, or may not have been.
pub async fn apply(client: &Client, settings: &Settings, write: Write, left: Duration) -> Result<Change, ApplyError> {
    let limit = REQUEST.min(left);
    let doing = request(client, settings, write);
    tokio::time::timeout(limit, doing).await.unwrap_or(Err(ApplyError::TimedOut(limit)))
}

async fn request(client: &Client, settings: &Settings, write: Write) -> Result<Change, ApplyError> {
    let client = client.clone();
    let own = settings.namespace.as_str();
    match write {
        Write::PublishModel { sha256, payload, anchor } => {
            let manifest = models::manifest(settings, &anchor, &sha256, &payload);
            let object = apply_object::<ConfigMap>(Api::namespaced(client, own), &manifest).await?;
            // The bytes are not of interest any more.
            let object = PartialObjectMeta::<ConfigMap> { metadata: object.metadata, ..PartialObjectMeta::default() };
            Ok(taken(observe::seen(object, models::reduce), |observed| &mut observed.copies))
        }
        Write::DeleteModel { key, uid } => {
            delete::<ConfigMap>(Api::namespaced(client, own), &key, &uid, None).await?;
            Ok(deleted(key, |observed| &mut observed.copies))
        }
        Write::DealShare { manifest } => {
            let object = apply_object::<ConfigMap>(Api::namespaced(client, own), &manifest).await?;
            Ok(taken(observe::seen(object, share::dealt), |observed| &mut observed.shares))
        }
        Write::ApplyAgents { manifest, reverts } => {
            let object = apply_object::<RawDaemonSet>(Api::namespaced(client, own), &manifest).await?;
            let (key, seen) = observe::seen(object, observe::daemon_set);
            let place = seen.as_ref().map(|seen| (seen.uid.clone(), seen.version));
            let reverted = place.zip(reverts).map(|((uid, version), change)| Reverted { uid, version, change });
            let take = taken((key, seen), |observed| &mut observed.daemon_sets);
            Ok(Box::new(move |observed| {
                take(observed);
                observed.reverted = reverted.or_else(|| observed.reverted.take());
            }))
        }
        Write::RecordEvent { event } => {
            let event: Event = serde_json::from_value(event).map_err(|error| ApplyError::Refused(error.to_string()))?;
            match Api::<Event>::namespaced(client, own).create(&PostParams::default(), &event).await {
                Ok(_) => {}
                // The answer to the first request was lost.
                Err(error) if Failure::from(&error) == Failure::Exists => {}
                Err(error) => return Err(failed(&error)),
            }
            Ok(Box::new(|observed| observed.reverted = None))
        }
        Write::DeleteAgents { key, uid } => {
            delete::<RawDaemonSet>(Api::namespaced(client, own), &key, &uid, None).await?;
            // Its pods go in the background: until the watch says that it is gone, it is on its way.
            Ok(Box::new(|_| ()))
        }
        Write::ResolveAlert { key, status, .. } => {
            let api = Api::namespaced(client, &key.namespace);
            let object = apply_object::<DeserializeGuard<PrecursorAlert>>(api, &status).await?;
            let (key, seen) = observe::seen(object, observe::alert::reduce);
            if seen.as_ref().is_some_and(|seen| seen.value.is_firing()) {
                return Err(ApplyError::Refused(OLD_DEFINITION.to_owned()));
            }
            Ok(taken((key, seen), |observed| &mut observed.alerts))
        }
        Write::DeleteAlert { key, uid, version, reason } => {
            let api: Api<PrecursorAlert> = Api::namespaced(client, &key.namespace);
            delete(api, &key, &uid, (version > 0).then_some(version)).await?;
            Ok(Box::new(move |observed| {
                if let Deletion::OverCap { policy } = reason {
                    *observed.over_cap.entry(policy).or_default() += 1;
                }
                observed.alerts.take(Sight::Deleted(key));
            }))
        }
        Write::PolicyStatus { kind, key, uid, status } => {
            let body = json!({
                "apiVersion": netprecursor_crds::policy::API_VERSION,
                "kind": kind.name(),
                "metadata": metadata(&key, &uid),
                "status": status,
            });
            match kind {
                PolicyKind::Namespaced => {
                    let api = Api::namespaced(client, &key.namespace);
                    apply_status(api, key, &body, observe::policy::namespaced, |observed| &mut observed.policies).await
                }
                PolicyKind::Cluster => {
                    let reduce = observe::policy::cluster;
                    apply_status(Api::all(client), key, &body, reduce, |observed| &mut observed.cluster_policies).await
                }
            }
        }
        Write::DeleteReport { key, uid } => {
            delete::<PrecursorNodeReport>(Api::all(client), &key, &uid, None).await?;
            Ok(deleted(key, |observed| &mut observed.reports))
        }
        Write::DeleteScores { key, uid } => {
            delete::<ConfigMap>(Api::namespaced(client, own), &key, &uid, None).await?;
            Ok(Box::new(|_| ()))
        }
        Write::KeepScores { shard, manifest } => {
            apply_object::<ConfigMap>(Api::namespaced(client, own), &manifest).await?;
            Ok(Box::new(move |observed| observed.ledger.kept(shard)))
        }
    }
}

fn metadata(key: &Key, uid: &str) -> Value {
    // With the UID, so that a namesake that came in between is not taken for the one that was seen.
    let mut metadata = json!({"name": key.name, "uid": uid});
    if !key.namespace.is_empty() {
        metadata["namespace"] = key.namespace.as_str().into();
    }
    metadata
}

fn taken<T: Send + 'static>(
    (key, seen): (Key, Option<Seen<T>>),
    mirror: fn(&mut Observed) -> &mut Mirror<T>,
) -> Change {
    Box::new(move |observed| {
        if let Some(seen) = seen {
            mirror(observed).take(Sight::Applied(key, seen));
        }
    })
}

fn deleted<T: 'static>(key: Key, mirror: fn(&mut Observed) -> &mut Mirror<T>) -> Change {
    Box::new(move |observed| mirror(observed).take(Sight::Deleted(key)))
}

fn params() -> PatchParams {
    // Forced: what we own is ours, and an agent's alert is resolved over its head. Strict: a typing error in what the
    // chart passes on is reported, not dropped.
    PatchParams::apply(MANAGER).force().validation(ValidationDirective::Strict)
}

async fn apply_object<W: Wire>(api: Api<W>, manifest: &Value) -> Result<W, ApplyError> {
    let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
    api.patch(name, &params(), &Patch::Apply(manifest)).await.map_err(|error| failed(&error))
}

/// Applies a status, unless the object is gone.
async fn apply_status<W: Wire, T: Send + 'static>(
    api: Api<W>,
    key: Key,
    body: &Value,
    reduce: fn(W) -> Option<T>,
    mirror: fn(&mut Observed) -> &mut Mirror<T>,
) -> Result<Change, ApplyError> {
    match api.patch_status(&key.name, &params(), &Patch::Apply(body)).await {
        Ok(object) => Ok(taken(observe::seen(object, reduce), mirror)),
        Err(error) if Failure::from(&error) == Failure::Missing => Ok(deleted(key, mirror)),
        Err(error) => Err(failed(&error)),
    }
}

async fn delete<W: Clone + DeserializeOwned + std::fmt::Debug>(
    api: Api<W>,
    key: &Key,
    uid: &str,
    version: Option<u64>,
) -> Result<(), ApplyError> {
    let preconditions =
        Preconditions { uid: Some(uid.to_owned()), resource_version: version.map(|version| version.to_string()) };
    match api.delete(&key.name, &DeleteParams::background().preconditions(preconditions)).await {
        Ok(_) => Ok(()),
        Err(error) if Failure::from(&error) == Failure::Missing => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &kube::Error) -> ApplyError {
    let words = Failure::words(error);
    match Failure::from(error) {
        Failure::Conflict | Failure::Exists => ApplyError::Outdated(words),
        // A missing right, and a namespace or a parent that is on its way out: both last.
        Failure::Missing | Failure::Forbidden | Failure::Ending | Failure::Invalid => ApplyError::Refused(words),
        Failure::Busy { retry_after } => ApplyError::Unavailable { message: words, retry_after },
        Failure::Refused | Failure::Garbled | Failure::Unanswered => {
            ApplyError::Unavailable { message: words, retry_after: None }
        }
    }
}
