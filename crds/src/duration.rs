//! Durations as text: Kubernetes' GEP-2257 (`1h30m`, `500ms`) with `us` besides, because RTT begins at microseconds.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use thiserror::Error;

/// Digits in front of one unit at most. GEP-2257 has five, which would end `us` at 99 ms.
const MAX_DIGITS: usize = 9;

/// Units with their length in µs. `ms` and `us` stand before `m`, which begins like one of them.
const UNITS: [(&str, u64); 5] = [("ms", 1_000), ("us", 1), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000)];

/// A duration as it was written; what it means is found out by [`Duration::us`], so that a wrong one is told with its
/// place among all others. A bare number is taken as text for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Duration(String);

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurationError {
    /// A number alone could mean anything.
    #[error("got `{got}`, expected a unit behind the number: write for example `{got}ms` (units: h, m, s, ms, us)")]
    NoUnit {
        /// As written.
        got: String,
    },
    /// Anything else.
    #[error("got `{got}`, expected numbers with units, such as `200ms`, `1m30s` or `750us` (units: h, m, s, ms, us)")]
    Malformed {
        /// As written.
        got: String,
    },
}

impl Duration {
    /// A duration as written.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its length in µs.
    ///
    /// # Errors
    /// No unit, or not a duration at all.
    pub fn us(&self) -> Result<u64, DurationError> {
        let got = || self.0.chars().take(40).collect::<String>();
        let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if number(&self.0) {
            return Err(DurationError::NoUnit { got: got() });
        }
        let malformed = || DurationError::Malformed { got: got() };
        let (mut rest, mut total) = (self.0.as_str(), 0_u64);
        // GEP-2257 allows each unit once; the total stays far below the end of the numbers.
        for _ in 0..UNITS.len() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 || digits > MAX_DIGITS {
                return Err(malformed());
            }
            let (count, tail) = rest.split_at(digits);
            let (unit, us) = UNITS.into_iter().find(|(unit, _)| tail.starts_with(unit)).ok_or_else(malformed)?;
            let count: u64 = count.parse().map_err(|_| malformed())?;
            total = count.checked_mul(us).and_then(|part| total.checked_add(part)).ok_or_else(malformed)?;
            rest = &tail[unit.len()..];
            if rest.is_empty() {
                return Ok(total);
            }
        }
        Err(malformed())
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsWritten;
        impl de::Visitor<'_> for AsWritten {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `200ms`")
            }

            fn visit_str<E>(self, text: &str) -> Result<Duration, E> {
                Ok(Duration::new(text))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Duration, E> {
                Ok(Duration::new(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Duration, E> {
                Ok(Duration::new(number.to_string()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Duration, E> {
                Ok(Duration::new(number.to_string()))
            }
        }
        deserializer.deserialize_any(AsWritten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_sums_of_numbers_with_units() {
        let table = [
            ("200ms", 200_000),
            ("750us", 750),
            ("1m30s", 90_000_000),
            ("1h", 3_600_000_000),
            ("0s", 0),
            ("1s500ms", 1_500_000),
        ];
        for (text, us) in table {
            assert_eq!(Duration::new(text).us(), Ok(us), "{text}");
        }
    }

    #[test]
    fn a_number_without_unit_is_told_as_such() {
        for text in ["200", "0", "1.5"] {
            assert_eq!(Duration::new(text).us(), Err(DurationError::NoUnit { got: text.to_owned() }));
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "ms", "-5s", "1.5s", "5 s", "5sec", "1s1s1s1s1s1s", "9999999999s", "5µs", "s5"] {
            assert!(matches!(Duration::new(text).us(), Err(DurationError::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn the_longest_duration_does_not_overflow() {
        assert!(Duration::new("999999999h999999999h999999999h").us().is_ok());
    }
}
