//! One episode from an empty machine to its labels, and back to an empty machine.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use nix::unistd::{Uid, geteuid};

use crate::{
    LabError,
    fault::{Conditions, spin::Spinning},
    labels::{FaultTimes, Instants, Labels, Observer, ObserverError, TargetLabels},
    load::{self, BULK_PORT, Flood, Pace, Pacer},
    scenario::{Effect, Load, Resolved, Scenario, Sender},
    topology::{Address, Network, Running, client_address, ownership, server_address},
};

/// How long the idle path is measured before the load begins.
const IDLE: Duration = Duration::from_secs(3);
/// How often the conditions are compared with what they should be, and the caller hears of progress.
const STEP: Duration = Duration::from_millis(100);
/// How often it is checked that every process still runs.
const CHECK_EVERY: u32 = 10;
/// Probes of the idle path that must come back, share.
const IDLE_SHARE: f64 = 0.8;

/// What the lab is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Making namespaces, links and servers.
    Build,
    /// Measuring the idle path. All namespaces exist.
    Idle,
    /// Load without a fault.
    Calm,
    /// A fault is on: its position in the resolved scenario, and its kind.
    Fault(usize, &'static str),
    /// Removing everything.
    Teardown,
}

/// Progress of an episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// What the lab is doing.
    pub stage: Stage,
    /// Seconds since the load began, and seconds in all.
    pub seconds: [f64; 2],
    /// Part of the namespaces' names: the targets are `npl<lab>-web*`.
    pub lab: String,
}

/// What a run leaves: files in its output directory.
#[derive(Debug)]
pub struct Outcome {
    /// The labels, as written to `labels.json`.
    pub labels: Labels,
    /// `labels.json`, `observer.csv` and `scenario.yaml` (resolved) are here.
    pub directory: PathBuf,
}

/// Runs a scenario: builds it, loads it, breaks it, and writes what an observer saw into `out`.
///
/// `stop` ends it early (labels are written, `complete` is false). Progress is told about ten times a second. Call it
/// from a thread that lives until it returns. Whatever the outcome, nothing stays behind.
///
/// # Errors
/// See [`LabError`].
pub fn run(
    scenario: &Scenario,
    seed: u64,
    out: &Path,
    stop: &AtomicBool,
    mut progress: impl FnMut(Phase),
) -> Result<Outcome, LabError> {
    let resolved = scenario.resolve(seed)?;
    require_root(geteuid())?;
    load::check_installed(std::env::var_os("PATH").as_deref())?;
    ownership::sweep()?;
    fs::create_dir_all(out).map_err(LabError::file(out))?;
    write(&out.join("scenario.yaml"), resolved_text(&resolved)?.as_bytes())?;

    let total = resolved.seconds();
    progress(Phase { stage: Stage::Build, seconds: [0.0, total], lab: String::new() });
    let mut episode = Episode::build(&resolved, seed)?;
    let lab = episode.network.record().id.clone();
    let mut tell = |stage, now: f64| progress(Phase { stage, seconds: [now.min(total), total], lab: lab.clone() });

    tell(Stage::Idle, 0.0);
    let observer_error = episode.measure_idle(out, stop)?;
    let labels = episode.play(seed, out, observer_error, stop, &mut tell)?;
    tell(Stage::Teardown, total);
    episode.network.remove()?;
    let text = serde_json::to_vec_pretty(&labels).map_err(|error| LabError::file(out)(error.into()))?;
    write(&out.join("labels.json"), &text)?;
    Ok(Outcome { labels, directory: out.into() })
}

fn require_root(uid: Uid) -> Result<(), LabError> {
    if uid.is_root() { Ok(()) } else { Err(LabError::Unprivileged { uid: uid.as_raw() }) }
}

struct Episode<'a> {
    scenario: &'a Resolved,
    // Children end before their namespaces go.
    children: Vec<Running>,
    /// What receives bulk transfers at the first client.
    readers: Vec<Running>,
    addresses: Vec<Address>,
    network: Network,
}

impl<'a> Episode<'a> {
    fn build(scenario: &'a Resolved, seed: u64) -> Result<Self, LabError> {
        let network = Network::build(scenario, seed)?;
        let mut episode = Self {
            scenario,
            children: Vec::new(),
            readers: Vec::new(),
            addresses: (0..scenario.servers()).map(|n| server_address(scenario.topology.addresses, n)).collect(),
            network,
        };
        let scratch = episode.network.record().scratch.clone();
        for server in &episode.network.servers {
            let cpu = scenario.topology.pin_servers.then(|| pinned_cpu(seed));
            episode.children.push(load::start_nginx(&scratch, server, scenario.topology.addresses, cpu)?);
        }
        for (child, address) in episode.children.iter().zip(&episode.addresses) {
            load::wait_until_ready(child, *address, &episode.network.clients[0])?;
        }
        for port in bulk_ports(scenario) {
            episode.readers.push(load::start_bulk_receiver(&scratch, &episode.network.clients[0], port)?);
        }
        Ok(episode)
    }

