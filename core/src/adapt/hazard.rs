//! How likely the horizon is to breach a threshold: a logistic regression that is learned in place, over the distances of
//! the experts from the threshold and the features.

use super::{
    Evidence, Expert, FEATURES,
    descent::{Descent, Pace},
    feature_name,
    mixture::Scales,
};
use crate::forecast::{MAX_LOG_ODDS, Naive, QUANTILES};

/// Distances that are looked at: rules of thumb, the quantiles of the hour, recurrence, and the trends of 5 and 15 s carried
/// on for 5 and 10 s.
const DISTANCES: usize = Naive::ALL.len() + QUANTILES.len() + 1 + 4;

/// Each distance in ln(µs) enters in three bands, so that a straight line becomes a curve: bounds and factor.
const BANDS: [(f32, f32, f32); 3] = [(-3.0, 1.0, 1.0), (-0.3, 0.3, 3.0), (-0.05, 0.05, 10.0)];
const BAND_NAMES: [&str; BANDS.len()] = ["wide", "near", "at"];

/// The distance of one that has no forecast: well below.
const UNKNOWN: f32 = -1.0;

/// All that is weighed: distances in bands, features, and 1.
pub(super) const INPUTS: usize = DISTANCES * BANDS.len() + FEATURES + 1;

const PACE: Pace = Pace { rate: 0.05, first: 1.0, furthest: 20.0 };

/// The largest sum of squared gradients with which a coefficient from training begins: what was learned on one network stays
/// open on another.
const PRIOR_SQUARES: f64 = 100.0;

/// Log-odds before anything is known: breaches are rare.
const FIRST_BIAS: f64 = -3.0;

/// What all targets of a rule taught of breaches.
#[derive(Debug, Clone, PartialEq)]
pub struct Hazard {
    pub(super) descent: Descent<INPUTS>,
}

impl Default for Hazard {
    fn default() -> Self {
        let mut descent = Descent::new(&PACE);
        descent.weights[INPUTS - 1] = FIRST_BIAS;
        Self { descent }
    }
}

impl Hazard {
    /// Log-odds of a breach of `threshold_us` within the horizon.
    pub(super) fn log_odds(&self, evidence: &Evidence, scales: &Scales, threshold_us: f32) -> f64 {
        self.weigh(&inputs(evidence, scales, threshold_us))
    }

    /// Takes in evidence and whether the threshold was breached; it takes effect with [`Self::close`].
    pub(super) fn learn(&mut self, evidence: &Evidence, scales: &Scales, threshold_us: f32, breached: bool) {
        let inputs = inputs(evidence, scales, threshold_us);
        let slope = chance(self.weigh(&inputs)) - if breached { 1.0 } else { 0.0 };
        self.descent.learn(slope, &inputs);
    }

    /// Ends a tick.
    pub(super) fn close(&mut self) {
        self.descent.close(&PACE);
    }

    /// What was learned on one network as a beginning on another.
    pub(super) fn temper(&mut self) {
        self.descent.squares = self.descent.squares.map(|squares| squares.min(PRIOR_SQUARES));
    }

    /// Whether every number is one that learning can lead to; what is read from a file might not be.
    pub(super) fn is_sound(&self) -> bool {
        self.descent.is_sound(&PACE)
    }

    fn weigh(&self, inputs: &[f32; INPUTS]) -> f64 {
        self.descent.predict(inputs).clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS)
    }
}

/// The chance that has these log-odds.
pub fn chance(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The name of an input in ledgers.
pub(super) fn input_name(input: usize) -> String {
    let (distance, band) = (input / BANDS.len(), BAND_NAMES[input % BANDS.len()]);
    match input.checked_sub(DISTANCES * BANDS.len()) {
        Some(FEATURES) => "bias".to_owned(),
        Some(feature) => feature_name(feature),
        None => format!("{} {band}", distance_name(distance)),
    }
}

fn distance_name(distance: usize) -> &'static str {
    const REST: [&str; DISTANCES - Naive::ALL.len()] = [
        "hour_q50",
        "hour_q90",
        "hour_q99",
        "recurrence",
        "trend5_in_10s",
        "trend15_in_10s",
        "trend5_in_5s",
        "trend15_in_5s",
    ];
    Naive::ALL.get(distance).map_or_else(|| REST[distance - Naive::ALL.len()], |naive| naive.name())
}

fn inputs(evidence: &Evidence, scales: &Scales, threshold_us: f32) -> [f32; INPUTS] {
    let threshold = threshold_us.ln();
    let last = evidence.said(0, Expert::Naive(Naive::Last));
    let [slope5, slope15] = evidence.slopes();
    let said = Naive::ALL
        .into_iter()
        .map(|naive| evidence.said(0, Expert::Naive(naive)))
        .chain((0..QUANTILES.len()).map(|quantile| evidence.said(quantile, Expert::Hour)))
        .chain([evidence.said(0, Expert::Recurrence)])
        .chain([10.0 * slope5, 10.0 * slope15, 5.0 * slope5, 5.0 * slope15].map(|rise| last + rise));
    let mut inputs = [1.0; INPUTS];
    let (distances, rest) = inputs.split_at_mut(DISTANCES * BANDS.len());
    for (bands, said) in distances.chunks_exact_mut(BANDS.len()).zip(said) {
        let distance = if said.is_finite() { said - threshold } else { UNKNOWN };
        for (slot, (low, high, factor)) in bands.iter_mut().zip(BANDS) {
            *slot = distance.clamp(low, high) * factor;
        }
    }
    for (feature, slot) in rest.iter_mut().take(FEATURES).enumerate() {
        *slot = scales.input(evidence, feature);
    }
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapt::EXPERTS;

    /// Every expert says the same.
    fn evidence(us: f32) -> Evidence {
        Evidence { experts: [[us.ln(); EXPERTS]; QUANTILES.len()], features: [0.0; FEATURES] }
    }

    #[test]
    fn what_was_near_the_threshold_before_each_breach_comes_to_mean_a_breach() {
        let (mut hazard, scales) = (Hazard::default(), Scales::default());
        for tick in 0..10_000 {
            let near = tick % 20 == 0;
            hazard.learn(&evidence(if near { 90_000.0 } else { 20_000.0 }), &scales, 100_000.0, near);
            hazard.close();
        }
        let says = |us| chance(hazard.log_odds(&evidence(us), &scales, 100_000.0));
        assert!(says(90_000.0) > 0.9 && says(20_000.0) < 0.05, "{} {}", says(90_000.0), says(20_000.0));
        // A distance, not a level: another path with another threshold is judged alike.
        assert!((chance(hazard.log_odds(&evidence(900.0), &scales, 1_000.0)) - says(90_000.0)).abs() < 1e-4);
    }

    #[test]
    fn inputs_have_names_of_their_own_and_are_bounded_whatever_is_forecast() {
        let names: Vec<String> = (0..INPUTS).map(input_name).collect();
        for (index, name) in names.iter().enumerate() {
            assert!(!name.is_empty() && !names[..index].contains(name), "{names:?}");
        }
        for us in [1.0, f32::MAX, f32::MIN_POSITIVE, f32::NAN] {
            let inputs = inputs(&evidence(us), &Scales::default(), 100.0);
            assert!(inputs.iter().all(|input| input.abs() <= 3.0), "{us}: {inputs:?}");
        }
    }
}
