//! `run`: start the sensors, tick once a second on a thread of its own, follow the cluster on another, serve HTTP, drain
//! on SIGTERM.

use std::{
    fs, io,
    path::Path,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use futures::FutureExt as _;
use netprecursor_core::{alert::Transition, tick::Tick};
use netprecursor_settings::Listen;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

use crate::{
    cluster::thread::{Cluster, Publishing},
    config::{InCluster, Settings},
    desired::Desired,
    health::Board,
    host::{host_name, kernel_release, monotonic_ns, unix, unix_ms},
    keep::{Keeper, Snapshot, ledgers::Ledgers, memories::MemoryFile},
    lock::lock,
    metrics::seen::{By, Seen},
    publish::{
        kubernetes::{self, KubernetesSink},
        otlp::{self, Telemetry},
        outbox,
        queue::Limits,
        sink::Sink,
        words,
    },
    sensors::suite::{Setting, Suite},
    serve::{
        api::{self, Shared},
        stream::Stream,
    },
    tick::{memories::Memories, pipeline::Pipeline, report::ReportData},
};

/// What rules learned is written this often, in seconds, and at the end.
const KEEP_EVERY: u64 = 60;

/// Likewise the memories of workloads: they span hours, so that a few lost minutes matter little.
const KEEP_MEMORIES_EVERY: u64 = 10 * KEEP_EVERY;

/// The node report is put together this often, in ticks.
const REPORT_EVERY: u64 = 5;

/// What the tick thread publishes to.
struct Publishers {
    sinks: Vec<Box<dyn Sink>>,
    /// The data of the node report, in a cluster.
    report: Option<watch::Sender<Arc<ReportData>>>,
}

/// What the cluster thread gives and takes.
struct ClusterEnd {
    desired: watch::Sender<Arc<Desired>>,
    transitions: mpsc::Receiver<Transition>,
    report: watch::Receiver<Arc<ReportData>>,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// The port is taken, or a thread cannot be started. What sensors and sinks cannot do is in their status.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    // Before the sensors: a port in use is found out at once, and nothing was attached.
    let listener = bind(&settings.listen, "--listen")?;
    let probes = settings.probe_listen.as_ref().map(|listen| bind(listen, "--probe-listen")).transpose()?;
    let address = listener.local_addr().context("cannot tell the own address")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let node = settings.cluster.as_ref().map_or_else(host_name, |cluster| cluster.location.node.clone());
    let (telemetry, otlp) = {
        let _inside = runtime.enter();
        otlp::from_environment(&node, settings.cluster_name.as_deref()).unzip()
    };
    if let Err(error) = try_out(&settings.state_dir) {
        let directory = settings.state_dir.display();
        tracing::warn!(
            "cannot write to {directory} ({error}): what is learned and not yet sent is lost when the agent ends; expected a \
             directory that it may write: change its permissions, or give another --state-dir"
        );
    }
    let ledgers = match settings.cluster {
        Some(_) => Ledgers::in_cluster(&settings.state_dir),
        None => Ledgers::new(&settings.state_dir),
    };
    ledgers.take_over(&settings.policies);
    let suite = Suite::start(if settings.cluster.is_some() { Setting::cluster() } else { Setting::Host });
    for status in suite.statuses() {
        tracing::info!(sensor = status.name, need = ?status.need, state = %status.state, "sensor");
    }
    let remembered = {
        let ledgers = ledgers.clone();
        move |policy: &_, rule: &_| ledgers.read(policy, rule)
    };
    let mut publishers =
        Publishers { sinks: otlp.map(|sink| Box::new(sink) as Box<dyn Sink>).into_iter().collect(), report: None };
    let mut boards = telemetry.as_ref().map(Telemetry::boards).unwrap_or_default();
    let (mut pipeline, cluster) = match &settings.cluster {
        None => (Pipeline::new(suite, settings.targets, settings.policies, remembered), None),
        Some(cluster) => {
            let (desired, desired_seen) = watch::channel(Arc::<Desired>::default());
            let (report, report_seen) = watch::channel(Arc::default());
            let (outbox, transitions) = outbox::channel();
            let board = kubernetes::board();
            publishers.sinks.push(Box::new(KubernetesSink::new(outbox, board.clone())));
            publishers.report = Some(report);
            boards.push(board.clone());
            let end = ClusterEnd { desired, transitions, report: report_seen };
            let following = start_cluster(cluster, &settings.state_dir, board, end).context("cannot start a thread")?;
            (Pipeline::of_pods(suite, desired_seen, remembered), Some(following))
        }
    };
    let now = Tick(unix());
    let memories = MemoryFile::new(&settings.state_dir);
    pipeline.memories = Memories::new(memories.read(now), now);
    let keeper = Keeper::start(ledgers.clone(), memories).context("cannot start a thread")?;
    let shared = Shared {
        pipeline: Arc::new(Mutex::new(pipeline)),
        stream: Stream::default(),
        last_tick: Arc::default(),
        kernel: kernel_release().into(),
        boards: boards.into(),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let ticker = {
        let (shared, ledgers, stop) = (shared.clone(), ledgers.clone(), Arc::clone(&stop));
        thread::Builder::new()
            .name("tick".to_owned())
            .spawn(move || {
                tick_until(&stop, &shared, &mut publishers, &ledgers, &keeper);
                keeper
            })
            .context("cannot start a thread")?
    };
    tracing::info!(%address, "listening");
    let served = runtime.block_on(serve(listener, probes, shared.clone(), telemetry));
    stop.store(true, Ordering::Release);
    ticker.thread().unpark();
    let ticked = ticker.join().map(|keeper| keeper.finish(snapshot(&shared, &ledgers, true)));
    if let Some(cluster) = cluster {
        cluster.stop();
    }
    tracing::info!("stopped");
    ticked.map_err(|_| anyhow::anyhow!("the tick thread panicked; its message is above"))?;
    served
}

/// Follows the cluster, and publishes to it.
fn start_cluster(cluster: &InCluster, state_dir: &Path, board: Board, end: ClusterEnd) -> io::Result<Cluster> {
    let ClusterEnd { desired, transitions, report } = end;
    let settings = kubernetes::Settings {
        node: cluster.location.node.clone(),
        instance: cluster.location.pod.clone(),
        state_dir: state_dir.to_owned(),
        limits: Limits {
            per_node: cluster.max_alerts,
            per_namespace: cluster.max_alerts_per_namespace,
            ..Limits::default()
        },
        kernel: kernel_release(),
    };
    let publishing: Publishing = Box::new(move |clients, ended| {
        let ended = async {
            // The other end is dropped only when the agent ends.
            let _ = ended.await;
        };
        Box::pin(kubernetes::publish(clients.requests, settings, transitions, report, board, ended))
    });
    Cluster::start(cluster.location.clone(), desired, publishing)
}

/// Whether the state can be kept: found out now, not when there is some.
fn try_out(directory: &Path) -> io::Result<()> {
    let probe = directory.join(".probe");
    fs::create_dir_all(directory)?;
    fs::write(&probe, "")?;
    fs::remove_file(&probe)
}

fn bind(listen: &Listen, setting: &'static str) -> anyhow::Result<std::net::TcpListener> {
    let listener = listen.bind(setting)?;
    listener.set_nonblocking(true).context("cannot serve HTTP")?;
    Ok(listener)
}

/// Serves until the agent is to end, then waits for the last export of telemetry.
async fn serve(
    listener: std::net::TcpListener,
    probes: Option<std::net::TcpListener>,
    shared: Shared,
    telemetry: Option<Telemetry>,
) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let probes = probes.map(tokio::net::TcpListener::from_std).transpose()?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let ended = async { drop(ended.await) }.shared();
    let seen = shared.clone();
    let mut exporting = pin!(async move {
        let Some(telemetry) = telemetry else { return ended.await };
        let seconds = telemetry.interval().unwrap_or_default().as_secs().max(1);
        let look = || {
            let pipeline = lock(&seen.pipeline);
            Seen::of(&pipeline, seconds, seen.health(), seen.stream.lost(), By::Workload)
        };
        telemetry.run(look, ended).await;
    });
    let probe_routes = api::probes(shared.clone());
    let probing = async move {
        match probes {
            Some(probes) => axum::serve(probes, probe_routes).await,
            None => std::future::pending().await,
        }
    };
    // Streams never end by themselves: the process does not wait for them.
    let served = tokio::select! {
        served = async { axum::serve(listener, api::router(shared)).await } => served.context("HTTP"),
        served = probing => served.context("HTTP for probes"),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        () = &mut exporting => Err(anyhow::anyhow!("telemetry ended by itself")),
    };
    if served.is_ok() {
        drop(end);
        exporting.await;
    }
    served
}

fn tick_until(stop: &AtomicBool, shared: &Shared, publishers: &mut Publishers, ledgers: &Ledgers, keeper: &Keeper) {
    // Tick numbers are unix seconds at the start plus seconds that passed: they continue across restarts, and a clock
    // that is set does not turn them back.
    let origin = unix();
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
        tick(shared, publishers, Tick(origin + second), seconds);
        if second.is_multiple_of(KEEP_EVERY) {
            let is_kept = keeper.try_keep(snapshot(shared, ledgers, second.is_multiple_of(KEEP_MEMORIES_EVERY)));
            match is_kept {
                Ok(()) => lock(&shared.pipeline).mark_kept(),
                Err(_) => tracing::warn!("the disk has not taken what was to be kept a minute ago; it is tried again"),
            }
        }
    }
}

