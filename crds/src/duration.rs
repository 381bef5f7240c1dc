//! Durations as text: Kubernetes' GEP-2257 (`1h30m`, `500ms`) with `us` besides, because RTT begins at microseconds.
//! The schema's pattern says the same (`schema/cel.rs`), so that the API server takes exactly what is read here.

mod advice;

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, de};
use thiserror::Error;

pub use advice::Advice;

/// Units with their length in µs and the digits in front of them at most. GEP-2257 has five throughout, which would
/// end `us` at 99 ms. `ms` and `us` stand before `m`, which begins like one of them.
const UNITS: [(&str, u64, usize); 5] =
    [("ms", 1_000, 9), ("us", 1, 9), ("h", 3_600_000_000, 5), ("m", 60_000_000, 5), ("s", 1_000_000, 5)];

/// The same units as one writes them after another.
const LARGE_TO_SMALL: [(&str, u64); 5] =
    [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// The longest duration that is written: what fits in front of `h`.
const MAX_US: u64 = 99_999 * 3_600_000_000;

/// A duration as it was written; what it means is found out by [`Duration::us`], so that a wrong one is reported with its
/// place among all others. A bare number, and what YAML takes for truth or for nothing, is taken as text for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Duration(String);

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurationError {
    /// A number alone could mean anything.
    #[error("got `{got}`, expected a unit behind the number: write for example {advice} (units: h, m, s, ms, us)")]
    NoUnit {
        /// As written.
        got: String,
        /// What to write.
        advice: Advice,
    },
    /// Anything else.
    #[error("got `{got}`, expected whole numbers with units: write for example {advice} (units: h, m, s, ms, us)")]
    Malformed {
        /// As written.
        got: String,
        /// What to write.
        advice: Advice,
    },
}

/// What a field takes, so that whoever follows its advice is not refused again.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    /// Whether it takes a duration of so many µs.
    pub takes: &'a dyn Fn(u64) -> bool,
    /// A duration in µs that it takes.
    pub example_us: u64,
}

impl Duration {
    /// A duration of so many µs, without loss: `231ms500us`. What exceeds 99,999 hours is cut to that.
    pub fn from_us(us: u64) -> Self {
        let mut rest = us.min(MAX_US);
        let mut text = String::new();
        for (unit, length) in LARGE_TO_SMALL {
            if rest >= length {
                text.push_str(&format!("{}{unit}", rest / length));
                rest %= length;
            }
        }
        Self(if text.is_empty() { "0s".to_owned() } else { text })
    }

    /// A measured or forecast duration of so many µs as people read it: three digits, the rest rounded. What is no
    /// number, or negative, is 0.
    pub fn rounded(us: f32) -> Self {
        let us = if us > 0.0 { f64::from(us).min(MAX_US as f64).round() as u64 } else { 0 };
        let step = 10_u64.pow(us.checked_ilog10().unwrap_or(0).saturating_sub(2));
        Self::from_us((us + step / 2) / step * step)
    }

    /// A duration as written.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its length in µs.
    ///
    /// # Errors
    /// No unit, or not a duration at all.
    pub fn us(&self) -> Result<u64, DurationError> {
        self.us_in(Field { takes: &|_| true, example_us: 200_000 })
    }

    /// Its length in µs, in a field. What the field does not take is returned as well: the field says that better.
    ///
    /// # Errors
    /// No unit, or not a duration at all; with advice that suits the field.
    pub fn us_in(&self, field: Field<'_>) -> Result<u64, DurationError> {
        self.parse().ok_or_else(|| {
            let got = self.0.chars().take(40).collect::<String>();
            let advice = Advice::on(&self.0, field);
            if advice::is_number(&self.0) {
                DurationError::NoUnit { got, advice }
            } else {
                DurationError::Malformed { got, advice }
            }
        })
    }

    fn parse(&self) -> Option<u64> {
        let (mut rest, mut total) = (self.0.as_str(), 0_u64);
        // GEP-2257 allows each unit once; the total stays far below the end of the numbers.
        for _ in 0..UNITS.len() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (count, tail) = rest.split_at(digits);
            let (unit, us, max) = UNITS.into_iter().find(|(unit, ..)| tail.starts_with(unit))?;
            if digits == 0 || digits > max {
                return None;
            }
            total = count.parse::<u64>().ok()?.checked_mul(us).and_then(|part| total.checked_add(part))?;
            rest = &tail[unit.len()..];
            if rest.is_empty() {
                return Some(total);
            }
        }
        None
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

            fn visit_bool<E>(self, truth: bool) -> Result<Duration, E> {
                Ok(Duration::new(truth.to_string()))
            }

            fn visit_unit<E>(self) -> Result<Duration, E> {
                Ok(Duration::new("null"))
            }
        }
        deserializer.deserialize_any(AsWritten)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        crate::schema::cel::duration()
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
    fn what_is_written_is_read_again() {
        for us in [0, 1, 999, 1_000, 231_500, 90_000_000, 3_600_000_001, MAX_US] {
            assert_eq!(Duration::from_us(us).us(), Ok(us));
        }
        assert_eq!(Duration::from_us(u64::MAX).us(), Ok(MAX_US));
        assert_eq!(Duration::from_us(90_231_500).to_string(), "1m30s231ms500us");
    }

    #[test]
    fn people_read_three_digits() {
        let table = [
            (231_400.0, "231ms"),
            (1_234_567.0, "1s230ms"),
            (987.4, "987us"),
            (9_996.0, "10ms"),
            (45.0, "45us"),
            (0.2, "0s"),
            (-3.0, "0s"),
            (f32::NAN, "0s"),
        ];
        for (us, text) in table {
            assert_eq!(Duration::rounded(us).to_string(), text);
        }
        assert!(Duration::rounded(f32::INFINITY).us().is_ok());
    }

    #[test]
    fn a_number_without_unit_is_reported_as_such() {
        for text in ["200", "0", "1.5", "1e3"] {
            assert!(
                matches!(Duration::new(text).us(), Err(DurationError::NoUnit { got, .. }) if got == text),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "ms", "-5s", "1.5s", "5 s", "5sec", "1s1s1s1s1s1s", "100000s", "1000000000us", "5µs", "s5"] {
            assert!(matches!(Duration::new(text).us(), Err(DurationError::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn the_longest_duration_does_not_overflow() {
        assert!(Duration::new("99999h".repeat(5)).us().is_ok());
        assert!(Duration::new("999999999ms".repeat(5)).us().is_ok());
    }
}
