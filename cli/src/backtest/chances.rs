//! What was said with which chance, and what came of it: from this follow reliability and average precision at any
//! resolution.

use netprecursor_core::{calibrate::Truth, tick::Tick};
use serde::Serialize;

/// Bins of equal width from 0 to 1.
const BINS: usize = 1_000;

/// Bins of a reliability diagram.
const TENTHS: usize = 10;

/// The chances of one of ten bins.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Tenth {
    pub(super) said: u64,
    pub(super) came_true: u64,
    /// Their sum, each as the middle of its fine bin.
    chances: f64,
}

impl Tenth {
    /// The mean chance that was said, and the share that came true; `None` when none was said.
    pub(super) fn point(&self) -> Option<(f64, f64)> {
        let said = self.said as f64;
        (self.said > 0).then(|| (self.chances / said, self.came_true as f64 / said))
    }
}

/// Pairs the chances of one target with whether they came true.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairing(Truth<f32>);

/// Counts over targets.
#[derive(Debug, Clone)]
pub(super) struct Chances(Box<[(u64, u64); BINS]>);

/// The bins that are not empty.
#[derive(Debug, Serialize)]
pub(super) struct Counted {
    /// Bins in all.
    bins: usize,
    /// Position, how often it was said, how often it came true; lowest chances first.
    said: Vec<(usize, u64, u64)>,
}

impl Default for Chances {
    fn default() -> Self {
        Self(Box::new([(0, 0); BINS]))
    }
}

impl Pairing {
    /// Takes in a tick: what was measured in it, and the chance that was said at its end of a breach to come.
    pub(super) fn observe(
        &mut self,
        now: Tick,
        measured_us: Option<f32>,
        chance: Option<f32>,
        breached: impl Fn(f32) -> bool,
        chances: &mut Chances,
    ) {
        if let Some(matured) = self.0.observe(now, measured_us, chance) {
            chances.add(matured.predicted, breached(matured.truth_us));
        }
    }
}

impl Chances {
    fn add(&mut self, chance: f32, came_true: bool) {
        let (said, true_ones) = &mut self.0[((chance * BINS as f32) as usize).min(BINS - 1)];
        *said += 1;
        *true_ones += u64::from(came_true);
    }

    /// Adds what others counted.
    pub(super) fn merge(&mut self, other: &Self) {
        for ((said, came_true), (more, true_ones)) in self.0.iter_mut().zip(other.0.iter()) {
            (*said, *came_true) = (*said + more, *came_true + true_ones);
        }
    }

    /// Chances in ten bins, lowest first.
    pub(super) fn tenths(&self) -> [Tenth; TENTHS] {
        std::array::from_fn(|tenth| {
            let positions = tenth * BINS / TENTHS..(tenth + 1) * BINS / TENTHS;
            let mut sum = Tenth::default();
            for (position, (said, came_true)) in positions.clone().zip(&self.0[positions]) {
                sum.said += said;
                sum.came_true += came_true;
                sum.chances += (position as f64 + 0.5) / BINS as f64 * *said as f64;
            }
            sum
        })
    }

    /// The area under precision over recall: from the surest down, each bin adds its share of what came true at the
    /// precision reached with it. `None` when nothing came true.
    pub(super) fn average_precision(&self) -> Option<f64> {
        let came_true: u64 = self.0.iter().map(|(_, came_true)| came_true).sum();
        let (mut sum, mut seen, mut found) = (0.0, 0, 0);
        for (said, true_ones) in self.0.iter().rev().filter(|(said, _)| *said > 0) {
            (seen, found) = (seen + said, found + true_ones);
            sum += *true_ones as f64 * found as f64 / seen as f64;
        }
        (came_true > 0).then(|| sum / came_true as f64)
    }

    /// As a line of the result shows them.
    pub(super) fn counted(&self) -> Counted {
        let bins = self.0.iter().enumerate().filter(|(_, (said, _))| *said > 0);
        Counted { bins: BINS, said: bins.map(|(bin, (said, true_ones))| (bin, *said, *true_ones)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chance_comes_true_when_the_ten_seconds_after_it_breach() {
        let (mut pairing, mut chances) = (Pairing::default(), Chances::default());
        for tick in 0..30 {
            let us = if tick == 25 { 200.0 } else { 100.0 };
            pairing.observe(
                Tick(tick),
                Some(us),
                Some(if tick >= 15 { 0.75 } else { 0.1 }),
                |us| us > 150.0,
                &mut chances,
            );
        }
        assert_eq!(chances.counted().said, [(100, 15, 0), (750, 5, 5)]);
    }
}
