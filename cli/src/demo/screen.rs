//! The output of the demonstration: on a terminal a table that is redrawn each second, otherwise a line per transition.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
};

use netprecursor_core::alert::Alert;
use netprecursor_lab::Stage;

use super::{
    api::View,
    words::{self, Mood},
};
use crate::quantity::percent;

/// Transitions kept under the table.
const TRANSITIONS: usize = 6;
/// Seconds between status lines without a terminal.
const STATUS_EVERY: u64 = 10;
/// Lines must not wrap: the cursor goes up by the number of lines drawn.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// Facts that do not change during a run.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) seed: u64,
    pub(super) threshold_us: f32,
    pub(super) page: String,
}

/// Where the lab is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    pub(super) stage: Stage,
    /// Seconds since the load began, and seconds in all.
    pub(super) seconds: [f64; 2],
}

/// The screen.
pub(super) struct Screen {
    facts: Facts,
    terminal: bool,
    drawn: usize,
    ticks: u64,
    shown: BTreeMap<String, Alert>,
    transitions: VecDeque<String>,
}

impl Screen {
    /// A screen on standard output.
    pub(super) fn new(facts: Facts) -> Self {
        let terminal = io::stdout().is_terminal();
        Self { facts, terminal, drawn: 0, ticks: 0, shown: BTreeMap::new(), transitions: VecDeque::new() }
    }

    /// Shows a tick.
    ///
    /// # Errors
    /// Standard output was closed.
    pub(super) fn show(&mut self, view: &View, moment: &Moment) -> io::Result<()> {
        let lines = self.transitions(view, moment);
        let mut out = String::new();
        if self.terminal {
            self.transitions.extend(lines);
            self.transitions.drain(..self.transitions.len().saturating_sub(TRANSITIONS));
            let frame = frame(&self.facts, view, moment, &self.transitions);
            if self.drawn > 0 {
                let _ = write!(out, "\x1b[{}A", self.drawn);
            }
            self.drawn = frame.lines().count();
            let _ = write!(out, "\r\x1b[0J{NO_WRAP}{frame}{WRAP}");
        } else {
            lines.iter().for_each(|line| out.extend([line, "\n"]));
            if self.ticks.is_multiple_of(STATUS_EVERY) {
                out += &status(&self.facts, view, moment);
            }
        }
        self.ticks += 1;
        let mut stdout = io::stdout();
        stdout.write_all(out.as_bytes())?;
        stdout.flush()
    }

    fn transitions(&mut self, view: &View, moment: &Moment) -> Vec<String> {
        let limit = words::time(self.facts.threshold_us);
        let mut lines = Vec::new();
        let mut alerts: Vec<&Alert> = view.alerts.iter().collect();
        alerts.sort_by_key(|alert| alert.fired_unix);
        for alert in alerts {
            for transition in words::transitions(self.shown.get(&alert.name), alert, &limit) {
                lines.push(format!("{} {transition}", words::clock(moment.seconds[0])));
            }
        }
        self.shown = view.alerts.iter().map(|alert| (alert.name.clone(), alert.clone())).collect();
        lines
    }
}

fn stage(moment: &Moment) -> String {
    match moment.stage {
        Stage::Build => "building".to_owned(),
        Stage::Idle => "measuring the idle path".to_owned(),
        Stage::Calm => "calm".to_owned(),
        Stage::Fault(n, _) => format!("surge {} builds up", n + 1),
        Stage::Teardown => "removing everything".to_owned(),
    }
}

/// What forecasts, with the reason for a fallback.
fn model(view: &View) -> String {
    let Some(score) = view.scores.first() else { return "nobody".to_owned() };
    let fallback = score.model.fallback.as_ref().map(|why| format!(", fallback: {why}")).unwrap_or_default();
    let kind = if netprecursor_core::forecast::Naive::from_name(&score.model.name).is_some() {
        "a rule of thumb"
    } else {
        "a trained model"
    };
    format!("{} ({kind}{fallback}), warns from {:.0} %", score.model.name, score.needed_percent)
}

fn score(view: &View) -> String {
    let Some(card) = view.scores.first().map(|score| &score.scorecard) else { return String::new() };
    let lead = card.median_lead().map(|lead| format!(", median lead {lead} s")).unwrap_or_default();
    let judged = card.confirmed + card.late + card.unconfirmed + card.unjudged;
    format!(
        "alerts {}: {} came true, {} false, {} late, {} open; incidents {}: {} warned of, {} missed{lead}",
        card.alerts,
        card.confirmed,
        card.unconfirmed,
        card.late,
        card.alerts.saturating_sub(judged),
        card.incidents.saturating_sub(card.gated),
        card.warned,
        card.missed
    )
}

