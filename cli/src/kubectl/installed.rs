//! What can be seen of an installation: asked of the API server all at once, and made into what a diagnosis takes. What
//! may not be seen is hidden, never absent.

#[cfg(test)]
pub(super) mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    coordination::v1::Lease,
    core::v1::{Event, Node, Pod},
};
use kube::{Api, api::ListParams};
use netprecursor_crds::{
    ConditionStatus, PrecursorNodeReport,
    diagnosis::{
        Agents, Facts, Known, Node as NodeFacts, Operator, Place, Policy, agents::Set, node, operator, report,
    },
};

use serde::de::DeserializeOwned;

use super::connect::{AGENTS, Answer, Cluster, ClusterError, Installation, Listed};

/// Helm's name for what it installed.
const RELEASE: &str = "meta.helm.sh/release-name";

/// What was found out.
#[derive(Debug)]
pub(super) struct Installed {
    /// Where netprecursor is, or would be.
    pub(super) namespace: String,
    pub(super) operator: Answer<Deployment>,
    pub(super) lease: Known<Lease>,
    pub(super) agents: Answer<DaemonSet>,
    pub(super) failures: Known<Vec<Event>>,
    pub(super) pods: Known<Vec<Pod>>,
    pub(super) nodes: Known<Vec<Node>>,
    /// Absent where the cluster does not know the kind.
    pub(super) reports: Known<Vec<PrecursorNodeReport>>,
    /// What could not be found out, and matters to whoever wants to know how agents are.
    pub(super) notes: Vec<String>,
    /// The same, of what only administrators may see.
    pub(super) details: Vec<String>,
}

impl Installed {
    /// Of which nothing is known yet.
    pub(super) fn hidden(namespace: String) -> Self {
        Self {
            namespace,
            operator: Answer::Forbidden(String::new()),
            lease: Known::Hidden,
            agents: Answer::Forbidden(String::new()),
            failures: Known::Hidden,
            pods: Known::Hidden,
            nodes: Known::Hidden,
            reports: Known::Hidden,
            notes: Vec::new(),
            details: Vec::new(),
        }
    }

    /// Asks for all of it at once.
    pub(super) async fn ask(cluster: &Cluster) -> Result<Self, ClusterError> {
        let Installation { namespace, operator } = cluster.installation().await?;
        let name = operator.there().and_then(|operator| operator.metadata.name.clone());
        let (client, all, pods) = (&cluster.client, ListParams::default(), ListParams::default().labels(AGENTS));
        let leases: Api<Lease> = Api::namespaced(client.clone(), &namespace);
        let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
        let refused = ListParams::default().fields("involvedObject.kind=DaemonSet,reason=FailedCreate").limit(100);
        let (reports, nodes, agents_pods) =
            (cluster.global(), cluster.global(), Api::namespaced(client.clone(), &namespace));
        let (lease, agents, failures, pods, nodes, reports) = tokio::try_join!(
            // The chart names Deployment and Lease alike.
            named(cluster, &leases, name.clone()),
            cluster.daemon_set(&namespace),
            async { cluster.judge("list events", events.list(&refused).await) },
            cluster.list(&agents_pods, &pods),
            cluster.list(&nodes, &all),
            async {
                match cluster.list(&reports, &all).await {
                    Err(ClusterError::NotInstalled { .. }) => Ok(None),
                    listed => listed.map(Some),
                }
            },
        )?;
        let (mut notes, mut details) = (Vec::new(), Vec::new());
        if let Answer::Forbidden(message) = &agents {
            notes.push(format!("not permitted to list daemonsets in {namespace}: {message}"));
        }
        let failures = Some(failures.map(|list| list.items));
        let failures = seen(failures, "the Events", &namespace, &mut details);
        let lease = seen(lease, "the Lease", &namespace, &mut details);
        let (pods, nodes) = (known(pods, &mut details), known(nodes, &mut details));
        let reports = reports.map_or(Known::Absent, |reports| known(reports, &mut notes));
        Ok(Self { namespace, operator, lease, agents, failures, pods, nodes, reports, notes, details })
    }

