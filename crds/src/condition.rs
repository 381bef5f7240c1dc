//! Conditions as the API has them: text there, a status and a reason of the table here.

pub(crate) mod status;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

pub use status::ConditionStatus;

use crate::diagnosis::{condition, reasons::Reason};

/// Letters of a message: the API's bound.
pub const MAX_MESSAGE: usize = 4096;

/// The condition that has this reason. It keeps the time of `before` where the status is the same, else it is of `now`.
pub fn of(
    reason: impl Into<&'static Reason>,
    message: &str,
    generation: Option<i64>,
    before: &[Condition],
    now: Timestamp,
) -> Condition {
    let Reason { condition: type_, name, status, .. } = reason.into();
    let before = condition(before, type_).filter(|before| before.status == *status);
    Condition {
        type_: (*type_).to_owned(),
        status: status.to_string(),
        reason: (*name).to_owned(),
        message: message.chars().take(MAX_MESSAGE).collect(),
        observed_generation: generation,
        last_transition_time: before.map_or(Time(now), |before| before.last_transition_time.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::reasons::Ready;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_condition_is_as_old_as_its_status() {
        let before = [of(Ready::Invalid, "one rule", Some(1), &[], second(1))];
        let still = of(Ready::AgentsNotReady, "another", Some(2), &before, second(2));
        assert_eq!(still.last_transition_time.0, second(1));
        let well = of(Ready::Watching, "well", Some(2), &before, second(2));
        assert_eq!((well.status == ConditionStatus::True, well.last_transition_time.0), (true, second(2)));
    }

    #[test]
    fn a_message_is_no_longer_than_the_api_takes() {
        let long = of(Ready::Invalid, &"ü".repeat(5_000), None, &[], second(1));
        assert_eq!(long.message.chars().count(), MAX_MESSAGE);
    }

    #[test]
    fn what_is_neither_true_nor_false_is_unknown() {
        let read = |status: &str| ConditionStatus::of(&Condition { status: status.to_owned(), ..of_any() });
        assert_eq!(["True", "False", "Perhaps"].map(read).map(ConditionStatus::as_str), ["True", "False", "Unknown"]);
    }

    fn of_any() -> Condition {
        of(Ready::Watching, "", None, &[], second(1))
    }
}
