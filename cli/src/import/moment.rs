//! When something was measured: nanoseconds since the source's own origin, which is 1970 where it has a clock.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use thiserror::Error;

use super::{number::number, shown::shown, unit::Unit};

const SECOND: u64 = 1_000_000_000;
/// The year 2000 in Unix seconds. Times before it count from a beginning of their own.
const YEAR_2000: u64 = 946_684_800;

/// How a source writes times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TimeUnit {
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
    /// Nanoseconds
    Ns,
    /// Dates such as 2026-01-31T10:00:00.5Z; UTC where they name no zone
    Rfc3339,
}

impl TimeUnit {
    /// The unit of a number; a date has none.
    pub(super) const fn unit(self) -> Option<Unit> {
        match self {
            Self::S => Some(Unit::S),
            Self::Ms => Some(Unit::Ms),
            Self::Us => Some(Unit::Us),
            Self::Ns => Some(Unit::Ns),
            Self::Rfc3339 => None,
        }
    }
}

/// Nanoseconds since the source's origin, at most `i64::MAX` (the year 2262).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

/// A text that is no time.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum TimeError {
    #[error("got '{got}', expected a time in {unit}: correct the cell, or the column's name")]
    Text { got: String, unit: &'static str },
    #[error("got '{got}', expected a time in {unit}: give --time-unit rfc3339 for dates")]
    Date { got: String, unit: &'static str },
    #[error("got '{got}', expected a date such as 2026-01-31T10:00:00Z: give --time-unit s, ms, us or ns for numbers")]
    NoDate { got: String },
    #[error("got '{got}', expected no time before 0: correct the cell, or the column's name")]
    Negative { got: String },
    #[error("got '{got}', expected a time before the year 2262: is --time-unit right?")]
    Far { got: String },
}

impl Moment {
    pub(super) const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(SECOND))
    }

    /// The moment some seconds later; `None` before the origin and beyond the last moment.
    pub(super) fn plus_seconds(self, seconds: f64) -> Option<Self> {
        let nanoseconds = self.0 as f64 + seconds * SECOND as f64;
        (nanoseconds >= 0.0 && nanoseconds < i64::MAX as f64).then(|| {
            // The sum as a float is good to 200 ns in our century; whole seconds stay exact.
            let offset = (seconds * SECOND as f64) as i64;
            Self(self.0.saturating_add_signed(offset))
        })
    }

    /// Reads a cell.
    pub(super) fn parse(text: &str, unit: TimeUnit, comma: bool) -> Result<Self, TimeError> {
        let text = text.trim();
        match unit.unit() {
            Some(unit) => of_number(text, unit, comma),
            None => of_date(text),
        }
    }

    /// The second in which it lies: a tick.
    pub(super) const fn second(self) -> u64 {
        self.0 / SECOND
    }

    /// The quarter of that second, 0 to 3.
    pub(super) const fn quarter(self) -> usize {
        (self.0 % SECOND / (SECOND / 4)) as usize
    }

    /// Whether it lies on a whole second.
    pub(super) const fn is_whole(self) -> bool {
        self.0.is_multiple_of(SECOND)
    }

    /// Whether it is a time of the world's clock.
    pub(super) const fn is_wall(self) -> bool {
        self.second() >= YEAR_2000
    }

    /// Seconds, as a message shows them.
    pub(super) fn shown(self) -> String {
        let text = format!("{}.{:09}", self.second(), self.0 % SECOND);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// Digits are read as they are: as floats, Unix times in nanoseconds would lose the last ones.
fn of_number(text: &str, unit: Unit, comma: bool) -> Result<Moment, TimeError> {
    let got = || shown(text);
    let Some(value) = number(text, comma) else {
        let is_date = text.len() >= 8 && text.as_bytes()[0].is_ascii_digit() && text.contains(['-', ':', '/']);
        let unit = unit.name();
        return Err(if is_date { TimeError::Date { got: got(), unit } } else { TimeError::Text { got: got(), unit } });
    };
    if value < 0.0 {
        return Err(TimeError::Negative { got: got() });
    }
    let far = || TimeError::Far { got: got() };
    if value * unit.nanoseconds() as f64 >= i64::MAX as f64 {
        return Err(far());
    }
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        // An exponent or a sign: what writes those has no nanoseconds to lose.
        return Ok(Moment((value * unit.nanoseconds() as f64).round() as u64));
    }
    // More digits than a nanosecond has say nothing.
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let (whole, fraction) =
        (whole.parse::<u64>().unwrap_or(0), fraction.parse::<u64>().unwrap_or(0).saturating_mul(unit.nanoseconds()));
    let nanoseconds = whole.checked_mul(unit.nanoseconds()).and_then(|whole| whole.checked_add(fraction / SECOND));
    nanoseconds.filter(|nanoseconds| *nanoseconds <= i64::MAX as u64).map(Moment).ok_or_else(far)
}

