//! A linear quantile regression that is learned in place: subgradient steps on the pinball loss.

use super::descent::{Descent, Pace};

const PACE: Pace = Pace { rate: 0.06, first: 0.1, furthest: 10.0 };

/// Coefficients of `N` inputs for one quantile.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression<const N: usize> {
    pub(super) descent: Descent<N>,
}

impl<const N: usize> Default for Regression<N> {
    fn default() -> Self {
        Self { descent: Descent::new(&PACE) }
    }
}

impl<const N: usize> Regression<N> {
    /// What the inputs lead to.
    pub fn predict(&self, inputs: &[f32; N]) -> f64 {
        self.descent.predict(inputs)
    }

    /// Takes in inputs and what came; it takes effect with [`Self::close`].
    pub fn learn(&mut self, quantile: f64, inputs: &[f32; N], came: f64) {
        let slope = if came < self.predict(inputs) { 1.0 } else { 0.0 } - quantile;
        self.descent.learn(slope, inputs);
    }

    /// Ends a tick.
    pub fn close(&mut self) {
        self.descent.close(&PACE);
    }

    /// Whether every number is one that learning can lead to; what is read from a file might not be.
    pub(super) fn is_sound(&self) -> bool {
        self.descent.is_sound(&PACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_that_depends_on_an_input_is_learned() {
        let mut regression = Regression::<2>::default();
        let even = |tick: u32| (tick as f32 * 0.618_034).fract();
        let mut held = 0;
        for tick in 0..60_000 {
            let input = if tick % 3 == 0 { 1.0 } else { -0.5 };
            let came = f64::from(0.7 * input + even(tick));
            held += u32::from(tick >= 30_000 && came <= regression.predict(&[input, 1.0]));
            regression.learn(0.9, &[input, 1.0], came);
            regression.close();
        }
        assert!((f64::from(held) / 30_000.0 - 0.9).abs() < 0.02, "{held}");
        assert!((regression.descent.weights[0] - 0.7).abs() < 0.1, "{:?}", regression.descent.weights);
    }
}
