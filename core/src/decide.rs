//! Whether to warn: a state machine per target and rule, without effects, clock or memory of its own.
//!
//! `Idle → Pending → Firing ⇄ Resolving → Idle`. What speaks for firing is a *breach*: the forecast at the rule's
//! level, or what is measured already, lies above the threshold. What speaks for resolving is that all that is known
//! of the tick lies below the resolve threshold.

use serde::{Deserialize, Serialize};

use crate::{gate::Gate, policy::Rule, tick::Tick, window};

/// Ticks without any input after which a firing alert resolves: nothing of what it fired on is in the window.
pub const SILENT_TICKS: u64 = window::LENGTH as u64;

/// An update follows when the worst value exceeds the one last reported by this factor.
const WORTH_REPORTING: f32 = 1.1;

/// What is known at a tick.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Input {
    /// Why nothing may fire, if so.
    pub gate: Option<Gate>,
    /// The calibrated forecast in µs at the rule's decision level.
    pub predicted_us: Option<f32>,
    /// The maximum RTT of the tick in µs.
    pub measured_us: Option<f32>,
}

/// Where a rule stands with a target.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "state")]
pub enum State {
    /// Nothing to report.
    #[default]
    Idle,
    /// In breach, not for long enough.
    Pending {
        /// A bit per tick, the newest lowest: was it in breach?
        history: u64,
    },
    /// The alert is out.
    Firing(Firing),
    /// The alert is out and recovery has begun.
    Resolving {
        /// The alert.
        firing: Firing,
        /// Since when everything known lies below the resolve threshold.
        since: Tick,
    },
}

/// An alert that is out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Firing {
    /// When it fired.
    pub since: Tick,
    /// What made it fire.
    pub trigger: Trigger,
    /// The worst value in µs that was reported.
    reported_us: f32,
    /// Whether a measured breach was reported.
    measured: bool,
}

/// What made an alert fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trigger {
    /// The forecast alone: a warning.
    Forecast,
    /// What is measured: too late for a warning.
    Measured,
}

/// Why an alert resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resolution {
    /// RTT stayed below the resolve threshold for as long as the rule wants.
    Recovered,
    /// Nothing was measured for [`SILENT_TICKS`].
    Silent,
    /// The target, or the rule, is no more.
    Gone,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Action {
    /// Tell that trouble is ahead.
    Fire {
        /// What made it fire.
        trigger: Trigger,
        /// Forecast in µs at the decision level.
        predicted_us: Option<f32>,
        /// Measured in µs.
        measured_us: Option<f32>,
    },
    /// Tell that it came true, or is worse than told before.
    Update {
        /// Forecast in µs at the decision level.
        predicted_us: Option<f32>,
        /// Measured in µs.
        measured_us: Option<f32>,
    },
    /// Tell that it is over.
    Resolve {
        /// Why.
        reason: Resolution,
    },
}

/// One step. `now` is later than in the step before.
pub fn decide(state: State, input: &Input, now: Tick, rule: &Rule) -> (State, Option<Action>) {
    match state {
        State::Idle => idle(0, input, now, rule),
        State::Pending { history } => idle(history, input, now, rule),
        State::Firing(firing) => firing_on(firing, None, input, now, rule),
        State::Resolving { firing, since } => firing_on(firing, Some(since), input, now, rule),
    }
}

/// The last step: the target or the rule is no more.
pub const fn retire(state: State) -> Option<Action> {
    match state {
        State::Idle | State::Pending { .. } => None,
        State::Firing(_) | State::Resolving { .. } => Some(Action::Resolve { reason: Resolution::Gone }),
    }
}

impl State {
    /// The alert that is out, if one is.
    pub const fn firing(&self) -> Option<&Firing> {
        match self {
            Self::Idle | Self::Pending { .. } => None,
            Self::Firing(firing) | Self::Resolving { firing, .. } => Some(firing),
        }
    }
}

impl Input {
    /// The worse of forecast and measured value; `None` when the input says nothing.
    fn worst_us(&self) -> Option<f32> {
        match self.gate {
            Some(Gate::Stale { .. } | Gate::Missing) => None,
            _ => [self.predicted_us, self.measured_us].into_iter().flatten().reduce(f32::max),
        }
    }

    fn measured_breach(&self, rule: &Rule) -> bool {
        self.measured_us.is_some_and(|us| rule.thresholds.breached(us))
    }
}

fn idle(history: u64, input: &Input, now: Tick, rule: &Rule) -> (State, Option<Action>) {
    // Evidence from before a gate says nothing about after it.
    if input.gate.is_some() {
        return (State::Idle, None);
    }
    let worst_us = input.worst_us().filter(|us| rule.thresholds.breached(*us));
    let history = rule.hold.relevant(history << 1 | u64::from(worst_us.is_some()));
    match worst_us {
        Some(reported_us) if rule.hold.satisfied(history) => {
            let measured = input.measured_breach(rule);
            let trigger = if measured { Trigger::Measured } else { Trigger::Forecast };
            let Input { predicted_us, measured_us, .. } = *input;
            let firing = Firing { since: now, trigger, reported_us, measured };
            (State::Firing(firing), Some(Action::Fire { trigger, predicted_us, measured_us }))
        }
        _ if history == 0 => (State::Idle, None),
        _ => (State::Pending { history }, None),
    }
}

fn firing_on(
    mut firing: Firing,
    recovering: Option<Tick>,
    input: &Input,
    now: Tick,
    rule: &Rule,
) -> (State, Option<Action>) {
    match input.worst_us() {
        None => match (input.gate, recovering) {
            (Some(Gate::Stale { ticks }), _) if ticks >= SILENT_TICKS => {
                (State::Idle, Some(Action::Resolve { reason: Resolution::Silent }))
            }
            (_, Some(since)) => (State::Resolving { firing, since }, None),
            (_, None) => (State::Firing(firing), None),
        },
        Some(worst_us) if rule.thresholds.recovered(worst_us) => {
            let since = recovering.unwrap_or(now);
            if now.since(since) >= rule.keep_firing.get() {
                (State::Idle, Some(Action::Resolve { reason: Resolution::Recovered }))
            } else {
                (State::Resolving { firing, since }, None)
            }
        }
        Some(worst_us) => {
            let came_true = !firing.measured && input.measured_breach(rule);
            if !came_true && worst_us <= firing.reported_us * WORTH_REPORTING {
                return (State::Firing(firing), None);
            }
            firing.measured |= came_true;
            firing.reported_us = firing.reported_us.max(worst_us);
            let Input { predicted_us, measured_us, .. } = *input;
            (State::Firing(firing), Some(Action::Update { predicted_us, measured_us }))
        }
    }
}

#[cfg(test)]
mod tests;
