//! Conditions: what they say now, and since when.

use std::borrow::Cow;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use netprecursor_crds::diagnosis::{self, Place, reasons};

/// Letters of a message: the API's bound.
const MESSAGE: usize = 32_000;

/// What a condition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// `True`, `False` or `Unknown`.
    pub(crate) status: &'static str,
    /// In one word.
    pub(crate) reason: Cow<'static, str>,
    /// In words.
    pub(crate) message: String,
}

impl Verdict {
    pub(crate) fn yes(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status: "True", reason: reason.into(), message: message.into() }
    }

    pub(crate) fn no(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status: "False", reason: reason.into(), message: message.into() }
    }

    pub(crate) fn unknown(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status: "Unknown", reason: reason.into(), message: message.into() }
    }

    pub(crate) fn is_true(&self) -> bool {
        self.status == "True"
    }

    /// With what to do, where the table of reasons has it and the message does not.
    pub(crate) fn advised(self, type_: &str, place: &Place) -> Self {
        let reason = reasons::find(reasons::POLICY, type_, &self.reason).filter(|reason| reason.severity.is_some());
        let advice = reason.map(|reason| place.fill(reason.advice)).unwrap_or_default();
        Self { message: diagnosis::advised(&self.message, &advice), ..self }
    }

    /// The condition, with the time of `before` where the status is the same.
    pub(crate) fn condition(
        &self,
        type_: &str,
        before: &[Condition],
        generation: Option<i64>,
        now: Timestamp,
    ) -> Condition {
        let before = diagnosis::condition(before, type_).filter(|condition| condition.status == self.status);
        Condition {
            type_: type_.to_owned(),
            status: self.status.to_owned(),
            reason: self.reason.clone().into_owned(),
            message: self.message.chars().take(MESSAGE).collect(),
            observed_generation: generation,
            last_transition_time: before
                .map_or_else(|| Time(seconds(now)), |before| before.last_transition_time.clone()),
        }
    }
}

/// Whole seconds, as the API keeps them: what is read back is equal to what was written.
pub(crate) fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
