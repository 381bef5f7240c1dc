//! The table that a backtest prints.

use netprecursor_core::score::Scorecard;

use super::rule_run::RuleRun;
use crate::quantity::{percent, seconds};

/// A row for each rule and, below it, for each of its shifts.
pub(super) fn table(model: &str, runs: &[RuleRun]) -> String {
    let width = runs.iter().map(|run| run.name_among(runs).len() + 5).fold(20, usize::max);
    let mut text = format!(
        "{model}\n{:<width$} {:>9} {:>7} {:>7} {:>7} {:>9} {:>9} {:>9} {:>12}\n",
        "RULE", "INCIDENTS", "WARNED", "RECALL", "ALERTS", "PRECISION", "LEAD", "LEAD P10", "FALSE/DAY"
    );
    let mut row = |name: &str, card: &Scorecard| {
        let daily = card.false_alerts_per_day().map_or("-".into(), |daily| format!("{daily:.1}"));
        text += &format!(
            "{name:<width$} {:>9} {:>7} {:>7} {:>7} {:>9} {:>9} {:>9} {daily:>12}\n",
            card.incidents,
            card.warned,
            percent(card.recall()),
            card.alerts,
            percent(card.precision()),
            seconds(card.median_lead()),
            seconds(card.lead_quantile(0.1)),
        );
    };
    for run in runs {
        let name = run.name_among(runs);
        row(&name, &run.total);
        run.shifts.iter().for_each(|(shift, card)| row(&format!("{name} {shift:+}"), card));
    }
    text
}
