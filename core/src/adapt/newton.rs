//! Coefficients that are learned in place by Newton steps, together with how sure they are: a normal distribution, moved by
//! one step for the labels of each tick (Laplace's approximation: Bishop 2006, "Pattern recognition and machine learning",
//! 4.5; one observation after the other: Spiegelhalter & Lauritzen 1990, "Sequential updating of conditional probabilities
//! on directed graphical structures"). Second-order, so that neither the units of the inputs nor their correlations slow it
//! down: from nothing, on a satellite link, it brought the average precision of chances from 0.43 with AdaGrad to 0.55, and
//! the skill of the median from 41 to 52 %.

/// The precision of each coefficient before anything is learned: a standard deviation of 1 around where it begins.
const PRIOR: f64 = 1.0;

/// How much a label weighs: horizons overlap, so that ten labels in a row count as one.
const WEIGHT: f64 = 0.1;

/// The furthest a coefficient goes.
const FURTHEST: f64 = 20.0;

/// What is known of `N` coefficients.
#[derive(Debug, Clone)]
pub(super) struct Newton<const N: usize> {
    /// The most likely ones.
    pub(super) weights: [f64; N],
    /// By how much labels have made them surer: the precision matrix without the prior's part, lower triangle.
    pub(super) information: Square<N>,
    /// What a tick leaves of it.
    keep: f64,
    open: Open<N>,
}

/// A matrix of which the lower triangle is used. Boxed once: 23 kB where `N` is 54.
pub(super) type Square<const N: usize> = Box<[[f64; N]; N]>;

/// The labels of one tick.
#[derive(Debug, Clone)]
struct Open<const N: usize> {
    gradient: [f64; N],
    curvature: Square<N>,
    labels: u32,
    /// Whether a label taught anything.
    is_taught: bool,
}

impl<const N: usize> PartialEq for Newton<N> {
    fn eq(&self, other: &Self) -> bool {
        self.weights == other.weights && self.information == other.information
    }
}

impl<const N: usize> Newton<N> {
    pub(super) fn new(weights: [f64; N], keep: f64) -> Self {
        let open = Open { gradient: [0.0; N], curvature: zeros(), labels: 0, is_taught: false };
        Self { weights, information: zeros(), keep, open }
    }

    /// What the inputs lead to.
    pub(super) fn predict(&self, inputs: &[f32; N]) -> f64 {
        self.weights.iter().zip(inputs).map(|(weight, input)| weight * f64::from(*input)).sum()
    }

    /// Takes in the first and second derivative of a label's loss by what was predicted; it takes effect with
    /// [`Self::close`].
    pub(super) fn learn(&mut self, inputs: &[f32; N], slope: f64, curvature: f64) {
        let inputs = inputs.map(f64::from);
        self.open.labels += 1;
        self.open.is_taught = true;
        for (row, input) in inputs.iter().enumerate().filter(|(_, input)| **input != 0.0) {
            self.open.gradient[row] += slope * input;
            let scaled = curvature * input;
            self.open.curvature[row][..=row].iter_mut().zip(&inputs).for_each(|(sum, other)| *sum += scaled * other);
        }
    }

    /// Takes in a label that teaches nothing.
    pub(super) const fn pass(&mut self) {
        self.open.labels += 1;
    }

    /// Ends a tick: a step from the old estimate. Targets of a rule share networks, so that the labels of `n` of them count
    /// as `√n`.
    pub(super) fn close(&mut self) {
        if self.open.labels == 0 {
            return;
        }
        let weight = WEIGHT / f64::from(std::mem::take(&mut self.open.labels)).sqrt();
        self.scale(self.keep);
        if !std::mem::take(&mut self.open.is_taught) {
            return;
        }
        let Open { gradient, curvature, .. } = &mut self.open;
        for (row, (information, curvature)) in self.information.iter_mut().zip(curvature.iter_mut()).enumerate() {
            for (known, new) in information[..=row].iter_mut().zip(&mut curvature[..=row]) {
                *known += weight * *new;
                *new = *known;
            }
            curvature[row] += PRIOR;
        }
        let mut step = std::mem::replace(gradient, [0.0; N]);
        // Of a matrix that is the prior's plus squares: it has a root, whatever was learned.
        if solve(curvature, &mut step) {
            for (coefficient, step) in self.weights.iter_mut().zip(step) {
                *coefficient = (*coefficient - weight * step).clamp(-FURTHEST, FURTHEST);
            }
        }
        curvature.iter_mut().for_each(|row| row.fill(0.0));
    }

