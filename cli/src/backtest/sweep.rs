//! The rule at other confidences, in the same pass as the fold. What a ledger learns does not depend on the warnings it
//! gives, so forecasts and chances are those of the fold; each confidence has its own bar, decisions and score.

use netprecursor_core::{
    calibrate::Caution,
    decide::{self, Action, Input, State},
    policy::{Confidence, Rule},
    score::{Judge, Scorecard, Standing},
    tick::Tick,
    watch::{Claim, Step},
};

/// Confidences in percent.
const CONFIDENCES: [i64; 9] = [10, 20, 30, 40, 50, 60, 70, 80, 90];

/// The state that all targets of a rule share, by confidence.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    levels: Vec<Level>,
    tick: Tick,
}

/// The rule at one confidence.
#[derive(Debug, Clone)]
pub(super) struct Level {
    pub(super) confidence: Confidence,
    pub(super) card: Scorecard,
    caution: Caution,
}

/// The state of one target.
#[derive(Debug, Clone)]
pub(super) struct TargetSweep {
    last: Option<Tick>,
    /// The tick that ended the latest gap in what was watched.
    gap: Option<Tick>,
    /// By confidence.
    levels: Vec<(State, Judge, Claim)>,
}

impl Sweep {
    /// Confidences from 10 to 90 %, and the rule's own.
    pub(super) fn of(rule: &Rule) -> Self {
        let mut confidences: Vec<Confidence> =
            CONFIDENCES.into_iter().filter_map(|percent| Confidence::percent(percent).ok()).collect();
        confidences.push(rule.confidence);
        confidences.sort_by_key(|confidence| confidence.get());
        confidences.dedup();
        let level = |confidence| Level { confidence, card: Scorecard::default(), caution: Caution::default() };
        Self { levels: confidences.into_iter().map(level).collect(), tick: Tick::default() }
    }

    /// Lowest confidence first.
    pub(super) fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// The state of a new target.
    pub(super) fn target(&self) -> TargetSweep {
        let levels = vec![(State::Idle, Judge::default(), Claim::default()); self.levels.len()];
        TargetSweep { last: None, gap: None, levels }
    }

    /// Takes in a step of the fold for one target.
    pub(super) fn step(&mut self, now: Tick, step: &Step, rule: &Rule, target: &mut TargetSweep) {
        if self.tick != now {
            self.levels.iter_mut().for_each(|level| level.caution.close());
            self.tick = now;
        }
        let Step { gate, chance, predicted_us, measured_us, rests_on_one, .. } = *step;
        let breached = measured_us.map(|us| rule.thresholds.breached(us));
        target.leave_out(now);
        let is_blind = target.gap.is_some_and(|gap| now.since(gap) <= rule.hold.delay());
        for (level, (state, judge, claim)) in self.levels.iter_mut().zip(&mut target.levels) {
            let Level { confidence, card, caution } = level;
            if rests_on_one {
                caution.rest_on_one();
            }
            let needed = caution.needed(*confidence) as f32;
            let standing = match (state.firing(), gate) {
                (Some(_), _) => Standing::Firing,
                (None, Some(_)) => Standing::Gated,
                (None, None) if is_blind => Standing::Gated,
                (None, None) => Standing::Quiet,
            };
            let judged = judge.observe(now, breached, standing, card);
            let input = Input { gate, chance, needed, predicted_us, measured_us };
            let (decided, action) = decide::decide(*state, &input, now, rule);
            *state = decided;
            let fired = match action {
                Some(Action::Fire { .. }) => judge.fired(now, rule.hold.delay(), card),
                _ => Default::default(),
            };
            let unconfirmed = judged.unconfirmed + fired.unconfirmed;
            let is_above = chance.is_some_and(|chance| f64::from(chance) > caution.claims(*confidence));
            if let Some(came) = claim.observe(now, breached, is_above && gate.is_none()) {
                caution.judge(*confidence, came);
            }
            caution.spend(rule.max_false_alerts_per_day, unconfirmed);
        }
    }
}

impl TargetSweep {
    /// Ticks between the last step and `now` favour nothing, as in [`Watch::step`](netprecursor_core::watch::Watch::step).
    fn leave_out(&mut self, now: Tick) {
        let left_out = self.last.map_or(0, |last| now.since(last).saturating_sub(1));
        self.last = Some(now);
        if left_out > 0 {
            self.gap = Some(now);
            for (state, _, claim) in &mut self.levels {
                *state = state.after(left_out);
                claim.skip();
            }
        }
    }
}
