//! What is done in the lab of one episode: it is measured while idle, then played.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use super::{Stage, extras::Extras, setup::Episode, timeline::Timeline};
use crate::{
    LabError,
    fault::Conditions,
    labels::{FaultTimes, Instants, Labels, Observer, ObserverError, Seen, TargetLabels},
    load::{self, BULK_PORT, Pace, Pacer, RequestCounts},
    scenario::{Bulk, Load},
    topology::Running,
};

/// How long the idle path is measured before the load begins.
const IDLE: Duration = Duration::from_secs(3);
/// How often conditions are compared with what they should be, and progress is reported.
const STEP: Duration = Duration::from_millis(100);
/// Steps from one check that every process still runs to the next.
const CHECK_EVERY: u32 = 10;
/// Share of the probes of the idle path that must be answered.
const IDLE_SHARE: f64 = 0.8;

/// What was played, before the labels are made from it.
struct Played {
    complete: bool,
    started: Instants,
    ended: Instants,
    faults: Vec<FaultTimes>,
    seen: Vec<Seen>,
    requests: RequestCounts,
}

impl Episode<'_> {
    fn observe(&self, started: Instants, csv: &Path) -> Result<Observer, LabError> {
        Observer::start(&self.network.servers, self.first_client(), self.scenario.probe_interval(), started, csv)
    }

    /// Compares what the observer measures on the idle path with what the relay is set to.
    pub(super) fn measure_idle(&self, out: &Path, stop: &AtomicBool) -> Result<ObserverError, LabError> {
        let csv = out.join("idle.csv");
        let interval = self.scenario.probe_interval();
        let mut observer = self.observe(Instants::now(), &csv)?;
        let begun = Instant::now();
        while begun.elapsed() < IDLE && !stop.load(Relaxed) {
            thread::sleep(STEP);
        }
        let configured_us = self.scenario.topology.base_rtt_ms * 1e3;
        let mut measured_us = configured_us;
        let seen = observer.finish()?;
        // An early stop leaves too few probes.
        if !stop.load(Relaxed) {
            let sent = (IDLE.as_secs_f64() / interval.as_secs_f64()) as usize;
            for (seen, server) in seen.iter().zip(&self.network.servers) {
                let median = idle_median_us(seen, server.name(), sent)?;
                if (median - configured_us).abs() > (measured_us - configured_us).abs() {
                    measured_us = median;
                }
            }
        }
        fs::remove_file(&csv).map_err(LabError::file(csv))?;
        let interval_ms = interval.as_millis() as u64;
        Ok(ObserverError { interval_ms, configured_us, measured_us, error_us: measured_us - configured_us })
    }

    /// Plays the scenario, or what of it comes before `stop`, and makes the labels.
    pub(super) fn play(
        &mut self,
        out: &Path,
        observer_error: ObserverError,
        stop: &AtomicBool,
        report: &mut impl FnMut(Stage, f64),
    ) -> Result<Labels, LabError> {
        let played = self.run(out, stop, report)?;
        let scenario = self.scenario;
        let calm_s = scenario.spans().first().map_or(scenario.seconds(), |span| span.from) as usize;
        let targets = self.network.servers.iter().zip(&self.addresses).zip(&played.seen);
        let targets = targets.map(|((server, address), seen)| {
            TargetLabels::new(server.name().into(), address.to_string(), seen, calm_s)
        });
        Ok(Labels {
            version: 1,
            scenario: scenario.name.clone(),
            family: scenario.family.clone(),
            seed: self.seed,
            lab: self.network.record().id.clone(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().into(),
            congestion_control: self.network.congestion_control.into(),
            complete: played.complete,
            started: played.started,
            ended: played.ended,
            faults: played.faults,
            observer: observer_error,
            targets: targets.collect(),
            requests: played.requests,
            relay: self.network.relay_counts(),
        })
    }

    /// Loads the path, applies the faults and ends all processes.
    fn run(&mut self, out: &Path, stop: &AtomicBool, report: &mut impl FnMut(Stage, f64)) -> Result<Played, LabError> {
        let (scenario, total) = (self.scenario, self.scenario.seconds());
        let (begun, started) = (Instant::now(), Instants::now());
        let elapsed = || begun.elapsed().as_secs_f64();
        let mut observer = self.observe(started, &out.join("observer.csv"))?;
        let streams = load::streams(scenario);
        let pacer = Pacer::start(&self.network.clients, &self.addresses, &streams, begun, self.seed)?;
        self.start_steady_tools()?;

        let mut timeline = Timeline::new(scenario, started);
        let mut extras = Extras::default();
        let mut steps = 0u32;
        while elapsed() < total && !stop.load(Relaxed) {
            let now = elapsed();
            let conditions = Conditions::at(scenario, now);
            self.network.apply(&conditions)?;
            extras.apply(&conditions, self, &pacer)?;
            report(timeline.advance(now, elapsed()), now);
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(CHECK_EVERY) {
                self.children.iter().chain(&self.readers).try_for_each(Running::check)?;
                observer.check()?;
            }
            thread::sleep(STEP.min(Duration::from_secs_f64((total - elapsed()).max(0.0))));
        }
        let complete = elapsed() >= total;
        let ended = started.plus(elapsed());
        let requests = pacer.counts();
        drop((extras, pacer));
        let seen = observer.finish()?;
        self.children.clear();
        self.readers.clear();
        Ok(Played { complete, started, ended, faults: timeline.finish(complete.then_some(ended)), seen, requests })
    }

    fn start_steady_tools(&mut self) -> Result<(), LabError> {
        let scratch = self.network.record().scratch.clone();
        let mut ports = BULK_PORT..;
        for load in &self.scenario.loads {
            match load {
                Load::Http(_) | Load::Trickle(_) | Load::Tide(_) => {}
                Load::Wrk(wrk) => {
                    let client = &self.network.clients[self.network.clients.len() - 1];
                    for address in &self.addresses {
                        self.children.push(load::start_wrk(&scratch, client, *address, wrk)?);
                    }
                }
                Load::Bulk(bulk) => {
                    let port = ports.next().unwrap_or(BULK_PORT);
                    let pace = pace(bulk, self.scenario.topology.rate_mbit * 1e6);
                    let (server, client) = (&self.network.servers[0], self.first_client());
                    let flows = bulk.flows as u32;
                    self.children.push(load::start_bulk_sender(&scratch, server, client, port, flows, pace)?);
                }
            }
        }
        Ok(())
    }
}

/// The median RTT of a server on the idle path, from about `sent` probes.
fn idle_median_us(seen: &Seen, target: &str, sent: usize) -> Result<f64, LabError> {
    let mut rtts: Vec<u32> = seen.seconds.iter().flat_map(|second| second.rtts_us.iter().copied()).collect();
    if (rtts.len() as f64) < IDLE_SHARE * sent as f64 - 2.0 {
        return Err(LabError::Blind { target: target.into(), got: rtts.len(), sent });
    }
    rtts.sort_unstable();
    Ok(rtts[rtts.len() / 2].into())
}

fn pace(bulk: &Bulk<f64>, bottleneck_bps: f64) -> Pace {
    let rate = bulk.offered * bottleneck_bps;
    match (rate > 0.0, bulk.catch_up) {
        (false, _) => Pace::Greedy,
        (true, false) => Pace::Kernel(rate),
        (true, true) => Pace::Application(rate),
    }
}
