//! Coefficients that are learned in place by gradient steps with a rate for each (AdaGrad: Duchi, Hazan & Singer 2011,
//! "Adaptive subgradient methods").

/// How coefficients move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// The step of a coefficient whose gradients have been 1 so far.
    pub(super) rate: f64,
    /// What the sum of squared gradients begins with: bounds the first steps.
    pub(super) first: f64,
    /// The furthest a coefficient goes.
    pub(super) furthest: f64,
}

/// Coefficients of `N` inputs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Descent<const N: usize> {
    pub(super) weights: [f64; N],
    /// Sums of squared gradients.
    pub(super) squares: [f64; N],
    /// Of the tick that is open.
    gradient: [f64; N],
    labels: u32,
}

impl<const N: usize> Descent<N> {
    pub(super) const fn new(pace: &Pace) -> Self {
        Self { weights: [0.0; N], squares: [pace.first; N], gradient: [0.0; N], labels: 0 }
    }

    /// What the inputs lead to.
    pub(super) fn predict(&self, inputs: &[f32; N]) -> f64 {
        self.weights.iter().zip(inputs).map(|(weight, input)| weight * f64::from(*input)).sum()
    }

    /// Takes in the slope of a label's loss by what was predicted; it takes effect with [`Self::close`].
    pub(super) fn learn(&mut self, slope: f64, inputs: &[f32; N]) {
        for (gradient, input) in self.gradient.iter_mut().zip(inputs) {
            *gradient += slope * f64::from(*input);
        }
        self.labels += 1;
    }

    /// Ends a tick.
    pub(super) fn close(&mut self, pace: &Pace) {
        if self.labels == 0 {
            return;
        }
        let labels = f64::from(std::mem::take(&mut self.labels));
        for ((weight, squares), gradient) in self.weights.iter_mut().zip(&mut self.squares).zip(&mut self.gradient) {
            let gradient = std::mem::take(gradient) / labels;
            *squares += gradient * gradient;
            *weight = (*weight - pace.rate * gradient / squares.sqrt()).clamp(-pace.furthest, pace.furthest);
        }
    }

    /// Whether every number is one that learning can lead to; what is read from a file might not be.
    pub(super) fn is_sound(&self, pace: &Pace) -> bool {
        self.weights.iter().all(|weight| weight.abs() <= pace.furthest)
            && self.squares.iter().all(|squares| squares.is_finite() && *squares >= pace.first)
    }
}
