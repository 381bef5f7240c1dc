//! `run`: start the sensors, tick once a second on a thread of its own, serve HTTP, drain on SIGTERM.

use std::{
    fs, io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use netprecursor_core::tick::Tick;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::Settings,
    sensors::suite::Suite,
    sinks::{
        api::{self, Shared},
        ledgers::Ledgers,
        stream::Stream,
    },
    tick::{outcome::Transition, pipeline::Pipeline},
};

/// Scores are written this often, and at the end.
const KEEP_EVERY: u64 = 60;

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// The port is taken, or a thread cannot be started. What sensors cannot do is in their status.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    // Before the sensors: a port in use is found out at once, and nothing was attached.
    let listener = std::net::TcpListener::bind(settings.listen)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .with_context(|| port_in_use(settings.listen))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let ledgers = Ledgers::new(&settings.state_dir);
    let suite = Suite::start();
    for status in suite.statuses() {
        tracing::info!(sensor = status.name, need = ?status.need, state = %status.state, "sensor");
    }
    let pipeline = Pipeline::new(suite, settings.targets, settings.policies, |policy, rule| ledgers.read(policy, rule));
    let shared = Shared {
        pipeline: Arc::new(Mutex::new(pipeline)),
        stream: Stream::default(),
        last_tick: Arc::default(),
        kernel: kernel_release().into(),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let ticker = start_ticker(shared.clone(), ledgers.clone(), Arc::clone(&stop)).context("cannot start a thread")?;
    tracing::info!(address = %settings.listen, "listening");
    let served = runtime.block_on(serve(listener, shared.clone()));
    stop.store(true, Ordering::Release);
    ticker.thread().unpark();
    let ticked = ticker.join();
    keep(&shared, &ledgers);
    tracing::info!("stopped");
    ticked.map_err(|_| anyhow::anyhow!("the tick thread panicked; its message is above"))?;
    served
}

fn port_in_use(address: SocketAddr) -> String {
    format!("cannot listen on {address}; expected a free address; give another with --listen ADDRESS:PORT")
}

async fn serve(listener: std::net::TcpListener, shared: Shared) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Streams never end by themselves: the process does not wait for them.
    tokio::select! {
        served = async { axum::serve(listener, api::router(shared)).await } => served.context("HTTP"),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

fn start_ticker(shared: Shared, ledgers: Ledgers, stop: Arc<AtomicBool>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("tick".to_owned()).spawn(move || {
        // Tick numbers are unix seconds at the start plus seconds that passed: they go on across restarts, and a clock
        // that is set does not turn them back.
        let origin = unix_ms() / 1000;
        let begun = Instant::now();
        let mut last = begun;
        let mut second = 0;
        while !stop.load(Ordering::Acquire) {
            let due = begun + Duration::from_secs(second + 1);
            let now = Instant::now();
            if now < due {
                thread::park_timeout(due - now);
                continue;
            }
            // After a pause longer than a tick, the seconds in between are left out.
            second = now.duration_since(begun).as_secs();
            let seconds = now.duration_since(last).as_secs_f64();
            last = now;
            tick(&shared, &ledgers, Tick(origin + second), seconds, second.is_multiple_of(KEEP_EVERY));
        }
    })
}

fn tick(shared: &Shared, ledgers: &Ledgers, now: Tick, seconds: f64, is_due: bool) {
    let unix_ms = unix_ms();
    let mut pipeline = shared.pipeline.lock().unwrap_or_else(PoisonError::into_inner);
    for transition in pipeline.tick(now, seconds, unix_ms / 1000) {
        log(&transition);
    }
    shared.stream.send(&pipeline, unix_ms, monotonic_ns());
    drop(pipeline);
    *shared.last_tick.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    if is_due {
        keep(shared, ledgers);
    }
}

fn keep(shared: &Shared, ledgers: &Ledgers) {
    let pipeline = shared.pipeline.lock().unwrap_or_else(PoisonError::into_inner);
    for active in &pipeline.policies {
        for rule in &active.rules {
            if let Err(error) = ledgers.write(&active.policy, &rule.rule, &rule.ledger) {
                tracing::warn!(error = %crate::sensors::chain(&error), "scores are not kept");
            }
        }
    }
}

fn log(transition: &Transition) {
    let alert = transition.alert();
    let milliseconds = |us: Option<f32>| us.map(|us| (us / 100.0).round() / 10.0);
    tracing::info!(
        alert = alert.name,
        target = alert.target,
        rule = alert.rule,
        predicted_ms = milliseconds(alert.predicted_us),
        measured_ms = milliseconds(alert.measured_us),
        threshold_ms = milliseconds(Some(alert.threshold_us as f32)),
        confirmed = ?alert.confirmed,
        lead_seconds = alert.lead_seconds,
        cause = alert.causes.first().map(|cause| cause.feature),
        model = alert.model.name,
        "alert {}",
        transition.word()
    );
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The monotonic clock, as BPF programs read it.
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is valid for writes.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// As `uname -r` prints it.
pub fn kernel_release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}
