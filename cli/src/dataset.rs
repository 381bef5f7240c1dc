//! `netprecursor dataset`: training data from many labs side by side under one agent.
//!
//! The agent's stream is the clock: with each tick its rows are shelved, labs that ended are written out, and at most one
//! new lab starts, so that labs are not all built at once. An episode's directory gets its name when it is complete; the
//! same command, run again, records the episodes that have none.

mod manifest;
mod plan;
mod shelf;

use std::{
    collections::VecDeque,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use manifest::{Entry, Failure, Manifest};
use netprecursor_lab::{labels::Labels, scenario};
use plan::Episode;
use shelf::Shelf;

use crate::{
    arguments,
    child::{self, Running},
    recording::{Origin, Row, Writer, columns},
    stream::{AgentStream, StreamError, TickLine},
    terminal,
};

/// The targets of all labs.
const TARGETS: &str = "netns:npl*-web*";
/// How long the agent may take until it answers.
const AGENT_START: Duration = Duration::from_secs(30);
/// What a lab may take beyond its episode, to build and to remove everything on a busy machine.
const LAB_SLACK: Duration = Duration::from_secs(12 * 60);
/// Share of an episode's seconds that the agent has to have seen of each target.
const SEEN_SHARE: f64 = 0.9;

/// Episodes of one dataset at most: months of recording.
const MAX_EPISODES: i64 = 1_000_000;
/// The largest first seed: every episode still gets one.
const MAX_SEED: u64 = u64::MAX - MAX_EPISODES as u64;

/// Makes training data: many labs side by side, recorded by one agent
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the dataset goes; one that was interrupted goes on
    #[arg(long, value_name = "DIR", value_parser = arguments::file())]
    out: PathBuf,
    /// Episodes in all
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u32).range(1..=MAX_EPISODES))]
    episodes: u32,
    /// Labs that run side by side
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// Seed of the first episode
    #[arg(long, default_value_t = plan::SEED_BASE, value_parser = clap::value_parser!(u64).range(..=MAX_SEED))]
    seed_base: u64,
    /// Only these families of scenarios
    #[arg(long, value_delimiter = ',')]
    families: Vec<String>,
    /// The agent's program; beside this one when absent
    #[arg(long, value_name = "FILE", value_parser = arguments::file())]
    agent: Option<PathBuf>,
}

/// A lab that runs, or has ended and waits for the last ticks from the agent.
struct Lab {
    episode: Episode,
    partial: PathBuf,
    since: Instant,
    stage: Stage,
}

enum Stage {
    Running(Running),
    Ended(Box<Labels>),
}

/// Why an episode failed; the others go on.
type Reason = String;

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let stop = terminal::stop_flag()?;
    let shipped = scenario::shipped()?;
    let known = |family: &String| shipped.iter().any(|scenario| scenario.family == *family && family != plan::NEVER);
    if let Some(unknown) = args.families.iter().find(|family| !known(family)) {
        anyhow::bail!(
            "got family '{unknown}', expected one that 'netprecursor lab list' shows, except '{}'",
            plan::NEVER
        );
    }
    let plan = plan::plan(&shipped, &args.families, args.episodes as usize, args.seed_base);
    fs::create_dir_all(args.out.join("episodes")).with_context(|| args.out.display().to_string())?;
    let (_agent, mut stream) = start_agent(args, &stop)?;
    let mut origin = stream.header().origin();
    if origin.kernel == "unknown" {
        origin.kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().into();
    }
    let manifest = Manifest::resume(&args.out, &origin.kernel)?;
    let waiting: VecDeque<Episode> = plan.iter().filter(|episode| !manifest.has(episode)).cloned().collect();
    let bar = terminal::bar(Some(plan.len() as u64));
    let mut dataset =
        Dataset { directory: &args.out, origin, manifest, waiting, labs: Vec::new(), shelf: Shelf::default() };
    let result = dataset.record(&mut stream, usize::from(args.parallel), &stop, |dataset| {
        bar.set_position((plan.len() - dataset.waiting.len() - dataset.labs.len()) as u64);
        let (running, failed) = (dataset.labs.len(), dataset.manifest.failures.len());
        bar.set_message(format!("{running} labs running, {failed} failed, {} rows left out", dataset.shelf.left_out()));
    });
    bar.finish_and_clear();
    dataset.abandon();
    dataset.manifest.write(&args.out)?;
    let (episodes, failures) = (dataset.manifest.episodes.len(), dataset.manifest.failures.len());
    terminal::print(&format!("{episodes} episodes in {}, {failures} failed\n", args.out.display()))?;
    result?;
    match (stop.load(Relaxed), failures) {
        (true, _) => Ok(ExitCode::from(terminal::STOPPED)),
        (false, 0) => Ok(ExitCode::SUCCESS),
        (false, _) => {
            anyhow::bail!("{failures} episodes failed, see manifest.json; run the command again to record them")
        }
    }
}

