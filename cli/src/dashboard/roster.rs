//! Who the targets are. It changes rarely, so the stream names its version only, and the page asks again when that changes.

use std::collections::{BTreeMap, HashMap};

use netprecursor_core::{alert::Model, policy::Identity};
use serde::Serialize;

use super::{
    agent::{ForecastView, RuleView, TargetView},
    cluster::Placed,
};
use crate::history::{self, Series};

/// What differs by less is the same chance: the page draws no finer.
const SAME: f32 = 0.01;

/// A rule that selects a target.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rule {
    #[serde(flatten)]
    policy: Identity,
    rule: String,
    rtt: String,
    threshold_us: u64,
    needed: Needed,
    model: Model,
}

/// The chance that a warning needs. The agent learns it, so it drifts by a little each second. That is no change of the
/// roster, which every open page would read again; what is shown stays until it is a percentage point off.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
struct Needed(Option<f32>);

impl PartialEq for Needed {
    fn eq(&self, other: &Self) -> bool {
        match (self.0, other.0) {
            (Some(shown), Some(learned)) => (shown - learned).abs() < SAME,
            (shown, learned) => shown.is_none() && learned.is_none(),
        }
    }
}

/// A target.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    pub(super) uid: String,
    pub(super) name: String,
    /// Of a pod; none on one host.
    pub(super) namespace: Option<String>,
    pub(super) workload: Option<String>,
    node: Option<String>,
    aliases: Vec<String>,
    labels: BTreeMap<String, String>,
    rules: Vec<Rule>,
}

impl Target {
    /// The target of an alert, as far as that says who it is.
    pub(super) fn of_alert(placed: &Placed) -> Self {
        let Placed { alert, namespace, node, workload, .. } = placed;
        Self {
            uid: alert.target_uid.clone(),
            name: alert.target.clone(),
            namespace: Some(namespace.clone()),
            workload: workload.clone(),
            node: Some(node.clone()),
            aliases: Vec::new(),
            labels: BTreeMap::new(),
            rules: vec![Rule {
                policy: alert.policy.clone(),
                rule: alert.rule.clone(),
                rtt: alert.rtt.clone(),
                threshold_us: alert.threshold_us,
                needed: Needed(None),
                model: alert.model.clone(),
            }],
        }
    }

    /// Takes in what selects it besides.
    pub(super) fn join(&mut self, other: Self) {
        self.rules.extend(other.rules);
    }

    /// What it is called in metrics.
    pub(super) fn series(&self) -> Series {
        Series {
            target: self.name.clone(),
            namespace: self.namespace.clone(),
            workload: self.workload.clone(),
            rule: self.rule(),
        }
    }

    /// The first of its rules: the one that is drawn.
    pub(super) fn rule(&self) -> Option<history::Rule> {
        let Rule { policy, rule, .. } = self.rules.first()?;
        Some(history::Rule {
            policy_kind: policy.kind.name().to_owned(),
            policy_namespace: policy.namespace_or_empty().to_owned(),
            policy: policy.name.as_str().to_owned(),
            rule: rule.clone(),
        })
    }
}

/// All targets, in the agent's order.
#[derive(Debug, Default)]
pub(super) struct Roster {
    version: u64,
    /// Where the targets are, in a cluster.
    node: Option<String>,
    targets: Vec<Target>,
    by_uid: HashMap<String, usize>,
    /// Those that went, for the charts of their alerts.
    gone: HashMap<String, Target>,
}

impl Roster {
    /// No targets yet; versions begin at `version`.
    pub(super) fn new(version: u64) -> Self {
        Self { version, ..Self::default() }
    }

    /// As [`Roster::new`], of pods on a node.
    pub(super) fn on(node: &str, version: u64) -> Self {
        Self { version, node: Some(node.to_owned()), ..Self::default() }
    }

