//! `netprecursor backtest`: what a model or a rule of thumb would have warned of in recordings, by the agent's own fold.

mod chances;
mod fixed;
mod fold;
pub(crate) mod forecaster;
mod moments;
mod page;
mod page_data;
mod pinball;
mod rule_run;
mod sweep;
mod table;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod timeline;
pub(crate) mod trial;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use fold::fold;
use netprecursor_crds::policies_from_yaml;
use page::{Page, PageFile};
use rule_run::RuleRun;
use serde::de::DeserializeOwned;
use table::table;

use crate::{arguments, recording::Recording, seen, terminal};

/// Shows what a model or a rule of thumb would have warned of in recordings: precision, recall, lead time
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An ONNX model, naive:NAME for a rule of thumb, or adaptive for all of them mixed in place
    #[arg(long, value_name = "FILE|naive:NAME|adaptive")]
    model: String,
    /// Offsets of the rules of thumb; those of the release when absent
    #[arg(long, value_name = "FILE.json", value_parser = arguments::file())]
    offsets: Option<PathBuf>,
    /// What adaptive begins with, as 'netprecursor learn' writes it; that of the release when absent
    #[arg(long, value_name = "FILE.json", value_parser = arguments::file())]
    prior: Option<PathBuf>,
    /// An ONNX model that is an expert of adaptive instead of the one that ships
    #[arg(long, value_name = "FILE.onnx", value_parser = arguments::file())]
    expert: Option<PathBuf>,
    /// What to warn of: a file of policies, whose selectors do not matter here
    #[arg(long, value_name = "FILE.yaml", value_parser = arguments::file())]
    policy: PathBuf,
    /// Recordings, as 'netprecursor record', 'dataset' and 'import' write them; what is learned in one counts in the
    /// next
    #[arg(long = "recording", value_name = "FILE.parquet", num_args = 1.., required = true, value_parser = arguments::file())]
    recordings: Vec<PathBuf>,
    /// Thresholds in µs by target instead of the policy's: {"TARGET": 90000, …}; targets that are not in it are left out
    #[arg(long, value_name = "FILE.json", value_parser = arguments::file())]
    thresholds: Option<PathBuf>,
    /// Also decides without anything learned, with the forecast raised by this much in ln(µs); repeatable
    #[arg(long, value_name = "LN", value_delimiter = ',', allow_hyphen_values = true)]
    shift: Vec<f32>,
    /// Prints a JSON object per recording, rule and shift
    #[arg(long)]
    json: bool,
    /// Also writes a page with tables and plots: skill, what chances mean, other confidences, the best and the worst
    #[arg(long, value_name = "FILE.html", value_parser = arguments::file())]
    html: Option<PathBuf>,
}

/// Names of targets that an error shows at most.
const SHOWN: usize = 5;

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Refuse a page that cannot be written before hours of work.
    let page_file = args.html.as_deref().map(PageFile::create).transpose()?;
    let mut forecaster = forecaster::open(&args.model, args.offsets.as_deref(), args.expert.as_deref())?;
    let mut runs = args.rule_runs()?;
    let thresholds: Option<BTreeMap<String, u64>> = args
        .thresholds
        .as_deref()
        .map(|path| {
            read_json(path, "a file such as {\"web1\": 90000}", "whole µs by target, such as {\"web1\": 90000}")
        })
        .transpose()?;
    let bar = terminal::bar(Some(args.recordings.len() as u64));
    let mut targets = BTreeSet::new();
    for path in &args.recordings {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        targets.extend(fold(&name, &Recording::open(path)?, &mut forecaster, thresholds.as_ref(), &mut runs)?);
        for run in &mut runs {
            let lines = run.close(&args.model, path)?;
            if args.json {
                terminal::print(&lines)?;
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let Some(thresholds) = &thresholds {
        require_known_target(thresholds, &targets)?;
    }
    if let Some(file) = page_file {
        let (model, recordings) = (args.model.as_str(), args.recordings.as_slice());
        file.write(&Page { model, recordings, targets: targets.len(), runs: &runs })?;
    }
    if !args.json {
        terminal::print(&table(&args.model, &runs))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// Every rule of the policy file.
    fn rule_runs(&self) -> anyhow::Result<Vec<RuleRun>> {
        let origin = self.policy.display().to_string();
        let yaml = fs::read_to_string(&self.policy)
            .with_context(|| format!("cannot read {origin}; expected a file of policies, as in examples/policies"))?;
        let policies = policies_from_yaml(&origin, &yaml)?;
        for rule in policies.iter().flat_map(|policy| policy.rules.iter()) {
            seen::require_recorded(&rule.view).with_context(|| format!("{origin}: rule {}", rule.name))?;
        }
        let prior = match self.prior.as_deref() {
            Some(path) => {
                read_json(path, "a file that 'netprecursor learn' wrote", "what 'netprecursor learn' writes")?
            }
            None => forecaster::prior(&self.model),
        };
        let rules =
            policies.iter().flat_map(|policy| policy.rules.iter().map(|rule| (policy.identity(), rule.clone())));
        let run = |(policy, rule)| RuleRun::new(policy, rule, prior.clone(), &self.shift, self.html.is_some());
        Ok(rules.map(run).collect())
    }
}

/// Reads JSON. The errors say which file was expected and, where it does not parse, what in it.
fn read_json<T: DeserializeOwned>(path: &Path, file: &str, content: &str) -> anyhow::Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}; expected {file}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}: expected {content}", path.display()))
}

/// Refuses thresholds none of which is for a target of the recordings: they would have no effect.
fn require_known_target(thresholds: &BTreeMap<String, u64>, targets: &BTreeSet<String>) -> anyhow::Result<()> {
    let is_known = |name: &String| thresholds.contains_key(name);
    anyhow::ensure!(
        targets.is_empty() || targets.iter().any(is_known),
        "got thresholds for {}, but the recordings have {}; expected a threshold for one of these at least: correct the \
         names in --thresholds",
        first_names(thresholds.keys()),
        first_names(targets.iter())
    );
    Ok(())
}

fn first_names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.take(SHOWN).cloned().collect::<Vec<_>>().join(", ")
}
