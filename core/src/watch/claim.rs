//! Whether a rule would have been right to warn, were it not new and without a budget: what it learns its bar from, also while
//! it is too careful to warn.

use serde::{Deserialize, Serialize};

use crate::tick::{HORIZON, Tick};

/// A target's open claim: a rise of the chance above the bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    since: Option<Tick>,
    /// Whether anything was measured since.
    is_seen: bool,
    breached: Option<Tick>,
}

impl Claim {
    /// Ticks were left out: nobody knows whether an open claim came true in them.
    pub const fn skip(&mut self) {
        self.since = None;
    }

    /// Takes in a tick: whether it breached the threshold (`None`: nothing was measured) and whether the chance is above the
    /// bar. Returns whether a claim came true when that is known. A breach that lasts, or comes back within the horizon,
    /// is no news, and claims nothing.
    pub fn observe(&mut self, now: Tick, breached: Option<bool>, is_above: bool) -> Option<bool> {
        self.is_seen |= breached.is_some();
        if breached == Some(true) {
            self.breached = Some(now);
            return self.since.take().map(|_| true);
        }
        let is_over = |since: &Tick| now.since(*since) > HORIZON;
        let judged = match self.since {
            Some(since) if is_over(&since) => {
                self.since = None;
                self.is_seen.then_some(false)
            }
            _ => None,
        };
        if self.since.is_none() && is_above && self.breached.as_ref().is_none_or(is_over) {
            (self.since, self.is_seen) = (Some(now), false);
        }
        judged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was judged, by tick.
    fn judged(ticks: u64, breached: impl Fn(u64) -> Option<bool>, is_above: impl Fn(u64) -> bool) -> Vec<(u64, bool)> {
        let mut claim = Claim::default();
        let judged = |tick| claim.observe(Tick(tick), breached(tick), is_above(tick)).map(|came| (tick, came));
        (0..ticks).filter_map(judged).collect()
    }

    #[test]
    fn a_claim_comes_true_with_the_first_breach_within_the_horizon() {
        assert_eq!(judged(40, |tick| Some(tick == 15), |tick| (5..15).contains(&tick)), [(15, true)]);
    }

    #[test]
    fn a_claim_that_nothing_follows_is_false_and_the_next_may_follow_it() {
        let above = |tick| tick >= 5;
        assert_eq!(judged(28, |_| Some(false), above), [(16, false), (27, false)]);
        assert_eq!(judged(28, |_| None, above), [], "nothing was measured");
    }

    #[test]
    fn a_breach_that_goes_on_or_comes_back_is_claimed_by_nobody() {
        let breached = |tick| Some((5..10).contains(&tick) || (15..18).contains(&tick));
        assert_eq!(judged(28, breached, |_| true), [(5, true)]);
    }
}
