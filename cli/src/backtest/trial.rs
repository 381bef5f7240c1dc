//! A rule that is tried: what it would have warned of, at its own confidence and at others, at its own threshold and at
//! others. All of it is one pass of the fold.

use std::collections::BTreeMap;

use netprecursor_core::{
    adapt::Learned,
    policy::{Confidence, Identity, Rule},
    score::Scorecard,
    tick::Tick,
    watch::Step,
};
use netprecursor_models::Forecaster;

use super::{
    fold::fold,
    moments::Counts,
    rule_run::RuleRun,
    sweep::{Sweep, TargetSweep},
    timeline::Timeline,
};
use crate::replay::Source;

/// What a trial shows of a rule.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    sweep: Sweep,
    targets: BTreeMap<String, Target>,
    /// Wall clock at tick 0, Unix s; none where the source has none.
    origin: Option<u64>,
}

/// What a trial keeps of one target while it is played.
#[derive(Debug, Clone)]
pub(super) struct TargetTrial {
    sweep: TargetSweep,
    timeline: Timeline,
}

/// What the rule would have done with one target.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) timeline: Timeline,
}

/// How a rule would have fared.
#[derive(Debug, Clone)]
pub(crate) struct Tried {
    pub(crate) scorecard: Scorecard,
    /// At other confidences and at its own, lowest first.
    pub(crate) levels: Vec<(Confidence, Scorecard)>,
    /// At other thresholds, in the order in which they were asked for.
    pub(crate) thresholds: Vec<(u64, Scorecard)>,
    /// By identifier.
    pub(crate) targets: BTreeMap<String, Target>,
    /// Wall clock at tick 0, Unix s; none where the source has none.
    pub(crate) origin: Option<u64>,
}

/// Plays a source through a rule, and through the same rule at each of the other thresholds.
///
/// # Errors
/// Seconds that cannot be played, or that the forecaster does not take.
pub(crate) fn attempt(
    source: &impl Source,
    forecaster: &mut Forecaster,
    policy: &Identity,
    rule: &Rule,
    others: &[Rule],
    prior: &Learned,
) -> anyhow::Result<Tried> {
    let scored = |rule: &Rule| RuleRun::scored(policy.clone(), rule.clone(), prior.clone());
    let mut runs = Vec::from([RuleRun::tried(policy.clone(), rule.clone(), prior.clone())]);
    runs.extend(others.iter().map(scored));
    fold("", source, forecaster, None, &mut runs)?;
    let mut runs = runs.into_iter();
    let (scorecard, trial) = runs.next().map(|run| (run.ledger.scorecard, run.trial)).unwrap_or_default();
    let Trial { sweep, targets, origin } = trial.unwrap_or_else(|| Trial::new(rule));
    Ok(Tried {
        scorecard,
        levels: sweep.levels().iter().map(|level| (level.confidence, level.card.clone())).collect(),
        thresholds: runs.map(|run| (run.rule.thresholds.breach_us(), run.ledger.scorecard)).collect(),
        targets,
        origin,
    })
}

impl Trial {
    pub(super) fn new(rule: &Rule) -> Self {
        Self { sweep: Sweep::of(rule), targets: BTreeMap::new(), origin: None }
    }

    /// What is kept of a new target.
    pub(super) fn target(&self) -> TargetTrial {
        TargetTrial { sweep: self.sweep.target(), timeline: Timeline::default() }
    }

    /// Takes in a step of the fold, with the scorecard's counts before and after it.
    pub(super) fn step(
        &mut self,
        (now, unix_ms): (Tick, u64),
        step: &Step,
        counts: [Counts; 2],
        rule: &Rule,
        target: &mut TargetTrial,
    ) {
        if self.origin.is_none() && unix_ms > 0 {
            self.origin = (unix_ms / 1_000).checked_sub(now.0);
        }
        self.sweep.step(now, step, rule, &mut target.sweep);
        target.timeline.observe(now, step, counts, rule);
    }

    /// Closes a target whose seconds have ended.
    pub(super) fn finish(&mut self, uid: &str, name: &str, target: TargetTrial) {
        self.targets.insert(uid.to_owned(), Target { name: name.to_owned(), timeline: target.timeline });
    }
}
