//! The agent's gates, decision and judge without what it learns, so that forecasters compare at any number of false
//! alerts: a shift of the forecast moves the operating point, and calibration would move it back.

use netprecursor_core::{
    decide::{self, Action, Input, State},
    forecast::{Forecast, Level},
    gate::{Gatekeeper, Start},
    policy::Rule,
    score::{Judge, Scorecard, Standing},
    tick::Tick,
};

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

    /// Takes in one tick and counts in `card`; the forecast's 0.9 quantile is raised by `shift` in ln(µs).
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
        let predicted_us = forecast.map(|forecast| forecast.at(Level::DEFAULT) * shift.exp());
        let breached = measured_us.map(|us| rule.thresholds.breached(us));
        let standing = match (self.state.firing(), gate) {
            (Some(_), _) => Standing::Firing,
            (None, Some(_)) => Standing::Gated,
            (None, None) => Standing::Quiet,
        };
        self.judge.observe(now, breached, standing, card);
        let (state, action) = decide::decide(self.state, &Input { gate, predicted_us, measured_us }, now, rule);
        self.state = state;
        if matches!(action, Some(Action::Fire { .. })) {
            self.judge.fired(now, rule.hold.delay(), card);
        }
    }
}