    fn first_client(&self) -> Address {
        client_address(self.scenario.topology.addresses, 0)
    }

    /// The observer on the idle path, against what the relay is set to.
    fn measure_idle(&self, out: &Path, stop: &AtomicBool) -> Result<ObserverError, LabError> {
        let csv = out.join("idle.csv");
        let client = self.first_client();
        let interval = self.scenario.probe_interval();
        let mut observer = Observer::start(&self.network.servers, client, interval, Instants::now(), &csv)?;
        let begun = Instant::now();
        while begun.elapsed() < IDLE && !stop.load(Relaxed) {
            thread::sleep(STEP);
        }
        let configured_us = self.scenario.topology.base_rtt_ms * 1e3;
        let mut measured_us = configured_us;
        for (seen, server) in observer.finish()?.iter().zip(&self.network.servers) {
            let mut rtts: Vec<u32> = seen.seconds.iter().flat_map(|second| second.rtts_us.clone()).collect();
            let sent = (IDLE.as_secs_f64() / interval.as_secs_f64()) as usize;
            if stop.load(Relaxed) {
                continue;
            }
            if (rtts.len() as f64) < IDLE_SHARE * sent as f64 - 2.0 {
                return Err(LabError::Blind { target: server.name().into(), got: rtts.len(), sent });
            }
            rtts.sort_unstable();
            let median = f64::from(rtts[rtts.len() / 2]);
            if (median - configured_us).abs() > (measured_us - configured_us).abs() {
                measured_us = median;
            }
        }
        fs::remove_file(&csv).map_err(LabError::file(csv))?;
        let interval_ms = interval.as_millis() as u64;
        Ok(ObserverError { interval_ms, configured_us, measured_us, error_us: measured_us - configured_us })
    }