    /// Leaves this share of how sure the coefficients are.
    pub(super) fn scale(&mut self, share: f64) {
        for (row, information) in self.information.iter_mut().enumerate() {
            information[..=row].iter_mut().for_each(|known| *known *= share);
        }
    }

    /// Whether every number is one that learning can lead to; what is read from a file might not be.
    pub(super) fn is_sound(&self) -> bool {
        let mut precision = self.information.clone();
        precision.iter_mut().enumerate().for_each(|(row, known)| known[row] += PRIOR);
        self.weights.iter().all(|weight| weight.abs() <= FURTHEST) && solve(&mut precision, &mut [0.0; N])
    }
}

fn zeros<const N: usize>() -> Square<N> {
    Box::new([[0.0; N]; N])
}

/// Replaces `right` by the solution of `matrix · x = right` and the lower triangle of `matrix` by its Cholesky factor.
/// Returns `false` when it has none. A few lines here, because the privileged agent links no linear algebra.
fn solve<const N: usize>(matrix: &mut [[f64; N]; N], right: &mut [f64; N]) -> bool {
    for row in 0..N {
        let (above, rest) = matrix.split_at_mut(row);
        let current = &mut rest[0];
        for (column, other) in above.iter().enumerate() {
            let product: f64 = current[..column].iter().zip(&other[..column]).map(|(one, two)| one * two).sum();
            current[column] = (current[column] - product) / other[column];
        }
        let pivot = current[row] - current[..row].iter().map(|one| one * one).sum::<f64>();
        if !(pivot > 0.0 && pivot.is_finite()) {
            return false;
        }
        current[row] = pivot.sqrt();
        let product: f64 = current[..row].iter().zip(right.iter()).map(|(one, two)| one * two).sum();
        right[row] = (right[row] - product) / current[row];
    }
    for row in (0..N).rev() {
        let below: f64 = (row + 1..N).map(|other| matrix[other][row] * right[other]).sum();
        right[row] = (right[row] - below) / matrix[row][row];
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_system_of_equations_is_solved_and_one_without_a_root_is_refused() {
        let mut matrix = [[4.0, 0.0, 0.0], [2.0, 5.0, 0.0], [-1.0, 0.5, 3.0]];
        let mut right = [4.0 + 4.0 - 3.0, 2.0 + 10.0 + 1.5, -1.0 + 1.0 + 9.0];
        assert!(solve(&mut matrix, &mut right));
        for (got, expected) in right.into_iter().zip([1.0, 2.0, 3.0]) {
            assert!((got - expected).abs() < 1e-12, "{right:?}");
        }
        assert!(!solve(&mut [[1.0, 0.0], [2.0, 1.0]], &mut [0.0; 2]));
        assert!(!solve(&mut [[f64::NAN]], &mut [0.0]));
    }

    #[test]
    fn a_line_is_found_in_inputs_of_any_unit() {
        for unit in [0.2, 1.0, 5.0] {
            let mut newton = Newton::<2>::new([0.0; 2], 1.0);
            for tick in 0..2_000_u32 {
                let input = (tick % 7) as f32 - 3.0;
                let inputs = [unit * input, 1.0];
                // Squared error around 0.5 · input + 2.
                newton.learn(&inputs, newton.predict(&inputs) - f64::from(0.5 * input + 2.0), 1.0);
                newton.close();
            }
            let got = newton.predict(&[unit * 2.0, 1.0]);
            assert!((got - 3.0).abs() < 0.15, "{unit}: {got}");
        }
    }

    proptest! {
        #[test]
        fn what_is_known_stays_sound_whatever_is_taught(
            labels in prop::collection::vec(
                (prop::array::uniform4(-5.0_f32..5.0), -1.0..1.0_f64, 0.0..1e6_f64, any::<bool>()),
                1..800,
            ),
        ) {
            let mut newton = Newton::<4>::new([0.0; 4], 0.999);
            for (inputs, slope, curvature, closes) in labels {
                newton.learn(&inputs, slope, curvature);
                if closes {
                    newton.close();
                }
                prop_assert!(newton.is_sound() && newton.predict(&inputs).is_finite());
            }
        }
    }
}
