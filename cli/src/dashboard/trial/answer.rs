//! What the page is told: the shapes of `dashboard/src/trial.ts`.

use netprecursor_core::{gate::WARM_UP_TICKS, policy::Rule, score::Scorecard, tick::HORIZON};
use netprecursor_models::builtin;
use serde::Serialize;

use super::{
    MOST_SECONDS,
    asked::Asked,
    lines::Lines,
    shelf::{RecordingChoice, Shelf, Unreadable},
};
use crate::backtest::trial::Tried;

/// What can be tried.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Choices {
    models: Vec<&'static str>,
    default_model: &'static str,
    /// None without --recordings.
    recordings: Option<Vec<RecordingChoice>>,
    more_recordings: usize,
    /// Seconds of all targets together that one trial plays at most.
    most_target_seconds: usize,
}

/// What came of a trial.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// How many targets were played, and the seconds of the one that has the most.
    targets: usize,
    seconds: usize,
    /// What of the source was not played, in words.
    cut: Option<String>,
    /// Why figures are not to be had yet, in words.
    missing: Option<String>,
    figures: Figures,
    /// By confidence, lowest first.
    confidences: Vec<AtConfidence>,
    /// By threshold, lowest first.
    thresholds: Vec<AtThreshold>,
    lines: Lines,
    yaml: String,
}

/// A scorecard in figures.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    alerts: u64,
    confirmed: u64,
    /// Alerts without an incident.
    unconfirmed: u64,
    late: u64,
    unjudged: u64,
    incidents: u64,
    warned: u64,
    missed: u64,
    ongoing: u64,
    gated: u64,
    target_seconds: u64,
    precision: Option<f64>,
    recall: Option<f64>,
    lead_median_seconds: Option<u64>,
    /// Extrapolated from the seconds that were played.
    false_alarms_per_target_day: Option<f64>,
}

/// The rule at another confidence.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AtConfidence {
    confidence_percent: u8,
    figures: Figures,
}

/// The rule at another threshold.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AtThreshold {
    threshold_us: u64,
    figures: Figures,
}

impl Choices {
    /// With the recordings of a shelf.
    pub(super) fn of(shelf: Option<&Shelf>) -> Result<Self, Unreadable> {
        let (recordings, more_recordings) = shelf.map(Shelf::list).transpose()?.unzip();
        Ok(Self {
            models: builtin::names().collect(),
            default_model: builtin::DEFAULT,
            recordings,
            more_recordings: more_recordings.unwrap_or_default(),
            most_target_seconds: MOST_SECONDS,
        })
    }
}

impl Answer {
    /// Of what was tried.
    pub(super) fn of(asked: &Asked, tried: &Tried, cut: Option<String>) -> Self {
        let longest = tried.targets.values().map(|target| target.timeline.seconds.len()).max().unwrap_or_default();
        let own = (asked.rule.thresholds.breach_us(), &tried.scorecard);
        let mut thresholds: Vec<_> = tried.thresholds.iter().map(|(us, card)| (*us, card)).chain([own]).collect();
        thresholds.sort_by_key(|(us, _)| *us);
        let at_threshold = |(threshold_us, card)| AtThreshold { threshold_us, figures: Figures::of(card) };
        let confidences = tried.levels.iter().map(|(confidence, card)| AtConfidence {
            confidence_percent: confidence.get(),
            figures: Figures::of(card),
        });
        Self {
            targets: tried.targets.len(),
            seconds: longest,
            cut,
            missing: missing(longest, &asked.rule),
            figures: Figures::of(&tried.scorecard),
            confidences: confidences.collect(),
            thresholds: thresholds.into_iter().map(at_threshold).collect(),
            lines: Lines::of(tried),
            yaml: asked.yaml.clone(),
        }
    }
}

impl Figures {
    fn of(card: &Scorecard) -> Self {
        let Scorecard { alerts, confirmed, unconfirmed, late, unjudged, .. } = *card;
        let Scorecard { incidents, warned, missed, ongoing, gated, target_seconds, .. } = *card;
        Self {
            alerts,
            confirmed,
            unconfirmed,
            late,
            unjudged,
            incidents,
            warned,
            missed,
            ongoing,
            gated,
            target_seconds,
            precision: card.precision(),
            recall: card.recall(),
            lead_median_seconds: card.median_lead(),
            false_alarms_per_target_day: card.false_alerts_per_day(),
        }
    }
}

/// Nothing fires before the window is full, and an alert is judged once its ten seconds have passed.
fn missing(longest: usize, rule: &Rule) -> Option<String> {
    let (longest, hold) = (longest as u64, rule.hold.delay());
    let needed = WARM_UP_TICKS + HORIZON + hold;
    let held = if hold > 0 { format!(", and {hold} s more by its hold") } else { String::new() };
    (longest < needed).then(|| {
        format!(
            "got {longest} s of a target at most, expected at least {needed} s: nothing fires in the first {WARM_UP_TICKS} s, and an \
             alert is judged {HORIZON} s after it fired{held}"
        )
    })
}

#[cfg(test)]
mod tests {
    use netprecursor_core::policy::Hold;

    use super::*;

    #[test]
    fn too_few_seconds_are_said_with_how_many_it_takes() {
        let asked = super::super::tests::asked();
        let mut rule = asked.rule;
        assert_eq!(missing(70, &rule), None);
        assert!(missing(69, &rule).unwrap().contains("got 69 s of a target at most, expected at least 70 s"));
        rule.hold = Hold::ticks(3).unwrap();
        let words = missing(71, &rule).unwrap();
        assert!(words.contains("at least 72 s") && words.ends_with("and 2 s more by its hold"), "{words}");
    }
}
