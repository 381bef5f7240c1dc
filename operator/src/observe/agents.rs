//! What the plan needs of the agents: their DaemonSet as a whole, of each pod whether it works, and why none was made.

use std::{borrow::Cow, net::IpAddr};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{Event, Pod},
};
use kube::{
    Resource,
    core::{DeserializeGuard, ObjectMeta},
};
use netprecursor_crds::{ConditionStatus, diagnosis::node};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::network;
use crate::owned;

/// The DaemonSet as it comes: fields that this build does not know are compared as well.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct RawDaemonSet {
    metadata: ObjectMeta,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The agents' DaemonSet.
#[derive(Debug, Clone, PartialEq)]
pub struct Agents {
    /// All of it, except who manages which field.
    pub object: Value,
    /// When it was last applied.
    pub applied: Option<Timestamp>,
    /// Whether it is on its way out.
    pub is_going: bool,
    /// Whether its controller has seen the newest spec.
    pub is_current: bool,
    /// Nodes that should have an agent.
    pub wanted: i64,
    /// Nodes that have one, working or not.
    pub scheduled: i64,
    /// Nodes that have one of the newest spec.
    pub updated: i64,
    /// Nodes whose agent works.
    pub ready: i64,
}

/// An agent's pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentPod {
    /// Its node, or the one that it waits for; empty where that is not known.
    pub node: String,
    /// Its addresses; empty until it has some, and on the host's network.
    pub addresses: Vec<IpAddr>,
    /// Whether it works.
    pub is_ready: bool,
    /// Since when it does or does not.
    pub since: Option<Timestamp>,
    /// Why it does not, as far as Kubernetes reports.
    pub trouble: Option<String>,
}

/// A pod that could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// When it last happened.
    pub at: Timestamp,
    /// Why.
    pub message: String,
}

impl Resource for RawDaemonSet {
    type DynamicType = ();
    type Scope = <DaemonSet as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        DaemonSet::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        DaemonSet::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        DaemonSet::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        DaemonSet::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// What is kept of the DaemonSet.
pub fn daemon_set(mut object: RawDaemonSet) -> Option<Agents> {
    let applied = owned::applied(&object.metadata.managed_fields.take().unwrap_or_default());
    let generation = object.metadata.generation;
    let is_going = object.metadata.deletion_timestamp.is_some();
    let mut object = serde_json::to_value(&object).ok()?;
    // Lists leave out what kind their items are.
    object["apiVersion"] = "apps/v1".into();
    object["kind"] = "DaemonSet".into();
    let number = |name: &str| object["status"][name].as_i64().unwrap_or(0);
    Some(Agents {
        applied,
        is_going,
        is_current: generation.is_some_and(|generation| number("observedGeneration") >= generation),
        wanted: number("desiredNumberScheduled"),
        scheduled: number("currentNumberScheduled"),
        updated: number("updatedNumberScheduled"),
        ready: number("numberReady"),
        object,
    })
}

/// What is kept of an agent's pod.
pub(super) fn pod(object: DeserializeGuard<Pod>) -> Option<AgentPod> {
    let object = object.0.ok()?;
    let is_going = object.metadata.deletion_timestamp.is_some();
    let is_on_host = object.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or(false);
    let status = object.status.unwrap_or_default();
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready");
    let unscheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == ConditionStatus::False);
    let waiting = status.container_statuses.iter().flatten().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.clone()?;
        Some(waiting.message.as_ref().map_or_else(|| reason.clone(), |message| format!("{reason}: {message}")))
    });
    Some(AgentPod {
        node: object.spec.as_ref().and_then(node::of_pod).unwrap_or_default().to_owned(),
        addresses: if is_on_host { Vec::new() } else { network::of_pod(&status) },
        is_ready: !is_going && ready.is_some_and(|condition| condition.status == ConditionStatus::True),
        since: ready.and_then(|condition| condition.last_transition_time.as_ref()).map(|time| time.0),
        trouble: waiting.or_else(|| unscheduled?.message.clone()),
    })
}

/// What is kept of an Event about a pod that could not be made.
pub(super) fn failure(object: DeserializeGuard<Event>) -> Option<Failure> {
    let object = object.0.ok()?;
    let series = object.series.and_then(|series| series.last_observed_time).map(|time| time.0);
    let times = [series, object.last_timestamp.map(|time| time.0), object.event_time.map(|time| time.0)];
    Some(Failure { at: times.into_iter().flatten().max()?, message: object.message? })
}
