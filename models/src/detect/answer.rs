//! What becomes of a request.

use netprecursor_core::{alert::Model, forecast::QUANTILES, tick::HORIZON};
use serde::Serialize;

/// What a model finds, by what kind of model it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind")]
#[cfg_attr(feature = "schema", schemars(rename = "DetectAnswer"))]
pub enum Answer {
    /// Forecasts of the maximum RTT.
    RttForecast(RttForecasts),
}

/// Forecasts of the maximum clean RTT over the horizon, as a rule begins with the model: nothing is calibrated in place.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RttForecasts {
    /// Who forecast.
    model: Model,
    /// How far ahead.
    horizon_seconds: u64,
    /// The probabilities of the quantiles.
    quantiles: [f32; QUANTILES.len()],
    /// One for each row, sequence or target, in their order.
    forecasts: Vec<Expectation>,
}

/// A forecast.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Expectation {
    /// Quantiles in µs; null where there is nothing to forecast from.
    pub quantiles_us: Option<[f32; QUANTILES.len()]>,
    /// The chance that the horizon exceeds the threshold; null without one, and without a forecast.
    pub chance: Option<f32>,
}

impl RttForecasts {
    pub(super) fn of(model: Model, forecasts: Vec<Expectation>) -> Self {
        Self { model, horizon_seconds: HORIZON, quantiles: QUANTILES, forecasts }
    }

    /// One for each row, sequence or target.
    pub fn forecasts(&self) -> &[Expectation] {
        &self.forecasts
    }
}
