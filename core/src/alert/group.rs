//! The alerts on the pods of one workload, put together: a hundred pods behind one full link are one alert to a person. Each
//! pod is decided on and scored by itself; this is what becomes of it on the way to its publishers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{Alert, AlertState, CAPACITY, Confirmed, Subject, Transition, Workload, worse};
use crate::decide::{Resolution, Trigger};

/// Pods that an alert names: enough to see what they have in common.
pub const MAX_LISTED: usize = 10;

/// Pods that a group keeps track of: as many as an agent watches. Those that came and went before are counted.
const MAX_MEMBERS: usize = 256;

/// The pods that an alert on a workload is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Affected {
    /// What they are the pods of.
    pub workload: Workload,
    /// Pods that have fired since the alert did.
    pub count: u32,
    /// Pods that are firing now.
    pub firing: u32,
    /// The worst of them first, [`MAX_LISTED`] at most.
    pub worst: Vec<AffectedPod>,
}

/// One of these pods. Round trips are those since the alert fired, µs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AffectedPod {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Whether it is firing.
    pub state: AlertState,
    /// The worst forecast published.
    pub predicted_us: Option<f32>,
    /// The worst measured value published.
    pub measured_us: Option<f32>,
}

impl Affected {
    /// The alert is over, and so it is for each pod.
    pub(super) fn resolve(&mut self) {
        self.firing = 0;
        self.worst.iter_mut().for_each(|pod| pod.state = AlertState::Resolved);
    }
}

impl AffectedPod {
    fn is_firing(&self) -> bool {
        self.state == AlertState::Firing
    }

    fn reach_us(&self) -> f32 {
        super::reach_us(self.predicted_us, self.measured_us)
    }
}

/// Where a pod stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    #[serde(flatten)]
    pod: AffectedPod,
    target: String,
    subject: Option<Arc<Subject>>,
}

/// The alert on a workload, and the pods that fired since it did, by the names of their own alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    alert: Alert,
    /// The one that made it fire.
    first: String,
    members: BTreeMap<String, Member>,
    /// Pods that fired since it did and are no longer kept track of.
    left: u32,
}

/// The alerts on workloads, by name.
#[derive(Debug, Default)]
pub struct Groups {
    groups: BTreeMap<String, Group>,
    /// Those of the last run of the agent of which publishers have heard nothing yet.
    restored: BTreeSet<String>,
}

impl Groups {
    /// What publishers shall see of what a tick changed: alerts that are a part of another one become a transition of that
    /// one, however many there are; all others stay as they are.
    pub fn fold(&mut self, transitions: Vec<Transition>) -> Vec<Transition> {
        let (parts, mut folded): (Vec<_>, Vec<_>) =
            transitions.into_iter().partition(|transition| transition.alert().part_of.is_some());
        let mut before: BTreeMap<String, Option<Alert>> = BTreeMap::new();
        // A workload of which one pod recovers in the second in which another one fires goes on firing.
        let (fired, others): (Vec<_>, Vec<_>) =
            parts.iter().partition(|transition| matches!(transition, Transition::Fired(_)));
        for part in fired.into_iter().chain(others).map(Transition::alert) {
            let Some(name) = &part.part_of else { continue };
            match self.groups.get_mut(name) {
                Some(group) if group.is_about(part) => {
                    before.entry(name.clone()).or_insert_with(|| Some(group.alert.clone()));
                    group.take(part);
                }
                None if part.is_firing() => {
                    before.insert(name.clone(), None);
                    folded.extend(self.insert(Group::of(name, part), part.fired_unix));
                }
                _ => {}
            }
        }
        for (name, before) in before {
            let Some(group) = self.groups.get(&name) else { continue };
            let mut turns = group.since(before.as_ref());
            // Publishers end alerts of which they hear nothing after a restart.
            if self.restored.remove(&name) && turns.is_empty() {
                turns.push(Transition::Updated(group.alert.clone()));
            }
            folded.extend(turns);
        }
        folded
    }

    /// A group of the last run of the agent goes on.
    pub fn restore(&mut self, group: Group) {
        if self.groups.len() < CAPACITY {
            self.restored.insert(group.alert.name.clone());
            self.groups.insert(group.alert.name.clone(), group);
        }
    }

