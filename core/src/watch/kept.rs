//! The form in which a watch outlives the agent: what was decided and is to be judged. What was forecast is not kept: after
//! the ticks in between, nobody knows how it turned out.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Claim, Watch};
use crate::{
    decide::State,
    gate::{Gatekeeper, Start},
    score::Judge,
    tick::Tick,
};

/// A watch as JSON writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    last: Tick,
    gap: Option<Tick>,
    gatekeeper: Gatekeeper,
    state: State,
    judge: Judge,
    claim: Claim,
}

/// Why a watch is not taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeptError {
    /// The clock was set back.
    #[error("got a watch up to tick {}, expected one before {}", last.0, now.0)]
    Future {
        /// Its last tick.
        last: Tick,
        /// The tick at which it was to be taken up.
        now: Tick,
    },
}

impl Watch {
    /// Where the rule stands with the target, to be kept; `None` before the first step.
    pub fn keep(&self) -> Option<Kept> {
        let Self { last, gap, gatekeeper, state, judge, claim, .. } = *self;
        Some(Kept { last: last?, gap, gatekeeper, state, judge, claim })
    }

    /// A watch that goes on at `now` from where one was kept: the ticks in between are left out, as any.
    ///
    /// # Errors
    /// [`KeptError`]: what is read from a disk is checked as any input.
    pub fn resume(kept: &Kept, now: Tick) -> Result<Self, KeptError> {
        let Kept { last, gap, gatekeeper, state, judge, claim } = *kept;
        if last > now {
            return Err(KeptError::Future { last, now });
        }
        let fresh = Self::new(Start::Fresh, now);
        Ok(Self { last: Some(last), gap, gatekeeper, state, judge, claim, ..fresh })
    }

    /// Whether no alert of it is out and none waits for its verdict.
    pub fn is_settled(&self) -> bool {
        self.state.firing().is_none() && !self.judge.is_open()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Ledger, Step,
            tests::{alone, calm, rule},
        },
        *,
    };
    use crate::decide::{Action, Trigger};

    const HIGH: [f32; 3] = [12.5; 3];
    const LOW: [f32; 3] = [10.0; 3];

    /// A watch, through JSON at the tick `at` and without the `left_out` after it when `left_out` is some.
    fn run(ticks: u64, restart: Option<(u64, u64)>, forecast: impl Fn(u64) -> [f32; 3]) -> (Ledger, Vec<(u64, Step)>) {
        let (mut watch, mut ledger, mut steps) = (Watch::new(Start::Fresh, Tick(0)), Ledger::default(), Vec::new());
        for tick in 0..ticks {
            if restart.is_some_and(|(at, left_out)| (at..at + left_out).contains(&tick)) {
                continue;
            }
            if restart.is_some_and(|(at, left_out)| tick == at + left_out) {
                let json = serde_json::to_string(&watch.keep().unwrap()).unwrap();
                watch = Watch::resume(&serde_json::from_str(&json).unwrap(), Tick(tick)).unwrap();
            }
            let measured = calm(tick) * if (100..105).contains(&tick) { 10.0 } else { 1.0 };
            let basis = alone(forecast(tick));
            steps.extend(
                watch.step(Tick(tick), Some(measured), basis.as_ref(), &rule(), &mut ledger).map(|it| (tick, it)),
            );
        }
        (ledger, steps)
    }

    fn fires(steps: &[(u64, Step)]) -> Vec<(u64, Trigger)> {
        let fire = |(tick, step): &(u64, Step)| match step.action {
            Some(Action::Fire { trigger, .. }) => Some((*tick, trigger)),
            _ => None,
        };
        steps.iter().filter_map(fire).collect()
    }

    fn rises_at(rise: u64) -> impl Fn(u64) -> [f32; 3] {
        move |tick| if (rise..105).contains(&tick) { HIGH } else { LOW }
    }

    #[test]
    fn a_watch_that_goes_on_warns_as_soon_as_its_hold_allows() {
        let (ledger, steps) = run(130, Some((80, 10)), rises_at(90));
        assert_eq!(fires(&steps), [(91, Trigger::Forecast)]);
        assert_eq!((ledger.scorecard.warned, ledger.scorecard.missed), (1, 0));
    }

    #[test]
    fn evidence_from_before_a_gap_does_not_add_up_with_what_comes_after() {
        // One tick of evidence before the restart, then calm for one: the hold of two begins anew.
        let (_, steps) = run(100, Some((81, 1)), |tick| if tick == 80 || tick == 82 { HIGH } else { LOW });
        assert_eq!(fires(&steps), []);
    }

    #[test]
    fn an_alert_that_was_out_stays_out_and_resolves_once() {
        let (_, steps) = run(140, Some((95, 4)), rises_at(90));
        assert_eq!(fires(&steps), [(91, Trigger::Forecast)]);
        let resolves = steps.iter().filter(|(_, step)| matches!(step.action, Some(Action::Resolve { .. }))).count();
        assert_eq!(resolves, 1);
    }

    #[test]
    fn what_began_unwatched_is_not_missed_and_what_began_later_is() {
        // It begins at 100: in the gap, with the first tick after it, while the hold of two fills, and after that.
        for (at, left_out, missed) in [(95, 8, 0), (95, 5, 0), (95, 4, 0), (90, 8, 1), (0, 0, 1)] {
            let (ledger, _) = run(130, (left_out > 0).then_some((at, left_out)), |_| LOW);
            let card = &ledger.scorecard;
            assert_eq!((card.missed, card.gated), (missed, 1 - missed), "{left_out} ticks from {at} on");
        }
    }

    #[test]
    fn a_warning_whose_time_passes_unwatched_is_not_judged() {
        let (ledger, _) = run(130, Some((92, 20)), rises_at(90));
        assert_eq!((ledger.scorecard.alerts, ledger.scorecard.unjudged, ledger.scorecard.unconfirmed), (1, 1, 0));
    }

    #[test]
    fn a_watch_from_the_future_is_refused() {
        let mut watch = Watch::new(Start::Fresh, Tick(5));
        assert_eq!(watch.keep(), None);
        watch.step(Tick(5), Some(1.0), None, &rule(), &mut Ledger::default());
        let refused = Watch::resume(&watch.keep().unwrap(), Tick(4)).unwrap_err();
        assert_eq!(refused, KeptError::Future { last: Tick(5), now: Tick(4) });
    }
}