    fn play(
        &mut self,
        seed: u64,
        out: &Path,
        observer_error: ObserverError,
        stop: &AtomicBool,
        tell: &mut impl FnMut(Stage, f64),
    ) -> Result<Labels, LabError> {
        let scenario = self.scenario;
        let (begun, started) = (Instant::now(), Instants::now());
        let client = self.first_client();
        let (csv, interval) = (out.join("observer.csv"), scenario.probe_interval());
        let mut observer = Observer::start(&self.network.servers, client, interval, started, &csv)?;
        let streams = load::streams(scenario);
        let pacer = Pacer::start(&self.network.clients, &self.addresses, &streams, begun, seed)?;
        self.start_steady_tools()?;

        let (spans, total) = (scenario.spans(), scenario.seconds());
        let mut faults: Vec<FaultTimes> = Vec::new();
        let mut extras = Extras::default();
        let mut steps = 0u32;
        while begun.elapsed().as_secs_f64() < total && !stop.load(Relaxed) {
            let now = begun.elapsed().as_secs_f64();
            let conditions = Conditions::at(scenario, now);
            self.network.apply(&conditions)?;
            extras.apply(&conditions, self, &pacer, seed)?;
            let applied = begun.elapsed().as_secs_f64();
            let open = faults.len().checked_sub(1);
            if let Some(n) = open.filter(|n| now >= spans[*n].to) {
                faults[n].end.get_or_insert(started.plus(applied));
            }
            if spans.get(faults.len()).is_some_and(|span| now >= span.from) {
                let effect = scenario.faults[faults.len()].effect.name().into();
                faults.push(FaultTimes { effect, onset: started.plus(applied), end: None });
            }
            let on = faults.last().is_some_and(|fault| fault.end.is_none());
            let stage = match faults.len().checked_sub(1).filter(|_| on) {
                Some(n) => Stage::Fault(n, scenario.faults[n].effect.name()),
                None => Stage::Calm,
            };
            tell(stage, now);
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(CHECK_EVERY) {
                self.children.iter().chain(&self.readers).try_for_each(Running::check)?;
                observer.check()?;
            }
            let left = Duration::from_secs_f64((total - begun.elapsed().as_secs_f64()).max(0.0));
            thread::sleep(STEP.min(left));
        }
        let complete = begun.elapsed().as_secs_f64() >= total;
        let ended = started.plus(begun.elapsed().as_secs_f64());
        if complete && let Some(fault) = faults.last_mut() {
            fault.end.get_or_insert(ended);
        }
        let requests = pacer.counts();
        drop((extras, pacer));
        let seen = observer.finish()?;
        self.children.clear();
        self.readers.clear();
        let calm_s = spans.first().map_or(total, |span| span.from) as usize;
        let targets = self.network.servers.iter().zip(&self.addresses).zip(&seen).map(|((server, address), seen)| {
            TargetLabels::new(server.name().into(), address.to_string(), seen, calm_s)
        });
        Ok(Labels {
            version: 1,
            scenario: scenario.name.clone(),
            family: scenario.family.clone(),
            seed,
            lab: self.network.record().id.clone(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().into(),
            congestion_control: self.network.congestion_control.into(),
            complete,
            started,
            ended,
            faults,
            observer: observer_error,
            targets: targets.collect(),
            requests,
            relay: self.network.relay_counts(),
        })
    }

    fn start_steady_tools(&mut self) -> Result<(), LabError> {
        let scratch = self.network.record().scratch.clone();
        let mut ports = BULK_PORT..;
        for load in &self.scenario.loads {
            match load {
                Load::Http(_) | Load::Trickle(_) | Load::Tide(_) => {}
                Load::Wrk(wrk) => {
                    for address in &self.addresses {
                        let client = &self.network.clients[self.network.clients.len() - 1];
                        self.children.push(load::start_wrk(&scratch, client, *address, wrk)?);
                    }
                }
                Load::Bulk(bulk) => {
                    let rate = bulk.offered * self.scenario.topology.rate_mbit * 1e6;
                    let pace = match (rate > 0.0, bulk.catch_up) {
                        (false, _) => Pace::Greedy,
                        (true, false) => Pace::Kernel(rate),
                        (true, true) => Pace::Application(rate),
                    };
                    let port = ports.next().unwrap_or(BULK_PORT);
                    self.children.push(load::start_bulk_sender(
                        &scratch,
                        &self.network.servers[0],
                        self.first_client(),
                        port,
                        bulk.flows as u32,
                        pace,
                    )?);
                }
            }
        }
        Ok(())
    }
}

/// What comes and goes with faults besides the path.
#[derive(Debug, Default)]
struct Extras {
    spinning: Option<Spinning>,
    greedy: Option<Running>,
    flood: Option<Flood>,
    stalled: bool,
}

impl Extras {
    fn apply(
        &mut self,
        conditions: &Conditions,
        episode: &Episode<'_>,
        pacer: &Pacer,
        seed: u64,
    ) -> Result<(), LabError> {
        if conditions.stalled != self.stalled {
            pacer.set_stalled(conditions.stalled);
            episode.readers.iter().try_for_each(|reader| reader.set_paused(conditions.stalled))?;
            self.stalled = conditions.stalled;
        }
        match conditions.spinners {
            None => self.spinning = None,
            Some(spinners) if self.spinning.is_none() => {
                let spinning = Spinning::start(spinners, pinned_cpu(seed));
                let thread = |error: std::io::Error| LabError::Thread { what: "spinner", got: error.to_string() };
                self.spinning = Some(spinning.map_err(thread)?);
            }
            Some(_) => {}
        }
        match (conditions.greedy_flows, &mut self.greedy) {
            (0, greedy) => *greedy = None,
            (_, Some(greedy)) => greedy.check()?,
            (flows, greedy @ None) => {
                let port = bulk_ports(episode.scenario).end - 1;
                let network = &episode.network;
                // A scenario has a neighbour only where its bulk transfers come from there, or floods do.
                let from_neighbour = episode
                    .scenario
                    .faults
                    .iter()
                    .any(|fault| matches!(fault.effect, Effect::Bulk { from: Sender::Neighbour, .. }));
                let sender = network.neighbour.as_ref().filter(|_| from_neighbour).unwrap_or(&network.servers[0]);
                let scratch = &network.record().scratch;
                *greedy =
                    Some(load::start_bulk_sender(scratch, sender, episode.first_client(), port, flows, Pace::Greedy)?);
            }
        }
        if let Some(neighbour) = &episode.network.neighbour {
            let flood = match &mut self.flood {
                Some(flood) => flood,
                none => none.insert(Flood::start(neighbour, &episode.network.clients[0], episode.first_client())?),
            };
            flood.set_rate(conditions.flood * episode.scenario.capacity_bps());
        }
        Ok(())
    }
}

/// One port for each steady bulk load, and one more where a fault brings greedy flows.
fn bulk_ports(scenario: &Resolved) -> std::ops::Range<u16> {
    let steady = scenario.loads.iter().filter(|load| matches!(load, Load::Bulk(_))).count() as u16;
    let greedy = scenario.faults.iter().any(|fault| matches!(fault.effect, Effect::Bulk { .. }));
    BULK_PORT..BULK_PORT + steady + u16::from(greedy)
}

/// The CPU that servers and spinners share, where the scenario pins them.
fn pinned_cpu(seed: u64) -> usize {
    let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (seed % cpus as u64) as usize
}

fn resolved_text(resolved: &Resolved) -> Result<String, LabError> {
    serde_saphyr::to_string(resolved)
        .map_err(|error| LabError::Malformed { path: resolved.name.clone(), message: error.to_string() })
}

fn write(path: &Path, text: &[u8]) -> Result<(), LabError> {
    fs::write(path, text).map_err(LabError::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_privileges_is_told_to_become_root() {
        let message = require_root(Uid::from_raw(1000)).unwrap_err().to_string();
        assert!(message.contains("uid 1000") && message.contains("sudo"), "{message}");
        assert!(require_root(Uid::from_raw(0)).is_ok());
    }
}
