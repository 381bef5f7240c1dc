//! `netprecursor attribution`: whether the causes that an alert names are the ones that the lab made. Every episode of a
//! dataset holds one fault of a known kind; the agent's own fold and the agent's own attribution run over it.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use netprecursor_core::{
    causes::Cause,
    decide::Action,
    features::{self, Baseline, COUNT, Group},
    gate::Start,
    policy::{Hold, KeepFiring, MAX_THRESHOLD_US, ModelRef, Name, Rule, Severity, Thresholds},
    watch::{Ledger, Watch},
};
use netprecursor_lab::labels::Labels;

use crate::{backtest::forecaster::Forecaster, recording::Recording, replay, terminal};

/// Shows which causes alerts name in the episodes of a dataset, by kind of fault
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An ONNX model, or naive:NAME for a rule of thumb
    #[arg(long, value_name = "FILE|naive:NAME")]
    model: String,
    /// A dataset, as 'netprecursor dataset' makes it
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Only episodes whose seed leaves this remainder when divided by five; training holds 4 out
    #[arg(long, value_name = "0…4", value_parser = clap::value_parser!(u64).range(0..5))]
    fold: Option<u64>,
}

/// Which groups tell what the lab did. RTT history is a symptom of every fault and the right answer to none.
fn expected(family: &str) -> Option<&'static [Group]> {
    Some(match family {
        "load-ramp" | "bursty" | "incast" => &[Group::Rates, Group::Queue, Group::Connections, Group::Recurrence],
        "periodic" => &[Group::Recurrence, Group::Rates, Group::Queue, Group::Connections],
        "capacity-loss" | "buffer-bloat" => &[Group::Queue, Group::Rates],
        "loss-burst" => &[Group::Retransmits],
        "cpu-contention" => &[Group::Scheduling, Group::Pressure],
        _ => return None,
    })
}

/// Alerts of one family, by what they named.
#[derive(Debug, Default)]
struct Tally {
    alerts: u32,
    unexplained: u32,
    /// The largest share of all.
    first: BTreeMap<&'static str, u32>,
    right_first: u32,
    /// The largest share beside RTT history.
    right_beside_history: u32,
}

