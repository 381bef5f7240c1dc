//! Round-trip times as a source writes them, in µs.

use netprecursor_core::policy::MAX_THRESHOLD_US;
use thiserror::Error;

use super::{number::number, shown::shown, unit::Unit};

/// Longer than any connection waits for an answer: no rule could have a threshold there.
const MAX_US: f64 = MAX_THRESHOLD_US as f64;
/// Light goes 150 m and back in it.
const MIN_US: f64 = 1.0;

/// A text that is no round-trip time.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum RttError {
    #[error("got '{got}', expected a number of {unit}: correct it; a cell is left empty where nothing was measured")]
    Text { got: String, unit: &'static str },
    #[error("got '{got}', expected more than 0 {unit}: correct it; a cell is left empty where nothing was measured")]
    NotPositive { got: String, unit: &'static str },
    #[error("got {got} {unit}, expected at most {max} s: is --unit right?", max = MAX_THRESHOLD_US / 1_000_000)]
    Long { got: String, unit: &'static str },
    #[error("got {got} {unit}, expected at least 1 µs: is --unit right?")]
    Short { got: String, unit: &'static str },
}

/// Reads a round-trip time.
pub(super) fn parse(text: &str, unit: Unit, comma: bool) -> Result<f32, RttError> {
    let (got, name) = (|| shown(text.trim()), unit.name());
    let value = number(text, comma).ok_or_else(|| RttError::Text { got: got(), unit: name })?;
    let us = value * unit.nanoseconds() as f64 / 1e3;
    if value <= 0.0 {
        Err(RttError::NotPositive { got: got(), unit: name })
    } else if us > MAX_US {
        Err(RttError::Long { got: got(), unit: name })
    } else if us < MIN_US {
        Err(RttError::Short { got: got(), unit: name })
    } else {
        Ok(us as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_time_has_a_unit() {
        for (text, unit, us) in [
            ("26.132", Unit::Ms, 26_132.0),
            ("0.5", Unit::S, 500_000.0),
            ("900", Unit::Us, 900.0),
            ("5000", Unit::Ns, 5.0),
        ] {
            assert_eq!(parse(text, unit, false), Ok(us), "{text}");
        }
    }

    #[test]
    fn what_no_path_takes_is_refused() {
        for (text, unit, part) in [
            ("x", Unit::Ms, "left empty"),
            ("NaN", Unit::Ms, "left empty"),
            ("inf", Unit::Ms, "expected a number of ms"),
            ("-1", Unit::Ms, "more than 0"),
            ("0.0", Unit::Ms, "more than 0"),
            ("26132", Unit::S, "is --unit right?"),
            ("0.026", Unit::Us, "is --unit right?"),
        ] {
            let error = parse(text, unit, false).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
