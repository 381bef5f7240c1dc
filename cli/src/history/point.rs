//! What is kept of a target in a step of time. A step holds the highest of its seconds, so that no peak is lost. Taking a point
//! in twice makes no difference, and two in another order none but to the threshold, of which the later one holds: that is what
//! makes retries, imports and clocks that jump harmless.

/// A step of a target. What is not measured is NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// The highest RTT, µs.
    pub(crate) measured_us: f32,
    /// Forecasts of the highest RTT of the ten seconds that follow, at 0.5, 0.9 and 0.99, µs.
    pub(crate) quantiles_us: [f32; 3],
    /// The chance that they breach the threshold.
    pub(crate) chance: f32,
    /// The threshold, µs.
    pub(crate) threshold_us: f32,
    /// Whether an alert was out.
    pub(crate) firing: bool,
}

impl Point {
    /// Nothing.
    pub(crate) const ABSENT: Self = Self {
        measured_us: f32::NAN,
        quantiles_us: [f32::NAN; 3],
        chance: f32::NAN,
        threshold_us: f32::NAN,
        firing: false,
    };

    /// Takes in another point of the same step. `max` leaves out what is NaN; of two thresholds the later one holds.
    pub(crate) fn merge(&mut self, later: Self) {
        self.measured_us = self.measured_us.max(later.measured_us);
        for (kept, new) in self.quantiles_us.iter_mut().zip(later.quantiles_us) {
            *kept = kept.max(new);
        }
        self.chance = self.chance.max(later.chance);
        if later.threshold_us.is_finite() {
            self.threshold_us = later.threshold_us;
        }
        self.firing |= later.firing;
    }

    /// Whether there is anything of that step but a threshold, which is there without a target as well.
    pub(crate) fn is_absent(&self) -> bool {
        let [q50, q90, q99] = self.quantiles_us;
        !self.firing && [self.measured_us, q50, q90, q99, self.chance].iter().all(|value| value.is_nan())
    }
}
