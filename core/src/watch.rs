//! One target under one rule: the fold from what is measured and forecast to alerts and their score. The agent, replay
//! and every comparison run this fold and no other.

mod claim;
mod kept;
mod ledger;
mod prediction;

use crate::{
    adapt::Shown,
    calibrate::Truth,
    decide::{self, Action, Input, State},
    forecast::Forecast,
    gate::{Gate, Gatekeeper, Start},
    policy::Rule,
    score::{IncidentEvent, Judge, Standing, Verdict},
    tick::Tick,
};

pub use claim::Claim;
pub use kept::{Kept, KeptError};
pub use ledger::{Ledger, LedgerError};
pub use prediction::{Basis, Prediction};

/// What is kept of a tick until its horizon has passed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Open {
    prediction: Prediction,
    /// Whether the threshold was not breached at the time: an ongoing breach is not a new one.
    is_calm: bool,
}

/// What is known of one target under one rule. Takes no memory beyond its own size.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    last: Option<Tick>,
    /// The tick that ended the latest gap in what was watched.
    gap: Option<Tick>,
    gatekeeper: Gatekeeper,
    gate: Option<Gate>,
    truth: Truth<Open>,
    shown: Option<Shown>,
    state: State,
    judge: Judge,
    claim: Claim,
    outlook: Option<Outlook>,
}

/// What is known of the coming ten seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlook {
    /// The forecast after calibration.
    pub forecast: Forecast,
    /// The chance that the horizon breaches the threshold.
    pub chance: f32,
}

/// What came of one tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Why nothing may fire, if so.
    pub gate: Option<Gate>,
    /// The forecast after calibration.
    pub forecast: Option<Forecast>,
    /// The median of the forecast in µs, to be shown. Decisions rest on the chance: the two are learned apart, and may lie
    /// on two sides of a threshold.
    pub predicted_us: Option<f32>,
    /// The chance that the horizon breaches the threshold.
    pub chance: Option<f32>,
    /// Whether a model or a rule of thumb by itself forecast it.
    pub rests_on_one: bool,
    /// The chance that a warning needed.
    pub needed: f32,
    /// What was measured in µs, as the rule saw it.
    pub measured_us: Option<f32>,
    /// What to publish.
    pub action: Option<Action>,
    /// How an earlier alert (or the one just fired) turned out.
    pub verdict: Option<Verdict>,
    /// An incident that started or ended.
    pub incident: Option<IncidentEvent>,
}

impl Step {
    /// Whether a breach is as likely as a warning needs.
    pub fn is_likely(&self) -> bool {
        self.chance.is_some_and(|chance| chance > self.needed)
    }
}

impl Watch {
    /// A watch that begins with the tick `now`.
    pub fn new(start: Start, now: Tick) -> Self {
        Self {
            last: None,
            gap: None,
            gatekeeper: Gatekeeper::new(start, now),
            gate: None,
            truth: Truth::default(),
            shown: None,
            state: State::Idle,
            judge: Judge::default(),
            claim: Claim::default(),
            outlook: None,
        }
    }

