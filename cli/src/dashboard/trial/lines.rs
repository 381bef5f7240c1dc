//! What was tried as the page draws it: one axis for all targets, steps that hold the highest of their seconds, and marks.

use netprecursor_core::{decide::Trigger, tick::Tick};
use serde::Serialize;

use crate::backtest::{
    timeline::{Fired, Incident, Outcome, Second, Timeline, Warned},
    trial::Tried,
};

/// Steps of the axis at most.
const STEPS: u64 = 720;

/// Targets that have a line, and those that are listed.
const MOST_LINES: usize = 24;
const MOST_LISTED: usize = 200;

/// Alerts and incidents of all lines together.
const MOST_MARKS: usize = 2_000;

/// The axis of all lines: `count` steps of `step` seconds from `start` on, in Unix s, or in seconds of the recording where it
/// has no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Axis {
    is_unix: bool,
    start: u64,
    step: u64,
    count: u64,
}

/// A target that was tried.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetLine {
    uid: String,
    name: String,
    /// Seconds that were played.
    seconds: usize,
    alerts: usize,
    false_alarms: usize,
    incidents: usize,
    missed: usize,
    /// By step; empty for a target without a line.
    measured_us: Vec<f32>,
    /// The highest chance of each step.
    chance: Vec<f32>,
}

/// An alert of a line. Times are those of the axis.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlertMark {
    /// Position of the target.
    target: usize,
    fired: u64,
    resolved: Option<u64>,
    trigger: Trigger,
    chance: Option<f32>,
    outcome: &'static str,
    lead_seconds: Option<u64>,
}

/// An incident of a line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IncidentMark {
    target: usize,
    start: u64,
    last: u64,
    warned: &'static str,
}

/// All that is drawn.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lines {
    axis: Axis,
    /// Those with the most alerts and incidents first.
    targets: Vec<TargetLine>,
    alerts: Vec<AlertMark>,
    incidents: Vec<IncidentMark>,
    /// Targets, and alerts and incidents of lines, for which there was no room.
    more_targets: usize,
    more_marks: usize,
}

impl Lines {
    /// Of what was tried.
    pub(super) fn of(tried: &Tried) -> Self {
        let axis = Axis::of(tried);
        let mut order: Vec<_> = tried.targets.iter().collect();
        let weight = |timeline: &Timeline| timeline.alerts.len() + timeline.incidents.len();
        order.sort_by(|(_, one), (_, other)| {
            weight(&other.timeline).cmp(&weight(&one.timeline)).then_with(|| one.name.cmp(&other.name))
        });
        let more_targets = order.len().saturating_sub(MOST_LISTED);
        order.truncate(MOST_LISTED);
        let origin = tried.origin.unwrap_or_default();
        let drawn = || order.iter().take(MOST_LINES).enumerate();
        let mut alerts: Vec<AlertMark> = drawn()
            .flat_map(|(at, (_, target))| {
                target.timeline.alerts.iter().map(move |fired| AlertMark::of(at, fired, origin))
            })
            .collect();
        let mut incidents: Vec<IncidentMark> = drawn()
            .flat_map(|(at, (_, target))| {
                target.timeline.incidents.iter().map(move |one| IncidentMark::of(at, one, origin))
            })
            .collect();
        let all = alerts.len() + incidents.len();
        alerts.truncate(MOST_MARKS / 2);
        incidents.truncate(MOST_MARKS / 2);
        let more_marks = all - alerts.len() - incidents.len();
        let targets = order.iter().enumerate();
        let targets = targets.map(|(at, (uid, target))| {
            let seconds = if at < MOST_LINES { target.timeline.seconds.as_slice() } else { &[] };
            TargetLine::of((uid.as_str(), target.name.as_str()), &target.timeline, seconds, (axis, origin))
        });
        Self { targets: targets.collect(), axis, alerts, incidents, more_targets, more_marks }
    }
}

impl Axis {
    fn of(tried: &Tried) -> Self {
        let ticks = || tried.targets.values().flat_map(|target| &target.timeline.seconds).map(|second| second.tick.0);
        let (first, last) = (ticks().min().unwrap_or_default(), ticks().max().unwrap_or_default());
        let span = last.saturating_sub(first).saturating_add(1);
        let step = span.div_ceil(STEPS).max(1);
        let start = tried.origin.unwrap_or_default().saturating_add(first);
        Self { is_unix: tried.origin.is_some(), start, step, count: span.div_ceil(step) }
    }

    /// The highest of each step; NaN for none.
    fn column(&self, seconds: &[Second], origin: u64, of: fn(&Second) -> f32) -> Vec<f32> {
        if seconds.is_empty() {
            return Vec::new();
        }
        let mut column = vec![f32::NAN; usize::try_from(self.count).unwrap_or_default()];
        for second in seconds {
            let at = at(second.tick, origin).saturating_sub(self.start) / self.step;
            if let Some(step) = usize::try_from(at).ok().and_then(|at| column.get_mut(at)) {
                // `max` leaves out what is NaN.
                *step = step.max(of(second));
            }
        }
        column
    }
}

