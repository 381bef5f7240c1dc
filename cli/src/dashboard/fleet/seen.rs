//! What pages see of a fleet: the views of its stores put together, and of a cluster what goes with them. Pure.

use std::{borrow::Cow, cmp::Reverse, collections::BTreeMap, time::Instant};

use serde::Serialize;
use serde_json::Value;

use super::{ALONE, Agent, Fleet};
use crate::{
    dashboard::{
        cluster::{MOST, rows},
        history::Line,
        nodes::{Nodes, StreamView},
        roster::Target,
        standing::{Counts, Standing},
        store::Look,
        views::{self, Latest, SourceState},
    },
    history::{AlertKey, AlertsAsked, Series, key},
};

/// What the overview has of a cluster.
#[derive(Debug, Serialize)]
pub(in crate::dashboard) struct Brief<'a> {
    nodes: Vec<NodeBrief<'a>>,
}

#[derive(Debug, Serialize)]
pub(in crate::dashboard) struct NodeBrief<'a> {
    name: &'a str,
    targets: Option<u64>,
    firing: Option<u64>,
    standing: Option<&'a str>,
}

/// What is streamed of a cluster now.
#[derive(Debug, Serialize)]
pub(in crate::dashboard) struct Streams {
    /// Streams at once.
    most: usize,
    /// Nodes with an agent.
    able: usize,
    streams: Vec<StreamView>,
    notes: Vec<String>,
}

impl Fleet {
    /// The last second that is known, Unix s.
    pub(in crate::dashboard) fn unix(&self) -> u64 {
        let seen = self.picture().map_or(0, |picture| picture.unix);
        self.agents.values().map(|agent| agent.store.unix()).max().unwrap_or(0).max(seen)
    }

    fn versions(&self) -> (u64, u64) {
        let archive = self.cluster.as_ref().map_or(0, |cluster| cluster.archive.version());
        let grown = self.agents.values().map(Agent::grown);
        grown
            .fold((self.versions, self.versions + archive), |(roster, alerts), more| (roster + more.0, alerts + more.1))
    }

