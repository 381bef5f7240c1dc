//! Whether to warn: a state machine per target and rule, without effects, clock or memory of its own.
//!
//! `Idle → Pending → Firing ⇄ Resolving → Idle`. A tick favours firing when a breach is likelier than the rule asks for,
//! or measured already. It favours resolving when the measured RTT lies below the resolve threshold and a breach is
//! at most half as likely as a warning needs.

use serde::{Deserialize, Serialize};

use crate::{gate::Gate, policy::Rule, tick::Tick, window};

/// Ticks without any input after which a firing alert resolves: nothing of what it fired on is in the window.
pub const SILENT_TICKS: u64 = window::LENGTH as u64;

/// An update follows when the worst value exceeds the one last reported by this factor.
const WORTH_REPORTING: f32 = 1.1;

/// An alert stays while a breach is more than this share as likely as a warning needs.
const STILL_LIKELY: f32 = 0.5;

/// What is known at a tick.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Input {
    /// Why nothing may fire, if so.
    pub gate: Option<Gate>,
    /// The chance that the horizon breaches the threshold.
    pub chance: Option<f32>,
    /// The chance that a warning needs.
    pub needed: f32,
    /// The calibrated forecast in µs, to be shown.
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

/// A firing alert.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Firing {
    /// When it fired.
    pub since: Tick,
    /// What triggered it.
    pub trigger: Trigger,
    /// The worst value in µs that was reported.
    reported_us: f32,
    /// Whether a measured breach was reported.
    measured: bool,
}

/// What triggered an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Trigger {
    /// The forecast, before any measured breach: a warning.
    Forecast,
    /// A measured breach, too late for a warning.
    Measured,
}

/// Why an alert resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Resolution {
    /// RTT stayed below the resolve threshold for `keepFiringFor`.
    Recovered,
    /// Nothing was measured for a minute.
    Silent,
    /// The rule no longer watches the pod: the pod, rule or policy is gone, or the rule changed.
    Gone,
    /// The operator found that the pod is gone.
    TargetGone,
    /// The operator found that the agent or its node is gone.
    AgentLost,
    /// netprecursor was uninstalled: nothing watches the pod any more.
    Uninstalled,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Action {
    /// Warn of trouble ahead.
    Fire {
        /// What made it fire.
        trigger: Trigger,
        /// Forecast in µs.
        predicted_us: Option<f32>,
        /// The chance of a breach.
        chance: Option<f32>,
        /// Measured in µs.
        measured_us: Option<f32>,
    },
    /// Report that it came true, or is worse than reported before.
    Update {
        /// Forecast in µs.
        predicted_us: Option<f32>,
        /// The chance of a breach.
        chance: Option<f32>,
        /// Measured in µs.
        measured_us: Option<f32>,
    },
    /// Report that it is over.
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

/// The last step: the target or the rule is gone.
pub const fn retire(state: State) -> Option<Action> {
    match state {
        State::Idle | State::Pending { .. } => None,
        State::Firing(_) | State::Resolving { .. } => Some(Action::Resolve { reason: Resolution::Gone }),
    }
}

impl State {
    /// After so many ticks that were left out: they favour nothing.
    #[must_use]
    pub const fn after(self, left_out: u64) -> Self {
        match self {
            Self::Pending { .. } if left_out >= u64::BITS as u64 => Self::Idle,
            Self::Pending { history } => Self::Pending { history: history << left_out },
            other => other,
        }
    }

    /// The alert that is out, if one is.
    pub const fn firing(&self) -> Option<&Firing> {
        match self {
            Self::Idle | Self::Pending { .. } => None,
            Self::Firing(firing) | Self::Resolving { firing, .. } => Some(firing),
        }
    }
}

impl Input {
    /// Whether nothing is known of the tick.
    const fn is_silent(&self) -> bool {
        matches!(self.gate, Some(Gate::Stale { .. } | Gate::Missing))
            || (self.chance.is_none() && self.predicted_us.is_none() && self.measured_us.is_none())
    }

    /// The worse of forecast and measured value.
    fn worst_us(&self) -> f32 {
        [self.predicted_us, self.measured_us].into_iter().flatten().fold(0.0, f32::max)
    }

    fn measured_breach(&self, rule: &Rule) -> bool {
        self.measured_us.is_some_and(|us| rule.thresholds.breached(us))
    }

    fn favours_firing(&self, rule: &Rule) -> bool {
        self.measured_breach(rule) || self.chance.is_some_and(|chance| chance > self.needed)
    }

    fn favours_resolving(&self, rule: &Rule) -> bool {
        self.measured_us.is_none_or(|us| rule.thresholds.recovered(us))
            && self.chance.is_none_or(|chance| chance <= self.needed * STILL_LIKELY)
    }
}

fn idle(history: u64, input: &Input, now: Tick, rule: &Rule) -> (State, Option<Action>) {
    // Evidence from before a gate does not count after it.
    if input.gate.is_some() {
        return (State::Idle, None);
    }
    let favours = input.favours_firing(rule);
    let history = rule.hold.relevant(history << 1 | u64::from(favours));
    if favours && rule.hold.satisfied(history) {
        let measured = input.measured_breach(rule);
        let trigger = if measured { Trigger::Measured } else { Trigger::Forecast };
        let Input { predicted_us, measured_us, chance, .. } = *input;
        let firing = Firing { since: now, trigger, reported_us: input.worst_us(), measured };
        return (State::Firing(firing), Some(Action::Fire { trigger, predicted_us, chance, measured_us }));
    }
    if history == 0 { (State::Idle, None) } else { (State::Pending { history }, None) }
}

fn firing_on(
    mut firing: Firing,
    recovering: Option<Tick>,
    input: &Input,
    now: Tick,
    rule: &Rule,
) -> (State, Option<Action>) {
    if input.is_silent() {
        return match (input.gate, recovering) {
            (Some(Gate::Stale { ticks }), _) if ticks >= SILENT_TICKS => {
                (State::Idle, Some(Action::Resolve { reason: Resolution::Silent }))
            }
            (_, Some(since)) => (State::Resolving { firing, since }, None),
            (_, None) => (State::Firing(firing), None),
        };
    }
    if input.favours_resolving(rule) {
        let since = recovering.unwrap_or(now);
        return if now.since(since) >= rule.keep_firing.get() {
            (State::Idle, Some(Action::Resolve { reason: Resolution::Recovered }))
        } else {
            (State::Resolving { firing, since }, None)
        };
    }
    let came_true = !firing.measured && input.measured_breach(rule);
    let worst_us = input.worst_us();
    if !came_true && worst_us <= firing.reported_us * WORTH_REPORTING {
        return (State::Firing(firing), None);
    }
    firing.measured |= came_true;
    firing.reported_us = firing.reported_us.max(worst_us);
    let Input { predicted_us, measured_us, chance, .. } = *input;
    (State::Firing(firing), Some(Action::Update { predicted_us, chance, measured_us }))
}

#[cfg(test)]
mod tests;