    /// Takes in one tick: what was measured in it (µs) and what a forecaster gives at its end. Learns and counts in
    /// `ledger`, which all targets of the rule share. `None`, and no effect, when `now` is not later than the step before.
    /// Ticks may be left out: they favour no alert, and what came in them unseen is not scored. A target that yields
    /// nothing is stepped with `None`s.
    pub fn step(
        &mut self,
        now: Tick,
        measured_us: Option<f32>,
        basis: Option<&Basis>,
        rule: &Rule,
        ledger: &mut Ledger,
    ) -> Option<Step> {
        if self.last.is_some_and(|last| now <= last) {
            return None;
        }
        let left_out = self.last.map_or(0, |last| now.since(last) - 1);
        if left_out > 0 {
            self.gap = Some(now);
            self.state = self.state.after(left_out);
            self.claim.skip();
        }
        self.last = Some(now);
        ledger.turn(now);
        let measured_us = measured_us.filter(|us| us.is_finite() && *us > 0.0);
        let gate = self.gatekeeper.observe(now, measured_us);

        let threshold_us = rule.thresholds.breach_us() as f32;
        let prediction = basis.and_then(|basis| ledger.predict(basis, threshold_us, &mut self.shown));
        let breached = measured_us.map(|us| rule.thresholds.breached(us));
        let is_calm = breached != Some(true);
        let matured = self.truth.observe(now, measured_us, prediction.map(|prediction| Open { prediction, is_calm }));
        // Nothing is learned while a gate forbids firing.
        if let Some(matured) = matured.filter(|_| gate.is_none()) {
            let Open { prediction, is_calm } = matured.predicted;
            ledger.learn(now, &prediction, is_calm, matured.truth_us, threshold_us);
        }
        let needed = ledger.caution.needed(rule.confidence);
        let forecast = prediction.map(|prediction| prediction.forecast);
        let predicted_us = forecast.map(|forecast| forecast.quantiles_us()[0]);
        let chance = prediction.map(|prediction| prediction.chance);
        if let Some(chance) = chance.filter(|_| is_calm && gate.is_none()) {
            ledger.reliability.observe(chance);
        }

        let standing = match (self.state.firing(), gate) {
            (Some(_), _) => Standing::Firing,
            (None, Some(_)) => Standing::Gated,
            // No warning was possible: an alert takes as many ticks of evidence.
            (None, None) if self.gap.is_some_and(|gap| now.since(gap) <= rule.hold.delay()) => Standing::Gated,
            (None, None) => Standing::Quiet,
        };
        let judged = self.judge.observe(now, breached, standing, &mut ledger.scorecard);

        let (chance, needed) = (chance.map(|chance| chance as f32), needed as f32);
        self.outlook = forecast.zip(chance).map(|(forecast, chance)| Outlook { forecast, chance });
        let input = Input { gate, chance, needed, predicted_us, measured_us };
        let (state, action) = decide::decide(self.state, &input, now, rule);
        (self.state, self.gate) = (state, gate);
        let fired = match action {
            Some(Action::Fire { .. }) => self.judge.fired(now, rule.hold.delay(), &mut ledger.scorecard),
            _ => Default::default(),
        };
        let unconfirmed = judged.unconfirmed + fired.unconfirmed;
        let is_above = prediction.is_some_and(|prediction| prediction.chance > ledger.caution.claims(rule.confidence));
        if let Some(came) = self.claim.observe(now, breached, is_above && gate.is_none()) {
            ledger.caution.judge(rule.confidence, came);
        }
        ledger.caution.spend(rule.max_false_alerts_per_day, unconfirmed);

        Some(Step {
            gate,
            forecast,
            predicted_us,
            chance,
            rests_on_one: matches!(basis, Some(Basis::Alone(_))),
            needed,
            measured_us,
            action,
            verdict: judged.verdict.or(fired.verdict),
            incident: judged.incident,
        })
    }

    /// The rule means something else from now on: what was decided stays, what was forecast and warned of under the old
    /// meaning is not scored under the new one.
    pub fn forget_score(&mut self) {
        self.truth = Truth::default();
        self.judge = Judge::default();
        self.claim = Claim::default();
    }

    /// Starts over with what is known of the target. Returns the last action of before.
    pub fn restart(&mut self) -> Option<Action> {
        self.forget_score();
        decide::retire(std::mem::take(&mut self.state))
    }

    /// The last step, when target or rule are gone. Returns the last action.
    pub const fn retire(self) -> Option<Action> {
        decide::retire(self.state)
    }

    /// Where the rule stands with the target.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The outlook for the coming ten seconds at the last step.
    pub const fn outlook(&self) -> Option<&Outlook> {
        self.outlook.as_ref()
    }

    /// Why nothing may fire, as of the last step.
    pub const fn gate(&self) -> Option<Gate> {
        self.gate
    }
}

