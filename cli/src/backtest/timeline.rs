//! What a rule would have done with one target, second by second.

use std::collections::VecDeque;

use netprecursor_core::{
    decide::{Action, Trigger},
    policy::Rule,
    score::{IncidentEvent, Verdict},
    tick::Tick,
    watch::Step,
};

use super::moments::Counts;

/// One second; what is not there is NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Second {
    pub(crate) tick: Tick,
    /// µs, as the rule saw it.
    pub(crate) measured_us: f32,
    /// The chance of a breach of the ten seconds that follow.
    pub(crate) chance: f32,
}

/// How an alert turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The seconds ended before it was judged.
    Open,
    /// An incident followed in time.
    Confirmed {
        /// Seconds.
        lead: u64,
    },
    /// The incident was there before it.
    Late,
    /// No incident followed in time.
    False,
    /// Not all of the time until its deadline was measured.
    Unjudged,
}

/// An alert that the rule would have fired.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fired {
    pub(crate) at: Tick,
    /// None: it was out at the end.
    pub(crate) resolved: Option<Tick>,
    pub(crate) trigger: Trigger,
    pub(crate) chance: Option<f32>,
    pub(crate) outcome: Outcome,
}

/// Whether an incident was warned of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Warned {
    /// An alert was out, and had not been judged.
    InTime,
    /// No alert was out.
    Missed,
    /// An alert was out whose deadline had passed.
    Ongoing,
    /// Nothing could fire.
    Gated,
}

/// A run of measured breaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incident {
    pub(crate) start: Tick,
    /// Its last breach.
    pub(crate) last: Tick,
    pub(crate) warned: Warned,
}

/// One target under one rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timeline {
    pub(crate) seconds: Vec<Second>,
    pub(crate) alerts: Vec<Fired>,
    pub(crate) incidents: Vec<Incident>,
    /// Positions of alerts without a verdict, in the order of the fold's judge.
    open: VecDeque<usize>,
}

impl Timeline {
    /// Takes in a step of the fold, with the scorecard's counts before and after it.
    pub(super) fn observe(&mut self, now: Tick, step: &Step, [before, after]: [Counts; 2], rule: &Rule) {
        let or_nan = |value: Option<f32>| value.unwrap_or(f32::NAN);
        self.seconds.push(Second { tick: now, measured_us: or_nan(step.measured_us), chance: or_nan(step.chance) });
        self.close(after.unconfirmed - before.unconfirmed, after.unjudged - before.unjudged);
        if step.incident == Some(IncidentEvent::Started) {
            self.start(now, step.verdict, [before, after]);
        }
        // Whatever breaches belongs to the incident that started last.
        if let Some(incident) =
            self.incidents.last_mut().filter(|_| step.measured_us.is_some_and(|us| rule.thresholds.breached(us)))
        {
            incident.last = now;
        }
        match step.action {
            Some(Action::Fire { trigger, chance, .. }) => {
                let is_late = after.late > before.late;
                let outcome = if is_late { Outcome::Late } else { Outcome::Open };
                if !is_late {
                    self.open.push_back(self.alerts.len());
                }
                self.alerts.push(Fired { at: now, resolved: None, trigger, chance, outcome });
            }
            Some(Action::Resolve { .. }) => {
                if let Some(alert) = self.alerts.last_mut() {
                    alert.resolved = Some(now);
                }
            }
            _ => {}
        }
    }

    /// The oldest open alerts got a verdict without an incident. If only some could be judged, the counts do not show which.
    fn close(&mut self, unconfirmed: u64, unjudged: u64) {
        let outcome = if unjudged == 0 { Outcome::False } else { Outcome::Unjudged };
        for _ in 0..unconfirmed + unjudged {
            self.judge_oldest(outcome);
        }
    }

    /// An incident confirms every alert that is open.
    fn start(&mut self, now: Tick, verdict: Option<Verdict>, [before, after]: [Counts; 2]) {
        let is_confirming = matches!(verdict, Some(Verdict::Confirmed { .. }));
        let warned = if is_confirming {
            Warned::InTime
        } else if after.missed > before.missed {
            Warned::Missed
        } else if after.gated > before.gated {
            Warned::Gated
        } else {
            Warned::Ongoing
        };
        while is_confirming && !self.open.is_empty() {
            let fired = self.open.front().and_then(|position| self.alerts.get(*position)).map_or(now, |alert| alert.at);
            self.judge_oldest(Outcome::Confirmed { lead: now.since(fired) });
        }
        self.incidents.push(Incident { start: now, last: now, warned });
    }

    fn judge_oldest(&mut self, outcome: Outcome) {
        if let Some(alert) = self.open.pop_front().and_then(|position| self.alerts.get_mut(position)) {
            alert.outcome = outcome;
        }
    }
}
