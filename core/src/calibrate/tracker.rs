//! Offsets of the upper quantiles, tracked over all targets of a rule.
//!
//! The update is the quantile tracker of Angelopoulos, Candès & Tibshirani 2023 ("Conformal PID control for time
//! series prediction"), the score-space form of adaptive conformal inference (Gibbs & Candès 2021): after each label
//! the offset moves up by `gain·q` when the truth exceeded the quantile and down by `gain·(1−q)` when it did not. It
//! needs no memory of residuals and no assumption about how they are distributed, and its step is bounded. The long-run
//! coverage is `q` while the offset stays inside its bounds. Labels of one tick count as one: a node with a hundred
//! targets learns as fast as one with a single target, and steadier.

use serde::{Deserialize, Serialize};

use crate::{
    forecast::{Forecast, QUANTILES},
    tick::Tick,
};

use super::Matured;

/// ln(µs) by which a miss moves the offset of a quantile near 1. Horizons overlap, so that one excursion is missed up
/// to ten times in a row: 5 % in all, taken back over a minute and a half of coverage at the 0.9 quantile.
const GAIN: f32 = 0.005;

/// The furthest an offset moves from what the model forecast, in ln(µs): a factor of two. A model further off wants
/// retraining, not correction.
pub const MAX_OFFSET: f32 = std::f32::consts::LN_2;

/// The quantiles that are calibrated, as positions in [`QUANTILES`]. The median stays as it was forecast.
const UPPER: [usize; 2] = [1, 2];

/// What the upper quantiles of a rule's forecasts were off by, and how often they held.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Calibrator {
    offsets: [f32; UPPER.len()],
    labels: u64,
    covered: [u64; QUANTILES.len()],
    #[serde(skip)]
    open: Batch,
}

/// The labels of one tick.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Batch {
    tick: Tick,
    labels: u32,
    exceeded: [u32; UPPER.len()],
}

impl Calibrator {
    /// The forecast with its upper quantiles moved; never below the median.
    pub fn apply(&self, forecast: &Forecast) -> Forecast {
        let mut ln = forecast.ln_us();
        for (position, offset) in UPPER.into_iter().zip(self.offsets) {
            ln[position] = (ln[position] + offset).max(ln[0]);
        }
        Forecast::from_ln(ln).unwrap_or(*forecast)
    }

    /// Counts whether the quantiles of a forecast, as it was published, held.
    pub fn count(&mut self, published: &Forecast, truth_us: f32) {
        for (covered, us) in self.covered.iter_mut().zip(published.quantiles_us()) {
            *covered = covered.saturating_add((truth_us <= us).into());
        }
        self.labels = self.labels.saturating_add(1);
    }

    /// Takes in a forecast, as it was before calibration, whose truth is known at `now`. It takes effect with the first
    /// label of a later tick, when those of all targets are in.
    pub fn learn(&mut self, now: Tick, matured: &Matured<Forecast>) {
        if self.open.tick != now {
            self.close();
            self.open.tick = now;
        }
        let quantiles_us = self.apply(&matured.predicted).quantiles_us();
        self.open.labels = self.open.labels.saturating_add(1);
        for (exceeded, position) in self.open.exceeded.iter_mut().zip(UPPER) {
            *exceeded = exceeded.saturating_add((matured.truth_us > quantiles_us[position]).into());
        }
    }

    /// Offsets in ln(µs) of the calibrated quantiles, 0.9 and 0.99.
    pub const fn offsets(&self) -> [f32; UPPER.len()] {
        self.offsets
    }

    /// Forecasts whose truth is known.
    pub const fn labels(&self) -> u64 {
        self.labels
    }

    /// The share of truths at or below each of [`QUANTILES`], after calibration; `None` before the first.
    pub fn coverage(&self) -> Option<[f64; QUANTILES.len()]> {
        (self.labels > 0).then(|| self.covered.map(|covered| covered as f64 / self.labels as f64))
    }

    /// Whether every number is one that learning can lead to; what is read from a file might not be.
    pub(crate) fn is_sound(&self) -> bool {
        self.offsets.iter().all(|offset| offset.abs() <= MAX_OFFSET)
            && self.covered.iter().all(|covered| *covered <= self.labels)
    }

    fn close(&mut self) {
        let batch = std::mem::take(&mut self.open);
        if batch.labels == 0 {
            return;
        }
        for ((offset, exceeded), position) in self.offsets.iter_mut().zip(batch.exceeded).zip(UPPER) {
            let rate = exceeded as f32 / batch.labels as f32;
            *offset = (*offset + GAIN * (rate - (1.0 - QUANTILES[position]))).clamp(-MAX_OFFSET, MAX_OFFSET);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matured(forecast_us: [f32; 3], truth_us: f32) -> Matured<Forecast> {
        Matured { predicted: Forecast::from_ln(forecast_us.map(f32::ln)).unwrap(), truth_us }
    }

    /// A number in [0, 1) for a tick, evenly spread.
    fn even(tick: u64) -> f32 {
        (tick as f32 * 0.618_034).fract()
    }

    #[test]
    fn coverage_reaches_the_nominal_one_when_the_model_is_off() {
        // Truth is even in ln over [0, 1): its 0.9 quantile is 0.9; the model forecasts 0.5 and is corrected upwards.
        let mut calibrator = Calibrator::default();
        let mut covered = 0;
        for tick in 0..20_000 {
            let label = matured([0.3_f32.exp(), 0.5_f32.exp(), 0.6_f32.exp()], even(tick).exp());
            if tick >= 10_000 {
                covered += u32::from(label.truth_us <= calibrator.apply(&label.predicted).quantiles_us()[1]);
            }
            calibrator.learn(Tick(tick), &label);
        }
        let rate = f64::from(covered) / 10_000.0;
        assert!((rate - 0.9).abs() < 0.01, "{rate}");
        assert!((calibrator.offsets()[0] - 0.4).abs() < 0.05, "{:?}", calibrator.offsets());
    }

    #[test]
    fn offsets_stay_within_a_factor_of_two_and_above_the_median() {
        for truth_us in [1.0, 1e6] {
            let mut calibrator = Calibrator::default();
            let label = matured([900.0, 1_000.0, 1_100.0], truth_us);
            (0..100_000).for_each(|tick| calibrator.learn(Tick(tick), &label));
            assert!(calibrator.offsets().iter().all(|offset| offset.abs() <= MAX_OFFSET));
            assert!(calibrator.apply(&label.predicted).quantiles_us().is_sorted());
            assert!((calibrator.apply(&label.predicted).quantiles_us()[0] - 900.0).abs() < 0.1, "the median moved");
        }
    }

    #[test]
    fn a_hundred_targets_move_an_offset_no_further_than_one() {
        let label = matured([10.0, 10.0, 10.0], 1_000.0);
        let (mut one, mut hundred) = (Calibrator::default(), Calibrator::default());
        for tick in 0..5 {
            one.learn(Tick(tick), &label);
            (0..100).for_each(|_| hundred.learn(Tick(tick), &label));
        }
        assert_eq!(one.offsets(), hundred.offsets());
        assert!(one.offsets()[0] > 0.0);
    }

    #[test]
    fn coverage_counts_what_held() {
        let mut calibrator = Calibrator::default();
        assert_eq!(calibrator.coverage(), None);
        let published = matured([10.0, 20.0, 30.0], 0.0).predicted;
        calibrator.count(&published, 15.0);
        calibrator.count(&published, 25.0);
        assert_eq!(calibrator.coverage(), Some([0.0, 0.5, 1.0]));
    }
}
