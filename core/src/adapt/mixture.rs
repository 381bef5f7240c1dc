//! The forecaster that learns in place: all experts as they are, all corrected by tracked offsets, and a regression,
//! mixed by weights that follow who was right.

use super::{Aggregation, EXPERTS, Evidence, Expert, FEATURES, Offsets, Regression};
use crate::forecast::{Forecast, Naive, QUANTILES};

/// What is mixed: each expert twice, and the regression.
pub const VOICES: usize = 2 * EXPERTS + 1;

/// Inputs of the regression: the features and 1.
pub(super) const INPUTS: usize = FEATURES + 1;

/// How much of what training made surer counts on another network: what was learned there stays open here.
pub(super) const PRIOR_SHARE: f64 = 0.1;

/// The bounded inputs that learning takes: features in units of their usual size.
const MAX_INPUT: f32 = 5.0;
const INPUT_SCALE: f32 = 0.3;

/// What was forecast of one target, as learning wants it back when the truth is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Made {
    /// ln(µs) by quantile and voice, NaN for one that is asleep.
    voices: [[f32; VOICES]; QUANTILES.len()],
    /// ln(µs).
    mixed: [f32; QUANTILES.len()],
    evidence: Evidence,
}

/// What all targets of a rule taught.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mixture {
    pub(super) quantiles: [Quantile; QUANTILES.len()],
}

/// … for one quantile.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Quantile {
    pub(super) offsets: Offsets<EXPERTS>,
    /// Of what is left to the maximum of the last ten seconds.
    pub(super) regression: Regression<INPUTS>,
    pub(super) aggregation: Aggregation<VOICES>,
}

/// The usual size of each feature.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scales(pub(super) [f32; FEATURES]);

impl Default for Scales {
    fn default() -> Self {
        Self([0.1; FEATURES])
    }
}

impl Scales {
    /// The smallest usual size: what varies less is noise.
    pub(super) const LEAST: f32 = 0.01;

    /// A feature in units of its usual size, bounded.
    pub(super) fn input(&self, evidence: &Evidence, feature: usize) -> f32 {
        (evidence.features[feature] / self.0[feature]).clamp(-MAX_INPUT, MAX_INPUT) * INPUT_SCALE
    }

    fn inputs(&self, evidence: &Evidence) -> [f32; INPUTS] {
        std::array::from_fn(|input| if input < FEATURES { self.input(evidence, input) } else { 1.0 })
    }
}

/// The name of a voice in reports and ledgers.
pub fn voice_name(voice: usize) -> String {
    let expert = Expert::all().nth(voice % EXPERTS).map_or("", Expert::name);
    match voice / EXPERTS {
        0 => expert.to_owned(),
        1 => format!("{expert}+offset"),
        _ => "regression".to_owned(),
    }
}

impl Made {
    /// The forecast.
    pub fn forecast(&self) -> Option<Forecast> {
        Forecast::from_ln(self.mixed)
    }

    /// What the voices forecast for a quantile by its position, ln(µs); NaN for one that is asleep.
    pub(super) const fn voices(&self, quantile: usize) -> &[f32; VOICES] {
        &self.voices[quantile]
    }

    /// What was made of it, ln(µs).
    pub(super) const fn mixed(&self, quantile: usize) -> f32 {
        self.mixed[quantile]
    }

    /// What it was made of.
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

impl Mixture {
    /// What the mixture makes of the evidence; `None` when every expert is asleep.
    pub(super) fn make(&self, evidence: &Evidence, scales: &Scales) -> Option<Made> {
        let inputs = scales.inputs(evidence);
        let mut made =
            Made { voices: [[f32::NAN; VOICES]; QUANTILES.len()], mixed: [0.0; QUANTILES.len()], evidence: *evidence };
        for (position, quantile) in self.quantiles.iter().enumerate() {
            let (experts, voices) = (&evidence.experts[position], &mut made.voices[position]);
            voices[..EXPERTS].copy_from_slice(experts);
            voices[EXPERTS..2 * EXPERTS].copy_from_slice(&quantile.offsets.apply(experts));
            voices[2 * EXPERTS] = base(evidence, position) + quantile.regression.predict(&inputs) as f32;
            made.mixed[position] = quantile.aggregation.mix(voices)?;
        }
        Some(made)
    }

    /// Takes in a forecast and its truth in µs; it takes effect with [`Self::close`].
    pub(super) fn learn(&mut self, made: &Made, scales: &Scales, truth_us: f32) {
        let inputs = scales.inputs(&made.evidence);
        let came = truth_us.ln();
        for (position, quantile) in self.quantiles.iter_mut().enumerate() {
            let level = f64::from(QUANTILES[position]);
            quantile.aggregation.learn(level, &made.voices[position], made.mixed[position], came);
            quantile.offsets.learn(level, &made.evidence.experts[position], came);
            let base = base(&made.evidence, position);
            if base.is_finite() {
                quantile.regression.learn(level, &inputs, f64::from(came - base));
            }
        }
    }

    /// Ends a tick.
    pub(super) fn close(&mut self) {
        for quantile in &mut self.quantiles {
            quantile.aggregation.close();
            quantile.offsets.close();
            quantile.regression.close();
        }
    }

    /// The weights of the voices, by quantile.
    pub fn weights(&self) -> [&[f64; VOICES]; QUANTILES.len()] {
        self.quantiles.each_ref().map(|quantile| quantile.aggregation.weights())
    }
}

/// What the regression adds to, ln(µs).
fn base(evidence: &Evidence, quantile: usize) -> f32 {
    evidence.forecast_ln_us(quantile, Expert::Naive(Naive::Max10))
}