/// Runs a whole series of one target through a fresh watch: tick, measured RTT (µs) and basis, in order. `on_step`
/// sees each step; what was learned and counted is added to `ledger`.
pub fn backtest(
    series: impl IntoIterator<Item = (Tick, Option<f32>, Option<Basis>)>,
    rule: &Rule,
    ledger: &mut Ledger,
    mut on_step: impl FnMut(Tick, &Step),
) {
    let mut watch = None;
    for (now, measured_us, basis) in series {
        let watch = watch.get_or_insert_with(|| Watch::new(Start::Fresh, now));
        if let Some(step) = watch.step(now, measured_us, basis.as_ref(), rule, ledger) {
            on_step(now, &step);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        decide::{Resolution, Trigger},
        forecast::{Naive, QuantileOffsets},
        policy::{AlertPer, Confidence, Hold, KeepFiring, ModelRef, Name, Severity, Thresholds, View},
        window,
    };

    pub(super) fn rule() -> Rule {
        Rule {
            name: Name::label("rtt").unwrap(),
            view: View::default(),
            thresholds: Thresholds::new(100_000, None).unwrap(),
            hold: Hold::ticks(2).unwrap(),
            keep_firing: KeepFiring::ticks(5).unwrap(),
            severity: Severity::Warning,
            alert_per: AlertPer::Workload,
            model: ModelRef::Default,
            confidence: Confidence::default(),
            max_false_alerts_per_day: None,
        }
    }

    pub(super) fn alone(ln_us: [f32; 3]) -> Option<Basis> {
        Forecast::from_ln(ln_us).map(Basis::Alone)
    }

    /// Runs a series of measured RTT through the fold with a rule of thumb; the steps with an action or a verdict.
    fn run(naive: Option<Naive>, ticks: u64, measured: impl Fn(u64) -> Option<f32>) -> (Ledger, Vec<(u64, Step)>) {
        let (mut ledger, mut steps, offsets) = (Ledger::default(), Vec::new(), QuantileOffsets::default());
        let series = (0..ticks).map(|tick| {
            let seen = (0..=tick).rev().take(window::LENGTH).map(&measured).collect::<Vec<_>>();
            let forecast =
                naive.and_then(|naive| naive.forecast(seen.iter().rev().copied(), &offsets)).map(Basis::Alone);
            (Tick(tick), measured(tick), forecast)
        });
        backtest(series, &rule(), &mut ledger, |Tick(tick), step| {
            if step.action.is_some() || step.verdict.is_some() {
                steps.push((tick, *step));
            }
        });
        (ledger, steps)
    }

    pub(super) fn calm(tick: u64) -> f32 {
        20_000.0 + (tick * 7 % 13) as f32 * 50.0
    }

    /// Doubles every ten ticks from tick 200 on, falls back at 240.
    fn ramp(tick: u64) -> Option<f32> {
        let growth = if (200..240).contains(&tick) { (tick - 199) as f32 / 10.0 } else { 0.0 };
        Some(calm(tick) * growth.exp2())
    }

    fn step_up(tick: u64) -> Option<f32> {
        Some(if (200..240).contains(&tick) { 300_000.0 } else { calm(tick) })
    }

    #[test]
    fn a_ramp_is_warned_of_before_it_breaches_and_the_next_one_earlier() {
        let again = |tick| if tick >= 400 { ramp(tick - 200) } else { ramp(tick) };
        let (ledger, steps) = run(Some(Naive::DampedHolt), 600, again);
        let fires: Vec<(u64, Trigger)> = steps
            .iter()
            .filter_map(|(tick, step)| match step.action {
                Some(Action::Fire { trigger, .. }) => Some((*tick, trigger)),
                _ => None,
            })
            .collect();
        let breach = (200..240).find(|tick| again(*tick).unwrap() > 100_000.0).unwrap();
        let [(one, Trigger::Forecast), (two, Trigger::Forecast)] = fires[..] else { panic!("{fires:?}") };
        let (first, second) = (breach - one, breach + 200 - two);
        assert!((2..second).contains(&first), "{first} s ahead, then {second} s");
        let confirmed = Some(Verdict::Confirmed { lead: second });
        assert!(steps.iter().any(|(tick, step)| *tick == breach + 200 && step.verdict == confirmed));
        let resolved = Some(Action::Resolve { reason: Resolution::Recovered });
        assert_eq!(steps.last().unwrap().1.action, resolved);
        let card = &ledger.scorecard;
        assert_eq!((card.alerts, card.confirmed, card.warned, card.missed), (2, 2, 2, 0));
    }

    #[test]
    fn a_step_fires_late_and_counts_as_missed() {
        for naive in [None, Some(Naive::Max10)] {
            let (ledger, steps) = run(naive, 400, step_up);
            assert!(matches!(steps[0].1.action, Some(Action::Fire { trigger: Trigger::Measured, .. })), "{steps:?}");
            assert_eq!((steps[0].0, steps[0].1.verdict), (201, Some(Verdict::Late)), "two ticks of hold");
            let card = &ledger.scorecard;
            assert_eq!((card.alerts, card.late, card.missed, card.precision()), (1, 1, 1, None));
        }
    }

    #[test]
    fn a_trouble_during_warm_up_raises_nothing_and_is_counted_as_gated() {
        let (ledger, steps) = run(Some(Naive::Max10), 50, |tick| if tick > 30 { Some(900_000.0) } else { ramp(tick) });
        assert!(steps.is_empty(), "{steps:?}");
        assert_eq!(ledger.scorecard.gated, 1);
    }

    #[test]
    fn a_target_that_falls_silent_while_firing_resolves_as_silent() {
        let (_, steps) = run(Some(Naive::Max10), 400, |tick| step_up(tick).filter(|_| tick < 230));
        let (tick, last) = steps.last().unwrap();
        assert_eq!((*tick, last.action), (289, Some(Action::Resolve { reason: Resolution::Silent })));
    }

    #[test]
    fn forecasts_are_corrected_by_their_truth_and_not_while_gated() {
        let low = Forecast::from_ln([10_000_f32.ln(); 3]).unwrap();
        let (mut ledger, mut upper_us) = (Ledger::default(), Vec::new());
        let series = (0..400).map(|tick| (Tick(tick), Some(calm(tick)), Some(Basis::Alone(low))));
        backtest(series, &rule(), &mut ledger, |_, step| upper_us.push(step.forecast.unwrap().quantiles_us()[1]));
        assert_eq!(ledger.calibrator.labels(), 400 - 59, "the first 59 ticks warm up");
        assert_eq!(upper_us[59], low.quantiles_us()[1]);
        assert!(upper_us[399] > 1.5 * upper_us[59], "{}", upper_us[399]);
        let median = ledger.calibrator.apply(&low).quantiles_us()[0];
        assert!((median / 10_000.0 - 1.0).abs() < 1e-4, "the median moved to {median}");
    }

    #[test]
    fn false_alerts_raise_the_bar_and_leave_the_threshold() {
        let (high, low) = ([250_000_f32.ln(); 3], [25_000_f32.ln(); 3]);
        let series = |tick| (Tick(tick), Some(calm(tick)), alone(if tick % 60 < 3 { high } else { low }));
        let after = |seconds, budget| {
            let (rule, mut ledger) = (Rule { max_false_alerts_per_day: budget, ..rule() }, Ledger::default());
            let mut needed = Vec::new();
            backtest((0..seconds).map(series), &rule, &mut ledger, |_, step| needed.push(step.needed));
            (ledger.scorecard.unconfirmed, *needed.last().unwrap())
        };
        let first = after(60, None).1;
        let (false_alerts, needed) = after(200, None);
        assert!(false_alerts >= 2 && needed > first, "{false_alerts}: {first} to {needed}");
        assert!(after(200, std::num::NonZeroU32::new(1)).1 > needed, "a budget asks for more");
    }

    #[test]
    fn an_overconfident_forecaster_falls_silent_within_minutes() {
        let series = (0..7_200).map(|tick| (Tick(tick), Some(calm(tick)), alone([250_000_f32.ln(); 3])));
        let (mut ledger, mut last) = (Ledger::default(), 0);
        backtest(series, &rule(), &mut ledger, |Tick(tick), step| {
            if step.chance > Some(step.needed) {
                last = tick;
            }
        });
        assert!((60..600).contains(&last), "{last}");
        let low: u64 = ledger.reliability.bins()[..2].iter().map(|bin| bin.forecasts).sum();
        assert!(low > 6_000, "{:?}", ledger.reliability);
    }

    #[test]
    fn the_delay_of_the_hold_extends_the_time_in_which_a_warning_can_come_true() {
        let high = |tick| alone(if tick < 102 { [250_000_f32.ln(); 3] } else { [25_000_f32.ln(); 3] });
        for (breach, confirmed) in [(112, 1), (113, 0)] {
            let measured = |tick| Some(if tick == breach { 300_000.0 } else { calm(tick) });
            let series = (0..130).map(|tick| (Tick(tick), measured(tick), high(tick).filter(|_| tick >= 100)));
            let mut ledger = Ledger::default();
            backtest(series, &rule(), &mut ledger, |_, _| {});
            let card = &ledger.scorecard;
            assert_eq!((card.alerts, card.confirmed, card.unconfirmed), (1, confirmed, 1 - confirmed), "{breach}");
        }
    }

    #[test]
    fn a_rule_that_changes_its_meaning_goes_on_firing_and_is_scored_anew() {
        let (mut watch, rule) = (Watch::new(Start::Fresh, Tick(0)), rule());
        let mut ledger = Ledger::default();
        for tick in 0..210 {
            watch.step(Tick(tick), step_up(tick), None, &rule, &mut ledger);
        }
        assert!(watch.state().firing().is_some());
        watch.forget_score();
        let mut anew = Ledger::default();
        for tick in 210..230 {
            watch.step(Tick(tick), step_up(tick), None, &rule, &mut anew);
        }
        assert!(watch.state().firing().is_some());
        assert_eq!((anew.scorecard.alerts, anew.scorecard.late, anew.scorecard.target_seconds), (0, 0, 20));
        assert_eq!(watch.restart(), Some(Action::Resolve { reason: Resolution::Gone }));
        assert_eq!(watch.state(), &State::Idle);
        assert_eq!(watch.restart(), None);
    }

    #[test]
    fn a_tick_is_taken_once_and_in_order() {
        let (mut watch, mut ledger, rule) = (Watch::new(Start::Fresh, Tick(5)), Ledger::default(), rule());
        assert!(watch.step(Tick(5), None, None, &rule, &mut ledger).is_some());
        let before = (watch.clone(), ledger.clone());
        assert_eq!(watch.step(Tick(5), Some(1.0), None, &rule, &mut ledger), None);
        assert_eq!(watch.step(Tick(4), Some(1.0), None, &rule, &mut ledger), None);
        assert_eq!((watch, ledger), before);
    }

    #[test]
    fn what_is_not_a_positive_number_was_not_measured() {
        let (mut watch, mut ledger, rule) = (Watch::new(Start::Fresh, Tick(0)), Ledger::default(), rule());
        for (tick, us) in [f32::NAN, f32::INFINITY, 0.0, -1.0].into_iter().enumerate() {
            let step = watch.step(Tick(tick as u64), Some(us), None, &rule, &mut ledger).unwrap();
            assert_eq!(step.measured_us, None, "{us}");
        }
    }

    #[test]
    fn a_watch_owns_no_memory_beyond_its_size() {
        assert!(!std::mem::needs_drop::<Watch>() && !std::mem::needs_drop::<Step>());
        assert!(size_of::<Watch>() <= 8_192, "{}", size_of::<Watch>());
    }

    proptest! {
        #[test]
        fn every_alert_and_incident_is_accounted_for_whatever_is_measured(
            series in prop::collection::vec((0..40_u64, prop::option::weighted(0.9, any::<f32>()), prop::array::uniform3(0.0..20_f32)), 1..400),
            level in 1..1_000_u32,
        ) {
            let (mut watch, mut ledger, mut rule) = (Watch::new(Start::Fresh, Tick(0)), Ledger::default(), rule());
            rule.max_false_alerts_per_day = std::num::NonZeroU32::new(level);
            let (mut now, mut fires, mut verdicts) = (0, 0, 0);
            for (gap, measured, ln) in series {
                // Mostly without holes, so that warm-up ends and truth is known.
                now += if gap == 3 { 3 } else { 1 };
                let step = watch.step(Tick(now), measured, alone(ln).as_ref(), &rule, &mut ledger).unwrap();
                fires += u64::from(matches!(step.action, Some(Action::Fire { .. })));
                verdicts += u64::from(step.verdict.is_some());
                if let (Some(raw), Some(calibrated)) = (Forecast::from_ln(ln), step.forecast) {
                    for (raw, calibrated) in raw.ln_us().into_iter().zip(calibrated.ln_us()) {
                        prop_assert!((raw - calibrated).abs() <= crate::calibrate::MAX_OFFSET + 1e-3);
                    }
                }
                let card = &ledger.scorecard;
                let judged = card.confirmed + card.late + card.unconfirmed + card.unjudged;
                prop_assert_eq!(card.alerts, fires);
                prop_assert!(judged <= fires && verdicts <= judged);
                prop_assert_eq!(card.incidents, card.warned + card.missed + card.ongoing + card.gated);
                prop_assert_eq!(card.lead_seconds[0], 0, "a lead of nothing is no warning");
                prop_assert_eq!(card.lead_seconds.iter().sum::<u64>(), card.warned);
            }
            prop_assert_eq!(Ledger::from_json(&ledger.to_json().unwrap()).unwrap().scorecard, ledger.scorecard);
        }
    }
}
