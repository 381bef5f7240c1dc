//! A linear quantile regression that is learned in place: subgradient steps on the pinball loss with a rate per
//! coefficient (AdaGrad: Duchi, Hazan & Singer 2011, "Adaptive subgradient methods").

/// The step of a coefficient whose gradients have been 1 so far.
const RATE: f64 = 0.06;

/// What the sum of squared gradients begins with: bounds the first steps.
const FIRST: f64 = 0.1;

/// The furthest a coefficient goes.
const MAX_WEIGHT: f64 = 10.0;

/// Coefficients of `N` inputs for one quantile.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression<const N: usize> {
    pub(super) weights: [f64; N],
    /// Sums of squared gradients.
    pub(super) squares: [f64; N],
    /// Of the tick that is open.
    gradient: [f64; N],
    labels: u32,
}

impl<const N: usize> Default for Regression<N> {
    fn default() -> Self {
        Self { weights: [0.0; N], squares: [FIRST; N], gradient: [0.0; N], labels: 0 }
    }
}

impl<const N: usize> Regression<N> {
    /// What the inputs lead to.
    pub fn predict(&self, inputs: &[f32; N]) -> f64 {
        self.weights.iter().zip(inputs).map(|(weight, input)| weight * f64::from(*input)).sum()
    }

    /// Takes in inputs and what came; it takes effect with [`Self::close`].
    pub fn learn(&mut self, quantile: f64, inputs: &[f32; N], came: f64) {
        let slope = if came < self.predict(inputs) { 1.0 } else { 0.0 } - quantile;
        for (gradient, input) in self.gradient.iter_mut().zip(inputs) {
            *gradient += slope * f64::from(*input);
        }
        self.labels += 1;
    }

    /// Ends a tick.
    pub fn close(&mut self) {
        if self.labels == 0 {
            return;
        }
        let labels = f64::from(std::mem::take(&mut self.labels));
        for ((weight, squares), gradient) in self.weights.iter_mut().zip(&mut self.squares).zip(&mut self.gradient) {
            let gradient = std::mem::take(gradient) / labels;
            *squares += gradient * gradient;
            *weight = (*weight - RATE * gradient / squares.sqrt()).clamp(-MAX_WEIGHT, MAX_WEIGHT);
        }
    }

    /// Whether every number is one that learning can lead to; what is read from a file might not be.
    pub(super) fn is_sound(&self) -> bool {
        self.weights.iter().all(|weight| weight.abs() <= MAX_WEIGHT)
            && self.squares.iter().all(|squares| squares.is_finite() && *squares >= FIRST)
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
        assert!((regression.weights[0] - 0.7).abs() < 0.1, "{:?}", regression.weights);
    }
}
