//! What the pipeline contributes to the node report.

use std::collections::BTreeMap;

use netprecursor_agent_common::Counter;
use netprecursor_core::{adapt, forecast::QUANTILES, watch::Ledger};

use super::Pipeline;
use crate::{
    status::{State, Status},
    tick::{
        report::{ModelData, ReportData, RttSource, RuleData},
        target::RuleId,
    },
};

impl Pipeline {
    /// As of now; `lost` transitions found no room on their way.
    pub fn report(&self, unix: u64, lost: u64) -> ReportData {
        let sensors = self.suite.statuses();
        let is_blind = |status: &Status| status.name == "tcp" && matches!(status.state, State::Unavailable(_));
        let rtt_source = if sensors.iter().any(is_blind) {
            RttSource::Unavailable
        } else if self.suite.counter(Counter::SmoothedSample) > 0 {
            RttSource::Smoothed
        } else {
            RttSource::Measured
        };
        let mut sockets = None;
        let mut targets_of: BTreeMap<RuleId, u32> = BTreeMap::new();
        for target in &self.targets {
            if let Some(coverage) = target.coverage {
                let (established, seen) = sockets.unwrap_or((0, 0));
                sockets = Some((established + u64::from(coverage.established), seen + u64::from(coverage.seen)));
            }
            for (rule, _) in &target.watches {
                *targets_of.entry(*rule).or_default() += 1;
            }
        }
        let mut report = ReportData {
            unix,
            sensors,
            rtt_source,
            sockets,
            targets: u32::try_from(self.targets.len()).unwrap_or(u32::MAX),
            over_capacity: self.counters.over_capacity,
            transitions_lost: lost,
            ..ReportData::default()
        };
        for (policy, active) in self.policies.iter().enumerate() {
            let Some(reference) = &active.reference else { continue };
            for (rule, active) in active.rules.iter().enumerate() {
                let targets = targets_of.get(&RuleId { policy, rule }).copied().unwrap_or_default();
                // A rule that never watched anything here has nothing to report: a report stays small on any cluster.
                if targets == 0 && active.ledger.scorecard.target_seconds == 0 {
                    continue;
                }
                let model = self.forecasters.model(active.forecaster);
                report.models.push(ModelData {
                    policy: reference.clone(),
                    rule: active.rule.name.to_string(),
                    name: model.name.clone(),
                    ready: model.fallback.is_none(),
                    reason: model.fallback.clone(),
                });
                report.rules.push(RuleData {
                    policy: reference.clone(),
                    rule: active.rule.name.to_string(),
                    hash: active.rule.meaning(),
                    since: active.since,
                    targets,
                    needed: active.ledger.caution.needed(active.rule.confidence) as f32,
                    reachable: active.ledger.reliability.highest(),
                    merit: merit(&active.ledger),
                    scorecard: active.ledger.scorecard.clone(),
                });
            }
        }
        report
    }
}

/// The recent skill of the mixture, and its expert of the highest weight.
fn merit(ledger: &Ledger) -> Option<([Option<f64>; QUANTILES.len()], &'static str)> {
    let skills = adapt::skills(ledger.merits.mixture());
    let leading = || adapt::leading(&adapt::standings(&ledger.learned, &ledger.merits));
    skills.iter().any(Option::is_some).then(|| (skills, leading()))
}
