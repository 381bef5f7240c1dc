//! Forecast chances by bin and whether they came true, fine enough for reliability diagrams and average precision at any
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
    pub(super) count: u64,
    pub(super) came_true: u64,
    /// Their sum, each as the middle of its fine bin.
    chances: f64,
}

impl Tenth {
    /// The mean chance and the share that came true; `None` for an empty bin.
    pub(super) fn point(&self) -> Option<(f64, f64)> {
        let count = self.count as f64;
        (self.count > 0).then(|| (self.chances / count, self.came_true as f64 / count))
    }
}

/// Pairs each chance of one target with whether it came true.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairing(Truth<f32>);

/// How many chances fell in each bin, and how many of them came true, over all targets.
#[derive(Debug, Clone)]
pub(super) struct Chances(Box<[(u64, u64); BINS]>);

/// The bins that are not empty, as a line of the result has them.
#[derive(Debug, Serialize)]
pub(super) struct Counted {
    /// Bins in all.
    bins: usize,
    /// Position, chances, and how many came true; lowest chances first.
    said: Vec<(usize, u64, u64)>,
}

impl Default for Chances {
    fn default() -> Self {
        Self(Box::new([(0, 0); BINS]))
    }
}

impl Pairing {
    /// Takes in a tick: what was measured in it, and the chance of a breach that was forecast at its end.
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
        let (count, true_ones) = &mut self.0[((chance * BINS as f32) as usize).min(BINS - 1)];
        *count += 1;
        *true_ones += u64::from(came_true);
    }

    /// Adds the counts of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        for ((count, came_true), (more, true_ones)) in self.0.iter_mut().zip(other.0.iter()) {
            (*count, *came_true) = (*count + more, *came_true + true_ones);
        }
    }

    /// Chances in ten bins, lowest first.
    pub(super) fn tenths(&self) -> [Tenth; TENTHS] {
        std::array::from_fn(|tenth| {
            let positions = tenth * BINS / TENTHS..(tenth + 1) * BINS / TENTHS;
            let mut sum = Tenth::default();
            for (position, (count, came_true)) in positions.clone().zip(&self.0[positions]) {
                sum.count += count;
                sum.came_true += came_true;
                sum.chances += (position as f64 + 0.5) / BINS as f64 * *count as f64;
            }
            sum
        })
    }

    /// The area under the precision-recall curve: from the highest chance down, each bin adds its share of what came true
    /// at the precision reached with it. `None` when nothing came true.
    pub(super) fn average_precision(&self) -> Option<f64> {
        let came_true: u64 = self.0.iter().map(|(_, came_true)| came_true).sum();
        let (mut sum, mut seen, mut found) = (0.0, 0, 0);
        for (count, true_ones) in self.0.iter().rev().filter(|(count, _)| *count > 0) {
            (seen, found) = (seen + count, found + true_ones);
            sum += *true_ones as f64 * found as f64 / seen as f64;
        }
        (came_true > 0).then(|| sum / came_true as f64)
    }

    /// The bins that are not empty, for a line of the result.
    pub(super) fn counted(&self) -> Counted {
        let bins = self.0.iter().enumerate().filter(|(_, (count, _))| *count > 0);
        Counted { bins: BINS, said: bins.map(|(bin, (count, true_ones))| (bin, *count, *true_ones)).collect() }
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
