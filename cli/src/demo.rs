//! `netprecursor demo`: ten web servers behind one bottleneck on this machine, an agent that watches them, and its warnings.

mod agent;
mod api;
mod full;
mod naive;
mod screen;
mod summary;
mod words;

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, Sender},
    },
    thread,
    time::SystemTime,
};

use anyhow::Context as _;
use netprecursor_core::policy::Rule;
use netprecursor_lab::{LabError, Phase, Stage, scenario};
use netprecursor_settings::Listen;

use crate::{
    arguments,
    dashboard::Dashboard,
    stream::{AgentStream, StreamError, TickLine},
    terminal,
};
use agent::{Agent, Launch};
use api::View;
use full::{Full, FullArgs, Report};
use naive::Rivals;
use screen::{Facts, Moment, Screen};
use summary::{Outcome, Rival, Summary};

/// Training uses the seeds below this one, so the demonstration shows nothing that a model was trained on.
const FIRST_SEED: u64 = 1_000_000;
const SEEDS: u64 = 999_000_000;
const SCENARIO: &str = "demo";
/// The lab removes its servers up to this many seconds before it reports so.
const LAST_SECONDS: f64 = 1.0;

/// A threshold that a user might set: about ten times the calm RTT, at which a page of several round trips takes seconds.
const POLICY: &str = include_str!("demo/policy.yaml");
const THRESHOLD: &str = "200ms";

/// Shows the whole line on this machine: servers, surges, warnings before the trouble (about four minutes, as root)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Goes on until it is stopped
    #[arg(long)]
    forever: bool,
    /// Plays a run again; from 1000000 on, because the seeds below are the training's [default: drawn]
    #[arg(long, value_parser = seed)]
    seed: Option<u64>,
    /// The agent's binary [default: beside this program, then in PATH]
    #[arg(long, value_name = "FILE", value_parser = arguments::file())]
    agent: Option<PathBuf>,
    /// Where the results go
    #[arg(long, value_name = "DIR", default_value = "out/demo", value_parser = arguments::file())]
    out: PathBuf,
    /// Address of the page
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9471")]
    dashboard: Listen,
    /// Address of the agent's own interface
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9470", value_parser = arguments::known_address)]
    listen: Listen,
    #[command(flatten)]
    full: FullArgs,
}

/// An event of the main loop.
enum Event {
    Lab(Phase),
    LabEnded(Box<Result<netprecursor_lab::Outcome, LabError>>),
    /// A tick, and the ticks lost before it since the stream began.
    Tick(TickLine, u64),
    StreamEnded(StreamError),
}

