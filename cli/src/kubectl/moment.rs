//! Moments as people read them: how long ago, and at what time of the day.

use jiff::Timestamp;

/// How long ago something was, as kubectl writes it: the two largest units at most.
pub(super) fn ago(now: Timestamp, then: Timestamp) -> String {
    span(now.as_second().saturating_sub(then.as_second()).max(0))
}

/// Seconds as kubectl writes them.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => match (seconds / 60, seconds % 60) {
            (minutes, 0) => format!("{minutes}m"),
            (minutes, seconds) => format!("{minutes}m{seconds}s"),
        },
        600..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The time of the day, UTC.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_ago_is_told_more_roughly() {
        let table =
            [(0, "0s"), (119, "119s"), (125, "2m5s"), (300, "5m"), (3_000, "50m"), (8_000, "2h"), (200_000, "2d")];
        for (seconds, text) in table {
            assert_eq!(span(seconds), text);
        }
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!((ago(at(160), at(100)), ago(at(100), at(160))), ("60s".to_owned(), "0s".to_owned()));
        assert_eq!(clock(at(1_700_000_000)), "22:13:20");
    }
}
