//! The course of one target's alert: what a step of its watch makes of it.

use netprecursor_core::{
    alert::{self, Alert, AlertState, Confirmed, Model, Transition},
    causes::Cause,
    decide::Action,
    policy::{Policy, Rule},
    source::RttFrom,
    watch::Step,
};

use crate::tick::target::Target;

/// The alert that a step raises; `None` unless it fires.
#[expect(clippy::too_many_arguments, reason = "an alert is made of all of them, in one place")]
pub(super) fn fire(
    name: String,
    policy: &Policy,
    rule: &Rule,
    target: &Target,
    rtt_from: RttFrom,
    step: &Step,
    causes: Vec<Cause>,
    model: Model,
    unix: u64,
) -> Option<Alert> {
    let Some(Action::Fire { trigger, predicted_us, chance, measured_us }) = step.action else { return None };
    Some(Alert {
        name,
        policy: policy.identity(),
        rule: rule.name.to_string(),
        target: target.about.name.clone(),
        target_uid: target.about.uid.clone(),
        severity: rule.severity,
        state: AlertState::Firing,
        trigger,
        rtt: rule.view.to_string(),
        rtt_from,
        threshold_us: rule.thresholds.breach_us(),
        resolve_us: rule.thresholds.resolve_us(),
        predicted_us,
        chance,
        measured_us,
        lead_seconds: None,
        confirmed: Confirmed::Unknown,
        judged_unix: None,
        count: 1,
        fired_unix: unix,
        resolved_unix: None,
        resolution: None,
        causes,
        model,
        subject: None,
        part_of: None,
        affected: None,
    })
}

/// Applies a step to a known alert: verdict first, because an alert may be judged and resolve in one tick.
pub(super) fn follow(alert: &mut Alert, step: &Step, unix: u64, transitions: &mut Vec<Transition>) {
    if let Some(verdict) = step.verdict {
        alert.judge(verdict, unix);
        transitions.push(Transition::Judged(alert.clone()));
    }
    if let Some(action) = &step.action {
        act(alert, action, unix, transitions);
    }
}

pub(super) fn act(alert: &mut Alert, action: &Action, unix: u64, transitions: &mut Vec<Transition>) {
    match action {
        // Emitted where the alert is made.
        Action::Fire { .. } => {}
        Action::Update { predicted_us, chance, measured_us } => {
            alert.predicted_us = alert::worse(alert.predicted_us, *predicted_us);
            alert.chance = alert::worse(alert.chance, *chance);
            alert.measured_us = alert::worse(alert.measured_us, *measured_us);
            transitions.push(Transition::Updated(alert.clone()));
        }
        Action::Resolve { reason } => {
            alert.resolve(*reason, unix);
            transitions.push(Transition::Resolved(alert.clone()));
        }
    }
}