/// The state of a run.
struct Run<'a> {
    args: &'a Args,
    stop: &'a AtomicBool,
    program: PathBuf,
    policy: PathBuf,
    agent: Option<Agent>,
    /// Ended after the agent, whose last words they receive.
    full: Option<Full>,
    /// Until there is an agent to follow.
    dashboard: Option<Dashboard>,
    rivals: Rivals,
    screen: Screen,
    moment: Moment,
    view: View,
    /// When the last tick was shown.
    shown: SystemTime,
    ticks: u64,
    lost: u64,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(draw_seed);
    let program = agent::find(args.agent.as_deref())?;
    args.listen.bind("--listen")?;
    let dashboard = Dashboard::of_this_machine(&args.dashboard, "--dashboard")?;
    let page = format!("http://{}/", dashboard.address());
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}; give another --out", args.out.display()))?;
    let policy = args.out.join("policy.yaml");
    write(&policy, POLICY)?;
    let rule = rule()?;
    let mut scenario = scenario::find(SCENARIO)?;
    if args.forever {
        scenario = scenario.forever();
    }
    let stop = terminal::stop_flag()?;
    let full = Full::start(&args.full, &args.listen, &args.out, &stop)?;
    terminal::print(&format!(
        "netprecursor demo, seed {seed}: building ten web servers behind one bottleneck; limit {THRESHOLD} ({})\n\
         page: {page} (answers once the agent measures)\n",
        policy.display()
    ))?;
    terminal::print(&full.as_ref().map(Full::words).unwrap_or_default())?;
    let mut run = Run {
        args,
        stop: &stop,
        program,
        policy,
        agent: None,
        full,
        dashboard: Some(dashboard),
        screen: Screen::new(Facts { seed, threshold_us: rule.thresholds.breach_us() as f32, page }),
        rivals: Rivals::new(rule),
        moment: Moment { stage: Stage::Build, seconds: [0.0; 2] },
        view: View::default(),
        shown: SystemTime::now(),
        ticks: 0,
        lost: 0,
    };
    let complete = thread::scope(|scope| {
        let (events, coming) = mpsc::channel();
        let lab_events = events.clone();
        // The lab's children end with the thread that started them, so it lives until the lab has ended.
        let (scenario, stop) = (&scenario, &stop);
        scope.spawn(move || {
            let progress = |phase| drop(lab_events.send(Event::Lab(phase)));
            let ended = netprecursor_lab::run(scenario, seed, &args.out.join("lab"), stop, progress);
            let _ = lab_events.send(Event::LabEnded(Box::new(ended)));
        });
        let ended = coming.iter().find_map(|event| run.take(event, &events).transpose()).unwrap_or(Ok(false));
        // Whatever ended the loop ends the rest: the lab by the flag, the stream's thread by the agent's end.
        stop.store(true, Relaxed);
        run.agent = None;
        ended
    })?;
    let mut summary = run.summary(seed, complete);
    summary.monitoring = run.full.take().map(|full| full.report(run.shown));
    let path = args.out.join("summary.json");
    write(&path, &(serde_json::to_string_pretty(&summary)? + "\n"))?;
    terminal::print(&format!("{}written to {}\n", summary.text(), path.display()))?;
    let is_sound = summary.monitoring.as_ref().is_none_or(Report::is_sound);
    Ok(match (complete, is_sound) {
        _ if args.forever => ExitCode::SUCCESS,
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::FAILURE,
        (false, _) => ExitCode::from(terminal::STOPPED),
    })
}

impl Run<'_> {
    /// Handles an event. Once the lab has ended, returns whether the scenario was played to its end.
    fn take(&mut self, event: Event, events: &Sender<Event>) -> anyhow::Result<Option<bool>> {
        match event {
            Event::Lab(phase) => {
                self.moment = Moment { stage: phase.stage, seconds: phase.seconds };
                // The servers' namespaces are there, and nothing is loaded yet.
                if self.moment.stage == Stage::Idle && self.agent.is_none() {
                    self.start_agent(&phase.lab, events)?;
                }
            }
            Event::Tick(..) if self.is_over() => {}
            Event::Tick(line, lost) => {
                self.ticks += 1;
                self.lost = lost;
                self.rivals.observe(&line);
                self.look()?;
                self.shown = SystemTime::now();
                self.screen.show(&self.view, &self.moment).context("writing to standard output")?;
            }
            Event::StreamEnded(error) => {
                let ending = self.agent.as_mut().and_then(Agent::ending);
                return Err(ending.map_or_else(|| error.into(), Into::into));
            }
            Event::LabEnded(ended) => {
                return Ok(Some((*ended)?.labels.complete));
            }
        }
        Ok(None)
    }

    fn start_agent(&mut self, lab: &str, events: &Sender<Event>) -> anyhow::Result<()> {
        let out = &self.args.out;
        let agent = self.agent.insert(Agent::start(&Launch {
            program: &self.program,
            policy: &self.policy,
            target: format!("netns:npl{lab}-web*,app=demo"),
            listen: &self.args.listen,
            state_dir: &out.join("agent-state"),
            log: &out.join("agent.log"),
            receivers: self.full.as_ref().map(Full::receivers),
        })?);
        if agent.wait_until_ready(self.stop)? {
            let stream = AgentStream::open(agent.api().url(), false)?;
            if let Some(dashboard) = self.dashboard.take() {
                dashboard.start(agent.api().url())?;
            }
            let events = events.clone();
            // Ends with the agent; nothing waits for it.
            thread::Builder::new().name("stream".to_owned()).spawn(move || follow(stream, &events))?;
        }
        Ok(())
    }

    /// Whether the lab is ending: servers that it removes are no incident.
    fn is_over(&self) -> bool {
        let [now, total] = self.moment.seconds;
        self.stop.load(Relaxed) || self.moment.stage == Stage::Teardown || now > total - LAST_SECONDS
    }

    /// Reads the agent's current state.
    fn look(&mut self) -> anyhow::Result<()> {
        self.full.as_ref().map_or(Ok(()), Full::check)?;
        let Some(agent) = &mut self.agent else { return Ok(()) };
        self.view = agent.api().view().map_err(|error| agent.ending().map_or(error, Into::into))?;
        Ok(())
    }

    fn summary(&self, seed: u64, complete: bool) -> Summary {
        let score = self.view.scores.first();
        let naive_all: Vec<Rival> =
            self.rivals.ranking().into_iter().map(|(name, card)| Rival { name, outcome: card.into() }).collect();
        Summary {
            seed,
            complete,
            minutes: (self.ticks as f64 / 6.0).round() / 10.0,
            targets: self.view.targets.len(),
            threshold: THRESHOLD.to_owned(),
            model: score.map_or_else(|| "none".to_owned(), |score| score.model.name.clone()),
            model_fallback: score.and_then(|score| score.model.fallback.clone()),
            outcome: Outcome::from(&score.map(|score| score.scorecard.clone()).unwrap_or_default()),
            naive: naive_all.first().cloned(),
            naive_chosen_by: "F1 of precision and the share of incidents warned of, then median lead, after the run",
            naive_all,
            naive_seconds_lost: self.lost,
            monitoring: None,
        }
    }
}