impl Tally {
    fn add(&mut self, causes: &[Cause], expected: &[Group]) {
        self.alerts += 1;
        let Some(first) = causes.first() else {
            self.unexplained += 1;
            return;
        };
        *self.first.entry(first.group.name()).or_default() += 1;
        self.right_first += u32::from(expected.contains(&first.group));
        let beside = causes.iter().find(|cause| cause.group != Group::RttHistory);
        self.right_beside_history += u32::from(beside.is_some_and(|cause| expected.contains(&cause.group)));
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut forecaster = Forecaster::open(&args.model, None)?;
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let directory = args.data.join("episodes");
    let listed = fs::read_dir(&directory)
        .with_context(|| format!("{}: expected a dataset of 'netprecursor dataset'", directory.display()))?;
    let mut episodes: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    episodes.retain(|episode| episode.join("labels.json").is_file() && episode.join("signals.parquet").is_file());
    episodes.sort();
    let bar = terminal::bar(Some(episodes.len() as u64));
    for episode in &episodes {
        let text = fs::read_to_string(episode.join("labels.json"))?;
        let labels: Labels =
            serde_json::from_str(&text).with_context(|| episode.join("labels.json").display().to_string())?;
        if args.fold.is_none_or(|fold| labels.seed % 5 == fold)
            && let Some(expected) = expected(&labels.family)
        {
            let tally = tallies.entry(labels.family.clone()).or_default();
            alerts(episode, &labels, &mut forecaster, |causes| tally.add(&causes, expected))?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    terminal::print(&table(&tallies))?;
    Ok(ExitCode::SUCCESS)
}

/// Seconds after which a user would set a threshold, and what they would set: the same as in the report of training.
const LOOKED_AT: usize = 60;

/// What a user would set after having looked at `measured_us`: three times the median, and one and a half times the
/// worst second.
fn threshold_us(measured_us: &mut [f32]) -> u64 {
    measured_us.sort_unstable_by(f32::total_cmp);
    let median = measured_us.get(measured_us.len() / 2).copied().unwrap_or(f32::MAX);
    let worst = measured_us.last().copied().unwrap_or(f32::MAX);
    (3.0 * median).max(1.5 * worst).min(MAX_THRESHOLD_US as f32) as u64
}

fn rule(threshold_us: u64) -> anyhow::Result<Rule> {
    Ok(Rule {
        name: Name::label("rtt")?,
        thresholds: Thresholds::new(threshold_us, None)?,
        hold: Hold::ticks(2)?,
        keep_firing: KeepFiring::ticks(10)?,
        severity: Severity::Warning,
        model: ModelRef::Default,
        max_false_alerts_per_day: None,
    })
}

/// One target of an episode.
struct Target {
    watch: Watch,
    baseline: Baseline,
    first: Vec<f32>,
    seconds: usize,
    rule: Rule,
}

/// Plays an episode; `told` gets the causes of every alert that fires while a fault is on.
fn alerts(
    episode: &Path,
    labels: &Labels,
    forecaster: &mut Forecaster,
    mut told: impl FnMut(Vec<Cause>),
) -> anyhow::Result<()> {
    // A fault without an end lasts until the episode's.
    let during = |unix_ms: u64| {
        labels.faults.iter().any(|fault| {
            let end = fault.end.as_ref().unwrap_or(&labels.ended).unix_ms;
            (fault.onset.unix_ms..=end).contains(&unix_ms)
        })
    };
    let mut ledger = Ledger::default();
    let mut targets: HashMap<String, Target> = HashMap::new();
    let mut vector = [0.0; COUNT];
    replay::play(&Recording::open(&episode.join("signals.parquet"))?, |row, now, signals, window| {
        if !targets.contains_key(&row.uid) {
            let watch = Watch::new(Start::Fresh, now);
            let rule = rule(MAX_THRESHOLD_US)?;
            let target = Target { watch, baseline: Baseline::new(), first: Vec::new(), seconds: 0, rule };
            targets.insert(row.uid.clone(), target);
        }
        let Some(target) = targets.get_mut(&row.uid) else { return Ok(()) };
        let measured_us = signals.measured_rtt_us();
        target.seconds += 1;
        if target.seconds <= LOOKED_AT {
            target.first.extend(measured_us);
        }
        if target.seconds == LOOKED_AT {
            target.rule = rule(threshold_us(&mut target.first))?;
        }
        features::extract(window, &mut vector);
        let forecast = forecaster.forecast(&vector, window)?;
        let rule = &target.rule;
        let Some(step) = target.watch.step(now, measured_us, forecast, rule, &mut ledger) else { return Ok(()) };
        if matches!(step.action, Some(Action::Fire { .. }))
            && during(row.unix_ms)
            && let Some(before) = target.baseline.median()
        {
            told(forecaster.causes(&vector, &before));
        }
        let breached = |us: Option<f32>| us.is_some_and(|us| rule.thresholds.breached(us));
        if window.is_full() && !breached(measured_us) && !breached(step.predicted_us) {
            target.baseline.observe(now, &vector);
        }
        anyhow::Ok(())
    })
}

fn table(tallies: &BTreeMap<String, Tally>) -> String {
    let mut text = format!(
        "{:16} {:>6} {:>12} {:>20}  {}\n",
        "family", "alerts", "right first", "beside RTT history", "named first"
    );
    let percent =
        |part: u32, of: u32| (100 * part).checked_div(of).map_or_else(|| "–".to_owned(), |share| format!("{share} %"));
    let mut line = |name: &str, alerts, first, beside, named: String| {
        text +=
            &format!("{name:16} {alerts:>6} {:>12} {:>20}  {named}\n", percent(first, alerts), percent(beside, alerts));
    };
    let (mut alerts, mut first, mut beside) = (0, 0, 0);
    for (family, tally) in tallies {
        let named: Vec<String> = tally.first.iter().map(|(group, count)| format!("{group} {count}")).collect();
        line(family, tally.alerts, tally.right_first, tally.right_beside_history, named.join(", "));
        alerts += tally.alerts;
        first += tally.right_first;
        beside += tally.right_beside_history;
    }
    line("all", alerts, first, beside, String::new());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_clears_what_was_seen_in_calm() {
        assert_eq!(threshold_us(&mut [10_000.0, 12_000.0, 11_000.0]), 33_000);
        assert_eq!(threshold_us(&mut [10_000.0, 40_000.0, 11_000.0]), 60_000);
        assert_eq!(threshold_us(&mut []), MAX_THRESHOLD_US);
    }

    #[test]
    fn the_right_cause_counts_first_and_beside_the_symptom() {
        let cause = |group| Cause { group, feature: "f", unit: "1", value: 2.0, baseline: 1.0, share_percent: 50 };
        let mut tally = Tally::default();
        tally.add(&[cause(Group::RttHistory), cause(Group::Queue)], &[Group::Queue]);
        tally.add(&[cause(Group::Queue)], &[Group::Queue]);
        tally.add(&[], &[Group::Queue]);
        assert_eq!((tally.alerts, tally.unexplained), (3, 1));
        assert_eq!((tally.right_first, tally.right_beside_history), (1, 2));
    }
}
