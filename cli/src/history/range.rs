//! Which points answer a question, and in which steps. Pure.

use serde::Serialize;
use serde_json::Value;

use super::{point::Point, query::RangeAsked, tier::Tier};

/// Steps of an answer. A chart has fewer pixels.
pub(super) const MOST: u64 = 3_600;

/// Steps that are chosen from where none is asked for, s.
const STEPS: [u64; 8] = [1, 10, 30, 60, 300, 600, 1_800, 3_600];

/// Seconds that are looked back where nothing is asked for.
const BACK: u64 = 3_600;

/// What is read, and in which steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) tier: Tier,
    /// The first second.
    pub(super) start: u64,
    /// Seconds of a step.
    pub(super) step: u64,
    /// How many steps.
    pub(super) steps: u64,
    /// Where what is left begins.
    pub(super) next: Option<u64>,
}

impl Plan {
    /// For a question at `now`. Seconds are there from `fine` on.
    pub(super) fn of(asked: &RangeAsked, now: u64, fine: Option<u64>) -> Self {
        let until = asked.until.unwrap_or_else(|| now.max(asked.from.unwrap_or(0)));
        let from = asked.from.unwrap_or_else(|| until.saturating_sub(BACK - 1)).min(until);
        let seconds = until - from + 1;
        let fits = |step: &u64| seconds.div_ceil(*step) <= MOST;
        let step = asked.step.unwrap_or_else(|| STEPS.into_iter().find(fits).unwrap_or(STEPS[STEPS.len() - 1]));
        // A row of seconds reaches back a little further than what is left of it.
        let is_fine =
            !step.is_multiple_of(Tier::Coarse.step()) && fine.is_some_and(|fine| from + Tier::Fine.row() >= fine);
        let tier = if is_fine { Tier::Fine } else { Tier::Coarse };
        let step = step.next_multiple_of(tier.step());
        let start = from - from % step;
        let all = (until - start) / step + 1;
        let steps = all.min(MOST);
        Self { tier, start, step, steps, next: (all > steps).then(|| start + steps * step) }
    }

    /// The last second.
    pub(super) const fn end(&self) -> u64 {
        self.start + self.steps * self.step - 1
    }

    /// The position of a second among the steps.
    pub(super) fn place(&self, unix: u64) -> Option<usize> {
        let place = unix.checked_sub(self.start)? / self.step;
        usize::try_from(place).ok().filter(|_| place < self.steps)
    }
}

/// Points in steps.
#[derive(Debug)]
pub(super) struct Steps {
    plan: Plan,
    points: Vec<Point>,
}

impl Steps {
    /// None yet.
    pub(super) fn of(plan: Plan) -> Self {
        let steps = usize::try_from(plan.steps).unwrap_or_default();
        Self { plan, points: vec![Point::ABSENT; steps] }
    }

    /// Takes in a point.
    pub(super) fn take(&mut self, unix: u64, point: Point) {
        if let Some(kept) = self.plan.place(unix).and_then(|place| self.points.get_mut(place)) {
            kept.merge(point);
        }
    }

    /// The answer about `target`.
    pub(super) fn answer(self, uid: String, target: Value, from: &'static str) -> RangeAnswer {
        let Self { plan, points } = self;
        let column = |of: fn(&Point) -> f32| points.iter().map(of).collect();
        RangeAnswer {
            uid,
            target,
            from,
            start: plan.start,
            step: plan.step,
            measured_us: column(|point| point.measured_us),
            q50_us: column(|point| point.quantiles_us[0]),
            q90_us: column(|point| point.quantiles_us[1]),
            q99_us: column(|point| point.quantiles_us[2]),
            chance: column(|point| point.chance),
            threshold_us: column(|point| point.threshold_us),
            firing: points.iter().map(|point| point.firing).collect(),
            next: plan.next,
        }
    }
}

/// Points of a target: step `i` covers the `step` seconds from `start + i × step`, and holds the highest of them. What was
/// not measured is NaN here, which JSON writes as null.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RangeAnswer {
    pub(super) uid: String,
    /// Who it is, as `/api/v1/target` has it; null where that is not known.
    pub(super) target: Value,
    /// Where the points come from.
    pub(super) from: &'static str,
    pub(super) start: u64,
    pub(super) step: u64,
    pub(super) measured_us: Vec<f32>,
    pub(super) q50_us: Vec<f32>,
    pub(super) q90_us: Vec<f32>,
    pub(super) q99_us: Vec<f32>,
    pub(super) chance: Vec<f32>,
    pub(super) threshold_us: Vec<f32>,
    pub(super) firing: Vec<bool>,
    /// `from` of what is left; null at the end.
    pub(super) next: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_764_309_600;

    fn asked(from: Option<u64>, until: Option<u64>, step: Option<u64>) -> RangeAsked {
        RangeAsked { uid: "a".to_owned(), from, until, step }
    }

    fn plan(back: u64, step: Option<u64>) -> Plan {
        Plan::of(&asked(Some(NOW - back), Some(NOW), step), NOW, Some(NOW - 3_600))
    }

    #[test]
    fn without_a_step_the_shortest_that_fits_is_taken() {
        let hours = [1, 6, 24, 24 * 7].map(|hours| plan(hours * 3_600 - 1, None));
        assert_eq!(
            hours.map(|plan| (plan.tier, plan.step)),
            [(Tier::Fine, 1), (Tier::Coarse, 10), (Tier::Coarse, 30), (Tier::Coarse, 300),]
        );
        assert!(hours.iter().all(|plan| plan.next.is_none() && plan.end() >= NOW));
        let nothing = Plan::of(&asked(None, None, None), NOW, None);
        assert_eq!((nothing.start, nothing.step, nothing.steps), (NOW - 3_600, 10, 361));
    }

    #[test]
    fn seconds_that_are_no_longer_kept_are_answered_in_coarse_steps() {
        assert_eq!((plan(3_000, Some(1)).tier, plan(3_000, Some(1)).step), (Tier::Fine, 1));
        assert_eq!((plan(9_000, Some(1)).tier, plan(9_000, Some(1)).step), (Tier::Coarse, 10));
        assert_eq!(plan(9_000, Some(25)).step, 30);
    }

    #[test]
    fn what_does_not_fit_is_asked_for_next_and_nothing_is_left_out_or_comes_twice() {
        let until = NOW + 12_345;
        let mut from = NOW - 100_000;
        let (mut seconds, mut answers) = (0, 0);
        loop {
            let plan = Plan::of(&asked(Some(from), Some(until), Some(10)), until, None);
            assert_eq!(plan.start, from);
            (seconds, answers) = (seconds + plan.steps * plan.step, answers + 1);
            let Some(next) = plan.next else { break };
            assert_eq!(next, plan.end() + 1);
            from = next;
        }
        assert_eq!((seconds, answers), (112_350, 4));
    }

    #[test]
    fn a_step_holds_the_highest_and_what_lies_outside_is_left_out() {
        let mut steps = Steps::of(plan(95, Some(10)));
        let measured = |measured_us| Point { measured_us, ..Point::ABSENT };
        for (unix, us) in [(NOW - 101, 99.0), (NOW - 100, 1.0), (NOW - 91, 5.0), (NOW + 9, 7.0), (NOW + 10, 99.0)] {
            steps.take(unix, measured(us));
        }
        let answer = steps.answer("a".to_owned(), Value::Null, "Store");
        assert_eq!((answer.start, answer.measured_us.len()), (NOW - 100, 11));
        assert_eq!((answer.measured_us[0], answer.measured_us[10], answer.measured_us[1].is_nan()), (5.0, 7.0, true));
    }
}
