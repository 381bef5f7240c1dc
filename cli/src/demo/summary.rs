//! The summary of a run, as text and as JSON.

use std::fmt::Write as _;

use netprecursor_core::score::Scorecard;
use serde::Serialize;

use super::{full::Report, naive::f1};
use crate::quantity::seconds;

/// The result of a run.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) seed: u64,
    /// Whether the scenario was played to its end.
    pub(super) complete: bool,
    pub(super) minutes: f64,
    pub(super) targets: usize,
    /// As the policy has it.
    pub(super) threshold: String,
    pub(super) model: String,
    /// Why this model is the fallback of the requested one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model_fallback: Option<String>,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
    /// The rule of thumb that did best, chosen after the run.
    pub(super) naive: Option<Rival>,
    /// How the best one was chosen.
    pub(super) naive_chosen_by: &'static str,
    /// All of them, the best first.
    pub(super) naive_all: Vec<Rival>,
    /// Seconds that the rules of thumb did not see because the stream was read too slowly.
    pub(super) naive_seconds_lost: u64,
    /// What Prometheus, Alertmanager and the Collector received, if they were there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) monitoring: Option<Report>,
}

/// A rule of thumb and its outcome.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Rival {
    pub(super) name: &'static str,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

/// The outcome of one forecaster's warnings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Outcome {
    /// Incidents while it could have warned, under an alert that was still out included.
    pub(super) incidents: u64,
    /// … that a warning came before.
    pub(super) warned: u64,
    /// … that none came before.
    pub(super) missed: u64,
    /// … that began while an earlier alert was still out.
    pub(super) ongoing: u64,
    pub(super) lead_seconds: Leads,
    /// Alerts that no incident followed in time.
    pub(super) false_alarms: u64,
    /// Alerts that came with their incident or after it.
    pub(super) late: u64,
    pub(super) alerts: u64,
    pub(super) f1: f64,
}

/// Seconds from the first warning to the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Leads {
    pub(super) median: Option<u64>,
    pub(super) p10: Option<u64>,
    /// Ascending.
    pub(super) all: Vec<u64>,
}

impl From<&Scorecard> for Outcome {
    fn from(card: &Scorecard) -> Self {
        let all = (0_u64..).zip(card.lead_seconds).flat_map(|(lead, count)| std::iter::repeat_n(lead, count as usize));
        Self {
            incidents: card.incidents.saturating_sub(card.gated),
            warned: card.warned,
            missed: card.missed,
            ongoing: card.ongoing,
            lead_seconds: Leads { median: card.median_lead(), p10: card.lead_quantile(0.1), all: all.collect() },
            false_alarms: card.unconfirmed,
            late: card.late,
            alerts: card.alerts,
            f1: (f1(card) * 1e3).round() / 1e3,
        }
    }
}

impl Summary {
    /// The summary in words, the verdict last.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "\nseed {}, {} targets, {:.1} min{}, threshold {}\n\n\
             {:<42} {:>9} {:>7} {:>7} {:>8} {:>5} {:>4} {:>13} {:>5}\n",
            self.seed,
            self.targets,
            self.minutes,
            if self.complete { "" } else { " (stopped early)" },
            self.threshold,
            "FORECASTER",
            "INCIDENTS",
            "WARNED",
            "MISSED",
            "ONGOING*",
            "LEAD",
            "P10",
            "FALSE ALARMS",
            "F1"
        );
        let mut row = |name: String, outcome: &Outcome| {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{name:<42} {:>9} {:>7} {:>7} {:>8} {:>5} {:>4} {:>13} {:>5.2}",
                outcome.incidents,
                outcome.warned,
                outcome.missed,
                outcome.ongoing,
                seconds(outcome.lead_seconds.median),
                seconds(outcome.lead_seconds.p10),
                outcome.false_alarms,
                outcome.f1
            );
        };
        row(format!("{} (the agent)", self.model), &self.outcome);
        if let Some(rival) = &self.naive {
            row(format!("{} (best of six rules of thumb)", rival.name), &rival.outcome);
        }
        text += "* began while an earlier alert was still out; the rule of thumb is the best in hindsight\n\n";
        if let Some(monitoring) = &self.monitoring {
            text += &(monitoring.text() + "\n");
        }
        text + &self.verdict() + "\n"
    }

    /// One sentence that hides nothing.
    pub(super) fn verdict(&self) -> String {
        let Outcome { incidents, warned, lead_seconds, false_alarms, .. } = &self.outcome;
        let alarms = match false_alarms {
            0 => "no false alarm".to_owned(),
            1 => "1 false alarm".to_owned(),
            more => format!("{more} false alarms"),
        };
        match (incidents, warned, lead_seconds.median) {
            (0, ..) => format!(
                "NO INCIDENT: no target went over {}, so there was nothing to warn of; {alarms}.",
                self.threshold
            ),
            (incidents, 0, _) => {
                format!("NO WARNING came before any of the {incidents} incidents of this run; {alarms}.")
            }
            (incidents, warned, lead) => format!(
                "{warned} of {incidents} incidents were warned of, half of them {} s ahead or more; {alarms}.",
                lead.unwrap_or(0)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(card: &Scorecard) -> Summary {
        Summary {
            seed: 1_000_001,
            complete: true,
            minutes: 4.0,
            targets: 10,
            threshold: "100ms".into(),
            model: "max-10".into(),
            model_fallback: None,
            outcome: card.into(),
            naive: None,
            naive_chosen_by: "F1",
            naive_all: Vec::new(),
            naive_seconds_lost: 0,
            monitoring: None,
        }
    }

    #[test]
    fn leads_are_listed_one_by_one_and_gated_incidents_do_not_count() {
        let mut card = Scorecard { incidents: 5, gated: 1, warned: 3, missed: 1, confirmed: 3, ..Scorecard::default() };
        card.lead_seconds[2] = 1;
        card.lead_seconds[6] = 2;
        let json = serde_json::to_value(summary(&card)).unwrap();
        assert_eq!(json["lead_seconds"], serde_json::json!({"median": 6, "p10": 2, "all": [2, 6, 6]}));
        assert_eq!(
            (json["incidents"].as_u64(), json["warned"].as_u64(), json["seed"].as_u64()),
            (Some(4), Some(3), Some(1_000_001))
        );
        assert_eq!(json["f1"], 0.857);
    }

    #[test]
    fn a_run_without_a_warning_says_so() {
        let card = Scorecard { incidents: 4, missed: 4, unconfirmed: 1, ..Scorecard::default() };
        let text = summary(&card).text();
        assert!(
            text.ends_with("NO WARNING came before any of the 4 incidents of this run; 1 false alarm.\n"),
            "{text}"
        );
        assert!(summary(&Scorecard::default()).verdict().starts_with("NO INCIDENT"));
    }
}