impl TargetLine {
    fn of((uid, name): (&str, &str), timeline: &Timeline, drawn: &[Second], (axis, origin): (Axis, u64)) -> Self {
        let Timeline { seconds, alerts, incidents, .. } = timeline;
        Self {
            uid: uid.to_owned(),
            name: name.to_owned(),
            seconds: seconds.len(),
            alerts: alerts.len(),
            false_alarms: alerts.iter().filter(|alert| alert.outcome == Outcome::False).count(),
            incidents: incidents.len(),
            missed: incidents.iter().filter(|incident| incident.warned == Warned::Missed).count(),
            measured_us: axis.column(drawn, origin, |second| second.measured_us),
            chance: axis.column(drawn, origin, |second| second.chance),
        }
    }
}

impl AlertMark {
    fn of(target: usize, fired: &Fired, origin: u64) -> Self {
        let (outcome, lead_seconds) = match fired.outcome {
            Outcome::Open => ("Open", None),
            Outcome::Confirmed { lead } => ("Confirmed", Some(lead)),
            Outcome::Late => ("Late", None),
            Outcome::False => ("False", None),
            Outcome::Unjudged => ("Unjudged", None),
        };
        Self {
            target,
            fired: at(fired.at, origin),
            resolved: fired.resolved.map(|tick| at(tick, origin)),
            trigger: fired.trigger,
            chance: fired.chance,
            outcome,
            lead_seconds,
        }
    }
}

impl IncidentMark {
    fn of(target: usize, incident: &Incident, origin: u64) -> Self {
        let warned = match incident.warned {
            Warned::InTime => "InTime",
            Warned::Missed => "Missed",
            Warned::Ongoing => "Ongoing",
            Warned::Gated => "Gated",
        };
        Self { target, start: at(incident.start, origin), last: at(incident.last, origin), warned }
    }
}

/// A tick on the axis.
const fn at(tick: Tick, origin: u64) -> u64 {
    origin.saturating_add(tick.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use netprecursor_core::score::Scorecard;
    use serde_json::json;

    use super::*;
    use crate::backtest::trial::Target;

    fn target(name: &str, seconds: &[(u64, f32)], alerts: usize) -> (String, Target) {
        let second = |(tick, us): &(u64, f32)| Second { tick: Tick(*tick), measured_us: *us, chance: f32::NAN };
        let fired = Fired {
            at: Tick(3),
            resolved: None,
            trigger: Trigger::Forecast,
            chance: Some(0.5),
            outcome: Outcome::Confirmed { lead: 4 },
        };
        let mut timeline = Timeline::default();
        timeline.seconds = seconds.iter().map(second).collect();
        timeline.alerts = vec![fired; alerts];
        (format!("u-{name}"), Target { name: name.to_owned(), timeline })
    }

    fn tried(targets: BTreeMap<String, Target>, origin: Option<u64>) -> Tried {
        Tried { scorecard: Scorecard::default(), levels: Vec::new(), thresholds: Vec::new(), targets, origin }
    }

    #[test]
    fn a_line_has_the_highest_of_each_step_on_the_axis_of_all() {
        let calm = [(0, 1.0), (1_500, 1.0)];
        let targets = BTreeMap::from([target("a", &[(3, 5.0), (4, 9.0), (5, 2.0)], 0), target("b", &calm, 0)]);
        let lines = Lines::of(&tried(targets, Some(1_000)));
        assert_eq!(lines.axis, Axis { is_unix: true, start: 1_000, step: 3, count: 501 });
        let a = &lines.targets[0].measured_us;
        assert_eq!((a.len(), a[1], a[0].is_nan(), lines.targets[0].chance[1].is_nan()), (501, 9.0, true, true));
        assert_eq!(lines.targets[1].measured_us[500], 1.0);
    }

    #[test]
    fn targets_with_the_most_alerts_come_first_with_marks_on_the_axis() {
        let targets = BTreeMap::from([target("a", &[(0, 1.0)], 0), target("b", &[(0, 1.0), (9, 1.0)], 2)]);
        let lines = Lines::of(&tried(targets, None));
        assert_eq!((lines.targets[0].name.as_str(), lines.targets[0].alerts, lines.axis.is_unix), ("b", 2, false));
        let mark = serde_json::to_value(&lines.alerts[0]).unwrap();
        assert_eq!(json!([mark["fired"], mark["leadSeconds"], mark["outcome"]]), json!([3, 4, "Confirmed"]));
    }

    #[test]
    fn lists_lines_and_marks_are_bounded_and_what_is_left_out_is_counted() {
        let many = (0..MOST_LISTED + 7).map(|at| target(&format!("t{at:04}"), &[(0, 1.0), (1, 1.0)], 100));
        let lines = Lines::of(&tried(many.collect(), Some(7)));
        assert_eq!((lines.targets.len(), lines.more_targets), (MOST_LISTED, 7));
        let drawn = lines.targets.iter().filter(|target| !target.measured_us.is_empty()).count();
        assert_eq!((drawn, lines.alerts.len()), (MOST_LINES, MOST_MARKS / 2));
        assert_eq!(lines.more_marks, MOST_LINES * 100 - MOST_MARKS / 2);
    }

    #[test]
    fn nothing_tried_is_nothing_drawn() {
        let lines = Lines::of(&tried(BTreeMap::new(), None));
        assert!(lines.targets.is_empty() && lines.axis.count == 1);
    }
}
