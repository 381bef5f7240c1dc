//! The outcome of a warning, in words that fit the figures next to them.

use serde::Serialize;

use super::condition;
use crate::{
    ConditionStatus,
    alert::{AlertState, PrecursorAlertStatus, Trigger},
};

/// The outcome of a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Whether the warning came true.
    pub verdict: &'static str,
    /// The meaning of the lead, or why there is none.
    pub lead: &'static str,
}

/// What is known when the words are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// What made it fire.
    pub trigger: Trigger,
    /// Whether it is over.
    pub is_over: bool,
    /// Whether an incident followed in time; `None` while or as far as that is not known.
    pub confirmed: Option<bool>,
    /// Whether there is a time from the warning to the breach.
    pub has_lead: bool,
    /// What was measured: nothing, RTTs up to the threshold, or a breach.
    pub measured: Measured,
}

/// The highest RTT that was measured, against the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// None.
    Nothing,
    /// Not above the threshold.
    Within,
    /// Above it.
    Breach,
}

impl Course {
    /// As the alert's status has it.
    pub fn of(status: &PrecursorAlertStatus) -> Self {
        let us = |duration: &crate::Duration| duration.us().ok();
        let measured = match (status.measured.as_ref().and_then(us), us(&status.threshold)) {
            (None, _) => Measured::Nothing,
            (Some(measured), Some(threshold)) if measured > threshold => Measured::Breach,
            (Some(_), _) => Measured::Within,
        };
        Self {
            trigger: status.trigger,
            is_over: status.state == AlertState::Resolved,
            confirmed: match condition(&status.conditions, "Confirmed").map(ConditionStatus::of) {
                Some(ConditionStatus::True) => Some(true),
                Some(ConditionStatus::False) => Some(false),
                Some(ConditionStatus::Unknown) | None => None,
            },
            has_lead: status.lead.is_some(),
            measured,
        }
    }

    /// In words.
    pub const fn outcome(self) -> Outcome {
        Outcome { verdict: self.verdict(), lead: self.lead() }
    }

    const fn verdict(self) -> &'static str {
        match (self.confirmed, self.trigger, self.measured) {
            (Some(true), ..) => "came true",
            (Some(false), _, Measured::Breach) => "did not come true in time",
            (Some(false), ..) => "did not come true",
            (None, Trigger::Measured, _) => "nothing to confirm",
            (None, Trigger::Forecast, _) if self.is_over => "no verdict",
            (None, Trigger::Forecast, _) => "no verdict yet",
        }
    }

    const fn lead(self) -> &'static str {
        if self.has_lead {
            return "from the warning to the measured breach";
        }
        match (self.trigger, self.confirmed, self.measured) {
            (Trigger::Measured, ..) => "the breach came first",
            (Trigger::Forecast, Some(true), _) => "the breach came in time, but its time is not known",
            (Trigger::Forecast, Some(false), Measured::Breach) => {
                "a breach was measured, but not within the forecast's horizon"
            }
            (Trigger::Forecast, None, Measured::Breach) => {
                "a breach was measured before the warning or after its horizon"
            }
            (Trigger::Forecast, None, Measured::Within) if !self.is_over => "no breach was measured yet",
            (Trigger::Forecast, _, Measured::Within) => "no breach was measured",
            (Trigger::Forecast, None, Measured::Nothing) if !self.is_over => "nothing was measured yet",
            (Trigger::Forecast, _, Measured::Nothing) => "nothing was measured",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_words_deny_a_breach_that_was_measured_or_claim_one_that_was_not() {
        for trigger in [Trigger::Forecast, Trigger::Measured] {
            for is_over in [false, true] {
                for confirmed in [None, Some(false), Some(true)] {
                    for has_lead in [false, true] {
                        for measured in [Measured::Nothing, Measured::Within, Measured::Breach] {
                            let course = Course { trigger, is_over, confirmed, has_lead, measured };
                            check(course);
                        }
                    }
                }
            }
        }
    }

    fn check(course: Course) {
        let Outcome { verdict, lead } = course.outcome();
        if course.measured == Measured::Breach {
            assert!(!lead.contains("no breach") && !lead.contains("nothing"), "{course:?}: {lead}");
            assert!(verdict != "did not come true", "{course:?}: {verdict}");
        }
        let claims = lead.contains("breach was measured") && !lead.contains("no breach");
        assert!(!claims || course.measured == Measured::Breach, "{course:?}: {lead}");
        assert!(!course.is_over || !(verdict.contains("yet") || lead.contains("yet")), "{course:?}: {verdict}, {lead}");
        assert!(course.trigger == Trigger::Forecast || !verdict.contains("verdict"), "{course:?}: {verdict}");
    }
}
