//! Where a target stands, in one word. Trouble is now, a warning is ahead of it.

use serde::Serialize;

use super::agent::{RuleView, TargetView};
use crate::agent_api::RuleState;

/// The word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Standing {
    /// Measured above the threshold.
    Trouble,
    /// An alert is out, and nothing has been measured above the threshold yet.
    Warning,
    /// A warning is held until it is sure enough.
    Pending,
    /// An alert is about to resolve.
    Recovering,
    /// Forecast below the threshold.
    Calm,
    /// Not forecast: there is too little to forecast from.
    Waiting,
    /// No policy selects it.
    Unselected,
    /// Its agent is not heard, so nobody knows.
    Stale,
}

/// How many targets stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct Counts {
    trouble: usize,
    warning: usize,
    calm: usize,
    waiting: usize,
}

impl Standing {
    /// Of a target; its first rule decides what is measured, all its rules what is warned of.
    pub(super) fn of(target: &TargetView) -> Self {
        let Some(rule) = target.rules.first() else { return Self::Unselected };
        let any = |state: RuleState| target.rules.iter().any(|rule: &RuleView| rule.state == state);
        if target.measured_us.is_some_and(|us| us > rule.threshold_us as f32) {
            Self::Trouble
        } else if any(RuleState::Firing) {
            Self::Warning
        } else if any(RuleState::Resolving) {
            Self::Recovering
        } else if rule.gate.is_some() || target.predicted_us.is_none() {
            Self::Waiting
        } else if any(RuleState::Pending) {
            Self::Pending
        } else {
            Self::Calm
        }
    }
}

impl FromIterator<Standing> for Counts {
    fn from_iter<I: IntoIterator<Item = Standing>>(standings: I) -> Self {
        let mut counts = Self::default();
        for standing in standings {
            *match standing {
                Standing::Trouble => &mut counts.trouble,
                Standing::Warning | Standing::Pending => &mut counts.warning,
                Standing::Recovering | Standing::Calm => &mut counts.calm,
                Standing::Waiting | Standing::Unselected | Standing::Stale => &mut counts.waiting,
            } += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn target(measured: Option<f32>, predicted: Option<f32>, rules: &[(&str, bool)]) -> TargetView {
        let rule = |(state, is_gated): &(&str, bool)| {
            let mut rule = json!({
                "policyKind": "PrecursorPolicy", "policy": "p", "rule": "rtt", "rtt": "RTT", "thresholdUs": 200, "state": state,
                "model": {"name": "m"}
            });
            if *is_gated {
                rule["gate"] = "Missing".into();
            }
            rule
        };
        let rules: Vec<_> = rules.iter().map(rule).collect();
        let target =
            json!({"target": "web1", "uid": "u1", "measuredUs": measured, "predictedUs": predicted, "rules": rules});
        serde_json::from_value(target).unwrap()
    }

    #[test]
    fn a_target_stands_where_it_is_worst() {
        use Standing::{Calm, Pending, Recovering, Trouble, Unselected, Waiting, Warning};
        /// Measured, predicted, rules with whether they are gated, and where the target stands.
        type Row = (Option<f32>, Option<f32>, &'static [(&'static str, bool)], Standing);
        let table: [Row; 10] = [
            (Some(300.0), Some(1.0), &[("Idle", false)], Trouble),
            (Some(300.0), None, &[("Idle", true)], Trouble),
            (Some(300.0), Some(1.0), &[("Firing", false)], Trouble),
            (Some(100.0), Some(1.0), &[("Idle", false), ("Firing", false)], Warning),
            (Some(100.0), Some(1.0), &[("Resolving", false)], Recovering),
            (Some(100.0), Some(1.0), &[("Pending", false)], Pending),
            (Some(100.0), Some(1.0), &[("Idle", false)], Calm),
            (None, None, &[("Idle", true)], Waiting),
            (Some(100.0), None, &[("Idle", false)], Waiting),
            (Some(300.0), None, &[], Unselected),
        ];
        for (measured, predicted, rules, expected) in table {
            assert_eq!(
                Standing::of(&target(measured, predicted, rules)),
                expected,
                "{measured:?} {predicted:?} {rules:?}"
            );
        }
    }

    #[test]
    fn every_standing_is_counted_once() {
        use Standing::{Calm, Pending, Recovering, Stale, Trouble, Unselected, Waiting, Warning};
        let counts: Counts =
            [Trouble, Warning, Pending, Recovering, Calm, Waiting, Unselected, Stale].into_iter().collect();
        assert_eq!(counts, Counts { trouble: 1, warning: 2, calm: 2, waiting: 3 });
    }
}
