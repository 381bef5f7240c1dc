//! What to write instead of a text that is no duration: what it may have meant, as far as the field takes that.

use std::fmt;

use super::{Duration, Field};

/// Readings that are offered at most.
const MAX_OFFERED: usize = 2;

/// Units as people write them besides ours, in lower case, with their length in µs.
const NAMES: [(&str, f64); 27] = [
    ("h", 3.6e9),
    ("hr", 3.6e9),
    ("hrs", 3.6e9),
    ("hour", 3.6e9),
    ("hours", 3.6e9),
    ("m", 6e7),
    ("min", 6e7),
    ("mins", 6e7),
    ("minute", 6e7),
    ("minutes", 6e7),
    ("s", 1e6),
    ("sec", 1e6),
    ("secs", 1e6),
    ("second", 1e6),
    ("seconds", 1e6),
    ("ms", 1e3),
    ("msec", 1e3),
    ("msecs", 1e3),
    ("millis", 1e3),
    ("millisecond", 1e3),
    ("milliseconds", 1e3),
    ("us", 1.0),
    ("µs", 1.0), // U+00B5, the micro sign
    ("μs", 1.0), // U+03BC, the Greek letter
    ("usec", 1.0),
    ("microsecond", 1.0),
    ("microseconds", 1.0),
];

/// At least one duration that the field takes, the likeliest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice(Vec<Duration>);

impl Advice {
    /// Of the readings of `text`, those that the field takes; its example where there is none.
    pub(super) fn on(text: &str, Field { takes, example_us }: Field<'_>) -> Self {
        let mut offered = Vec::new();
        for us in readings(text) {
            let whole = us.round();
            // Half a microsecond cannot be written, and beyond this a number of them is not exact.
            if (us - whole).abs() > 1e-6 || !(0.0..1e15).contains(&whole) {
                continue;
            }
            let duration = Duration::from_us(whole as u64);
            if takes(whole as u64) && !offered.contains(&duration) && offered.len() < MAX_OFFERED {
                offered.push(duration);
            }
        }
        if offered.is_empty() {
            offered.push(Duration::from_us(example_us));
        }
        Self(offered)
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, duration) in self.0.iter().enumerate() {
            write!(f, "{}`{duration}`", if index > 0 { " or " } else { "" })?;
        }
        Ok(())
    }
}

/// Whether the text is a number without a unit.
pub(super) fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit() || first == '.') && text.parse::<f64>().is_ok()
}

/// What the text may mean, in µs, the likeliest first.
fn readings(text: &str) -> Vec<f64> {
    if is_number(text) {
        let number: f64 = text.parse().unwrap_or_default();
        // Whoever writes a fraction thinks in seconds, as Kubernetes' fields do.
        let units = if number.fract() == 0.0 { [1e3, 1e6] } else { [1e6, 1e3] };
        return units.map(|us| number * us).to_vec();
    }
    spelled_out(text).into_iter().collect()
}

/// Fractions, spaces, capitals and longer names of units.
fn spelled_out(text: &str) -> Option<f64> {
    let text: String = text.chars().filter(|letter| !letter.is_whitespace()).flat_map(char::to_lowercase).collect();
    let (mut rest, mut total) = (Some(text.as_str()).filter(|text| !text.is_empty())?, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, tail) = rest.split_at(end);
        let unit = tail.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(tail.len());
        let (name, after) = tail.split_at(unit);
        let (_, us) = NAMES.into_iter().find(|(known, _)| *known == name)?;
        total += number.parse::<f64>().ok()? * us;
        rest = after;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(text: &str, field: Field<'_>) -> String {
        Advice::on(text, field).to_string()
    }

    const ANY: Field<'_> = Field { takes: &|_| true, example_us: 200_000 };

    #[test]
    fn what_was_meant_is_offered() {
        for (text, offered) in [
            ("200", "`200ms` or `3m20s`"),
            ("0.2", "`200ms` or `200us`"),
            ("1.5", "`1s500ms` or `1ms500us`"),
            ("0.0001", "`100us`"),
            ("1e3", "`1s` or `16m40s`"),
            ("1.5s", "`1s500ms`"),
            ("200 ms", "`200ms`"),
            ("5sec", "`5s`"),
            ("2 Minutes", "`2m`"),
            ("5µs", "`5us`"),
            ("1m 30S", "`1m30s`"),
            ("1s1s1s1s1s1s", "`6s`"),
        ] {
            assert_eq!(advice(text, ANY), offered, "{text}");
        }
    }

    #[test]
    fn where_nothing_can_be_made_of_it_an_example_is() {
        for text in ["soon", "", "-5s", "s5", "99999999999999999999", "1e300", "1.0.0s", "5ns", ".", "∞"] {
            assert_eq!(advice(text, ANY), "`200ms`", "{text}");
        }
    }

    #[test]
    fn only_what_the_field_takes_is_offered() {
        let seconds = Field { takes: &|us| us % 1_000_000 == 0 && us <= 60_000_000, example_us: 2_000_000 };
        for (text, offered) in [("2", "`2s`"), ("2000", "`2s`"), ("1.5s", "`2s`"), ("2min", "`2s`"), ("0.2", "`2s`")] {
            assert_eq!(advice(text, seconds), offered, "{text}");
        }
    }
}