/// Starts an agent on a free port and opens its stream.
fn start_agent(args: &Args, stop: &AtomicBool) -> anyhow::Result<(Running, AgentStream)> {
    let beside = || std::env::current_exe().map(|exe| exe.with_file_name("netprecursor-agent"));
    let program = args.agent.clone().map_or_else(beside, Ok).context("finding the agent's program")?;
    let free =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).context("finding a free port")?;
    let log = args.out.join("agent.log");
    let mut command = Command::new(&program);
    command.args(["run", "--listen", &free.to_string(), "--target", TARGETS]);
    command.arg("--state-dir").arg(args.out.join("agent-state"));
    let agent = child::start(&mut command, &log).with_context(|| {
        format!(
            "starting {}: expected the agent's program there; build it, or give its path with --agent",
            program.display()
        )
    })?;
    let begun = Instant::now();
    loop {
        match AgentStream::open(&format!("http://{free}"), false) {
            Ok(stream) => return Ok((agent, stream)),
            Err(StreamError::Unreachable { .. }) if begun.elapsed() < AGENT_START && !stop.load(Relaxed) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(status) = agent.ended()? {
            anyhow::bail!(
                "the agent ended with {status}, expected it to run; its last words: \"{}\"",
                child::last_words(&log)
            );
        }
        thread::sleep(Duration::from_millis(100));
    }
}

struct Dataset<'a> {
    directory: &'a Path,
    origin: Origin,
    manifest: Manifest,
    waiting: VecDeque<Episode>,
    labs: Vec<Lab>,
    shelf: Shelf,
}

impl Dataset<'_> {
    /// Runs until every episode has had its turn, or `stop`.
    fn record(
        &mut self,
        stream: &mut AgentStream,
        parallel: usize,
        stop: &AtomicBool,
        mut progress: impl FnMut(&Self),
    ) -> anyhow::Result<()> {
        while !(stop.load(Relaxed) || self.waiting.is_empty() && self.labs.is_empty()) {
            let line = stream.tick()?;
            line.check(false)?;
            self.shelve(&line);
            self.collect(&line)?;
            if self.labs.len() < parallel
                && let Some(episode) = self.waiting.pop_front()
            {
                let lab = start_lab(self.directory, episode)?;
                self.labs.push(lab);
            }
            progress(self);
        }
        Ok(())
    }

    fn shelve(&mut self, line: &TickLine) {
        line.targets.iter().for_each(|target| self.shelf.put(line.row(target)));
        self.shelf.tidy(line.tick);
    }

    /// Writes the episodes that are complete, and records the failures.
    fn collect(&mut self, line: &TickLine) -> anyhow::Result<()> {
        let mut changed = false;
        for mut lab in std::mem::take(&mut self.labs) {
            let name = lab.episode.name();
            let outcome = match lab.poll() {
                Ok(None) => None,
                Ok(Some(labels)) if line.monotonic_ns <= labels.ended.monotonic_ns => None,
                Ok(Some(labels)) => {
                    let rows = self.shelf.take(targets(labels), labels.ended.monotonic_ns);
                    Some(check(labels, &rows).map(|()| rows))
                }
                Err(reason) => Some(Err(reason)),
            };
            changed |= outcome.is_some();
            match outcome {
                None => self.labs.push(lab),
                Some(Ok(rows)) => {
                    let entry = finish(self.directory, &lab, &self.origin, &rows)?;
                    self.manifest.episodes.push(entry);
                }
                Some(Err(reason)) => {
                    self.manifest.failures.push(Failure { name, reason });
                    lab.discard();
                }
            }
        }
        if changed { self.manifest.write(self.directory) } else { Ok(()) }
    }

    /// Ends all labs at once and waits for each.
    fn abandon(&mut self) {
        for lab in &self.labs {
            if let Stage::Running(running) = &lab.stage {
                // One that cannot be asked is killed below.
                let _ = running.ask();
            }
        }
        self.labs.drain(..).for_each(Lab::discard);
    }
}