    /// Those with a member among the alerts that `is_wanted` takes by their names.
    pub fn with(&self, is_wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = &Group> {
        self.groups.values().filter(move |group| group.members.keys().any(|name| is_wanted(name)))
    }

    /// Adds a group. What has to go for it at `unix` is over if it was firing: nobody would end it later.
    fn insert(&mut self, group: Group, unix: u64) -> Option<Transition> {
        let oldest = self.groups.values().map(|group| &group.alert);
        let oldest = oldest.min_by_key(|it| (it.is_firing(), it.since_unix()));
        let gone = oldest.filter(|_| self.groups.len() >= CAPACITY).map(|alert| alert.name.clone());
        let gone = gone.and_then(|name| self.groups.remove(&name));
        self.groups.insert(group.alert.name.clone(), group);
        gone.map(|group| group.alert).filter(Alert::is_firing).map(|alert| Transition::gone(alert, unix))
    }
}

impl Group {
    /// The alert on the workload that the alert on its first pod makes.
    fn of(name: &str, part: &Alert) -> Self {
        let alert = Alert { name: name.to_owned(), count: 0, state: AlertState::Resolved, ..part.clone() };
        let mut group = Self { alert, first: String::new(), members: BTreeMap::new(), left: 0 };
        group.take(part);
        group
    }

    /// Whether a part is one of those that fired since the alert did, or makes it fire.
    fn is_about(&self, part: &Alert) -> bool {
        part.is_firing() || self.members.contains_key(&part.name)
    }

    /// Takes in where one of its pods stands.
    fn take(&mut self, part: &Alert) {
        if part.is_firing() && !self.alert.is_firing() {
            self.begin(part);
        }
        self.enter(part);
        self.worsen(part);
        self.judge(part);
        if self.alert.is_firing() && !self.members.values().any(|member| member.pod.is_firing()) {
            let resolution = part.resolution.unwrap_or(Resolution::Gone);
            self.alert.resolve(resolution, part.since_unix());
        } else {
            self.replace_leader();
        }
        self.alert.affected = self.affected(part).map(Box::new);
    }

    /// It fires, with this pod.
    fn begin(&mut self, part: &Alert) {
        self.members.clear();
        self.left = 0;
        self.first.clone_from(&part.name);
        self.alert = Alert {
            name: std::mem::take(&mut self.alert.name),
            count: self.alert.count + 1,
            confirmed: Confirmed::Unknown,
            judged_unix: None,
            lead_seconds: None,
            part_of: None,
            ..part.clone()
        };
    }

    /// Notes where the pod stands; a pod that fires again keeps the highest of its figures.
    fn enter(&mut self, part: &Alert) {
        let before = self.members.get(&part.name).map(|member| &member.pod);
        if part.is_firing() && !before.is_some_and(AffectedPod::is_firing) {
            // By the rule as it is now: it may have changed since the alert fired.
            self.alert.severity = self.alert.severity.max(part.severity);
            (self.alert.threshold_us, self.alert.resolve_us) = (part.threshold_us, part.resolve_us);
        }
        let pod = part.subject.as_ref().map(|subject| &subject.pod);
        let pod = AffectedPod {
            name: pod.map_or_else(|| part.target.clone(), |pod| pod.name.clone()),
            uid: part.target_uid.clone(),
            state: part.state,
            predicted_us: worse(before.and_then(|before| before.predicted_us), part.predicted_us),
            measured_us: worse(before.and_then(|before| before.measured_us), part.measured_us),
        };
        let member = Member { pod, target: part.target.clone(), subject: part.subject.clone() };
        self.members.insert(part.name.clone(), member);
        if self.members.len() > MAX_MEMBERS {
            let mildest = |(_, one): &(&String, &Member), (_, other): &(&String, &Member)| {
                let order = |member: &Member| (member.pod.is_firing(), member.pod.reach_us());
                order(one).partial_cmp(&order(other)).unwrap_or(std::cmp::Ordering::Equal)
            };
            if let Some(name) = self.members.iter().min_by(mildest).map(|(name, _)| name.clone()) {
                self.members.remove(&name);
                self.left = self.left.saturating_add(1);
            }
        }
    }

