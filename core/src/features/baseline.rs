//! How a target's features looked before: what causes are measured against.

use std::collections::VecDeque;

use super::COUNT;
use crate::{tick::Tick, window};

/// Ticks between two snapshots.
const STRIDE: u64 = 5;
const SNAPSHOTS: usize = window::LENGTH / STRIDE as usize;

/// The feature vectors of the last minute, one in five ticks, and their median.
///
/// A median, because an aged mean follows a fault within seconds and a feature vector of an older window would need a
/// second window: the median stays calm until half the minute is not. One in five, because that holds the minute of a
/// target in 9 kB, and the median is only taken when a cause is asked for. While a breach is forecast or measured,
/// leave [`Self::observe`] out, and the baseline stays what it was before the fault.
#[derive(Debug, Clone)]
pub struct Baseline {
    snapshots: VecDeque<[f32; COUNT]>,
    last: Option<Tick>,
}

impl Default for Baseline {
    fn default() -> Self {
        Self::new()
    }
}

impl Baseline {
    /// No snapshot yet. Allocates here and never again.
    pub fn new() -> Self {
        Self { snapshots: VecDeque::with_capacity(SNAPSHOTS), last: None }
    }

    /// Takes the vector of `tick`, unless one of the last five ticks was taken.
    pub fn observe(&mut self, tick: Tick, features: &[f32; COUNT]) {
        if self.last.is_some_and(|last| tick.since(last) < STRIDE) {
            return;
        }
        if self.snapshots.len() == SNAPSHOTS {
            self.snapshots.pop_front();
        }
        self.snapshots.push_back(*features);
        self.last = Some(tick);
    }

    /// The median of each feature over the snapshots; `None` before the first.
    pub fn median(&self) -> Option<[f32; COUNT]> {
        if self.snapshots.is_empty() {
            return None;
        }
        Some(std::array::from_fn(|feature| {
            let mut values = [0.0; SNAPSHOTS];
            let values = &mut values[..self.snapshots.len()];
            for (value, snapshot) in values.iter_mut().zip(&self.snapshots) {
                *value = snapshot[feature];
            }
            values.sort_unstable_by(f32::total_cmp);
            let middle = values.len() / 2;
            if values.len() % 2 == 1 { values[middle] } else { f32::midpoint(values[middle - 1], values[middle]) }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_five_seconds_of_fault_do_not_move_the_baseline() {
        let mut baseline = Baseline::new();
        assert_eq!(baseline.median(), None);
        for tick in 0..120 {
            baseline.observe(Tick(tick), &[if tick < 95 { 1.0 } else { 9.0 }; COUNT]);
        }
        assert_eq!(baseline.median(), Some([1.0; COUNT]));
        for tick in 120..160 {
            baseline.observe(Tick(tick), &[9.0; COUNT]);
        }
        assert_eq!(baseline.median(), Some([9.0; COUNT]), "what lasts becomes the baseline");
    }
}
