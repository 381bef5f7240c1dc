//! `run`: start the sensors, tick once a second on a thread of its own, follow the cluster on another, serve HTTP, drain
//! on SIGTERM.

mod keepers;
mod signals;
mod turn;

use std::{
    fs, io,
    path::Path,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use futures::{FutureExt as _, future::Shared};
use netprecursor_core::{alert::Transition, tick::Tick};
use netprecursor_kit::Access;
use netprecursor_models::detect::serve::Endpoint;
use netprecursor_settings::Listen;
use netprecursor_sinks::receivers::Receivers;
use tokio::sync::{mpsc, watch};

use self::{keepers::Keepers, signals::Signals};
use crate::{
    cluster::{
        recall::Recall,
        thread::{Cluster, Publishing},
    },
    config::{InCluster, Settings},
    desired::Desired,
    health::Board,
    host::{host_name, kernel_release, monotonic_ns, unix, unix_ms},
    keep::{ledgers::Ledgers, memories::MemoryFile},
    metrics::seen::By,
    publish::{
        kubernetes::{self, KubernetesSink},
        otlp::{self, Telemetry},
        outbox,
        queue::Limits,
        receivers,
        sink::Sink,
        words,
    },
    sensors::suite::{Setting, Suite},
    serve::{
        api::{self, Shared as Served},
        stream::Stream,
    },
    tick::{
        handover::Counted,
        memories::Memories,
        pipeline::Pipeline,
        report::ReportData,
        snapshot::{Moment, Snapshot},
    },
};

/// The node report is put together this often, in ticks.
const REPORT_EVERY: u64 = 5;

/// What the tick thread publishes to.
struct Publishers {
    sinks: Vec<Box<dyn Sink>>,
    /// The data of the node report, in a cluster.
    report: Option<watch::Sender<Arc<ReportData>>>,
    latest: watch::Sender<Arc<Snapshot>>,
    stream: Stream,
}

/// What the cluster thread gives and takes.
struct ClusterEnd {
    recall: Recall,
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
    let cluster_name = settings.cluster_name.as_deref();
    let (telemetry, otlp) = {
        let _inside = runtime.enter();
        otlp::from_environment(&node, cluster_name).unzip()
    };
    let (receivers, receivers_sink) = {
        let _inside = runtime.enter();
        receivers::receivers(&settings.receivers, &node, cluster_name)
    };
    if let Err(error) = try_out(&settings.state_dir) {
        let directory = settings.state_dir.display();
        tracing::warn!(
            "cannot write to {directory} ({error}): what is learned and not yet sent is lost when the agent ends; expected a \
             directory that it may write: change its permissions, or give another --state-dir"
        );
    }
    let suite = Suite::start(if settings.cluster.is_some() { Setting::cluster() } else { Setting::Host });
    let statuses = suite.statuses();
    for status in &statuses {
        tracing::info!(sensor = status.name, need = ?status.need, state = %status.state, "sensor");
    }
    let missing = api::missing(&statuses);
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen().context("cannot listen to signals")?
    };
    // With its programs in place, and before it reads what the agent before writes last.
    let waiting = turn::wait(&settings.state_dir, &listener, probes.as_ref(), &missing, &mut signals);
    let Some(_turn) = runtime.block_on(waiting)? else { return Ok(()) };
    let ledgers = match settings.cluster {
        Some(_) => Ledgers::in_cluster(&settings.state_dir),
        None => Ledgers::new(&settings.state_dir),
    };
    ledgers.take_over(&settings.policies);
    let mut files = keepers::handover_files(&settings.state_dir);
    let found = keepers::find(&mut files);
    let counted = found.handover.as_ref().map(Counted::of).unwrap_or_default();
    let remembered = {
        let ledgers = ledgers.clone();
        move |policy: &_, rule: &_| counted.add_to(ledgers.read(policy, rule), policy, rule)
    };
    let mut sinks: Vec<Box<dyn Sink>> = otlp.map(|sink| Box::new(sink) as Box<dyn Sink>).into_iter().collect();
    let mut report = None;
    let mut boards = telemetry.as_ref().map(Telemetry::boards).unwrap_or_default();
    boards.extend_from_slice(receivers_sink.inlet().boards());
    sinks.push(Box::new(receivers_sink));
    let (mut pipeline, cluster) = match &settings.cluster {
        None => (Pipeline::new(suite, settings.targets, settings.policies, remembered), None),
        Some(cluster) => {
            let (desired, desired_seen) = watch::channel(Arc::<Desired>::default());
            let (reports, reports_seen) = watch::channel(Arc::default());
            let (outbox, transitions) = outbox::channel();
            let board = kubernetes::board();
            sinks.push(Box::new(KubernetesSink::new(outbox, board.clone())));
            report = Some(reports);
            boards.push(board.clone());
            let recall = Recall::new(Arc::new(remembered));
            let end = ClusterEnd { recall, desired, transitions, report: reports_seen };
            let following = start_cluster(cluster, &settings.state_dir, board, end).context("cannot start a thread")?;
            (Pipeline::of_pods(suite, cluster.location.node.clone(), desired_seen), Some(following))
        }
    };
    let now = Tick(unix());
    let memories = MemoryFile::new(&settings.state_dir);
    pipeline.memories = Memories::new(memories.read(now), now);
    pipeline.counters.handover_refused = found.refused;
    found.handover.into_iter().for_each(|handover| pipeline.take_over(handover));
    let keepers = Keepers::start(ledgers, memories, files).context("cannot start a thread")?;
    let (latest, latest_seen) = watch::channel(Arc::new(pipeline.snapshot(moment())));
    let stream = Stream::default();
    let publishers = Publishers { sinks, report, latest, stream: stream.clone() };
    let access = settings.cluster.as_ref().filter(|cluster| !cluster.open_metrics).map(|_| Access::of_cluster());
    let kernel = kernel_release().into();
    let shared =
        Served { latest: latest_seen, stream, kernel, boards: boards.into(), access, detect: Endpoint::default() };
    let stop = Arc::new(AtomicBool::new(false));
    let ticker = {
        let stop = Arc::clone(&stop);
        thread::Builder::new()
            .name("tick".to_owned())
            .spawn(move || tick_until(&stop, pipeline, publishers, keepers))
            .context("cannot start a thread")?
    };
    tracing::info!(%address, "listening");
    let served = runtime.block_on(serve(listener, probes, shared, telemetry, receivers, signals));
    stop.store(true, Ordering::Release);
    ticker.thread().unpark();
    let ticked = ticker.join();
    if let Some(cluster) = cluster {
        cluster.stop();
    }
    tracing::info!("stopped");
    ticked.map_err(|_| anyhow::anyhow!("the tick thread panicked; its message is above"))?;
    served
}

