//! How likely a breach has to be for a warning.

use thiserror::Error;

/// Whole percent, from [`Confidence::LEAST`] to [`Confidence::MOST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Confidence(u8);

/// A confidence that always or never warns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "got {got}, expected whole percent from {least} to {most}: write for example `50`, which warns when a breach is more likely than not",
    least = Confidence::LEAST,
    most = Confidence::MOST
)]
pub struct ConfidenceError {
    /// What was given.
    pub got: i64,
}

impl Confidence {
    /// Below, every quiet second would warn.
    pub const LEAST: u8 = 5;
    /// Above, nothing would.
    pub const MOST: u8 = 99;

    /// # Errors
    /// Anything but [`Self::LEAST`] to [`Self::MOST`].
    pub fn percent(percent: i64) -> Result<Self, ConfidenceError> {
        let got = u8::try_from(percent).ok().filter(|percent| (Self::LEAST..=Self::MOST).contains(percent));
        got.map(Self).ok_or(ConfidenceError { got: percent })
    }

    /// Percent.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The chance.
    pub fn share(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// Its log-odds.
    pub fn log_odds(self) -> f64 {
        (self.share() / (1.0 - self.share())).ln()
    }
}

impl Default for Confidence {
    /// A breach is more likely than not.
    fn default() -> Self {
        Self(50)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confidence_that_always_or_never_warns_has_no_form() {
        for got in [i64::MIN, -5, 0, 4, 100, 300, i64::MAX] {
            assert_eq!(Confidence::percent(got), Err(ConfidenceError { got }));
        }
        assert_eq!(Confidence::percent(5).unwrap().get(), 5);
        assert_eq!(Confidence::percent(99).unwrap().share(), 0.99);
        assert_eq!(Confidence::default().log_odds(), 0.0);
    }
}
