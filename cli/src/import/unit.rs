//! Units of time, given by a flag or by the name of a column.

/// A unit of a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Unit {
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
    /// Nanoseconds
    Ns,
}

impl Unit {
    /// Its name on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::S => "s",
            Self::Ms => "ms",
            Self::Us => "us",
            Self::Ns => "ns",
        }
    }

    pub(super) const fn nanoseconds(self) -> u64 {
        match self {
            Self::S => 1_000_000_000,
            Self::Ms => 1_000_000,
            Self::Us => 1_000,
            Self::Ns => 1,
        }
    }

    /// The unit that a column's name ends in, as in `rtt_ms` and `RTT (µs)`.
    pub(super) fn of_name(column: &str) -> Option<Self> {
        let words = column.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
        // A name that is a unit and nothing else may be an abbreviation of something.
        let last = words.skip(1).last()?.to_lowercase();
        Some(match last.as_str() {
            "s" | "sec" | "secs" | "seconds" => Self::S,
            "ms" | "msec" | "msecs" | "millis" | "milliseconds" => Self::Ms,
            "us" | "µs" | "μs" | "usec" | "usecs" | "micros" | "microseconds" => Self::Us,
            "ns" | "nsec" | "nsecs" | "nanos" | "nanoseconds" => Self::Ns,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_may_name_its_unit() {
        for (column, unit) in [
            ("rtt_max_ms", Some(Unit::Ms)),
            ("RTT (µs)", Some(Unit::Us)),
            ("time [s]", Some(Unit::S)),
            ("latency.nanos", Some(Unit::Ns)),
            ("rtt", None),
            ("ms", None),
            ("rtt_ms_max", None),
            ("", None),
        ] {
            assert_eq!(Unit::of_name(column), unit, "{column}");
        }
    }
}
