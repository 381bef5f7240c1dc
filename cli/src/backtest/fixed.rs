//! The agent's gates, decision and judge without what it learns, so that forecasters compare at any number of false
//! alerts: a shift of the forecast moves the operating point, and calibration would move it back.

use netprecursor_core::{
    adapt,
    decide::{self, Action, Input, State},
    forecast::Forecast,
    gate::{Gatekeeper, Start},
    policy::Rule,
    score::{Judge, Scorecard, Standing},
    tick::Tick,
};

/// More likely than not.
const NEEDED: f32 = 0.5;

/// One target under one rule at a fixed operating point.
#[derive(Debug, Clone)]
pub(super) struct FixedWatch {
    gatekeeper: Gatekeeper,
    state: State,
    judge: Judge,
}

impl FixedWatch {
    /// A watch that begins with the tick `now`.
    pub(super) fn new(now: Tick) -> Self {
        Self { gatekeeper: Gatekeeper::new(Start::Fresh, now), state: State::Idle, judge: Judge::default() }
    }

    /// Takes in one tick and counts in `card`; the forecast is raised by `shift` in ln(µs), and
    /// warns when a breach is more likely than not by it.
    pub(super) fn step(
        &mut self,
        now: Tick,
        measured_us: Option<f32>,
        forecast: Option<Forecast>,
        shift: f32,
        rule: &Rule,
        card: &mut Scorecard,
    ) {
        let gate = self.gatekeeper.observe(now, measured_us);
        let threshold_us = rule.thresholds.breach_us() as f32 / shift.exp();
        let chance = forecast.map(|forecast| adapt::chance(forecast.log_odds_above(threshold_us)) as f32);
        let predicted_us = forecast.map(|forecast| forecast.at(0.5) * shift.exp());
        let breached = measured_us.map(|us| rule.thresholds.breached(us));
        let standing = match (self.state.firing(), gate) {
            (Some(_), _) => Standing::Firing,
            (None, Some(_)) => Standing::Gated,
            (None, None) => Standing::Quiet,
        };
        self.judge.observe(now, breached, standing, card);
        let (state, action) =
            decide::decide(self.state, &Input { gate, chance, needed: NEEDED, predicted_us, measured_us }, now, rule);
        self.state = state;
        if matches!(action, Some(Action::Fire { .. })) {
            self.judge.fired(now, rule.hold.delay(), card);
        }
    }
}
