//! The whole tick: sensors → windows → features → forecasts → decisions, over targets with a full hour behind them.

use std::{hint::black_box, time::Instant};

use anyhow::Context;
use netprecursor_agent::{
    sensors::{
        mapped::Mapped,
        object::Object,
        suite::{Setting, Suite},
        tcp::Tcp,
    },
    targets::namespace::Namespace,
    tick::{pipeline::Pipeline, snapshot::Moment},
};
use netprecursor_agent_common::{names::map, tcp::TcpSlot};
use netprecursor_core::{
    signal::{Signal, Signals},
    tick::Tick,
};
use netprecursor_models::builtin;
use serde::Serialize;

use super::{cpu_time, hosts::Host, median};

/// A target, a usual node, a full one.
const TARGETS: [usize; 3] = [1, 30, 110];
/// Ticks after which windows are filled anew: the bench's namespaces are silent.
const BATCH: u64 = 10;
const HOUR: u64 = 3_600;

/// What reading one target costs.
#[derive(Debug, Serialize)]
pub(crate) struct Read {
    what: &'static str,
    ns_per_target: f64,
}

/// What a tick costs.
#[derive(Debug, Serialize)]
pub(crate) struct Whole {
    model: String,
    targets: usize,
    /// Median CPU time, all of the tick.
    us: f64,
    us_per_target: f64,
}

/// Reading the tcp sensor's counters of a target through memory, and all sensors of a target.
pub(crate) fn reads() -> anyhow::Result<Vec<Read>> {
    let mut object = Object::load()?;
    let slots: Mapped<TcpSlot> = Mapped::take(&mut object.bpf, map::TCP_SLOTS)?;
    let mapped = time(|turn| {
        for cpu in 0..object.cpus {
            black_box(slots.read((turn % 110 * object.cpus + cpu) as usize));
        }
    });
    let mut object = Object::load()?;
    let mut tcp = Tcp::start(&mut object.bpf, object.cpus)?;
    let mut signals = Signals::ABSENT;
    let tcp = time(|turn| {
        black_box(tcp.read(turn % 110, 1, &mut signals));
    });
    let host = Host::new();
    let mut suite = Suite::start(Setting::Host);
    let place = suite.watch(0, Namespace::enter(&host.name)?);
    let sensors = time(|_| {
        black_box(suite.read(place, 0, &mut signals));
    });
    Ok(vec![
        Read { what: "tcp counters by mmap, all CPUs", ns_per_target: mapped },
        Read { what: "tcp sensor, as signals", ns_per_target: tcp },
        Read { what: "all sensors, as signals", ns_per_target: sensors },
    ])
}

/// CPU time of a turn in ns: the median of means over many.
fn time(mut turn: impl FnMut(u32)) -> f64 {
    const TURNS: u32 = 220;
    let batch = |_| {
        let begun = cpu_time();
        (0..TURNS).for_each(&mut turn);
        (cpu_time() - begun).as_nanos() as f64 / f64::from(TURNS)
    };
    median((0..50).map(batch).collect())
}

/// Times `ticks` ticks for each number of targets, with the default forecaster, with all of them as experts and with each
/// trained model.
pub(crate) fn measure(ticks: u64) -> anyhow::Result<Vec<Whole>> {
    let trained = builtin::names().filter(|name| builtin::model(name).is_some());
    let models: Vec<&str> = [builtin::ADAPTIVE, builtin::best_naive().name()].into_iter().chain(trained).collect();
    let mut hosts: Vec<Host> = Vec::new();
    let mut all = Vec::new();
    for targets in TARGETS {
        hosts.extend((hosts.len()..targets).map(|_| Host::new()));
        for model in &models {
            all.push(whole(model, targets, ticks)?);
        }
    }
    Ok(all)
}

fn whole(model: &str, targets: usize, ticks: u64) -> anyhow::Result<Whole> {
    let policies = netprecursor_crds::policies_from_yaml(
        "bench",
        &format!(
            "apiVersion: netprecursor.io/v1alpha1\nkind: PrecursorPolicy\nmetadata: {{name: bench}}\n\
             spec: {{target: {{podSelector: {{}}}}, rules: [{{name: rtt, signal: RttForecast, \
             rttForecast: {{threshold: 900s}}, model: {{builtin: {model}}}}}]}}\n"
        ),
    )
    .context("the bench's own policy")?;
    let selector = format!("netns:npt{}-*", std::process::id()).parse()?;
    let mut pipeline = Pipeline::new(Suite::start(Setting::Host), vec![selector], policies, |_, _| None);
    let mut now = 1;
    pipeline.tick(Tick(now), 1.0, now);
    anyhow::ensure!(pipeline.targets.len() == targets, "got {} targets of {targets}", pipeline.targets.len());
    fill(&mut pipeline, &mut now, HOUR);
    // As the agent does: readers get a snapshot of each tick.
    let moment = Moment { unix_ms: 0, monotonic_ns: 0, instant: Instant::now() };
    let mut times = Vec::new();
    while (times.len() as u64) < ticks {
        fill(&mut pipeline, &mut now, 60);
        for _ in 0..BATCH {
            now += 1;
            let begun = cpu_time();
            black_box(pipeline.tick(Tick(now), 1.0, now));
            black_box(pipeline.snapshot(moment));
            times.push((cpu_time() - begun).as_nanos() as f64 / 1e3);
        }
    }
    let us = median(times);
    let model = &pipeline.forecasters.model(pipeline.policies[0].rules[0].forecaster).name;
    Ok(Whole { model: model.clone(), targets, us, us_per_target: us / targets as f64 })
}

/// Puts `ticks` ticks of life into every window: everything measured, with a burst each 20 s.
fn fill(pipeline: &mut Pipeline, now: &mut u64, ticks: u64) {
    for _ in 0..ticks {
        *now += 1;
        for (number, target) in pipeline.targets.iter_mut().enumerate() {
            let burst = if (*now + number as u64) % 20 < 3 { 30.0 } else { 1.0 };
            let wobble = (*now * 7_919 + number as u64 * 104_729) % 1_009;
            let level = burst * (1.0 + wobble as f32 / 1_009.0);
            let signals = std::array::from_fn::<f32, { Signal::COUNT }, _>(|signal| level * (1 + signal) as f32);
            // Ticks go up by one, so the only refusal there is cannot happen.
            let _in_order = target.views[0].window.push(Tick(*now), &Signals::from_values(&signals));
        }
    }
}
