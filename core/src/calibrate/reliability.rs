//! How reliable chances are: how many of the forecast ones came true, by how high they were.

use serde::{Deserialize, Serialize};

/// Bins of equal width from 0 to 1.
pub const BINS: usize = 10;

/// What a second leaves of the highest predicted chance: half of it is forgotten within a day.
const KEEP: f32 = 0.999_992;

/// Chances over all targets of a rule, each counted when its horizon has passed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reliability {
    bins: [Bin; BINS],
    highest: f32,
}

/// The chances of a bin.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bin {
    /// How many were forecast.
    // Ledgers of earlier builds have the other name.
    #[serde(alias = "said")]
    pub forecasts: u64,
    /// How many of them came true.
    pub came_true: u64,
    /// Their sum.
    pub sum: f64,
}

impl Reliability {
    /// Takes in a chance whose truth is known.
    pub fn learn(&mut self, chance: f64, came_true: bool) {
        let bin = &mut self.bins[((chance * BINS as f64) as usize).min(BINS - 1)];
        bin.forecasts = bin.forecasts.saturating_add(1);
        bin.came_true = bin.came_true.saturating_add(came_true.into());
        bin.sum += chance;
    }

    /// Takes in a chance as it is predicted.
    pub fn observe(&mut self, chance: f64) {
        self.highest = self.highest.max(chance as f32);
    }

    /// Ends a second of the rule.
    pub fn close(&mut self) {
        self.highest *= KEEP;
    }

    /// The bins, lowest chances first.
    pub const fn bins(&self) -> &[Bin; BINS] {
        &self.bins
    }

    /// The highest recently predicted chance: a confidence above it is not reached.
    pub const fn highest(&self) -> f32 {
        self.highest
    }

    /// Whether every number is one that counting can lead to; what is read from a file might not be.
    pub(crate) fn is_sound(&self) -> bool {
        (0.0..=1.0).contains(&self.highest)
            && self
                .bins
                .iter()
                .all(|bin| bin.came_true <= bin.forecasts && (0.0..=bin.forecasts as f64 + 1.0).contains(&bin.sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_counted_by_how_high_they_were() {
        let mut reliability = Reliability::default();
        for (chance, came_true) in [(0.0, false), (0.55, true), (0.58, false), (1.0, true)] {
            reliability.learn(chance, came_true);
        }
        let counts = reliability.bins().map(|bin| (bin.forecasts, bin.came_true));
        assert_eq!((counts[0], counts[5], counts[9]), ((1, 0), (2, 1), (1, 1)));
        assert!((reliability.bins()[5].sum - 1.13).abs() < 1e-9 && reliability.is_sound());
    }

    #[test]
    fn the_highest_chance_is_forgotten_in_days() {
        let mut reliability = Reliability::default();
        reliability.observe(0.8);
        reliability.observe(0.3);
        assert_eq!(reliability.highest(), 0.8);
        (0..86_400).for_each(|_| reliability.close());
        assert!((reliability.highest() - 0.4).abs() < 0.01, "{}", reliability.highest());
    }
}