fn tick(shared: &Shared, publishers: &mut Publishers, now: Tick, seconds: f64) {
    let unix_ms = unix_ms();
    let mut pipeline = lock(&shared.pipeline);
    let transitions = pipeline.tick(now, seconds, unix_ms / 1000);
    transitions.iter().for_each(log);
    for sink in &mut publishers.sinks {
        sink.flush();
        transitions.iter().for_each(|transition| sink.publish(transition));
    }
    if let Some(report) = &publishers.report
        && pipeline.counters.ticks % REPORT_EVERY == 1
    {
        let lost = publishers.sinks.iter().map(|sink| sink.health().dropped).sum();
        report.send_replace(Arc::new(pipeline.report(unix_ms / 1000, lost)));
    }
    shared.stream.send(&pipeline, unix_ms, monotonic_ns());
    drop(pipeline);
    *lock(&shared.last_tick) = Some(Instant::now());
}

fn snapshot(shared: &Shared, ledgers: &Ledgers, with_memories: bool) -> Snapshot {
    Snapshot::of(&lock(&shared.pipeline), ledgers, with_memories)
}

fn log(transition: &Transition) {
    let alert = transition.alert();
    let milliseconds = |us: Option<f32>| us.map(|us| (us / 100.0).round() / 10.0);
    tracing::info!(
        alert = alert.name,
        target = alert.target,
        policy = %alert.policy,
        rule = alert.rule,
        predicted_ms = milliseconds(alert.predicted_us),
        chance_percent = alert.chance.map(words::percent),
        measured_ms = milliseconds(alert.measured_us),
        threshold_ms = milliseconds(Some(alert.threshold_us as f32)),
        confirmed = ?alert.confirmed,
        lead_seconds = alert.lead_seconds,
        cause = alert.causes.first().map(|cause| cause.feature.as_ref()),
        model = alert.model.name,
        "alert {}",
        transition.word()
    );
}
