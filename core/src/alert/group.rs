//! The alerts on the pods of one workload, put together: a hundred pods behind one full link are one alert to a person. Each
//! pod is decided on and scored by itself; this is what becomes of it on the way to its publishers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Alert, AlertState, Confirmed, Transition, Workload};
use crate::decide::Resolution;

/// Pods that an alert names: enough to see what they have in common.
pub const MAX_LISTED: usize = 10;

/// The pods that an alert on a workload is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// One of these pods. Round trips are those of this alert, µs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

impl AffectedPod {
    fn reach_us(&self) -> f32 {
        self.predicted_us.unwrap_or(0.0).max(self.measured_us.unwrap_or(0.0))
    }
}

/// Where a pod stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    #[serde(flatten)]
    pod: AffectedPod,
    confirmed: Confirmed,
    /// Whether a verdict may still come.
    is_awaited: bool,
}

/// The alert on a workload, and the pods that fired since it did, by the names of their own alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    alert: Alert,
    members: BTreeMap<String, Member>,
}

/// The alerts on workloads, by name.
#[derive(Debug, Default)]
pub struct Groups {
    groups: BTreeMap<String, Group>,
}

impl Groups {
    /// Alerts kept; what is over longest goes first.
    const CAPACITY: usize = 512;

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
                    self.insert(Group::of(name, part));
                }
                _ => {}
            }
        }
        for (name, before) in before {
            if let Some(group) = self.groups.get(&name) {
                folded.extend(group.since(before.as_ref()));
            }
        }
        folded
    }

    /// A group of the last run of the agent goes on.
    pub fn restore(&mut self, group: Group) {
        self.insert(group);
    }

    /// Those with a member among the alerts that `is_wanted` takes by their names.
    pub fn with(&self, is_wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = &Group> {
        self.groups.values().filter(move |group| group.members.keys().any(|name| is_wanted(name)))
    }

    fn insert(&mut self, group: Group) {
        if !self.groups.contains_key(&group.alert.name) && self.groups.len() >= Self::CAPACITY {
            let oldest = self.groups.values().map(|group| &group.alert);
            let oldest = oldest.min_by_key(|it| (it.is_firing(), it.resolved_unix.unwrap_or(it.fired_unix)));
            if let Some(name) = oldest.map(|alert| alert.name.clone()) {
                self.groups.remove(&name);
            }
        }
        self.groups.insert(group.alert.name.clone(), group);
    }
}

impl Group {
    /// The alert on the workload that the alert on its first pod makes.
    fn of(name: &str, part: &Alert) -> Self {
        let alert = Alert { name: name.to_owned(), count: 0, state: AlertState::Resolved, ..part.clone() };
        let mut group = Self { alert, members: BTreeMap::new() };
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
        } else {
            self.worsen(part);
        }
        self.members.insert(part.name.clone(), Member::of(part));
        self.judge(part);
        if self.alert.is_firing() && !self.members.values().any(Member::is_firing) {
            let resolution = part.resolution.unwrap_or(Resolution::Gone);
            self.alert.resolve(resolution, part.resolved_unix.unwrap_or(part.fired_unix));
        }
        self.alert.affected = self.affected(part).map(Box::new);
    }

    /// It fires, with this pod.
    fn begin(&mut self, part: &Alert) {
        self.members.clear();
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

    /// Its figures are the highest of any pod; whose they are, its causes and its forecaster are those of the worst.
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
        let highest = |before: &mut Option<f32>, now: Option<f32>| {
            *before = before.map_or(now, |before| Some(now.map_or(before, |now| now.max(before))));
        };
        highest(&mut alert.predicted_us, part.predicted_us);
        highest(&mut alert.chance, part.chance);
        highest(&mut alert.measured_us, part.measured_us);
    }

    /// It came true with the first pod of which it did, and did not when that is known of all.
    fn judge(&mut self, part: &Alert) {
        if self.alert.confirmed == Confirmed::True {
            return;
        }
        let verdicts = || self.members.values().map(|member| member.confirmed);
        let confirmed = if part.confirmed == Confirmed::True {
            self.alert.lead_seconds = part.lead_seconds;
            Confirmed::True
        } else if self.members.values().any(|member| member.is_awaited) {
            return;
        } else if verdicts().any(|confirmed| confirmed == Confirmed::False) {
            Confirmed::False
        } else {
            Confirmed::Unknown
        };
        self.alert.confirmed = confirmed;
        self.alert.judged_unix = part.judged_unix.or(self.alert.judged_unix);
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
            count: count(self.members.len()),
            firing: count(self.members.values().filter(|member| member.is_firing()).count()),
            worst: worst.into_iter().take(MAX_LISTED).cloned().collect(),
        })
    }

    /// What has become of it since `before`, in the order in which publishers expect it.
    fn since(&self, before: Option<&Alert>) -> Vec<Transition> {
        let now = &self.alert;
        let was_firing = before.is_some_and(Alert::is_firing);
        let mut turns = Vec::new();
        if before.map_or(0, |before| before.count) != now.count {
            turns.push(Transition::Fired(now.clone()));
        }
        if now.judged_unix.is_some() && before.is_none_or(|before| before.confirmed != now.confirmed) {
            turns.push(Transition::Judged(now.clone()));
        }
        if !now.is_firing() && (was_firing || matches!(turns.first(), Some(Transition::Fired(_)))) {
            turns.push(Transition::Resolved(now.clone()));
        }
        // Also without a change: publishers end alerts of which they hear nothing after a restart.
        if turns.is_empty() {
            turns.push(Transition::Updated(now.clone()));
        }
        turns
    }
}

impl Member {
    fn of(part: &Alert) -> Self {
        let pod = part.subject.as_ref().map(|subject| &subject.pod);
        let is_gone = matches!(part.resolution, Some(Resolution::Gone | Resolution::TargetGone));
        Self {
            pod: AffectedPod {
                name: pod.map_or_else(|| part.target.clone(), |pod| pod.name.clone()),
                uid: part.target_uid.clone(),
                state: part.state,
                predicted_us: part.predicted_us,
                measured_us: part.measured_us,
            },
            confirmed: part.confirmed,
            is_awaited: part.judged_unix.is_none() && !is_gone,
        }
    }

    fn is_firing(&self) -> bool {
        self.pod.state == AlertState::Firing
    }
}

#[cfg(test)]
mod tests;
