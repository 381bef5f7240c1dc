//! A linear quantile regression that is learned in place. The pinball loss has a slope and no curvature; the Newton step takes
//! that of the loss smoothed by a logistic kernel (convolution-type smoothing: Fernandes, Guerre & Horta 2021, "Smoothing
//! quantile regressions"), while the slope stays exact, so that as much lies below the quantile as should.

use super::newton::Newton;

/// What a tick leaves of what was learned before: half of it is forgotten within two hours.
const KEEP: f64 = 0.9999;

/// The width of the kernel, in mean losses.
const WIDTH: f64 = 3.0;
const LEAST_WIDTH: f64 = 1e-3;

/// The least curvature, as a share of what the kernel has in its middle for a median: tails are thin, and a step into them
/// is bounded.
const LEAST_CURVATURE: f64 = 0.02;

/// The mean loss before anything was seen, ln(µs), what a label adds to it, and the largest that does.
const FIRST_LOSS: f64 = 0.03;
const LOSS_GAIN: f64 = 1e-3;
const MOST_LOST: f64 = 3.0;

/// Coefficients of `N` inputs for one quantile.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression<const N: usize> {
    pub(super) newton: Newton<N>,
    /// The running mean of pinball losses, ln(µs).
    pub(super) loss: f64,
    /// Of the tick that is open: losses and labels.
    open: (f64, u32),
}

impl<const N: usize> Default for Regression<N> {
    fn default() -> Self {
        Self { newton: Newton::new([0.0; N], KEEP), loss: FIRST_LOSS, open: (0.0, 0) }
    }
}

impl<const N: usize> Regression<N> {
    /// What the inputs lead to.
    pub fn predict(&self, inputs: &[f32; N]) -> f64 {
        self.newton.predict(inputs)
    }

    /// Takes in inputs and what came; it takes effect with [`Self::close`].
    pub fn learn(&mut self, quantile: f64, inputs: &[f32; N], came: f64) {
        let missed = came - self.predict(inputs);
        let slope = if missed < 0.0 { 1.0 } else { 0.0 } - quantile;
        let width = (WIDTH * self.loss).max(LEAST_WIDTH);
        let below = 1.0 / (1.0 + (missed / width).exp());
        let curvature = (below * (1.0 - below)).max(LEAST_CURVATURE * quantile * (1.0 - quantile)) / width;
        self.newton.learn(inputs, slope, curvature);
        self.open = (self.open.0 + (-slope * missed).min(MOST_LOST), self.open.1 + 1);
    }

    /// Ends a tick.
    pub fn close(&mut self) {
        self.newton.close();
        let (losses, labels) = std::mem::take(&mut self.open);
        if labels > 0 {
            self.loss += LOSS_GAIN * (losses / f64::from(labels) - self.loss);
        }
    }

    /// What was learned on one network as a beginning on another.
    pub(super) fn temper(&mut self, share: f64) {
        self.newton.scale(share);
    }

    /// Whether every number is one that learning can lead to; what is read from a file might not be.
    pub(super) fn is_sound(&self) -> bool {
        self.newton.is_sound() && (0.0..=MOST_LOST).contains(&self.loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_that_depend_on_an_input_are_learned() {
        for quantile in [0.5, 0.9, 0.99] {
            let mut regression = Regression::<2>::default();
            let even = |tick: u32| (tick as f32 * 0.618_034).fract();
            let mut held = 0;
            for tick in 0..60_000 {
                let input = if tick % 3 == 0 { 1.0 } else { -0.5 };
                let came = f64::from(0.7 * input + even(tick));
                held += u32::from(tick >= 30_000 && came <= regression.predict(&[input, 1.0]));
                regression.learn(quantile, &[input, 1.0], came);
                regression.close();
            }
            assert!((f64::from(held) / 30_000.0 - quantile).abs() < 0.02, "{quantile}: {held}");
            assert!((regression.newton.weights[0] - 0.7).abs() < 0.1, "{quantile}: {:?}", regression.newton.weights);
        }
    }
}