    /// Takes in the targets that the agent has now.
    pub(super) fn take(&mut self, targets: &[TargetView], forecasts: &[ForecastView]) {
        let needed: HashMap<_, _> = forecasts
            .iter()
            .map(|each| ((each.target.as_str(), &each.policy, each.rule.as_str()), each.needed))
            .collect();
        let rule = |target: &TargetView, rule: &RuleView| Rule {
            policy: rule.policy.clone(),
            rule: rule.rule.clone(),
            rtt: rule.rtt.clone(),
            threshold_us: rule.threshold_us,
            needed: Needed(needed.get(&(target.target.as_str(), &rule.policy, rule.rule.as_str())).copied().flatten()),
            model: rule.model.clone(),
        };
        let node = &self.node;
        let target = |target: &TargetView| Target {
            uid: target.uid.clone(),
            name: target.target.clone(),
            // A pod's name begins with its namespace.
            namespace: node.as_ref().and(target.target.split_once('/')).map(|(namespace, _)| namespace.to_owned()),
            workload: target.workload.clone(),
            node: node.clone(),
            aliases: target.aliases.clone(),
            labels: target.labels.clone(),
            rules: target.rules.iter().map(|each| rule(target, each)).collect(),
        };
        let targets: Vec<Target> = targets.iter().map(target).collect();
        if targets != self.targets {
            self.by_uid = targets.iter().enumerate().map(|(at, target)| (target.uid.clone(), at)).collect();
            let before = std::mem::replace(&mut self.targets, targets);
            let went = before.into_iter().filter(|target| !self.by_uid.contains_key(&target.uid));
            self.gone.extend(went.map(|target| (target.uid.clone(), target)));
            self.gone.retain(|uid, _| !self.by_uid.contains_key(uid));
            self.version += 1;
        }
    }

    /// Changes whenever a target does.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    /// The targets.
    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// A target that is there, or was.
    pub(super) fn target(&self, uid: &str) -> Option<&Target> {
        self.position(uid).map_or_else(|| self.gone.get(uid), |at| self.targets.get(at))
    }

    /// Forgets those that went, unless they are kept.
    pub(super) fn retain_gone(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.gone.retain(|uid, _| is_kept(uid));
    }

    /// Where a target is among them.
    pub(super) fn position(&self, uid: &str) -> Option<usize> {
        self.by_uid.get(uid).copied()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(name: &str) -> TargetView {
        let rule = json!({
            "policyKind": "PrecursorPolicy", "policyNamespace": "shop", "policy": "p", "rule": "rtt", "rtt": "RTT", "thresholdUs": 200,
            "state": "Idle", "model": {"name": "m"}
        });
        serde_json::from_value(json!({"target": name, "uid": format!("u-{name}"), "measuredUs": null, "predictedUs": null, "rules": [rule]}))
            .unwrap()
    }

    fn forecast(name: &str, needed: f32) -> ForecastView {
        serde_json::from_value(json!({
            "target": name, "policyKind": "PrecursorPolicy", "policyNamespace": "shop", "policy": "p", "rule": "rtt", "tick": 1,
            "quantilesUs": null, "chance": null, "needed": needed
        }))
        .unwrap()
    }

    #[test]
    fn the_version_changes_with_the_targets_and_only_then() {
        let mut roster = Roster::default();
        roster.take(&[view("a")], &[forecast("a", 0.5)]);
        let before = roster.version();
        roster.take(&[view("a")], &[forecast("a", 0.5)]);
        assert_eq!(roster.version(), before);
        roster.take(&[view("a"), view("b")], &[forecast("a", 0.5)]);
        assert!(roster.version() > before);
        assert_eq!(roster.position("u-b"), Some(1));
    }

    #[test]
    fn a_needed_chance_that_drifts_is_a_change_once_it_is_a_percentage_point_off() {
        let mut roster = Roster::default();
        let mut versions: Vec<u64> = Vec::new();
        for needed in [0.5, 0.500_001, 0.495, 0.509, 0.511, 0.509] {
            roster.take(&[view("a")], &[forecast("a", needed)]);
            versions.push(roster.version());
        }
        assert_eq!(versions, [1, 1, 1, 1, 2, 2]);
        roster.take(&[view("a")], &[]);
        assert_eq!(roster.version(), 3, "a chance that is no longer known");
    }

    #[test]
    fn a_rule_has_the_chance_that_its_warnings_need() {
        let mut roster = Roster::default();
        roster.take(&[view("a"), view("b")], &[forecast("a", 0.5)]);
        let needed: Vec<_> = roster.targets().iter().map(|target| target.rules[0].needed.0).collect();
        assert_eq!(needed, [Some(0.5), None]);
    }

    #[test]
    fn a_target_that_went_is_known_until_it_is_forgotten() {
        let mut roster = Roster::default();
        roster.take(&[view("a"), view("b")], &[]);
        roster.take(&[view("b")], &[]);
        assert_eq!(
            (roster.position("u-a"), roster.target("u-a").map(|target| target.name.as_str())),
            (None, Some("a"))
        );
        roster.retain_gone(|uid| uid != "u-a");
        assert!(roster.target("u-a").is_none() && roster.target("u-b").is_some());
    }
}
