//! How sure a rule has to be to warn: as sure as the user wants, and more after warnings that did not come true.
//!
//! Three things add to the log-odds of the confidence that the policy asks for, and neither ever moves the threshold:
//!
//! - what is *earned*: each rise of the chance above the bar claims a breach, whether it is warned of or not. A false claim
//!   adds and one that came true takes away, in the proportion at which the sum stays where as many come true as the
//!   confidence asks for.
//! - a new rule begins more careful than it is asked to be: on a network that training never saw, chances may mean nothing.
//!   Each second in which a claim comes true takes half of that away, so that the first warning can be earned in silence.
//! - what the *budget* of false alerts demands, a bucket of tokens: each second of each target earns its part of the daily
//!   allowance, each false alert takes one. When there is none to take, the rule gets a rung more careful; when two have
//!   gathered, a rung less.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::{adapt::chance, policy::Confidence};

/// Log-odds that a claim moves the bar, in all: a false one takes the confidence's share of it, a true one the rest. Of `n`
/// that turn out in one second each counts `1/√n`: targets that are in trouble together share a network.
const STEP: f64 = 0.5;

/// Log-odds that a new rule adds, and what a second in which a claim came true leaves of them: three such seconds make a rule
/// that is known.
const FIRST: f64 = 2.0;
const KNOWN: f64 = 0.5;

/// The most that a new rule adds whose forecaster is one by itself: its chances rest on nothing that another network taught.
const FIRST_ALONE: f64 = 1.0;

/// The most log-odds that claims add, and the most rungs that a budget does.
const MAX_EARNED: f64 = 4.0;
const MAX_RUNGS: u8 = 8;

/// Log-odds of a rung.
const RUNG: f64 = 0.5;

/// What a second of the rule leaves of what false claims added: half of it is forgiven within a day, so that a network
/// that got better is warned of again.
const KEEP: f64 = 0.999_991_98;

/// False alerts that can be saved up.
const SAVED: f64 = 2.0;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// The bar of a rule over all of its targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Caution {
    novice: f64,
    earned: f64,
    rungs: u8,
    tokens: f64,
    #[serde(skip)]
    open: Open,
}

/// Claims that turned out in one second: what they move the bar by, and how many they are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Open {
    moved: f64,
    claims: u32,
    came: bool,
}

impl Default for Caution {
    fn default() -> Self {
        Self { novice: FIRST, earned: 0.0, rungs: 0, tokens: 1.0, open: Open::default() }
    }
}

impl Caution {
    /// The chance that a warning needs.
    pub fn needed(&self, confidence: Confidence) -> f64 {
        chance(confidence.log_odds() + self.novice + self.earned + RUNG * f64::from(self.rungs))
    }

    /// Lowers the first bar: the rule's forecaster is a model or a rule of thumb by itself.
    pub const fn rest_on_one(&mut self) {
        self.novice = self.novice.min(FIRST_ALONE);
    }

    /// The chance that a claim needs: what a warning of a rule that is known does, without a budget.
    pub fn claims(&self, confidence: Confidence) -> f64 {
        chance(confidence.log_odds() + self.earned)
    }

    /// Takes in how a claim turned out: a rise of the chance above [`Self::claims`]. It takes effect with [`Self::close`].
    pub fn judge(&mut self, confidence: Confidence, came: bool) {
        let share = confidence.share();
        self.open.moved += if came { share - 1.0 } else { share };
        self.open.claims += 1;
        self.open.came |= came;
    }

    /// Ends a second of the rule.
    pub fn close(&mut self) {
        let Open { moved, claims, came } = std::mem::take(&mut self.open);
        self.novice *= if came { KNOWN } else { KEEP };
        let moved = if claims > 0 { STEP * moved / f64::from(claims).sqrt() } else { 0.0 };
        self.earned = (self.earned * KEEP + moved).clamp(0.0, MAX_EARNED);
    }