impl Lab {
    /// The labels once the lab has ended, or why there are none.
    fn poll(&mut self) -> Result<Option<&Labels>, Reason> {
        if let Stage::Running(running) = &mut self.stage {
            let log = self.partial.join("lab.log");
            let limit = Duration::from_secs(self.episode.seconds) + LAB_SLACK;
            match running.ended() {
                Ok(None) if self.since.elapsed() < limit => return Ok(None),
                Ok(None) => return Err(format!("not done after {} s", limit.as_secs())),
                Ok(Some(status)) if !status.success() => {
                    return Err(format!("{status}: {}", child::last_words(&log)));
                }
                Ok(Some(_)) => self.stage = Stage::Ended(Box::new(self.labels()?)),
                Err(error) => return Err(error.to_string()),
            }
        }
        match &self.stage {
            Stage::Ended(labels) => Ok(Some(labels)),
            Stage::Running(_) => Ok(None),
        }
    }

    fn labels(&self) -> Result<Labels, Reason> {
        let text = fs::read(self.partial.join("labels.json")).map_err(|error| format!("labels.json: {error}"))?;
        serde_json::from_slice(&text).map_err(|error| format!("labels.json: {error}"))
    }

    /// Ends the lab and removes its files.
    fn discard(self) {
        drop(self.stage);
        // What cannot be removed now is removed before the episode is recorded again.
        let _ = fs::remove_dir_all(&self.partial);
    }
}

fn start_lab(directory: &Path, episode: Episode) -> anyhow::Result<Lab> {
    let partial = directory.join("episodes").join(format!("{}.partial", episode.name()));
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| partial.display().to_string())?;
    }
    fs::create_dir_all(&partial).with_context(|| partial.display().to_string())?;
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command.args(["lab", "run", &episode.scenario, "--seed", &episode.seed.to_string(), "--out"]).arg(&partial);
    // A lab that fails is reported by its last words, which must be its message.
    command.env("RUST_BACKTRACE", "0");
    let running = child::start(&mut command, &partial.join("lab.log")).context("starting a lab")?;
    Ok(Lab { episode, partial, since: Instant::now(), stage: Stage::Running(running) })
}

fn targets(labels: &Labels) -> impl Iterator<Item = &str> {
    labels.targets.iter().map(|target| target.target.as_str())
}

/// Whether the agent saw nearly all of every target.
fn check(labels: &Labels, rows: &[Row]) -> Result<(), Reason> {
    if !labels.complete {
        return Err("stopped early".into());
    }
    let nanoseconds = labels.ended.monotonic_ns.saturating_sub(labels.started.monotonic_ns);
    let least = (SEEN_SHARE * nanoseconds as f64 / 1e9) as usize;
    for target in targets(labels) {
        let got = rows.iter().filter(|row| row.target == target).count();
        if got < least {
            return Err(format!("got {got} ticks of '{target}' from the agent, expected at least {least}"));
        }
    }
    Ok(())
}

/// Writes the recording and renames the episode's directory.
fn finish(directory: &Path, lab: &Lab, origin: &Origin, rows: &[Row]) -> anyhow::Result<Entry> {
    let path = lab.partial.join("signals.parquet");
    let mut writer = Writer::create(&path, origin, &columns(false))?;
    rows.iter().try_for_each(|row| writer.push(row))?;
    writer.finish()?;
    let recording = fs::read(&path).with_context(|| path.display().to_string())?;
    let name = lab.episode.name();
    let whole = directory.join("episodes").join(&name);
    if whole.exists() {
        fs::remove_dir_all(&whole).with_context(|| whole.display().to_string())?;
    }
    fs::rename(&lab.partial, &whole).with_context(|| whole.display().to_string())?;
    let mut names: Vec<&str> = rows.iter().map(|row| row.target.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    Ok(Entry {
        name,
        family: lab.episode.family.clone(),
        scenario: lab.episode.scenario.clone(),
        seed: lab.episode.seed,
        scenario_sha256: manifest::digest(scenario::text(&lab.episode.scenario)?.as_bytes()),
        recording_sha256: manifest::digest(&recording),
        targets: names.len(),
        rows: rows.len() as u64,
    })
}

/// Whether the episode of this name is complete.
fn finished(directory: &Path, name: &str) -> bool {
    directory.join("episodes").join(name).join("signals.parquet").exists()
}
