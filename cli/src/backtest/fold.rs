//! One source of seconds played through every rule, by the code that the agent runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use netprecursor_core::{
    features::{self, COUNT},
    forecast::{Forecast, Naive},
    gate::Start,
    policy::{Rule, Thresholds, View},
    tick::Tick,
    watch::{Basis, Watch},
};
use netprecursor_models::{Batch, Forecaster};

use super::{
    chances,
    fixed::FixedWatch,
    moments::{Counts, Subject},
    page_data::{PageData, TargetPageData},
    pinball::{self, Rivals},
    rule_run::RuleRun,
    trial::{TargetTrial, Trial},
};
use crate::{
    recording::Row,
    replay::{self, Source},
};

/// One target under all rules, in their order.
struct Target {
    uid: String,
    name: String,
    rules: Vec<TargetRule>,
}

/// One target under one rule.
struct TargetRule {
    rule: Rule,
    watch: Watch,
    forecasts: pinball::Pairing,
    chances: chances::Pairing,
    /// By shift.
    fixed: Vec<FixedWatch>,
    page: Option<TargetPageData>,
    trial: Option<TargetTrial>,
}

/// What one tick of a target gives every rule.
struct Second<'a> {
    recording: &'a str,
    target: &'a str,
    now: Tick,
    unix_ms: u64,
    measured_us: Option<f32>,
    basis: Option<&'a Basis>,
    /// The forecasts of the rules of thumb, once the window is full, where any rule is compared with them.
    rivals: Option<[Forecast; Naive::ALL.len()]>,
}

/// Plays a source through every rule, once for each thing that they mean by RTT. Returns the names of its targets.
pub(super) fn fold(
    name: &str,
    source: &impl Source,
    forecaster: &mut Forecaster,
    thresholds: Option<&BTreeMap<String, u64>>,
    runs: &mut [RuleRun],
) -> anyhow::Result<BTreeSet<String>> {
    let mut seen = BTreeSet::new();
    let views: BTreeSet<View> = runs.iter().map(|run| run.rule.view.clone()).collect();
    for view in views {
        let mut alike: Vec<&mut RuleRun> = runs.iter_mut().filter(|run| run.rule.view == view).collect();
        seen.extend(fold_as(&view, name, source, forecaster, thresholds, &mut alike)?);
    }
    Ok(seen)
}

fn fold_as(
    view: &View,
    name: &str,
    source: &impl Source,
    forecaster: &mut Forecaster,
    thresholds: Option<&BTreeMap<String, u64>>,
    runs: &mut [&mut RuleRun],
) -> anyhow::Result<BTreeSet<String>> {
    // Targets without a threshold of their own are left out where thresholds are given.
    let mut targets: HashMap<String, Option<Target>> = HashMap::new();
    let mut seen = BTreeSet::new();
    let (mut vector, mut batch) = ([0.0; COUNT], Batch::default());
    let rivals = runs.iter().any(|run| run.compares).then(Rivals::new);
    replay::play_as(source, view, |row, now, signals, window| {
        if !targets.contains_key(&row.uid) {
            let target = match thresholds.map(|thresholds| thresholds.get(&row.target)) {
                Some(None) => None,
                Some(Some(us)) => Some(Target::new(row, runs, Some(Thresholds::new(*us, None)?), now)),
                None => Some(Target::new(row, runs, None, now)),
            };
            targets.insert(row.uid.clone(), target);
            seen.insert(row.target.clone());
        }
        let Some(Some(target)) = targets.get_mut(&row.uid) else { return Ok(()) };
        features::extract(window, &mut vector);
        forecaster.run_alone(&mut batch, window, &vector)?;
        let basis = forecaster.basis(0, window, &vector);
        let second = Second {
            recording: name,
            target: &row.target,
            now,
            unix_ms: row.unix_ms,
            measured_us: signals.measured_rtt_us(),
            basis: basis.as_ref(),
            rivals: rivals.as_ref().filter(|_| window.is_full()).and_then(|rivals| rivals.forecasts(window)),
        };
        for (rule, run) in target.rules.iter_mut().zip(runs.iter_mut()) {
            rule.step(&second, run);
        }
        anyhow::Ok(())
    })?;
    let mut targets: Vec<Target> = targets.into_values().flatten().collect();
    // Of equal moments the page shows the first: in this order, always the same one.
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    for target in targets {
        for (rule, run) in target.rules.into_iter().zip(runs.iter_mut()) {
            if let (Some(page), Some(data)) = (&mut run.page, rule.page) {
                page.finish(data, &Subject { recording: name, target: &target.name, rule: &rule.rule });
            }
            if let (Some(trial), Some(data)) = (&mut run.trial, rule.trial) {
                trial.finish(&target.uid, &target.name, data);
            }
        }
    }
    Ok(seen)
}

impl Target {
    /// With `thresholds` instead of those of the rules, if any.
    fn new(row: &Row, runs: &[&mut RuleRun], thresholds: Option<Thresholds>, now: Tick) -> Self {
        let rule = |run: &&mut RuleRun| {
            let mut rule = run.rule.clone();
            if let Some(thresholds) = thresholds {
                rule.thresholds = thresholds;
            }
            TargetRule {
                rule,
                watch: Watch::new(Start::Fresh, now),
                forecasts: pinball::Pairing::default(),
                chances: chances::Pairing::default(),
                fixed: vec![FixedWatch::new(now); run.shifts.len()],
                page: run.page.as_ref().map(PageData::target),
                trial: run.trial.as_ref().map(Trial::target),
            }
        };
        Self { uid: row.uid.clone(), name: row.target.clone(), rules: runs.iter().map(rule).collect() }
    }
}

impl TargetRule {
    fn step(&mut self, second: &Second<'_>, run: &mut RuleRun) {
        let Second { recording, target, now, unix_ms, measured_us, basis, rivals } = *second;
        let Self { rule, watch, .. } = self;
        let before = Counts::of(&run.ledger.scorecard);
        let step = watch.step(now, measured_us, basis, rule, &mut run.ledger);
        if let (Some(page), Some(data), Some(step)) = (&mut run.page, &mut self.page, &step) {
            let counts = [before, Counts::of(&run.ledger.scorecard)];
            page.step((now, unix_ms), step, counts, &Subject { recording, target, rule }, data);
        }
        if let (Some(trial), Some(data), Some(step)) = (&mut run.trial, &mut self.trial, &step) {
            let counts = [before, Counts::of(&run.ledger.scorecard)];
            trial.step((now, unix_ms), step, counts, rule, data);
        }
        let forecast = step.and_then(|step| step.forecast);
        self.forecasts.observe(now, measured_us, forecast.zip(rivals), &mut run.tally);
        let breached = |us| rule.thresholds.breached(us);
        let open = step.filter(|step| step.gate.is_none() && !measured_us.is_some_and(breached));
        self.chances.observe(now, measured_us, open.and_then(|step| step.chance), breached, &mut run.chances);
        for (fixed, (shift, card)) in self.fixed.iter_mut().zip(&mut run.shifts) {
            fixed.step(now, measured_us, forecast, *shift, rule, card);
        }
    }
}
