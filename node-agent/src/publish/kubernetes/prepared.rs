//! A message as the requests that it takes, ready to be sent while the queue keeps changing.

use bytes::Bytes;
use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Node, events::v1::Event};
use kube::{
    Client, Resource,
    api::{GetParams, ListParams, Patch, PatchParams, PostParams},
    core::Request,
};
use netprecursor_core::{
    alert::{PolicyRef, Subject},
    policy::Kind,
};
use netprecursor_crds::{
    alert::PrecursorAlert,
    policy::{ClusterPrecursorPolicy, PrecursorPolicy},
    report::{PrecursorNodeReport, PrecursorNodeReportStatus},
};
use serde_json::Value;

use super::{FIELD_MANAGER, Settings, alerts, events, report, request};
use crate::publish::queue::{EventKey, Op, Outcome, entry::Entry};

type Http = Result<http::Request<Vec<u8>>, kube::core::request::Error>;

/// The requests of one message.
#[derive(Debug)]
pub(super) enum Prepared {
    /// One.
    One(Http),
    /// One that writes an alert that is there.
    Alert {
        /// Writes it.
        write: Box<Http>,
    },
    /// One that makes sense only while the owner is there: objects of owners that are gone would be made and collected.
    Owned {
        /// Lists the owner by name.
        owner: Box<Http>,
        /// The UID that it must have.
        uid: String,
        /// Makes the alert.
        make: Box<Http>,
    },
    /// The report's object needs the UID of the node.
    ReportObject {
        /// Gets the node.
        get: Http,
        /// The node's name.
        node: String,
    },
    /// An Event on a Deployment, whose UID only the ReplicaSet knows.
    OnController {
        /// Gets the ReplicaSet.
        get: Box<Http>,
        /// The Event, as it is if that cannot be had.
        event: Box<Event>,
    },
    /// What it was about is gone.
    Nothing,
}

impl Prepared {
    /// There is nothing left to publish.
    pub(super) const fn nothing() -> Self {
        Self::Nothing
    }

    /// The requests of `op` on the alert of `entry`.
    pub(super) fn alert(op: &Op, entry: &Entry, settings: &Settings) -> Self {
        let alert = &entry.alert;
        // The queue takes no alert without a subject.
        let Some(subject) = alert.subject.as_deref() else { return Self::Nothing };
        let Subject { policy, pod } = subject;
        let url = Request::new(PrecursorAlert::url_path(&(), Some(&pod.namespace)));
        match op {
            Op::Object { .. } => {
                let known = entry.object.as_deref().filter(|uid| !uid.is_empty());
                let object = alerts::object(alert, subject, &settings.node, known);
                let write = Box::new(url.patch(&alert.name, &apply(), &Patch::Apply(object)));
                match known {
                    Some(_) => Self::Alert { write },
                    None => Self::Owned {
                        owner: Box::new(owner(policy, &pod.namespace)),
                        uid: policy.uid.clone(),
                        make: write,
                    },
                }
            }
            Op::Event { key, .. } => {
                let Some(pending) = entry.events.iter().find(|pending| EventKey::of(pending) == *key) else {
                    return Self::Nothing;
                };
                let event = events::event(entry, subject, pending, &settings.instance);
                match events::replica_set(pending) {
                    Some(name) => {
                        let url = Request::new(ReplicaSet::url_path(&(), Some(&pod.namespace)));
                        let get = Box::new(url.get_metadata(name, &GetParams::default()));
                        Self::OnController { get, event: Box::new(event) }
                    }
                    None => Self::One(create(&event)),
                }
            }
        }
    }

    /// The requests that make the report's object.
    pub(super) fn report_object(node: &str) -> Self {
        let url = Request::new(Node::url_path(&(), None));
        Self::ReportObject { get: url.get_metadata(node, &GetParams::default()), node: node.to_owned() }
    }

    /// The request that writes the report.
    pub(super) fn report(node: &str, status: &PrecursorNodeReportStatus) -> Self {
        let url = Request::new(PrecursorNodeReport::url_path(&(), None));
        Self::One(url.patch_subresource("status", node, &apply(), &Patch::Apply(report::with_status(node, status))))
    }

    /// Sends them one after the other, until one fails.
    pub(super) async fn send(self, client: &Client) -> Outcome {
        match self {
            Self::Nothing => Outcome::Done { uid: None },
            Self::One(http) => request::send(client, http).await.0,
            Self::Alert { write } => written(request::send(client, *write).await),
            Self::Owned { owner, uid, make } => {
                let (outcome, body) = request::send(client, *owner).await;
                match outcome {
                    Outcome::Done { .. } if uids(&body).any(|found| found == uid) => {
                        written(request::send(client, *make).await)
                    }
                    Outcome::Done { .. } | Outcome::Missing => Outcome::Gone,
                    failed => failed,
                }
            }
            Self::OnController { get, mut event } => {
                match request::send(client, *get).await {
                    (down @ Outcome::Down { .. }, _) => return down,
                    // Refused or gone: the Event has the workload's name all the same.
                    (_, body) => events::put_on_controller(&mut event, &request::metadata(&body)),
                }
                request::send(client, create(&event)).await.0
            }
            Self::ReportObject { get, node } => match request::send(client, get).await.0 {
                Outcome::Done { uid: Some(uid) } => {
                    let url = Request::new(PrecursorNodeReport::url_path(&(), None));
                    request::send(client, url.patch(&node, &apply(), &Patch::Apply(report::object(&node, &uid))))
                        .await
                        .0
                }
                Outcome::Done { uid: None } | Outcome::Missing => {
                    Outcome::Failed { reason: format!("node {node} is not in the API: expected its name in NODE_NAME") }
                }
                failed => failed,
            },
        }
    }
}

/// Makes an Event.
fn create(event: &Event) -> Http {
    let namespace = event.metadata.namespace.as_deref();
    let body = serde_json::to_vec(event).map_err(kube::core::request::Error::SerializeBody)?;
    let by = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), dry_run: false };
    Request::new(Event::url_path(&(), namespace)).create(&by, body)
}

/// The outcome of writing an alert. A definition with a status subresource, as earlier releases had it, takes an alert and
/// drops its status without a word.
fn written((outcome, body): (Outcome, Bytes)) -> Outcome {
    let has_status = || serde_json::from_slice::<Value>(&body).is_ok_and(|alert| alert["status"]["state"].is_string());
    match outcome {
        Outcome::Done { .. } if !has_status() => Outcome::Failed {
            reason: "the API server took an alert without its status: the definition of precursoralerts is not the one of this \
                     release; upgrade it with the chart"
                .to_owned(),
        },
        outcome => outcome,
    }
}

/// Server-side apply; what others wrote into the agent's fields is written over, as it is the one writer.
fn apply() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

/// Lists the policy by name: agents may list policies anyway, so that `get` need not be granted.
fn owner(policy: &PolicyRef, namespace: &str) -> Http {
    let url = match policy.kind {
        Kind::Cluster => ClusterPrecursorPolicy::url_path(&(), None),
        Kind::Namespaced => PrecursorPolicy::url_path(&(), Some(namespace)),
    };
    let named = ListParams::default().fields(&format!("metadata.name={}", policy.name)).limit(1);
    Request::new(url).list_metadata(&named)
}

/// UIDs of the items of a list.
fn uids(body: &[u8]) -> impl Iterator<Item = String> {
    let list: Value = serde_json::from_slice(body).unwrap_or_default();
    let items = list.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    items.into_iter().filter_map(|item| Some(item.get("metadata")?.get("uid")?.as_str()?.to_owned()))
}
