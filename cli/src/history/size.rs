//! How large a history may become, as people write it.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Units, the largest first.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Less than this would hold hardly more than what is being written.
const LEAST: u64 = 8 << 20;
const MOST: u64 = 1 << 40;

/// Bytes of a history on disk at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HistorySize(u64);

/// A size that is none.
#[derive(Debug, Error)]
#[error("got {got:?}, expected a size from 8 MiB to 1024 GiB: write for example `256MiB`")]
pub(crate) struct SizeError {
    got: String,
}

impl HistorySize {
    /// In bytes.
    pub(crate) const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for HistorySize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let (amount, unit) =
            UNITS.into_iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit))).unwrap_or((text, 1));
        let amount = amount.trim_end().parse::<u64>().ok();
        let bytes = amount.and_then(|amount| amount.checked_mul(unit)).filter(|bytes| (LEAST..=MOST).contains(bytes));
        bytes.map(Self).ok_or_else(|| SizeError { got: text.chars().take(80).collect() })
    }
}

impl fmt::Display for HistorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.into_iter().find(|(_, unit)| self.0.is_multiple_of(*unit));
        match whole {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_bytes_or_has_a_unit_and_reads_as_it_was_written() {
        for (text, bytes) in [("256MiB", 256 << 20), ("1GiB", 1 << 30), ("8388608", 8 << 20), ("10000000", 10_000_000)]
        {
            let size: HistorySize = text.parse().unwrap();
            assert_eq!(size.bytes(), bytes);
            assert_eq!(size.to_string().parse::<HistorySize>().unwrap(), size);
        }
        assert_eq!("256 MiB".parse::<HistorySize>().unwrap().to_string(), "256MiB");
    }

    #[test]
    fn what_is_no_size_is_refused_with_an_example() {
        for wrong in ["", "256M", "256MB", "-1", "7MiB", "2000GiB", "18446744073709551615GiB", "lots"] {
            assert!(wrong.parse::<HistorySize>().unwrap_err().to_string().contains("`256MiB`"), "{wrong}");
        }
    }
}