    /// That nothing is known before the cluster has the kinds.
    pub(super) fn or_not_installed(self) -> Result<Self, ClusterError> {
        match self.reports {
            Known::Absent => Err(ClusterError::NotInstalled { what: "list precursornodereports".to_owned() }),
            Known::There(_) | Known::Hidden => Ok(self),
        }
    }

    /// Where it is, by the names that commands need.
    pub(super) fn place(&self) -> Place {
        let metadata = self.operator.there().map(|operator| &operator.metadata);
        let release = metadata.and_then(|metadata| metadata.annotations.as_ref()?.get(RELEASE).cloned());
        let operator = metadata.and_then(|metadata| metadata.name.clone());
        Place { release, operator, ..Place::new(&self.namespace) }
    }

    /// What a diagnosis takes. `has_policy`: where that is known of all namespaces.
    pub(super) fn facts<'a>(
        &self,
        policies: Vec<Policy<'a>>,
        has_policy: Option<bool>,
        firing: Option<usize>,
    ) -> Facts<'a> {
        let place = self.place();
        let agents = Agents {
            // Whether the chart's ConfigMap is there, and what the API server refuses, is for the operator to say.
            anchor: Known::Hidden,
            refused: None,
            set: self.agents.as_known(set),
            failure: self.failure(),
            nodes: self.nodes(&place),
            has_policy,
            ..Agents::default()
        };
        let operator = self.operator.as_known(|deployment| self.operator(deployment));
        Facts { place, operator, agents, policies, firing }
    }

    fn operator(&self, deployment: &Deployment) -> Operator {
        let status = deployment.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let available = conditions.iter().find(|condition| condition.type_ == "Available");
        let why = || available.and_then(|condition| condition.message.clone());
        let is_available = available.is_some_and(|condition| condition.status == ConditionStatus::True);
        Operator {
            wanted: deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
            ready: status.and_then(|status| status.ready_replicas).unwrap_or(0),
            trouble: (!is_available).then(|| why().unwrap_or_else(|| "not available".to_owned())),
            lease: match &self.lease {
                Known::There(held) => Known::There(lease(held)),
                Known::Absent => Known::Absent,
                Known::Hidden => Known::Hidden,
            },
        }
    }

    /// Why a pod of the agents could not be made, most recently.
    fn failure(&self) -> Option<String> {
        let at = |event: &Event| {
            let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
            let times = [
                series,
                event.last_timestamp.as_ref().map(|time| time.0),
                event.event_time.as_ref().map(|time| time.0),
            ];
            times.into_iter().flatten().max()
        };
        let agents = self.agents.there().and_then(|agents| agents.metadata.name.as_deref())?;
        let ours = self.failures.there()?.iter().filter(|event| event.involved_object.name.as_deref() == Some(agents));
        ours.max_by_key(|event| at(event))?.message.clone()
    }

    /// Every node that has a name anywhere, in the order of names.
    fn nodes(&self, place: &Place) -> Vec<NodeFacts> {
        let pods = self.pods.there().map(|pods| by_node(pods));
        let name_of = |name: &Option<String>| name.clone().unwrap_or_default();
        let reports = self.reports.there().map(|reports| {
            let named = reports.iter().map(|report| (name_of(&report.metadata.name), report.status.as_ref()));
            named.collect::<BTreeMap<_, _>>()
        });
        let statuses = reports.iter().flat_map(|reports| reports.values().flatten());
        let newest = report::newest(statuses.map(|status| status.agent_version.as_str()));
        let nodes = self.nodes.there().into_iter().flatten();
        let ready: BTreeMap<String, Option<bool>> =
            nodes.map(|node| (name_of(&node.metadata.name), is_ready(node))).collect();
        let mut names: BTreeSet<String> = ready.keys().cloned().collect();
        names.extend(reports.iter().flat_map(|reports| reports.keys().cloned()));
        names.extend(pods.iter().flat_map(|pods| pods.keys().map(|name| (*name).to_owned())));
        let facts = names.into_iter().map(|name| NodeFacts {
            is_ready: ready.get(&name).copied().flatten(),
            pod: part(pods.as_ref(), |pods| pods.get(name.as_str()).map(|pod| of_pod(pod))),
            report: match &reports {
                None => Known::Hidden,
                Some(reports) => reports.get(&name).map_or(Known::Absent, |status| report::of(*status, newest, place)),
            },
            name,
        });
        facts.collect()
    }
}

