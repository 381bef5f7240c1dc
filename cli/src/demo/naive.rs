//! Every rule of thumb on the same seconds, by the same decisions as the agent's forecaster, which has to beat them.

use std::{cmp::Ordering, collections::HashMap};

use netprecursor_core::{
    forecast::{Naive, QuantileOffsets},
    gate::Start,
    policy::Rule,
    score::Scorecard,
    tick::Tick,
    watch::{Basis, Ledger, Watch},
    window::Window,
};
use netprecursor_models::builtin;

use crate::stream::TickLine;

/// One rule of thumb with its ledger.
struct Runner {
    naive: Naive,
    ledger: Ledger,
}

/// A target's last minute, and its watch for each rule of thumb.
struct Target {
    window: Window,
    watches: Vec<Watch>,
}

/// All rules of thumb side by side.
pub(super) struct Rivals {
    rule: Rule,
    offsets: QuantileOffsets,
    runners: Vec<Runner>,
    targets: HashMap<String, Target>,
}

impl Rivals {
    /// Rules of thumb that warn by `rule`.
    pub(super) fn new(rule: Rule) -> Self {
        let runners = Naive::ALL.into_iter().map(|naive| Runner { naive, ledger: Ledger::default() }).collect();
        Self { rule, offsets: builtin::offsets(), runners, targets: HashMap::new() }
    }

    /// Takes in one tick of all targets. A target whose tick is not later than its last one is left out.
    pub(super) fn observe(&mut self, line: &TickLine) {
        let now = Tick(line.tick);
        for seen in &line.targets {
            let target = self.targets.entry(seen.uid.clone()).or_insert_with(|| Target {
                window: Window::new(),
                watches: vec![Watch::new(Start::Fresh, now); self.runners.len()],
            });
            let signals = seen.signals();
            if target.window.push(now, &signals).is_err() {
                continue;
            }
            let measured_us = signals.measured_rtt_us();
            for (Runner { naive, ledger }, watch) in self.runners.iter_mut().zip(&mut target.watches) {
                let forecast = naive.forecast(target.window.measured(), &self.offsets);
                watch.step(now, measured_us, forecast.map(Basis::Alone).as_ref(), &self.rule, ledger);
            }
        }
    }

    /// Name and score of each, the best first.
    pub(super) fn ranking(&self) -> Vec<(&'static str, &Scorecard)> {
        let mut ranking: Vec<_> =
            self.runners.iter().map(|runner| (runner.naive.name(), &runner.ledger.scorecard)).collect();
        ranking.sort_by(|(_, a), (_, b)| better(b, a));
        ranking
    }
}

/// F1 of precision and the share of incidents warned of: a rule is good if it warns of what comes and of nothing
/// else. Unlike in recall, an incident that begins under an alert that is still out counts as one not warned of: a
/// rule that never takes its alert back would have no other. Zero without a warning that came true.
pub(super) fn f1(card: &Scorecard) -> f64 {
    let warnable = card.incidents.saturating_sub(card.gated);
    match (card.precision(), warnable) {
        (Some(precision), 1..) if card.warned > 0 => {
            let share = card.warned as f64 / warnable as f64;
            2.0 * precision * share / (precision + share)
        }
        _ => 0.0,
    }
}

/// By F1, then by median lead.
fn better(a: &Scorecard, b: &Scorecard) -> Ordering {
    f1(a).total_cmp(&f1(b)).then(a.median_lead().cmp(&b.median_lead()))
}

#[cfg(test)]
mod tests {
    use netprecursor_core::policy::Confidence;

    use super::*;
    use crate::stream::tests::tick;

    fn rule() -> Rule {
        let policies = netprecursor_crds::policies_from_yaml("test", super::super::POLICY).unwrap();
        // What a new rule asks for beyond half no trend is sure of.
        let confidence = Confidence::percent(15).unwrap();
        Rule { confidence, ..policies[0].rules.iter().next().unwrap().clone() }
    }

    #[test]
    fn a_ramp_is_warned_of_by_those_that_follow_trends() {
        let mut rivals = Rivals::new(rule());
        for second in 0..200 {
            let growth = if (100..130).contains(&second) { ((second - 99) as f32 / 8.0).exp2() } else { 1.0 };
            let us = (20_000.0 + (second * 7 % 13) as f32 * 50.0) * growth;
            rivals.observe(
                &serde_json::from_str(&tick(second, &[("web1", us), ("web2", 10_000.0 + us / 50.0)])).unwrap(),
            );
        }
        let ranking = rivals.ranking();
        assert_eq!(ranking.len(), Naive::ALL.len());
        let (name, best) = ranking[0];
        assert_eq!((best.incidents, best.warned), (1, 1), "{name}: {best:?}");
        assert!(best.median_lead() >= Some(1), "{name}: {best:?}");
        assert!(ranking.is_sorted_by(|a, b| f1(a.1) >= f1(b.1)));
    }

    #[test]
    fn a_rule_that_never_warned_is_worth_nothing() {
        assert_eq!(f1(&Scorecard::default()), 0.0);
        assert_eq!(f1(&Scorecard { unconfirmed: 3, missed: 2, ..Scorecard::default() }), 0.0);
    }

    #[test]
    fn a_rule_that_never_takes_its_alert_back_is_worth_less_than_one_that_warns_anew() {
        let stuck = Scorecard { incidents: 30, confirmed: 10, warned: 10, ongoing: 20, ..Scorecard::default() };
        let anew =
            Scorecard { incidents: 30, confirmed: 28, warned: 28, unconfirmed: 2, missed: 2, ..Scorecard::default() };
        assert!(better(&anew, &stuck).is_gt() && f1(&stuck) == 0.5);
    }
}
