//! Forecasts: quantiles of the maximum measured RTT over the next [`HORIZON`](crate::tick::HORIZON) ticks.

mod naive;
mod offsets;

use serde::{Deserialize, Serialize};

pub use naive::Naive;
pub use offsets::{OffsetsError, QuantileOffsets};

/// The probabilities that a forecast carries, ascending.
pub const QUANTILES: [f32; 3] = [0.5, 0.9, 0.99];

/// Standard normal quantiles of [`QUANTILES`]: the axis on which levels between them are interpolated.
const NORMAL: [f32; 3] = [0.0, 1.281_551_6, 2.326_347_9];

/// Quantiles (see [`QUANTILES`]) of the maximum measured RTT over the horizon, in µs: finite, positive, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// µs, in the order of [`QUANTILES`].
    quantiles_us: [f32; 3],
}

/// The probability on which a decision rests, one of [`Level::LADDER`]. The higher it is, the earlier a rule warns
/// and the more often in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Level(u8);

/// A level that is not on the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("decision level {0} is not on the ladder of {count}: expected 0 to {last}", count = Level::LADDER.len(), last = Level::LADDER.len() - 1)]
pub struct LevelError(u8);

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

    /// µs in the order of [`QUANTILES`].
    pub const fn quantiles_us(&self) -> [f32; 3] {
        self.quantiles_us
    }

    /// ln(µs) in the order of [`QUANTILES`].
    pub fn ln_us(&self) -> [f32; 3] {
        self.quantiles_us.map(f32::ln)
    }

    /// The RTT in µs that stays unexceeded with the probability of `level`: ln RTT is interpolated on the normal
    /// axis, which is exact for a log-normal maximum.
    pub fn at(&self, level: Level) -> f32 {
        let ln = self.ln_us();
        let z = level.normal();
        let lower = usize::from(z > NORMAL[1]);
        let share = (z - NORMAL[lower]) / (NORMAL[lower + 1] - NORMAL[lower]);
        (ln[lower] + share * (ln[lower + 1] - ln[lower])).exp()
    }
}

impl Level {
    /// Probabilities and their standard normal quantiles, ascending. Below the median the line through the median and
    /// the 0.9 quantile is drawn on: nothing there is learned, it is caution for rules with a budget.
    pub const LADDER: [(f32, f32); 10] = [
        (0.1, -1.281_551_6),
        (0.25, -0.674_489_8),
        (0.5, 0.0),
        (0.6, 0.253_347_1),
        (0.7, 0.524_400_5),
        (0.8, 0.841_621_2),
        (0.9, 1.281_551_6),
        (0.95, 1.644_853_6),
        (0.975, 1.959_964),
        (0.99, 2.326_347_9),
    ];

    /// Where every rule starts, and stays without a budget of false alerts: a breach is forecast when it is more likely
    /// than not. Higher levels warn earlier, but quantiles learned from many faults are wide in calm: at 0.9 the first
    /// trained models and fitted rules called every lab target in trouble all the time.
    pub const DEFAULT: Self = Self(2);

    /// The probability.
    pub fn quantile(self) -> f32 {
        self.rung().0
    }

    /// One rung more cautious about false alerts; `None` at the end of the ladder.
    pub fn lower(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// One rung more eager to warn; `None` at the end of the ladder.
    pub fn higher(self) -> Option<Self> {
        Self::try_from(self.0.saturating_add(1)).ok()
    }

    fn normal(self) -> f32 {
        self.rung().1
    }

    fn rung(self) -> (f32, f32) {
        Self::LADDER[usize::from(self.0)]
    }
}

impl Default for Level {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<u8> for Level {
    type Error = LevelError;

    fn try_from(rung: u8) -> Result<Self, LevelError> {
        if usize::from(rung) < Self::LADDER.len() { Ok(Self(rung)) } else { Err(LevelError(rung)) }
    }
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level.0
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
    fn levels_meet_the_quantiles_and_rise_between_them() {
        let forecast = Forecast::from_ln([4.0, 5.0, 7.0]).unwrap();
        let at: Vec<f32> = (0..10).map(|rung| forecast.at(Level::try_from(rung).unwrap())).collect();
        assert!(at.is_sorted());
        let [q50, q90, q99] = forecast.quantiles_us();
        assert!(close(at[2], q50) && close(at[6], q90) && close(at[9], q99), "{at:?}");
    }

    #[test]
    fn the_ladder_ends_at_both_ends() {
        assert_eq!(Level(0).lower(), None);
        assert_eq!(Level(9).higher(), None);
        assert_eq!(Level::DEFAULT.quantile(), 0.5);
        assert_eq!(Level::try_from(10), Err(LevelError(10)));
    }
}