fn follow(mut stream: AgentStream, events: &Sender<Event>) {
    loop {
        let event = match stream.tick().and_then(|line| line.check(false).map(|()| line)) {
            Ok(line) => Event::Tick(line, stream.lost()),
            Err(error) => Event::StreamEnded(error),
        };
        let is_last = matches!(event, Event::StreamEnded(_));
        if events.send(event).is_err() || is_last {
            return;
        }
    }
}

fn seed(text: &str) -> Result<u64, String> {
    let seed = text.parse().ok().filter(|seed| *seed >= FIRST_SEED);
    seed.ok_or_else(|| format!("expected a whole number from {FIRST_SEED} on: the seeds below are the training's"))
}

/// A seed that the standard library's random keys, which come from the system, lead to.
fn draw_seed() -> u64 {
    FIRST_SEED + RandomState::new().hash_one(0_u8) % SEEDS
}

/// The rule of the demonstration's policy.
fn rule() -> anyhow::Result<Rule> {
    let policies = netprecursor_crds::policies_from_yaml("the demonstration's policy", POLICY)?;
    let rule = policies.iter().flat_map(|policy| &policy.rules).next();
    rule.cloned().context("got a policy without a rule, expected one: this is a defect, please report it")
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}; free space, or give another --out", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_has_the_threshold_that_is_shown() {
        assert_eq!(rule().unwrap().thresholds.breach_us(), 200_000);
        assert!(POLICY.contains(&format!("threshold: {THRESHOLD}")));
    }

    #[test]
    fn a_seed_of_the_training_is_refused() {
        assert_eq!(seed("1000000"), Ok(1_000_000));
        assert!(["999999", "-1", "x"].iter().all(|text| seed(text).is_err_and(|error| error.contains("training"))));
    }

    #[test]
    fn seeds_are_drawn_afresh_and_never_from_the_trainings() {
        let seeds: Vec<u64> = (0..8).map(|_| draw_seed()).collect();
        assert!(seeds.iter().all(|seed| (FIRST_SEED..FIRST_SEED + SEEDS).contains(seed)), "{seeds:?}");
        assert!(seeds.windows(2).any(|pair| pair[0] != pair[1]), "{seeds:?}");
    }
}