    /// Its figures are the maximum over all pods; target, causes and model are those of the worst.
    fn worsen(&mut self, part: &Alert) {
        let alert = &mut self.alert;
        if part.reach_us() > alert.reach_us() && part.target_uid != alert.target_uid {
            alert.target.clone_from(&part.target);
            alert.target_uid.clone_from(&part.target_uid);
            alert.subject.clone_from(&part.subject);
            alert.causes.clone_from(&part.causes);
            alert.model.clone_from(&part.model);
            alert.rtt_from = part.rtt_from;
        }
        alert.predicted_us = worse(alert.predicted_us, part.predicted_us);
        alert.chance = worse(alert.chance, part.chance);
        alert.measured_us = worse(alert.measured_us, part.measured_us);
    }

    /// Leads with the worst of the pods that are firing once its own is gone. What caused that one's trouble is not known here.
    fn replace_leader(&mut self) {
        let is_leader = |member: &&Member| member.pod.uid == self.alert.target_uid;
        if self.members.values().find(is_leader).is_some_and(|leader| leader.pod.is_firing()) {
            return;
        }
        let firing = self.members.values().filter(|member| member.pod.is_firing());
        let Some(next) = firing.max_by(|a, b| a.pod.reach_us().total_cmp(&b.pod.reach_us())) else { return };
        self.alert.target.clone_from(&next.target);
        self.alert.target_uid.clone_from(&next.pod.uid);
        self.alert.subject.clone_from(&next.subject);
        self.alert.causes.clear();
    }

    /// The verdict on its warning, once: it came true with the first breach of any pod before the deadline of the pod that made
    /// it fire, and did not when that pod's own warning did not.
    fn judge(&mut self, part: &Alert) {
        let is_first = part.name == self.first;
        if self.alert.judged_unix.is_some() {
            return;
        }
        let breach = match (part.confirmed, part.trigger) {
            (Confirmed::True, _) => part.judged_unix,
            (_, Trigger::Measured) => Some(part.fired_unix),
            (_, Trigger::Forecast) => None,
        };
        let lead = breach.and_then(|at| at.checked_sub(self.alert.fired_unix)).filter(|lead| *lead > 0);
        if let (Trigger::Forecast, Some(lead)) = (self.alert.trigger, lead) {
            (self.alert.confirmed, self.alert.lead_seconds) = (Confirmed::True, Some(lead));
            self.alert.judged_unix = breach;
        } else if is_first {
            let is_gone = matches!(part.resolution, Some(Resolution::Gone | Resolution::TargetGone));
            self.alert.judged_unix = part.judged_unix.or(part.resolved_unix.filter(|_| is_gone));
            if part.confirmed == Confirmed::False {
                self.alert.confirmed = Confirmed::False;
            }
        }
    }

    fn affected(&self, part: &Alert) -> Option<Affected> {
        let workload = part.subject.as_ref()?.pod.workload.clone()?;
        let count = |members: usize| u32::try_from(members).unwrap_or(u32::MAX);
        let mut worst: Vec<&AffectedPod> = self.members.values().map(|member| &member.pod).collect();
        // The alert's own pod leads even where another one has come up to it.
        let order = |pod: &AffectedPod| (pod.uid != self.alert.target_uid, -pod.reach_us());
        worst.sort_by(|a, b| order(a).partial_cmp(&order(b)).unwrap_or(std::cmp::Ordering::Equal));
        Some(Affected {
            workload,
            count: count(self.members.len()).saturating_add(self.left),
            firing: count(worst.iter().filter(|pod| pod.is_firing()).count()),
            worst: worst.into_iter().take(MAX_LISTED).cloned().collect(),
        })
    }

    /// What has become of it since `before`, in the order in which publishers expect it.
    fn since(&self, before: Option<&Alert>) -> Vec<Transition> {
        let now = &self.alert;
        let has_fired = before.map_or(0, |before| before.count) != now.count;
        let mut turns = Vec::new();
        if has_fired {
            let fired = Alert { state: AlertState::Firing, resolution: None, resolved_unix: None, ..now.clone() };
            turns.push(Transition::Fired(fired));
        }
        let judged = before.filter(|_| !has_fired).and_then(|before| before.judged_unix);
        if now.judged_unix.is_some() && now.judged_unix != judged {
            turns.push(Transition::Judged(now.clone()));
        }
        if !now.is_firing() && (has_fired || before.is_some_and(Alert::is_firing)) {
            turns.push(Transition::Resolved(now.clone()));
        }
        if turns.is_empty() && before != Some(now) {
            turns.push(Transition::Updated(now.clone()));
        }
        turns
    }
}

#[cfg(test)]
mod tests;
