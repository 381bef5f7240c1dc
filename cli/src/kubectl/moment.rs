//! Moments as people read them: how long ago, and at what time of the day.

use jiff::Timestamp;
pub(super) use netprecursor_crds::diagnosis::span;

/// How long ago something was, as kubectl writes it: the two largest units at most.
pub(super) fn ago(now: Timestamp, then: Timestamp) -> String {
    span(now.as_second().saturating_sub(then.as_second()).max(0))
}

/// The time of the day, UTC.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_to_come_is_not_ago() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!((ago(at(160), at(100)), ago(at(100), at(160))), ("60s".to_owned(), "0s".to_owned()));
        assert_eq!(clock(at(1_700_000_000)), "22:13:20");
    }
}
