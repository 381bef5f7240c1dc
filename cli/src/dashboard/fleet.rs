//! The agents that are followed, each with a store of its own, seen as one. One agent is a fleet of one. In a cluster the
//! [`Picture`] that the API server shows goes with them: who else there is, which alerts are firing where nothing is streamed,
//! and what the user may not see. Pure: what came and when is a parameter. What pages see of it is in [`seen`].

mod seen;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use super::{
    archive::Archive,
    cluster::{Candidate, Picture, Placed, Row, chosen, rows},
    store::{Look, Store},
};

pub(super) use seen::{Brief, Streams};

/// The key of the agent that is not one of a cluster.
pub(super) const ALONE: &str = "";

/// The agents.
pub(super) struct Fleet {
    agents: BTreeMap<String, Agent>,
    /// What versions begin at, and what agents that went have added to them: a version never comes back.
    versions: u64,
    cluster: Option<Cluster>,
}

struct Agent {
    store: Store,
    /// What the versions of its store began at.
    begun: u64,
    /// The right that is missing to reach it, in the API server's words.
    forbidden: Option<String>,
}

/// What is known of a cluster besides.
struct Cluster {
    url: String,
    /// None before the first.
    picture: Option<Arc<Picture>>,
    archive: Archive,
    /// When somebody last looked at a node.
    looked: BTreeMap<String, Instant>,
    /// Targets that alerts name and no stream shows.
    rows: Vec<Row>,
}

impl Agent {
    fn new(store: Store, begun: u64) -> Self {
        Self { store, begun, forbidden: None }
    }

    /// By how much its versions have grown.
    fn grown(&self) -> (u64, u64) {
        let (roster, alerts) = self.store.versions();
        (roster.saturating_sub(self.begun), alerts.saturating_sub(self.begun))
    }
}

impl Fleet {
    /// Of the agent at `url` alone.
    pub(super) fn of_agent(url: &str, begun_unix_ms: u64) -> Self {
        let agent = Agent::new(Store::new(url, begun_unix_ms), begun_unix_ms);
        Self { agents: BTreeMap::from([(ALONE.to_owned(), agent)]), versions: begun_unix_ms, cluster: None }
    }

    /// Of a cluster whose API server is at `url`.
    pub(super) fn of_cluster(url: &str, begun_unix_ms: u64) -> Self {
        let cluster = Cluster {
            url: url.to_owned(),
            picture: None,
            archive: Archive::new(0),
            looked: BTreeMap::new(),
            rows: Vec::new(),
        };
        Self { agents: BTreeMap::new(), versions: begun_unix_ms, cluster: Some(cluster) }
    }

    /// What is known of the agent on a node; none where it is not followed, or no longer.
    pub(super) fn store(&mut self, node: &str) -> Option<&mut Store> {
        self.agents.get_mut(node).map(|agent| &mut agent.store)
    }

    /// The last second that is known of the agent on a node, Unix s.
    pub(super) fn unix_of(&self, node: &str) -> u64 {
        self.agents.get(node).map_or(0, |agent| agent.store.unix())
    }

    /// From now on the agent on a node is followed.
    pub(super) fn begin(&mut self, node: &str, unix_ms: u64) {
        let agent = Agent::new(Store::on(node, unix_ms), unix_ms);
        self.forget(node);
        self.agents.insert(node.to_owned(), agent);
        self.settle();
    }

    /// It is not followed any more; what it showed makes room for another.
    pub(super) fn forget(&mut self, node: &str) {
        if let Some(agent) = self.agents.remove(node) {
            let (roster, alerts) = agent.grown();
            self.versions += roster.max(alerts) + 1;
            self.settle();
        }
    }

    /// Whether the user may reach the agent on a node: what is missing, else.
    pub(super) fn permit(&mut self, node: &str, forbidden: Option<String>) {
        if let Some(agent) = self.agents.get_mut(node) {
            agent.forbidden = forbidden;
        }
    }

    /// Takes in how the cluster is.
    pub(super) fn see(&mut self, picture: Arc<Picture>) {
        let Some(cluster) = &mut self.cluster else { return };
        if let Some(alerts) = &picture.alerts {
            cluster.archive.take(alerts.iter().map(|placed| placed.alert.clone()).collect());
        }
        let named: BTreeSet<&str> = picture.with_agent.iter().map(String::as_str).collect();
        cluster.looked.retain(|node, _| named.contains(node.as_str()));
        cluster.picture = Some(picture);
        self.settle();
    }

    /// Which targets are known by alerts alone; a change is a change of the roster. To be called whenever something came.
    pub(super) fn settle(&mut self) {
        let Some(cluster) = &mut self.cluster else { return };
        let alerts = cluster.picture.as_ref().and_then(|picture| picture.alerts.as_deref()).unwrap_or_default();
        let agents = &self.agents;
        let shown = rows(alerts, |uid| agents.values().any(|agent| agent.store.knows(uid)));
        if shown != cluster.rows {
            cluster.rows = shown;
            self.versions += 1;
        }
    }

    /// Somebody looks at something.
    pub(super) fn look(&mut self, look: &Look, now: Instant) {
        let nodes = match look {
            Look::Nodes(nodes) => nodes.clone(),
            Look::Target(uid) => self.node_of(uid).into_iter().collect(),
            Look::Overview | Look::Rest => Vec::new(),
        };
        let Some(cluster) = &mut self.cluster else { return };
        let named = |node: &String| {
            cluster.picture.as_ref().is_some_and(|picture| picture.with_agent.iter().any(|known| known == node))
        };
        // What is not there is not remembered, so that there are never more than nodes.
        let known: Vec<String> = nodes.into_iter().filter(named).collect();
        cluster.looked.extend(known.into_iter().map(|node| (node, now)));
    }

    /// The node of a target.
    fn node_of(&self, uid: &str) -> Option<String> {
        let streamed = self.agents.iter().find(|(_, agent)| agent.store.knows(uid)).map(|(node, _)| node.as_str());
        streamed.map(str::to_owned).or_else(|| self.placed(uid).map(|placed| placed.node))
    }

    /// What an alert says of a target.
    fn placed(&self, uid: &str) -> Option<Placed> {
        let alerts = self.picture()?.alerts.as_ref()?;
        let is_listed = |placed: &&Placed| placed.pods.iter().any(|pod| pod.uid == uid);
        let alert = alerts.iter().find(|placed| placed.alert.target_uid == uid || is_listed(placed))?;
        alert.on_each().into_iter().find(|placed| placed.alert.target_uid == uid)
    }

    fn picture(&self) -> Option<&Picture> {
        self.cluster.as_ref()?.picture.as_deref()
    }

    /// The nodes whose agents are to be followed.
    pub(super) fn wanted(&self, now: Instant) -> BTreeSet<String> {
        let (Some(cluster), Some(picture)) = (&self.cluster, self.picture()) else { return BTreeSet::new() };
        let firing: BTreeMap<&str, u64> =
            picture.nodes.nodes.iter().map(|node| (node.name.as_str(), node.firing.unwrap_or(0))).collect();
        let candidate = |node: &String| Candidate {
            name: node.clone(),
            has_agent: true,
            firing: firing.get(node.as_str()).copied().unwrap_or(0),
            looked: cluster.looked.get(node).map(|then| now.saturating_duration_since(*then)),
            is_streamed: self.agents.contains_key(node),
        };
        chosen(&picture.with_agent.iter().map(candidate).collect::<Vec<_>>())
    }
}