    /// Takes in one second of one target and the alerts found false in it. Without an allowance nothing is demanded.
    pub fn spend(&mut self, per_day: Option<NonZeroU32>, false_alerts: u32) {
        let Some(per_day) = per_day else {
            (self.rungs, self.tokens) = (0, 1.0);
            return;
        };
        self.tokens += f64::from(per_day.get()) / SECONDS_PER_DAY;
        for _ in 0..false_alerts {
            if self.tokens >= 1.0 {
                self.tokens -= 1.0;
            } else {
                self.tokens = 0.0;
                self.rungs = self.rungs.saturating_add(1).min(MAX_RUNGS);
            }
        }
        if self.tokens >= SAVED {
            self.rungs = self.rungs.saturating_sub(1);
            self.tokens = 1.0;
        }
    }

    /// Whether every number is one that claims can lead to; what is read from a file might not be.
    pub(crate) fn is_sound(&self) -> bool {
        (0.0..=FIRST).contains(&self.novice)
            && (0.0..=MAX_EARNED).contains(&self.earned)
            && self.rungs <= MAX_RUNGS
            && (0.0..=SAVED).contains(&self.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Option<NonZeroU32> = NonZeroU32::new(1);

    fn half() -> Confidence {
        Confidence::default()
    }

    #[test]
    fn a_rule_never_warns_with_less_confidence_than_the_policy_asks_for() {
        for percent in [5, 50, 99] {
            let (confidence, mut caution) = (Confidence::percent(percent).unwrap(), Caution::default());
            let mut judge = |times, came| {
                (0..times).for_each(|_| {
                    caution.judge(confidence, came);
                    caution.close();
                });
                caution.clone()
            };
            let caution = judge(1_000, true);
            assert!((caution.needed(confidence) - percent as f64 / 100.0).abs() < 1e-6, "{percent}");
            let caution = judge(1_000, false);
            assert!(caution.needed(confidence) > confidence.share() && caution.needed(confidence) < 1.0);
            assert!(caution.is_sound());
        }
    }

    #[test]
    fn false_claims_raise_the_bar_and_a_day_without_any_lowers_it() {
        let mut caution = Caution::default();
        let first = caution.needed(half());
        assert!(first > 0.8 && first < 0.95, "{first}");
        let mut together = caution.clone();
        (0..3).for_each(|_| together.judge(half(), false));
        together.close();
        (0..3).for_each(|_| {
            caution.judge(half(), false);
            caution.close();
        });
        let raised = caution.needed(half());
        assert!(raised > 0.9, "{raised}");
        assert!((first..raised).contains(&together.needed(half())), "three at once tell less than three in a row");
        (0..86_400).for_each(|_| caution.close());
        assert!(caution.needed(half()) < first + 0.05, "{}", caution.needed(half()));
    }

    #[test]
    fn the_bar_stays_where_as_many_come_true_as_the_confidence_says() {
        let confidence = Confidence::percent(70).unwrap();
        let mut caution = Caution { novice: 0.0, earned: 2.0, ..Caution::default() };
        for round in 0..1_000 {
            caution.judge(confidence, round % 10 < 7);
            caution.close();
        }
        assert!((caution.earned - 2.0).abs() < 1.1, "{caution:?}");
    }

    #[test]
    fn false_alerts_beyond_the_allowance_raise_the_bar_and_quiet_days_lower_it() {
        let mut caution = Caution::default();
        caution.spend(ONE, 1);
        assert_eq!(caution.rungs, 0, "the first one is allowed");
        caution.spend(ONE, 1);
        assert_eq!(caution.rungs, 1);
        (0..86_400 * 2 + 10).for_each(|_| caution.spend(ONE, 0));
        assert_eq!(caution.rungs, 0);
        (0..100).for_each(|_| caution.spend(ONE, 2));
        assert!(caution.rungs == MAX_RUNGS && caution.is_sound());
        caution.spend(None, 3);
        assert_eq!(caution.rungs, 0, "without a budget nothing is demanded");
    }
}
