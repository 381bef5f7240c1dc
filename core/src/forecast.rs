//! Forecasts: quantiles of the maximum measured RTT over the next [`HORIZON`](crate::tick::HORIZON) ticks.

mod ceiling;
mod naive;
mod offsets;

use serde::{Deserialize, Serialize};

pub use ceiling::ceiling_us;
pub use naive::Naive;
pub(crate) use naive::nearest_rank;
pub use offsets::{OffsetsError, QuantileOffsets};

/// The probabilities that a forecast carries, ascending.
pub const QUANTILES: [f32; 3] = [0.5, 0.9, 0.99];

/// Log-odds of [`QUANTILES`]: the axis on which what lies between them is interpolated.
const LOG_ODDS: [f64; 3] = [0.0, 2.197_224_577_336_219_6, 4.595_119_850_134_59];

/// The furthest that log-odds go: beyond, a chance is 0 or 1 for all that can be counted.
pub const MAX_LOG_ODDS: f64 = 15.0;

/// Quantiles (see [`QUANTILES`]) of the maximum measured RTT over the horizon, in µs: finite, positive, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// µs, in the order of [`QUANTILES`].
    quantiles_us: [f32; 3],
}

impl Forecast {
    /// A forecast from ln(µs) in the order of [`QUANTILES`]. Crossing quantiles are put in order, which never makes
    /// them worse (Chernozhukov, Fernández-Val & Galichon 2010, "Quantile and probability curves without crossing").
    /// `None` when one of them is not a finite, positive number of µs.
    pub fn from_ln(mut ln_us: [f32; 3]) -> Option<Self> {
        ln_us.sort_unstable_by(f32::total_cmp);
        let quantiles_us = ln_us.map(f32::exp);
        let valid = ln_us.iter().all(|ln| ln.is_finite()) && quantiles_us.iter().all(|us| us.is_normal());
        valid.then_some(Self { quantiles_us })
    }

    /// The forecast, with nothing above the [ceiling](ceiling_us).
    #[must_use]
    pub fn at_most(&self, ceiling_us: f32) -> Self {
        Self { quantiles_us: self.quantiles_us.map(|us| us.min(ceiling_us)) }
    }

    /// µs in the order of [`QUANTILES`].
    pub const fn quantiles_us(&self) -> [f32; 3] {
        self.quantiles_us
    }

    /// ln(µs) in the order of [`QUANTILES`].
    pub fn ln_us(&self) -> [f32; 3] {
        self.quantiles_us.map(f32::ln)
    }

    /// The RTT in µs that stays unexceeded with the probability `quantile`: ln RTT is interpolated over log-odds, which is
    /// exact for a log-logistic maximum. Outside of [`QUANTILES`] the outer lines are drawn on.
    pub fn at(&self, quantile: f64) -> f32 {
        let log_odds = (quantile / (1.0 - quantile)).ln().clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS);
        let ln = self.ln_us().map(f64::from);
        let lower = usize::from(log_odds > LOG_ODDS[1]);
        let share = (log_odds - LOG_ODDS[lower]) / (LOG_ODDS[lower + 1] - LOG_ODDS[lower]);
        (ln[lower] + share * (ln[lower + 1] - ln[lower])).exp() as f32
    }

    /// Log-odds that the maximum exceeds `us`: the inverse of [`Self::at`].
    pub fn log_odds_above(&self, us: f32) -> f64 {
        let (ln, at) = (self.ln_us().map(f64::from), f64::from(us.ln()));
        let lower = usize::from(at > ln[1]);
        let (width, odds) = (ln[lower + 1] - ln[lower], LOG_ODDS[lower + 1] - LOG_ODDS[lower]);
        // Quantiles that coincide are a step.
        let below = LOG_ODDS[lower] + (at - ln[lower]) / width.max(1e-6) * odds;
        -below.clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f32, b: f32) -> bool {
        (a / b - 1.0).abs() < 1e-4
    }

    #[test]
    fn crossing_quantiles_are_put_in_order() {
        let forecast = Forecast::from_ln([3.0, 2.0, 1.0]).unwrap();
        assert!(forecast.quantiles_us().is_sorted());
    }

    #[test]
    fn what_is_no_number_of_microseconds_is_no_forecast() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e9, -1e9] {
            assert_eq!(Forecast::from_ln([1.0, 2.0, bad]), None, "{bad}");
        }
    }

    #[test]
    fn what_lies_between_the_quantiles_meets_them_and_rises() {
        let forecast = Forecast::from_ln([4.0, 5.0, 7.0]).unwrap();
        let at: Vec<f32> = [0.1, 0.25, 0.5, 0.7, 0.9, 0.95, 0.99, 0.999].map(|quantile| forecast.at(quantile)).into();
        assert!(at.is_sorted());
        let [q50, q90, q99] = forecast.quantiles_us();
        assert!(close(at[2], q50) && close(at[4], q90) && close(at[6], q99), "{at:?}");
    }

    #[test]
    fn the_chance_of_more_is_what_the_quantiles_say() {
        let forecast = Forecast::from_ln([4.0, 5.0, 7.0]).unwrap();
        for quantile in [0.1, 0.5, 0.8, 0.9, 0.99, 0.999] {
            let chance = 1.0 / (1.0 + (-forecast.log_odds_above(forecast.at(quantile))).exp());
            assert!((chance - (1.0 - quantile)).abs() < 1e-3, "{quantile}: {chance}");
        }
        let sure = Forecast::from_ln([4.0; 3]).unwrap();
        assert_eq!((sure.log_odds_above(60.0), sure.log_odds_above(50.0)), (-MAX_LOG_ODDS, MAX_LOG_ODDS));
    }
}