    /// How the dashboard stands with what it reads: the agent, or the API server.
    fn source(&self, now: Instant) -> views::Source<'_> {
        let Some(cluster) = &self.cluster else { return self.alone(now) };
        let trouble = self.picture().and_then(|picture| picture.trouble.as_ref());
        let state = match (&cluster.picture, trouble) {
            (None, _) => SourceState::Connecting,
            (Some(_), None) => SourceState::Live,
            (Some(_), Some(_)) => SourceState::Stale,
        };
        views::Source {
            state,
            url: &cluster.url,
            since: trouble.map_or(self.unix(), |trouble| trouble.since),
            reason: trouble.map(|trouble| trouble.words.clone()),
            agent_version: None,
            kernel: None,
            lost_ticks: self.streams(now).iter().map(|stream| stream.lost_ticks).sum(),
        }
    }

    fn alone(&self, now: Instant) -> views::Source<'_> {
        let agent = self.agents.get(ALONE);
        agent.map_or_else(views::Source::unknown, |agent| agent.store.source(now))
    }

    fn streams(&self, now: Instant) -> Vec<StreamView> {
        self.agents.values().map(|agent| agent.store.stream(now)).collect()
    }

    /// What is streamed, and which rights are missing.
    fn abreast(&self, now: Instant) -> Option<Streams> {
        self.cluster.as_ref()?;
        let picture = self.picture();
        let mut notes = picture.map(|picture| picture.notes.clone()).unwrap_or_default();
        if let Some(words) = self.agents.values().find_map(|agent| agent.forbidden.as_ref()) {
            notes.push(format!(
                "not permitted to reach agents, so no target is shown live (docs/dashboard.md has the role): {words}; alerts, \
                 nodes and policies are shown as the API server has them"
            ));
        }
        let able = picture.map_or(0, |picture| picture.with_agent.len());
        Some(Streams { most: MOST, able, streams: self.streams(now), notes })
    }

    fn brief(&self) -> Option<Brief<'_>> {
        self.cluster.as_ref()?;
        let nodes = self.picture().map(|picture| picture.nodes.nodes.as_slice()).unwrap_or_default();
        let brief = nodes.iter().map(|node| NodeBrief {
            name: &node.name,
            targets: node.targets,
            firing: node.firing,
            standing: node.standing.as_deref(),
        });
        Some(Brief { nodes: brief.collect() })
    }

    /// The last second of every target. Of an agent that is not heard nothing is as of now but the alerts, which the API server
    /// still shows.
    fn latest(&self, now: Instant) -> Latest {
        let alerts = self.picture().and_then(|picture| picture.alerts.as_deref()).unwrap_or_default();
        let mut latest = Latest::default();
        for agent in self.agents.values() {
            let columns = agent.store.columns();
            if self.cluster.is_none() || agent.store.stream(now).state == SourceState::Live {
                latest.append(columns);
                continue;
            }
            let firing: BTreeMap<String, Standing> = rows(alerts, |uid| !agent.store.knows(uid))
                .into_iter()
                .map(|row| (row.target.uid, row.standing))
                .collect();
            let mut stale = Latest::stale(columns.standing.len());
            for (target, standing) in agent.store.roster().1.iter().zip(&mut stale.standing) {
                *standing = firing.get(&target.uid).copied().unwrap_or(*standing);
            }
            latest.append(stale);
        }
        for row in self.cluster.iter().flat_map(|cluster| &cluster.rows) {
            latest.push(row);
        }
        latest
    }

    /// All targets and their last second.
    pub(in crate::dashboard) fn overview(&self, now: Instant) -> views::Overview<'_> {
        let latest = self.latest(now);
        let mut targets: Vec<&Target> = Vec::with_capacity(latest.standing.len());
        let mut not_kept = 0;
        for agent in self.agents.values() {
            let overview = agent.store.overview(now);
            targets.extend(overview.targets);
            not_kept += overview.not_kept;
        }
        targets.extend(self.cluster.iter().flat_map(|cluster| &cluster.rows).map(|row| &row.target));
        views::Overview {
            unix: self.unix(),
            source: self.source(now),
            counts: latest.standing.iter().copied().collect(),
            roster: self.versions().0,
            targets,
            latest,
            not_kept,
            cluster: self.brief(),
        }
    }

    /// Sparklines of the targets that are known.
    pub(in crate::dashboard) fn sparks<'a>(&self, uids: impl Iterator<Item = &'a str>) -> views::Sparks {
        let uids: Vec<&str> = uids.collect();
        let sparks = self.agents.values().flat_map(|agent| agent.store.sparks(uids.iter().copied()).sparks);
        views::Sparks { sparks: sparks.collect() }
    }

    /// All that is kept of a target.
    pub(in crate::dashboard) fn target(&self, uid: &str) -> Option<views::TargetHistory<'_>> {
        self.agents.values().find_map(|agent| agent.store.target(uid))
    }

    /// The last `seconds` of a target's signals up to `until`.
    pub(in crate::dashboard) fn signals<'a>(
        &self,
        uid: &'a str,
        until: Option<u64>,
        seconds: u64,
    ) -> Option<views::SignalHistory<'a>> {
        self.agents.values().find_map(|agent| agent.store.signals(uid, until, seconds))
    }

    /// Alerts, newest first: those of the cluster where they may be listed, else those of the agents that are followed.
    /// Older ones of a single agent may be kept on disk.
    pub(in crate::dashboard) fn alerts(&self, are_kept: bool) -> views::Alerts<'_> {
        let version = self.versions().1;
        let is_listed = self.picture().is_some_and(|picture| picture.alerts.is_some());
        if let Some(cluster) = self.cluster.as_ref().filter(|_| is_listed) {
            let alerts = cluster.archive.newest_first().collect();
            return views::Alerts { version, alerts, forgotten: cluster.archive.forgotten(), next: None };
        }
        let mut whole = views::Alerts { version, alerts: Vec::new(), forgotten: 0, next: None };
        for agent in self.agents.values() {
            let views::Alerts { alerts, forgotten, next, .. } = agent.store.alerts(are_kept);
            whole.alerts.extend(alerts);
            whole.forgotten += forgotten;
            whole.next = next;
        }
        whole.alerts.sort_by_key(|alert| Reverse(key(alert)));
        whole
    }

    /// Those of the alerts that are asked for.
    pub(in crate::dashboard) fn alerts_asked(&self, asked: &AlertsAsked) -> Vec<(AlertKey, Value)> {
        let all = self.alerts(false).alerts.into_iter().map(|alert| (key(alert), alert));
        let asked_for = all.filter(|(key, _)| asked.has(key)).take(asked.limit());
        asked_for.filter_map(|(key, alert)| Some((key, serde_json::to_value(alert).ok()?))).collect()
    }

    /// What a target is called in metrics; an alert says it of a target that nobody streams.
    pub(in crate::dashboard) fn series(&self, uid: &str) -> Option<(Series, Cow<'_, Target>)> {
        let streamed = self.agents.values().find_map(|agent| agent.store.series(uid));
        let of_alert = || {
            let target = Target::of_alert(&self.placed(uid)?);
            Some((target.series(), Cow::Owned(target)))
        };
        streamed.map(|(series, target)| (series, Cow::Borrowed(target))).or_else(of_alert)
    }

    /// Targets that are there, by identifier and name, with what is kept of them.
    pub(in crate::dashboard) fn lines(&self) -> impl Iterator<Item = (&str, &str, &Line)> {
        self.agents.values().flat_map(|agent| agent.store.lines())
    }

    /// Policies of a cluster, and scores of the rules.
    pub(in crate::dashboard) fn policies(&self) -> views::Policies<'_> {
        let policies = self.picture().map(|picture| picture.policies.as_slice()).unwrap_or_default();
        let mut whole = views::Policies { policies, scores: Vec::new(), trends: Vec::new() };
        for (node, agent) in &self.agents {
            let node = self.cluster.as_ref().map(|_| node.as_str());
            let views::Policies { scores, trends, .. } = agent.store.policies();
            whole.scores.extend(scores.into_iter().map(|score| views::Score { node, ..score }));
            whole.trends.extend(trends.into_iter().map(|trend| trend.on(node)));
        }
        whole
    }

    /// Every node, with how its agent is read.
    pub(in crate::dashboard) fn nodes(&self, now: Instant) -> Nodes {
        let mut whole = match self.picture() {
            Some(picture) => picture.nodes.clone(),
            None => Nodes {
                nodes: self.agents.values().filter_map(|agent| agent.store.node()).collect(),
                ..Nodes::default()
            },
        };
        let mut streams: BTreeMap<String, StreamView> =
            self.streams(now).into_iter().map(|stream| (stream.node.clone(), stream)).collect();
        for node in &mut whole.nodes {
            node.stream = streams.remove(&node.name);
        }
        whole
    }

    /// What the stream says of a second, of which a page looks at some.
    pub(in crate::dashboard) fn live(&self, look: &Look, now: Instant) -> views::Live<'_> {
        let latest = self.latest(now);
        let counts: Counts = latest.standing.iter().copied().collect();
        let (roster, alerts) = self.versions();
        let point = match look {
            Look::Target(_) => {
                let mut points = self.agents.values().map(|agent| agent.store.live(look, now).point.flatten());
                Some(points.find_map(|point| point))
            }
            _ => None,
        };
        views::Live {
            unix: self.unix(),
            source: self.source(now),
            counts,
            roster,
            alerts,
            history: Vec::new(),
            latest: look.is_overview().then_some(latest),
            point,
            cluster: self.abreast(now),
        }
    }
}
