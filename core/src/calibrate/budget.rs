//! How many false alerts a rule may cost, and the decision level that keeps to it.
//!
//! A bucket of tokens: each second of each target earns its part of the daily allowance, each false alert takes one.
//! When there is none to take, the level goes down a rung; when two have gathered, it goes up one. The threshold stays
//! where the user put it.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::forecast::Level;

/// False alerts that can be saved up.
const SAVED: f64 = 2.0;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// The state of a rule's budget over all of its targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    level: Level,
    tokens: f64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { level: Level::DEFAULT, tokens: 1.0 }
    }
}

impl Budget {
    /// The level at which the rule decides.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Takes in one second of one target and the alerts found false in it. Without an allowance the level returns to
    /// the default.
    pub fn spend(&mut self, per_day: Option<NonZeroU32>, false_alerts: u32) {
        let Some(per_day) = per_day else {
            *self = Self::default();
            return;
        };
        self.tokens += f64::from(per_day.get()) / SECONDS_PER_DAY;
        for _ in 0..false_alerts {
            if self.tokens >= 1.0 {
                self.tokens -= 1.0;
            } else {
                self.tokens = 0.0;
                self.level = self.level.lower().unwrap_or(self.level);
            }
        }
        if self.tokens >= SAVED {
            self.level = self.level.higher().unwrap_or(self.level);
            self.tokens = 1.0;
        }
    }

    /// Whether the tokens are a number that spending can lead to; what is read from a file might not be.
    pub(crate) fn is_sound(&self) -> bool {
        (0.0..=SAVED).contains(&self.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Option<NonZeroU32> = NonZeroU32::new(1);

    #[test]
    fn without_a_budget_the_level_stays() {
        let mut budget = Budget::default();
        (0..1_000).for_each(|_| budget.spend(None, 3));
        assert_eq!(budget, Budget::default());
    }

    #[test]
    fn false_alerts_beyond_the_allowance_lower_the_level_and_quiet_days_raise_it() {
        let mut budget = Budget::default();
        budget.spend(ONE, 1);
        assert_eq!(budget.level(), Level::DEFAULT, "the first one is allowed");
        budget.spend(ONE, 1);
        assert!(budget.level() < Level::DEFAULT);
        let lowered = budget.level();
        (0..86_400 * 2 + 10).for_each(|_| budget.spend(ONE, 0));
        assert!(budget.level() > lowered);
    }

    #[test]
    fn the_level_stays_on_the_ladder() {
        let mut budget = Budget::default();
        (0..100).for_each(|_| budget.spend(ONE, 2));
        assert_eq!(budget.level().quantile(), Level::LADDER[0].0);
        let many = NonZeroU32::new(86_400);
        (0..100).for_each(|_| budget.spend(many, 0));
        assert_eq!(budget.level().quantile(), 0.99);
        assert!(budget.is_sound());
    }
}
