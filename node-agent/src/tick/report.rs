//! What the tick thread contributes to the node report.

use std::{collections::BTreeMap, sync::Arc};

use netprecursor_agent_common::Counter;
use netprecursor_core::{
    adapt,
    alert::{Model, PolicyRef},
    forecast::QUANTILES,
    score::Scorecard,
    source::RttFrom,
};

use super::{
    snapshot::{RuleState, SensorState, Snapshot},
    target::RuleId,
};
use crate::{
    desired::ClusterNetworks,
    status::{State, Status},
};

/// Which RTT the kernel gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RttSource {
    /// Each round trip.
    Measured,
    /// The smoothed one of before (kernels before 6.10).
    Smoothed,
    /// None: the sensor does not work.
    #[default]
    Unavailable,
}

/// What forecasts for one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelData {
    /// The policy.
    pub policy: PolicyRef,
    /// The rule.
    pub rule: String,
    /// The model that forecasts.
    pub name: String,
    /// Whether that is the model that the rule asks for.
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// What one rule counted on this node.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleData {
    /// The policy.
    pub policy: PolicyRef,
    /// The rule.
    pub rule: String,
    /// Changes when the rule's meaning does: then the counters start from zero.
    pub hash: String,
    /// Since when it counts, unix s.
    pub since: u64,
    /// The pods of this node that it watches.
    pub targets: u32,
    /// The chance that a warning needs.
    pub needed: f32,
    /// The highest recent forecast chance.
    pub reachable: f32,
    /// The recent skill of the forecast over the best rule of thumb, by quantile, and the expert of the highest weight;
    /// `None` before a minute and for a model by itself.
    pub merit: Option<([Option<f64>; QUANTILES.len()], &'static str)>,
    /// The counters.
    pub scorecard: Scorecard,
}

/// What the tick thread contributes to the node report.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportData {
    /// Unix time, s.
    pub unix: u64,
    /// The sensors.
    pub sensors: Vec<Status>,
    /// Which RTT they measure.
    pub rtt_source: RttSource,
    /// Where the RTT of each watched pod comes from.
    pub rtt_from: Vec<RttFrom>,
    /// Established sockets of all watched pods, and those of them that are seen; `None` before the first survey.
    pub sockets: Option<(u64, u64)>,
    /// Pods watched.
    pub targets: u32,
    /// Pods that found no slot.
    pub over_capacity: u64,
    /// Transitions that no longer found room between the threads.
    pub transitions_lost: u64,
    /// The networks of the cluster.
    pub networks: Arc<ClusterNetworks>,
    /// What forecasts.
    pub models: Vec<ModelData>,
    /// What was counted.
    pub rules: Vec<RuleData>,
}

impl ReportData {
    /// Of this second; `lost` transitions found no room on their way.
    pub fn of(snapshot: &Snapshot, lost: u64) -> Self {
        let mut sockets = None;
        let mut targets_of: BTreeMap<RuleId, u32> = BTreeMap::new();
        for target in &snapshot.targets {
            if let Some(coverage) = target.coverage {
                let (established, seen) = sockets.unwrap_or((0, 0));
                sockets = Some((established + u64::from(coverage.established), seen + u64::from(coverage.seen)));
            }
            for watch in &target.watches {
                *targets_of.entry(watch.rule).or_default() += 1;
            }
        }
        let mut report = Self {
            unix: snapshot.moment.unix_ms / 1000,
            sensors: snapshot.sensors.statuses.clone(),
            rtt_source: RttSource::of(&snapshot.sensors),
            rtt_from: snapshot.targets.iter().map(|target| target.rtt_from).collect(),
            sockets,
            targets: u32::try_from(snapshot.targets.len()).unwrap_or(u32::MAX),
            over_capacity: snapshot.counters.over_capacity,
            transitions_lost: lost,
            networks: Arc::clone(&snapshot.networks),
            ..Self::default()
        };
        for (policy, state) in snapshot.policies.iter().enumerate() {
            let Some(reference) = &state.reference else { continue };
            for (position, rule) in state.rules.iter().enumerate() {
                let id = RuleId { policy, rule: position };
                let targets = targets_of.get(&id).copied().unwrap_or_default();
                // A rule that never watched anything here has nothing to report: a report stays small on any cluster.
                if targets == 0 && rule.scorecard.target_seconds == 0 {
                    continue;
                }
                report.models.push(ModelData::of(reference, rule));
                report.rules.push(RuleData::of(reference, rule, targets));
            }
        }
        report
    }
}

impl RttSource {
    fn of(sensors: &SensorState) -> Self {
        let is_blind = |status: &Status| status.name == "tcp" && matches!(status.state, State::Unavailable(_));
        if sensors.statuses.iter().any(is_blind) {
            Self::Unavailable
        } else if sensors.counter(Counter::SmoothedSample) > 0 {
            Self::Smoothed
        } else {
            Self::Measured
        }
    }
}

impl ModelData {
    fn of(policy: &PolicyRef, state: &RuleState) -> Self {
        let Model { name, fallback, .. } = state.model.as_ref();
        Self {
            policy: policy.clone(),
            rule: state.rule.name.to_string(),
            name: name.clone(),
            ready: fallback.is_none(),
            reason: fallback.clone(),
        }
    }
}

impl RuleData {
    fn of(policy: &PolicyRef, state: &RuleState, targets: u32) -> Self {
        let skill = state.skill();
        let leading = state.makeup.as_ref().map(|makeup| adapt::leading(&makeup.members));
        Self {
            policy: policy.clone(),
            rule: state.rule.name.to_string(),
            hash: state.rule.meaning(),
            since: state.since,
            targets,
            needed: state.needed as f32,
            reachable: state.reachable,
            merit: leading.filter(|_| skill.iter().any(Option::is_some)).map(|leading| (skill, leading)),
            scorecard: state.scorecard.clone(),
        }
    }
}