/// Follows the cluster, and publishes to it.
fn start_cluster(cluster: &InCluster, state_dir: &Path, board: Board, end: ClusterEnd) -> io::Result<Cluster> {
    let ClusterEnd { recall, desired, transitions, report } = end;
    let settings = kubernetes::Settings {
        node: cluster.location.node.clone(),
        instance: cluster.location.pod.clone(),
        state_dir: state_dir.to_owned(),
        limits: Limits {
            per_node: cluster.max_alerts,
            per_namespace: cluster.max_alerts_per_namespace,
            ..Limits::default()
        },
        share_file: cluster.share_file.clone(),
        kernel: kernel_release(),
    };
    let publishing: Publishing = Box::new(move |clients, ended| {
        let ended = async {
            // The other end is dropped only when the agent ends.
            let _ = ended.await;
        };
        Box::pin(kubernetes::publish(clients.requests, settings, transitions, report, board, ended))
    });
    Cluster::start(cluster.location.clone(), recall, cluster.networks_file.clone(), desired, publishing)
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

/// When the agent is to end.
type Ended = Shared<Pin<Box<dyn Future<Output = ()> + Send>>>;

/// Serves until the agent is to end, then waits for what is sent last.
async fn serve(
    listener: std::net::TcpListener,
    probes: Option<std::net::TcpListener>,
    shared: Served,
    telemetry: Option<Telemetry>,
    receivers: Receivers<Ended>,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let probes = probes.map(tokio::net::TcpListener::from_std).transpose()?;
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let ended: Ended = async { drop(ended.await) }.boxed().shared();
    let seen = shared.clone();
    let mut sending = pin!(async move {
        let exporting = async {
            let Some(telemetry) = telemetry else { return ended.clone().await };
            let seconds = telemetry.interval().unwrap_or_default().as_secs().max(1);
            let look = || seen.seen(seconds, By::Workload);
            telemetry.run(look, ended.clone()).await;
        };
        tokio::join!(exporting, receivers.run(ended.clone()));
    });
    let probe_routes = api::probes(shared.clone());
    let probing = async move {
        match probes {
            Some(probes) => axum::serve(probes, probe_routes).await,
            None => std::future::pending().await,
        }
    };
    let address = listener.local_addr().context("HTTP")?;
    // Streams never end by themselves: the process does not wait for them.
    let served = tokio::select! {
        served = async { axum::serve(listener, api::router(shared, address)).await } => served.context("HTTP"),
        served = probing => served.context("HTTP for probes"),
        () = signals.next() => Ok(()),
        () = &mut sending => Err(anyhow::anyhow!("what sends telemetry and alerts ended by itself")),
    };
    if served.is_ok() {
        drop(end);
        sending.await;
    }
    served
}

/// Ticks once a second until it is to stop, then waits until everything learned is on disk.
fn tick_until(stop: &AtomicBool, mut pipeline: Pipeline, mut publishers: Publishers, mut keepers: Keepers) {
    // Tick numbers are unix seconds at the start plus seconds that passed: they continue across restarts, and a clock
    // that is set does not turn them back.
    let origin = unix();
    // What the last run of the agent measured goes on at once, not a second later.
    pipeline.begin(Tick(origin), origin);
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
        let moment = moment();
        let transitions = pipeline.tick(Tick(origin + second), seconds, moment.unix_ms / 1000);
        publishers.publish(&transitions, pipeline.snapshot(moment));
        keepers.keep(second, &mut pipeline);
    }
    keepers.finish(&pipeline);
}

impl Publishers {
    /// Publishes what came of a tick. No sink waits.
    fn publish(&mut self, transitions: &[Transition], snapshot: Snapshot) {
        transitions.iter().for_each(log);
        for sink in &mut self.sinks {
            sink.flush();
            sink.observe(snapshot.tick, &snapshot.sensors.statuses);
            transitions.iter().for_each(|transition| sink.publish(transition));
        }
        if let Some(report) = &self.report
            && snapshot.counters.ticks % REPORT_EVERY == 1
        {
            let lost = self.sinks.iter().map(|sink| sink.health().dropped).sum();
            report.send_replace(Arc::new(ReportData::of(&snapshot, lost)));
        }
        let snapshot = Arc::new(snapshot);
        self.stream.send(&snapshot);
        self.latest.send_replace(snapshot);
    }
}

fn moment() -> Moment {
    Moment { unix_ms: unix_ms(), monotonic_ns: monotonic_ns(), instant: Instant::now() }
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
