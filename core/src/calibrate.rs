//! Learning from delayed truth: by how much the upper quantiles are off, what chances have come to mean, and how sure a rule
//! has to be to warn. None of it ever moves a threshold.

mod caution;
mod recalibration;
mod reliability;
mod tracker;

pub use caution::Caution;
pub use recalibration::Recalibration;
pub use reliability::{BINS, Bin, Reliability};
pub use tracker::{Calibrator, MAX_OFFSET};

use crate::tick::{HORIZON, Tick};

const SLOTS: usize = HORIZON as usize;

/// Pairs each prediction for one target with its truth: the maximum of what was measured over the horizon after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth<T> {
    /// By tick modulo the horizon. Slot of `now` holds the prediction made at `now - HORIZON` until it is replaced.
    predicted: [Option<T>; SLOTS],
    measured: [Option<f32>; SLOTS],
    last: Option<Tick>,
}

/// A prediction whose horizon has passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matured<T> {
    /// The prediction as it was made.
    pub predicted: T,
    /// The maximum measured RTT of its horizon in µs.
    pub truth_us: f32,
}

impl<T: Copy> Default for Truth<T> {
    fn default() -> Self {
        Self { predicted: [None; SLOTS], measured: [None; SLOTS], last: None }
    }
}

impl<T: Copy> Truth<T> {
    /// Takes in a tick and hands back what matured with it. A horizon without a measured value has no truth; after ticks
    /// were left out, everything open is dropped, because its maximum is unknown.
    pub fn observe(&mut self, now: Tick, measured_us: Option<f32>, predicted: Option<T>) -> Option<Matured<T>> {
        if self.last.is_some_and(|last| now != last.plus(1)) {
            *self = Self::default();
        }
        self.last = Some(now);
        let slot = (now.0 % HORIZON) as usize;
        self.measured[slot] = measured_us;
        let due = std::mem::replace(&mut self.predicted[slot], predicted);
        let truth_us = self.measured.iter().flatten().copied().reduce(f32::max);
        due.zip(truth_us).map(|(predicted, truth_us)| Matured { predicted, truth_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::Forecast;

    fn forecast(us: f32) -> Option<Forecast> {
        Forecast::from_ln([us.ln(); 3])
    }

    #[test]
    fn a_forecast_matures_with_the_maximum_of_the_ten_ticks_after_it() {
        let mut truth = Truth::default();
        for tick in 0..40_u64 {
            let matured = truth.observe(Tick(tick), Some(tick as f32 + 1.0), forecast(tick as f32 + 1.0));
            match tick.checked_sub(HORIZON) {
                None => assert_eq!(matured, None, "{tick}"),
                Some(made) => {
                    let expected =
                        Matured { predicted: forecast(made as f32 + 1.0).unwrap(), truth_us: tick as f32 + 1.0 };
                    assert_eq!(matured, Some(expected), "{tick}");
                }
            }
        }
    }

    #[test]
    fn the_tick_of_the_forecast_itself_is_not_part_of_its_truth() {
        let mut truth = Truth::default();
        truth.observe(Tick(0), Some(9_999.0), forecast(1.0));
        let matured = (1..=10).fold(None, |_, tick| truth.observe(Tick(tick), Some(5.0), None));
        assert_eq!(matured.map(|matured| matured.truth_us), Some(5.0));
    }

    #[test]
    fn a_silent_horizon_has_no_truth() {
        let mut truth = Truth::default();
        truth.observe(Tick(0), Some(1.0), forecast(1.0));
        assert!((1..=10).all(|tick| truth.observe(Tick(tick), None, None).is_none()));
    }

    #[test]
    fn ticks_left_out_drop_what_is_open() {
        let mut truth = Truth::default();
        truth.observe(Tick(0), Some(1.0), forecast(1.0));
        assert!((5..=30).all(|tick| truth.observe(Tick(tick), Some(1.0), None).is_none()));
    }
}
