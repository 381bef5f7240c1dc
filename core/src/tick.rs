//! The clock of the domain: one tick is one second, the same number for every signal and target.

use serde::{Deserialize, Serialize};

/// How far ahead a forecast looks, in ticks (seconds).
pub const HORIZON: u64 = 10;

/// Ticks in a bin of what is remembered of hours.
pub const BIN_TICKS: u64 = 10;

/// A second, counted from an origin that the caller chooses (the agent's start, a recording's first row).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Tick(pub u64);

impl Tick {
    /// The tick `seconds` later.
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds since `earlier`; zero when `earlier` is in the future.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
