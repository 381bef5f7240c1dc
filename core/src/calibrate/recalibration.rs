//! What a chance has come to mean: Platt scaling (Platt 1999, "Probabilistic outputs for support vector machines") learned
//! in place, as a logistic regression with two coefficients and a normal prior around "it means what it says", followed by
//! Laplace's approximation (Bishop 2006, "Pattern recognition and machine learning", 4.5).

use serde::{Deserialize, Serialize};

use crate::{adapt::chance, forecast::MAX_LOG_ODDS};

/// The precision of the prior: standard deviations of 1 for the shift and of 0.3 for the stretch of log-odds.
const PRIOR: [f64; 2] = [1.0, 10.0];

/// How much a label weighs: horizons overlap, so that ten labels in a row count as one.
const WEIGHT: f64 = 0.1;

/// What a second leaves of what was learned before: half of it is forgotten within an hour.
const KEEP: f64 = 0.9998;

/// Beyond these log-odds all are taken for equally sure: 1 in 400.
const SURE: f64 = 6.0;

/// The furthest that log-odds are shifted and stretched.
const MAX_SHIFT: f64 = 8.0;
const STRETCH: (f64, f64) = (0.2, 3.0);

/// `shift + stretch · log-odds`, and how sure that is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recalibration {
    shift: f64,
    stretch: f64,
    /// The upper triangle of the precision matrix.
    precision: [f64; 3],
    #[serde(skip)]
    open: Open,
}

/// The labels of one tick.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Open {
    gradient: [f64; 2],
    curvature: [f64; 3],
    labels: u32,
}

impl Default for Recalibration {
    fn default() -> Self {
        Self { shift: 0.0, stretch: 1.0, precision: [PRIOR[0], 0.0, PRIOR[1]], open: Open::default() }
    }
}

impl Recalibration {
    /// The chance that log-odds have come to mean.
    pub fn chance(&self, log_odds: f64) -> f64 {
        chance((self.shift + self.stretch * log_odds.clamp(-SURE, SURE)).clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS))
    }

    /// Takes in log-odds as they were predicted and what came; it takes effect with [`Self::close`].
    pub fn learn(&mut self, log_odds: f64, breached: bool) {
        let log_odds = log_odds.clamp(-SURE, SURE);
        let predicted = self.chance(log_odds);
        let missed = if breached { 1.0 } else { 0.0 } - predicted;
        let curvature = predicted * (1.0 - predicted);
        let Open { gradient, curvature: sum, labels } = &mut self.open;
        *gradient = [gradient[0] + missed, gradient[1] + missed * log_odds];
        *sum = [sum[0] + curvature, sum[1] + curvature * log_odds, sum[2] + curvature * log_odds * log_odds];
        *labels += 1;
    }

    /// Ends a tick: a Newton step from the old estimate.
    pub fn close(&mut self) {
        let Open { gradient, curvature, labels } = std::mem::take(&mut self.open);
        if labels == 0 {
            return;
        }
        let weight = WEIGHT / f64::from(labels);
        let [a, b, c] = &mut self.precision;
        *a = PRIOR[0] + (*a - PRIOR[0]) * KEEP + weight * curvature[0];
        *b = *b * KEEP + weight * curvature[1];
        *c = PRIOR[1] + (*c - PRIOR[1]) * KEEP + weight * curvature[2];
        let determinant = *a * *c - *b * *b;
        let step = [
            weight * (*c * gradient[0] - *b * gradient[1]) / determinant,
            weight * (*a * gradient[1] - *b * gradient[0]) / determinant,
        ];
        self.shift = (self.shift + step[0]).clamp(-MAX_SHIFT, MAX_SHIFT);
        self.stretch = (self.stretch + step[1]).clamp(STRETCH.0, STRETCH.1);
    }

    /// Whether every number is one that learning can lead to; what is read from a file might not be.
    pub(crate) fn is_sound(&self) -> bool {
        let [a, b, c] = self.precision;
        self.shift.abs() <= MAX_SHIFT
            && (STRETCH.0..=STRETCH.1).contains(&self.stretch)
            && a >= PRIOR[0]
            && c >= PRIOR[1]
            && b.is_finite()
            && (a * c - b * b).is_finite()
            && a * c > b * b
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A predicted chance and what comes of it, evenly spread: of ten, `true_of_ten` come true.
    fn overconfident(recalibration: &mut Recalibration, labels: u32, true_of_ten: u32) {
        for label in 0..labels {
            // Most seconds are calm and predicted to be.
            if label % 10 == 0 {
                recalibration.learn(2.0, label / 10 % 10 < true_of_ten);
            } else {
                recalibration.learn(-5.0, false);
            }
            recalibration.close();
        }
    }

    #[test]
    fn what_is_overconfident_comes_to_mean_what_it_says() {
        let mut recalibration = Recalibration::default();
        assert!((recalibration.chance(2.0) - 0.88).abs() < 0.01);
        overconfident(&mut recalibration, 600, 2);
        assert!(recalibration.chance(2.0) < 0.5, "{}", recalibration.chance(2.0));
        overconfident(&mut recalibration, 20_000, 2);
        assert!((recalibration.chance(2.0) - 0.2).abs() < 0.07, "{}", recalibration.chance(2.0));
        assert!(recalibration.chance(-5.0) < 0.02, "{}", recalibration.chance(-5.0));
    }

    proptest! {
        #[test]
        fn a_chance_is_one_whatever_was_learned(
            labels in prop::collection::vec((-15.0..15.0_f64, any::<bool>(), any::<bool>()), 1..2_000),
        ) {
            let mut recalibration = Recalibration::default();
            for (log_odds, breached, closes) in labels {
                recalibration.learn(log_odds, breached);
                if closes {
                    recalibration.close();
                }
                prop_assert!(recalibration.is_sound(), "{recalibration:?}");
                prop_assert!((0.0..=1.0).contains(&recalibration.chance(log_odds)));
            }
        }
    }
}
