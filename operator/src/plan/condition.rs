//! Conditions: what they say now, and since when.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use netprecursor_crds::{
    ConditionStatus, condition,
    diagnosis::{self, Place, reasons::Reason},
};

/// What a condition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Why, and with it the condition and its status.
    pub(crate) reason: &'static Reason,
    /// In words.
    pub(crate) message: String,
}

impl Verdict {
    pub(crate) fn new(reason: impl Into<&'static Reason>, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into() }
    }

    pub(crate) fn is_true(&self) -> bool {
        self.reason.status == ConditionStatus::True
    }

    /// With what to do, where the table of reasons has it and the message does not.
    pub(crate) fn advised(self, place: &Place) -> Self {
        let advice = self.reason.severity.map(|_| place.fill(self.reason.advice)).unwrap_or_default();
        Self { message: diagnosis::advised(&self.message, &advice), ..self }
    }

    /// The condition, with the time of `before` where the status is the same.
    pub(crate) fn condition(&self, before: &[Condition], generation: Option<i64>, now: Timestamp) -> Condition {
        condition::of(self.reason, &self.message, generation, before, seconds(now))
    }
}

/// Whole seconds, as the API keeps them: what is read back is equal to what was written.
pub(crate) fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
