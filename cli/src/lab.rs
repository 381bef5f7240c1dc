//! `netprecursor lab`: reproducible network faults with ground-truth labels.

use std::{io::IsTerminal as _, path::PathBuf, process::ExitCode, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use netprecursor_lab::{
    Outcome, Phase, Stage,
    labels::Labels,
    scenario::{self, Scenario},
    topology::ownership,
};

use crate::{
    arguments,
    terminal::{self, print},
};

/// Reproducible network faults in namespaces, with ground-truth labels.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Runs a scenario and writes scenario.yaml (resolved), observer.csv and labels.json into DIR
    Run(RunArgs),
    /// Lists the shipped scenarios
    List,
    /// Prints a shipped scenario as YAML, to start one's own from
    Show {
        /// Name of a shipped scenario
        scenario: String,
    },
    /// Prints the JSON schema of a scenario file
    Schema,
    /// Removes what labs left that were killed
    Sweep,
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Path of a scenario file, or the name of a shipped one
    scenario: String,
    /// Fills the scenario's ranges in
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the results go; made if it is not there
    #[arg(long, value_name = "DIR", value_parser = arguments::file())]
    out: PathBuf,
    /// Plays the faults again and again, until it is stopped
    #[arg(long)]
    forever: bool,
}

/// Runs the command. Progress goes to standard error, results to standard output.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Run(args) => run_scenario(&args),
        Command::List => {
            for Scenario { name, family, doc, .. } in scenario::shipped()? {
                print(&format!("{name:<24} {family:<16} {doc}\n"))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Show { scenario } => {
            print(scenario::text(&scenario)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Schema => {
            print(&(serde_json::to_string_pretty(&scenario::schema())? + "\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Sweep => {
            let swept = ownership::sweep()?;
            print(&format!("removed what {} dead labs left\n", swept.removed.len()))?;
            anyhow::ensure!(swept.failed.is_empty(), "not removed: {}", swept.failed.join("; "));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn run_scenario(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let mut scenario = scenario::find(&args.scenario)?;
    if args.forever {
        scenario = scenario.forever();
    }
    let stop = terminal::stop_flag()?;
    let mut report = Report::new();
    let outcome = netprecursor_lab::run(&scenario, args.seed, &args.out, &stop, |phase| report.show(&phase))?;
    report.finish();
    print(&summary(&outcome))?;
    Ok(if outcome.labels.complete { ExitCode::SUCCESS } else { ExitCode::from(terminal::STOPPED) })
}

/// Progress on standard error: a bar on a terminal, otherwise a line per stage.
struct Report {
    bar: Option<ProgressBar>,
    last: Option<Stage>,
}

impl Report {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{bar:32} {elapsed_precise} {wide_msg}").ok();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            bar.enable_steady_tick(Duration::from_millis(500));
            match style {
                Some(style) => bar.with_style(style),
                None => bar,
            }
        });
        Self { bar, last: None }
    }

    fn show(&mut self, phase: &Phase) {
        let [now, total] = phase.seconds;
        let text = match &phase.stage {
            Stage::Build => "building".into(),
            Stage::Idle => format!("measuring the idle path (targets npl{}-web*)", phase.lab),
            Stage::Calm => "load without a fault".into(),
            Stage::Fault(n, effect) => format!("fault {}: {effect}", n + 1),
            Stage::Teardown => "removing everything".into(),
        };
        let new = self.last.as_ref() != Some(&phase.stage);
        self.last = Some(phase.stage.clone());
        match &self.bar {
            Some(bar) => {
                bar.set_length(total as u64);
                bar.set_position(now as u64);
                bar.set_message(text);
            }
            None if new => eprintln!("lab: {now:5.1} of {total:.0} s: {text}"),
            None => {}
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn summary(outcome: &Outcome) -> String {
    let Labels { scenario, family, seed, observer, targets, faults, complete, .. } = &outcome.labels;
    let mut text = format!(
        "{scenario} ({family}), seed {seed}: {} fault(s), {}\n\
         observer: {:.0} µs on the idle path, {:.0} µs configured, error {:+.0} µs\n",
        faults.len(),
        if *complete { "complete" } else { "stopped early" },
        observer.measured_us,
        observer.configured_us,
        observer.error_us,
    );
    for target in targets {
        text += &format!(
            "{:<20} calm median {:>7} µs, peak {:>8} µs, {} incident(s)\n",
            target.target,
            target.calm_median_us,
            target.peak_us,
            target.incidents.len()
        );
    }
    text + &format!("written to {}\n", outcome.directory.display())
}