fn frame(facts: &Facts, view: &View, moment: &Moment, transitions: &VecDeque<String>) -> String {
    let [now, total] = moment.seconds.map(words::clock);
    let limit = words::time(facts.threshold_us);
    let mut text = format!(
        "netprecursor demo, seed {}: {now} of {total}, {}\nforecast by {}, limit {limit}\npage: {}\n\n\
         \x1b[1m{:<8} {:>9} {:>10} {:>7}  {:<26} CAUSE\x1b[0m\n",
        facts.seed,
        stage(moment),
        model(view),
        facts.page,
        "TARGET",
        "RTT NOW",
        "NEXT 10 s",
        "CHANCE",
        "STATE"
    );
    for target in &view.targets {
        let alert = view.alert(&target.target);
        let (mood, state) = words::state(target, alert, facts.threshold_us);
        let cause = alert
            .filter(|_| matches!(mood, Mood::Warning | Mood::Trouble))
            .and_then(|alert| alert.causes.first())
            .map(words::cause)
            .unwrap_or_default();
        let color = match mood {
            Mood::Quiet => "\x1b[2m",
            Mood::Calm => "",
            Mood::Warning => "\x1b[33m",
            Mood::Trouble => "\x1b[31m",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{color}{:<8} {:>9} {:>10} {:>7}  {state:<26} {cause}\x1b[0m",
            words::short(&target.target),
            words::maybe_time(target.measured_us),
            words::maybe_time(target.predicted_us),
            percent(target.chance.map(f64::from)),
        );
    }
    text += &format!("\n{}\n", score(view));
    transitions.iter().for_each(|line| text.extend([line, "\n"]));
    text
}

fn status(facts: &Facts, view: &View, moment: &Moment) -> String {
    let [now, total] = moment.seconds.map(words::clock);
    let worst = view.targets.iter().max_by(|a, b| a.chance.unwrap_or(0.0).total_cmp(&b.chance.unwrap_or(0.0)));
    let worst = worst.map_or_else(
        || "no target yet".to_owned(),
        |target| {
            let (_, state) = words::state(target, view.alert(&target.target), facts.threshold_us);
            format!(
                "highest chance {} of {} (forecast {}, now {}, {state})",
                percent(target.chance.map(f64::from)),
                words::short(&target.target),
                words::maybe_time(target.predicted_us),
                words::maybe_time(target.measured_us)
            )
        },
    );
    format!("{now} of {total} {}: {worst}; {}\n", stage(moment), score(view))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::words::tests::alert;

    fn view() -> View {
        let targets = serde_json::json!([
            {"target": "npla-web1", "measuredUs": 61_000.0, "predictedUs": 132_000.0, "chance": 0.87, "rules": [{"state": "Firing"}]},
            {"target": "npla-web2", "measuredUs": null, "predictedUs": null,
             "rules": [{"state": "Idle", "gate": "WarmingUp", "ticks": 37, "samples": 3}]},
        ]);
        let model = serde_json::json!({"name": "max-10", "fallback": "got no model, expected one"});
        let card = netprecursor_core::score::Scorecard { alerts: 1, ..Default::default() };
        let scores = serde_json::json!([{"model": model, "neededPercent": 62.0, "scorecard": card}]);
        View {
            targets: serde_json::from_value(targets).unwrap(),
            alerts: vec![alert(&[])],
            scores: serde_json::from_value(scores).unwrap(),
        }
    }

    fn facts() -> Facts {
        Facts { seed: 1_000_001, threshold_us: 1e5, page: "http://127.0.0.1:9471/".into() }
    }

    const NOW: Moment = Moment { stage: Stage::Fault(0, "load"), seconds: [83.0, 247.0] };

    #[test]
    fn the_table_shows_the_model_the_targets_and_their_causes() {
        let text = frame(&facts(), &view(), &NOW, &VecDeque::from(["01:23 web1 WARNING".to_owned()]));
        for part in [
            "seed 1000001: 01:23 of 04:07, surge 1 builds up",
            "forecast by max-10 (a rule of thumb, fallback: got no model, expected one), warns from 62 %, limit 100 ms",
            "http://127.0.0.1:9471/",
            "WARNING                    RTT history 100 %",
            "warming up 37/60",
            "alerts 1: 0 came true, 0 false, 0 late, 1 open",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_status_line_names_the_highest_chance() {
        let line = status(&facts(), &view(), &NOW);
        assert!(line.contains("highest chance 87 % of web1 (forecast 132 ms, now 61 ms, WARNING)"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn a_transition_is_shown_once() {
        let mut screen = Screen::new(facts());
        assert_eq!(screen.transitions(&view(), &NOW).len(), 1);
        assert!(screen.transitions(&view(), &NOW).is_empty());
    }
}
