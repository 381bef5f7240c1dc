//! The prediction for a target at a tick, and what it is based on.

use crate::{
    adapt::{Evidence, Made, Odds},
    forecast::Forecast,
};

/// What a forecaster gives for a target.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "made and used up within a tick, which allocates nothing")]
pub enum Basis {
    /// A model or a rule of thumb by itself.
    Alone(Forecast),
    /// Experts that are mixed as the rule's ledger has learned to.
    Experts(Evidence),
}

/// The forecast and chance that a ledger makes of a [`Basis`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Before the upper quantiles were calibrated.
    pub(super) raw: Forecast,
    /// The forecast.
    pub forecast: Forecast,
    /// Log-odds of a breach, of a forecaster alone before they were recalibrated.
    pub(super) log_odds: f64,
    /// The chance that the horizon breaches the threshold.
    pub chance: f64,
    /// What experts made of it.
    pub(super) made: Option<(Made, Odds)>,
}
