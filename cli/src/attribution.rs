//! `netprecursor attribution`: whether alerts name the causes that the lab created. Every episode of a dataset has one fault of
//! a known kind; the agent's own decisions and attribution run over it.

mod part;
mod tally;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use netprecursor_core::{
    causes::Cause,
    decide::Action,
    features::{self, Baseline, COUNT},
    gate::Start,
    policy::{
        AlertPer, Confidence, Hold, KeepFiring, MAX_THRESHOLD_US, ModelRef, Name, Rule, Severity, Thresholds, View,
    },
    watch::{Ledger, Watch},
};
use netprecursor_lab::labels::{Labels, Origin, origin};
use netprecursor_models::{Batch, Forecaster, builtin};

use crate::{arguments, backtest::forecaster, recording::Recording, replay, terminal};
use part::Part;
use tally::{Run, Tally};

/// Shows which causes alerts name in the episodes of a dataset, by kind of fault
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An ONNX model, or naive:NAME for a rule of thumb
    #[arg(long, value_name = "FILE|naive:NAME")]
    model: String,
    /// A dataset, as 'netprecursor dataset' makes it
    #[arg(long, value_name = "DIR", value_parser = arguments::file())]
    data: PathBuf,
    /// Only this part of every scenario's episodes
    #[arg(long, value_name = "PART")]
    part: Option<Part>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut forecaster = forecaster::open(&args.model, None, None)?;
    let episodes = episodes(&args.data.join("episodes"))?;
    let names: Vec<(&str, &str)> =
        episodes.iter().map(|(name, _, labels)| (labels.scenario.as_str(), name.as_str())).collect();
    let parts = Part::of(&names);
    anyhow::ensure!(
        !episodes.is_empty(),
        "{}: got no finished episode, expected a dataset as 'netprecursor dataset' makes it: give its directory with --data",
        args.data.display()
    );
    let mut tally = Tally::default();
    let bar = terminal::bar(Some(episodes.len() as u64));
    for (name, place, labels) in &episodes {
        if args.part.is_none_or(|part| parts.get(name.as_str()) == Some(&part)) {
            let mut run = Run::default();
            alerts(place, labels, &mut forecaster, |causes, origin| run.add(&causes, origin))?;
            tally.add(&labels.family, run);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    terminal::print(&tally.table())?;
    Ok(ExitCode::SUCCESS)
}

/// The finished episodes of a dataset by name, with their labels.
fn episodes(directory: &Path) -> anyhow::Result<Vec<(String, PathBuf, Labels)>> {
    let listed = fs::read_dir(directory)
        .with_context(|| format!("{}: expected a dataset of 'netprecursor dataset'", directory.display()))?;
    let mut episodes = Vec::new();
    for entry in listed {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.join("labels.json").is_file() && path.join("signals.parquet").is_file() {
            let text = fs::read_to_string(path.join("labels.json"))?;
            let labels = serde_json::from_str(&text).with_context(|| path.join("labels.json").display().to_string())?;
            episodes.push((name, path, labels));
        }
    }
    episodes.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(episodes)
}

/// Seconds after which a user would set a threshold, as in the report of training.
const OBSERVED_SECONDS: usize = 60;

/// The threshold that a user would set after seeing `measured_us`: three times the median, but at least one and a half times
/// the worst second.
fn threshold_us(measured_us: &mut [f32]) -> u64 {
    measured_us.sort_unstable_by(f32::total_cmp);
    let median = measured_us.get(measured_us.len() / 2).copied().unwrap_or(f32::MAX);
    let worst = measured_us.last().copied().unwrap_or(f32::MAX);
    (3.0 * median).max(1.5 * worst).min(MAX_THRESHOLD_US as f32) as u64
}

fn rule(threshold_us: u64) -> anyhow::Result<Rule> {
    Ok(Rule {
        name: Name::label("rtt")?,
        view: View::default(),
        thresholds: Thresholds::new(threshold_us, None)?,
        hold: Hold::ticks(2)?,
        keep_firing: KeepFiring::ticks(10)?,
        severity: Severity::Warning,
        alert_per: AlertPer::Workload,
        model: ModelRef::Default,
        confidence: Confidence::default(),
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

/// Plays an episode. `visit` gets the causes of every alert that fires during a fault, and the origin of that fault.
fn alerts(
    episode: &Path,
    labels: &Labels,
    forecaster: &mut Forecaster,
    mut visit: impl FnMut(Vec<Cause>, Origin),
) -> anyhow::Result<()> {
    // A fault without an end lasts until the episode's.
    let during = |unix_ms: u64| {
        let on = labels.faults.iter().find(|fault| {
            let end = fault.end.as_ref().unwrap_or(&labels.ended).unix_ms;
            (fault.onset.unix_ms..=end).contains(&unix_ms)
        });
        on.and_then(|fault| origin(&fault.effect))
    };
    let mut ledger = Ledger::starting_from(builtin::prior());
    let mut targets: HashMap<String, Target> = HashMap::new();
    let (mut vector, mut batch) = ([0.0; COUNT], Batch::default());
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
        if target.seconds <= OBSERVED_SECONDS {
            target.first.extend(measured_us);
        }
        if target.seconds == OBSERVED_SECONDS {
            target.rule = rule(threshold_us(&mut target.first))?;
        }
        features::extract(window, &mut vector);
        forecaster.run_alone(&mut batch, window, &vector)?;
        let basis = forecaster.basis(0, window, &vector);
        let rule = &target.rule;
        let Some(step) = target.watch.step(now, measured_us, basis.as_ref(), rule, &mut ledger) else { return Ok(()) };
        if matches!(step.action, Some(Action::Fire { .. }))
            && let Some(origin) = during(row.unix_ms)
        {
            let before = target.baseline.median();
            visit(forecaster.causes(window, &vector, before.as_ref()), origin);
        }
        let breached = measured_us.is_some_and(|us| rule.thresholds.breached(us));
        if window.is_full() && !breached && !step.is_likely() {
            target.baseline.observe(now, &vector);
        }
        anyhow::Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_above_what_was_measured_in_calm() {
        assert_eq!(threshold_us(&mut [10_000.0, 12_000.0, 11_000.0]), 33_000);
        assert_eq!(threshold_us(&mut [10_000.0, 40_000.0, 11_000.0]), 60_000);
        assert_eq!(threshold_us(&mut []), MAX_THRESHOLD_US);
    }
}