fn of_date(text: &str) -> Result<Moment, TimeError> {
    let zoned = text.parse::<Timestamp>().ok();
    let local = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let stamp = zoned.or_else(local).ok_or_else(|| TimeError::NoDate { got: shown(text) })?;
    match u64::try_from(stamp.as_nanosecond()) {
        Ok(nanoseconds) if nanoseconds <= i64::MAX as u64 => Ok(Moment(nanoseconds)),
        Err(_) if stamp < Timestamp::UNIX_EPOCH => Err(TimeError::Negative { got: shown(text) }),
        _ => Err(TimeError::Far { got: shown(text) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanoseconds(text: &str, unit: TimeUnit) -> u64 {
        Moment::parse(text, unit, false).unwrap().0
    }

    #[test]
    fn times_are_exact_to_the_nanosecond_in_every_unit() {
        for (text, unit, expected) in [
            ("0", TimeUnit::S, 0),
            ("12", TimeUnit::S, 12 * SECOND),
            ("0.000000001", TimeUnit::S, 1),
            ("1700000000.123456789", TimeUnit::S, 1_700_000_000_123_456_789),
            ("1700000000123.456789", TimeUnit::Ms, 1_700_000_000_123_456_789),
            ("1700000000123456789", TimeUnit::Ns, 1_700_000_000_123_456_789),
            ("1.7e9", TimeUnit::S, 1_700_000_000 * SECOND),
            ("+3.5", TimeUnit::S, 3_500_000_000),
            (" 2. ", TimeUnit::S, 2 * SECOND),
            ("0.12345678901234567890", TimeUnit::S, 123_456_789),
            ("2023-11-14T22:13:20.5Z", TimeUnit::Rfc3339, 1_700_000_000_500_000_000),
            ("2023-11-14 22:13:20", TimeUnit::Rfc3339, 1_700_000_000 * SECOND),
            ("2023-11-14T23:13:20+01:00", TimeUnit::Rfc3339, 1_700_000_000 * SECOND),
        ] {
            assert_eq!(nanoseconds(text, unit), expected, "{text}");
        }
        assert_eq!(Moment::parse("1,5", TimeUnit::S, true), Ok(Moment(1_500_000_000)));
    }

    #[test]
    fn what_is_no_time_says_why() {
        let refused = |text: &str, unit| Moment::parse(text, unit, false).unwrap_err().to_string();
        for (text, unit, part) in [
            ("", TimeUnit::S, "expected a time in s"),
            ("nan", TimeUnit::S, "expected a time in s"),
            ("2023-11-14T22:13:20Z", TimeUnit::S, "--time-unit rfc3339"),
            ("-0.5", TimeUnit::Ms, "before 0"),
            ("1700000000000", TimeUnit::S, "is --time-unit right?"),
            ("1700000000", TimeUnit::Rfc3339, "for numbers"),
            ("1960-01-01T00:00:00Z", TimeUnit::Rfc3339, "before 0"),
            ("9999-01-01T00:00:00Z", TimeUnit::Rfc3339, "2262"),
        ] {
            assert!(refused(text, unit).contains(part), "{text}: {}", refused(text, unit));
        }
    }

    #[test]
    fn a_moment_lies_in_a_second() {
        let moment = Moment(1_700_000_000_999_999_999);
        assert_eq!((moment.second(), moment.is_whole(), moment.is_wall()), (1_700_000_000, false, true));
        assert_eq!((moment.shown(), Moment(3 * SECOND).shown()), ("1700000000.999999999".into(), "3".into()));
        let base = Moment::from_seconds(1_700_000_000);
        assert_eq!(base.plus_seconds(0.5), Some(Moment(1_700_000_000_500_000_000)));
        assert_eq!(
            (Moment(0).plus_seconds(-1.0), base.plus_seconds(f64::NAN), base.plus_seconds(1e12)),
            (None, None, None)
        );
    }
}