fn part<T, U>(whole: Option<&T>, find: impl FnOnce(&T) -> Option<U>) -> Known<U> {
    whole.map_or(Known::Hidden, |whole| find(whole).map_or(Known::Absent, Known::There))
}

fn known<K>(listed: Listed<K>, notes: &mut Vec<String>) -> Known<Vec<K>> {
    let is_hidden = listed.is_hidden;
    let items = listed.into_items(notes);
    if is_hidden { Known::Hidden } else { Known::There(items) }
}

/// An answer, where somebody asked.
fn seen<T>(answer: Option<Answer<T>>, what: &str, namespace: &str, notes: &mut Vec<String>) -> Known<T> {
    match answer {
        None => Known::Hidden,
        Some(Answer::Found(value)) => Known::There(value),
        Some(Answer::Absent) => Known::Absent,
        Some(Answer::Forbidden(message)) => {
            notes.push(format!("not permitted to see {what} of {namespace}: {message}"));
            Known::Hidden
        }
    }
}

/// An object by its name; nothing is asked where that is not known.
async fn named<K>(cluster: &Cluster, api: &Api<K>, name: Option<String>) -> Result<Option<Answer<K>>, ClusterError>
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    match name {
        Some(name) => cluster.get(api, &name).await.map(Some),
        None => Ok(None),
    }
}

fn lease(lease: &Lease) -> operator::Lease {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = i64::from(spec.lease_duration_seconds.unwrap_or(0));
    let until =
        spec.renew_time.and_then(|renewed| Timestamp::from_second(renewed.0.as_second().saturating_add(seconds)).ok());
    operator::Lease { holder: spec.holder_identity, until }
}

fn set(agents: &DaemonSet) -> Set {
    let status = agents.status.clone().unwrap_or_default();
    let (wanted, seen) = (status.desired_number_scheduled, status.observed_generation);
    Set {
        wanted: wanted.into(),
        scheduled: status.current_number_scheduled.into(),
        updated: status.updated_number_scheduled.unwrap_or(0).into(),
        ready: status.number_ready.into(),
        // A controller that has seen nothing yet wants nothing yet.
        is_current: seen.map_or(wanted > 0, |seen| agents.metadata.generation.is_none_or(|newest| seen >= newest)),
    }
}

fn is_ready(node: &Node) -> Option<bool> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    Some(conditions.iter().find(|condition| condition.type_ == "Ready")?.status == ConditionStatus::True)
}

/// Pods that are to stay, by node; of two the one that works.
fn by_node(pods: &[Pod]) -> BTreeMap<&str, &Pod> {
    let stays = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let mut placed: Vec<(&str, &Pod)> =
        stays.filter_map(|pod| Some((node::of_pod(pod.spec.as_ref()?)?, pod))).collect();
    placed.sort_by_key(|(_, pod)| ready(pod).is_some_and(|(is_ready, _)| is_ready));
    placed.into_iter().collect()
}

fn ready(pod: &Pod) -> Option<(bool, Option<Timestamp>)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    Some((ready.status == ConditionStatus::True, ready.last_transition_time.as_ref().map(|time| time.0)))
}

fn of_pod(pod: &Pod) -> node::Pod {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or("without a phase yet");
    let containers = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let waiting = containers.iter().find_map(|container| container.state.as_ref()?.waiting.as_ref());
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let unplaced = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == ConditionStatus::False);
    let state = match (waiting, unplaced) {
        (Some(waiting), _) => {
            let parts = [waiting.reason.as_deref(), waiting.message.as_deref()];
            parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
        }
        (None, Some(unplaced)) => {
            let why = unplaced.message.as_deref().or(unplaced.reason.as_deref()).unwrap_or("not scheduled");
            format!("{phase}: {why}")
        }
        (None, None) => phase.to_owned(),
    };
    let condition = ready(pod);
    let is_ready =
        condition.map(|(is_ready, _)| is_ready).or((waiting.is_some() || phase != "Running").then_some(false));
    let name = pod.metadata.name.clone().unwrap_or_default();
    node::Pod { name, is_ready, since: condition.and_then(|(_, since)| since), state }
}
