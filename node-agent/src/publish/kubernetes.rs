//! The API server as a sink: `PrecursorAlert` objects, Events, and the node report, each written by this agent alone.
//!
//! queue → `turns` (what next) → `prepared` (requests) → `request` (answer) → queue. One request at a time: its
//! rate is bounded anyway, and transitions are published in the order in which they happened.
//!
//! What the agent must be allowed to: `create` and `patch` alerts and node reports, `patch` the status of reports, `create`
//! Events of `events.k8s.io`, `list` policies, `get` its node and, for the UID of a Deployment, ReplicaSets.

mod alerts;
mod events;
mod overhead;
mod prepared;
mod report;
mod request;
mod schedule;
mod share;
#[cfg(test)]
mod storm;
mod turns;

use std::{
    collections::BTreeMap,
    future::Future,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use fastrand::Rng;
use kube::Client;
use netprecursor_core::alert::Transition;
use netprecursor_crds::report::PrecursorNodeReportStatus;
use netprecursor_kit::{Budget, Share};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use self::{
    overhead::Meter,
    prepared::Prepared,
    report::Own,
    share::ShareFile,
    turns::{Message, Turn, Turns},
};
use super::outbox::Outbox;
use super::{
    queue::{
        Limits, ORPHANED_AFTER, Outcome, Queue,
        disk::{Directory, Disk},
    },
    sink::Sink,
};
use crate::{
    health::{Board, Health},
    host::unix,
    tick::report::ReportData,
};

/// Owner of the fields that the agent writes.
pub const FIELD_MANAGER: &str = "netprecursor-agent";

/// By how much a write is early or late: the nodes of a cluster do not write in step.
const JITTER: f64 = 0.1;

/// What could not be kept on disk is tried again this often.
const SAVE_AGAIN: Duration = Duration::from_secs(30);

/// What may be written is looked up this often: the kubelet brings a new share within about a minute.
const DEAL_EVERY: Duration = Duration::from_secs(5);

/// Timers count in steps: one that ends within a step may end too soon, and what was waited for would not be due.
const TIMER_STEP: Duration = Duration::from_millis(1);

/// The agent's overhead is measured over this time.
const METER_EVERY: Duration = Duration::from_secs(60);

/// Where the queue is, in the agent's state directory.
const QUEUE: &str = "alerts";

/// Who publishes, and how much.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node.
    pub node: String,
    /// The agent's pod: which instance reports.
    pub instance: String,
    /// Where the agent keeps its state.
    pub state_dir: PathBuf,
    /// How many alerts there may be.
    pub limits: Limits,
    /// Where its share of the writes to the API server is, if it is dealt one.
    pub share_file: Option<PathBuf>,
    /// Release of the kernel.
    pub kernel: String,
}

/// The tick thread's end of this sink.
#[derive(Debug)]
pub struct KubernetesSink {
    outbox: Outbox,
    board: Board,
}

impl KubernetesSink {
    /// What goes into `outbox` comes out in [`publish`], which writes `board`.
    pub const fn new(outbox: Outbox, board: Board) -> Self {
        Self { outbox, board }
    }

    /// Transitions that found no room between the threads.
    pub const fn lost(&self) -> u64 {
        self.outbox.lost()
    }
}

impl Sink for KubernetesSink {
    fn publish(&mut self, transition: &Transition) {
        self.outbox.send(transition.clone());
    }

    fn flush(&mut self) {
        self.outbox.flush();
    }

    fn health(&self) -> Health {
        let health = self.board.read();
        Health { dropped: health.dropped + self.outbox.lost(), ..health }
    }
}

/// What an agent may write until it is dealt a share.
pub fn budget() -> Budget {
    Budget::new(Share::UNKNOWN.burst(), Share::UNKNOWN.refill(), JITTER)
}

/// A board for this sink.
pub fn board() -> Board {
    Board::new("kubernetes", "the API server".to_owned())
}

/// Opens the queue in `state_dir`.
pub fn open_queue(state_dir: &Path, limits: Limits) -> Queue<Directory> {
    Queue::open(Directory::new(&state_dir.join(QUEUE)), limits)
}

/// Publishes `transitions` and `report` to the API server until `stop`; what is then still pending stays on disk.
pub async fn publish(
    client: Client,
    settings: Settings,
    transitions: mpsc::Receiver<Transition>,
    report: watch::Receiver<Arc<ReportData>>,
    board: Board,
    stop: impl Future<Output = ()>,
) {
    let queue = open_queue(&settings.state_dir, settings.limits);
    publish_from(queue, budget(), client, settings, transitions, report, board, stop).await;
}

/// As [`publish`], with a queue and a budget of the caller.
#[expect(
    clippy::too_many_arguments,
    reason = "both ends of the channels, and what tests put in the place of the real thing"
)]
pub async fn publish_from<D: Disk>(
    queue: Queue<D>,
    budget: Budget,
    client: Client,
    settings: Settings,
    mut transitions: mpsc::Receiver<Transition>,
    mut report: watch::Receiver<Arc<ReportData>>,
    board: Board,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    let mut writer = Writer::new(queue, budget, settings, board);
    let (mut is_open, mut is_reporting) = (true, true);
    loop {
        while let Ok(transition) = transitions.try_recv() {
            writer.accept(&transition);
        }
        let status = writer.tend(&report.borrow_and_update().clone());
        let until = match writer.turn(status.as_ref()) {
            Turn::Wait(until) => until,
            Turn::Send(message) => {
                let prepared = writer.prepare(&message, status.as_ref());
                let mut sending = pin!(prepared.send(&client));
                let outcome = loop {
                    tokio::select! {
                        biased;
                        () = &mut stop => return writer.close(&mut transitions),
                        outcome = &mut sending => break outcome,
                        // What happens meanwhile is kept on disk at once.
                        transition = transitions.recv(), if is_open => match transition {
                            Some(transition) => writer.accept(&transition),
                            None => is_open = false,
                        },
                    }
                };
                writer.settle(&message, &outcome, status);
                continue;
            }
        };
        // Both senders are gone: nothing more will come.
        if !is_open && !is_reporting {
            return writer.close(&mut transitions);
        }
        // Not for ever: `tend` has work to do by the clock.
        let latest = writer.now() + DEAL_EVERY;
        let wake = until.map_or(latest, |until| until.min(latest));
        tokio::select! {
            biased;
            () = &mut stop => return writer.close(&mut transitions),
            transition = transitions.recv(), if is_open => match transition {
                Some(transition) => writer.accept(&transition),
                None => is_open = false,
            },
            changed = report.changed(), if is_reporting => is_reporting = changed.is_ok(),
            () = tokio::time::sleep_until(writer.begun + wake + TIMER_STEP) => {}
        }
    }
}

/// The state of the loop.
struct Writer<D> {
    turns: Turns<D>,
    settings: Settings,
    board: Board,
    begun: Instant,
    started: u64,
    meter: Meter,
    metered: Duration,
    saved: Duration,
    share: ShareFile,
    dealt: Option<Duration>,
    has_ended_orphans: bool,
    own: Own,
    written: Option<PrecursorNodeReportStatus>,
}

impl<D: Disk> Writer<D> {
    fn new(queue: Queue<D>, budget: Budget, settings: Settings, board: Board) -> Self {
        let mut meter = Meter::default();
        meter.read(Duration::ZERO);
        let started = unix();
        Self {
            turns: Turns::new(queue, budget, Rng::new()),
            own: Own { kernel: settings.kernel.clone(), started, ..Own::default() },
            share: ShareFile::new(settings.share_file.clone()),
            dealt: None,
            settings,
            board,
            begun: Instant::now(),
            started,
            meter,
            metered: Duration::ZERO,
            saved: Duration::ZERO,
            has_ended_orphans: false,
            written: None,
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn accept(&mut self, transition: &Transition) {
        let alert = transition.alert();
        if alert.subject.is_some() {
            self.turns.queue.accept(alert.clone());
        } else {
            // Only an alert from outside a cluster has none; it has no place in the API.
            tracing::error!(alert = alert.name, "an alert without a policy and a pod is not published");
        }
    }

    /// Does what is due by the clock. Returns the node report as it would be now; `None` before the first tick.
    fn tend(&mut self, data: &ReportData) -> Option<PrecursorNodeReportStatus> {
        let (now, unix) = (self.now(), unix());
        if !self.has_ended_orphans && now >= ORPHANED_AFTER {
            self.has_ended_orphans = true;
            self.turns.queue.end_orphans(unix);
        }
        if now >= self.saved + SAVE_AGAIN {
            self.saved = now;
            self.turns.queue.save_unsaved();
        }
        if self.dealt.is_none_or(|dealt| now >= dealt + DEAL_EVERY) {
            self.dealt = Some(now);
            if let Some(share) = self.share.read() {
                self.turns.deal(share, now);
            }
            self.own.share_problem = self.share.problem().map(str::to_owned);
        }
        if now >= self.metered + METER_EVERY {
            self.metered = now;
            self.own.overhead = self.meter.read(now).or(self.own.overhead.take());
        }
        let queue = &self.turns.queue;
        let counters = queue.counters();
        self.own.pending = queue.pending() as u64;
        self.own.waiting_rules = queue.waiting();
        self.own.dropped = counters.dropped;
        self.own.throttled = counters.throttled;
        self.own.throttled_rules.clone_from(queue.throttled());
        self.own.is_unsaved = queue.has_unsaved();
        self.own.started = self.started;
        self.board.write(|health| {
            health.pending = self.own.pending;
            health.dropped = counters.dropped;
        });
        (data.unix > 0).then(|| report::status(data, &self.own, unix, self.written.as_ref()))
    }

    fn turn(&mut self, status: Option<&PrecursorNodeReportStatus>) -> Turn {
        let change = status.map(|status| report::change(self.written.as_ref(), status));
        self.turns.next(self.begun.elapsed(), unix(), change)
    }

    fn prepare(&self, message: &Message, status: Option<&PrecursorNodeReportStatus>) -> Prepared {
        match message {
            Message::Alert(op) => match self.turns.queue.entry(op.alert()) {
                Some(entry) => Prepared::alert(op, entry, &self.settings),
                None => Prepared::nothing(),
            },
            Message::ReportObject => Prepared::report_object(&self.settings.node),
            Message::Report => match status {
                Some(status) => Prepared::report(&self.settings.node, status),
                None => Prepared::nothing(),
            },
        }
    }

    fn settle(&mut self, message: &Message, outcome: &Outcome, status: Option<PrecursorNodeReportStatus>) {
        self.turns.settle(message, outcome, self.begun.elapsed());
        match outcome {
            Outcome::Done { .. } => {
                self.board.worked(1);
                if *message == Message::Report {
                    self.written = status;
                }
            }
            Outcome::Missing | Outcome::Gone => {}
            Outcome::Refused { reason } | Outcome::Failed { reason } | Outcome::Outdated { reason } => {
                tracing::warn!(?message, reason, "the API server refused a message");
                self.board.failed(reason.clone());
            }
            Outcome::Down { reason, .. } => {
                // Once per outage: the status has the rest.
                if self.turns.failures() == 1 {
                    tracing::warn!(reason, "cannot write to the API server; alerts wait on disk");
                }
                self.board.failed(reason.clone());
            }
        }
    }

    /// Saves what has happened and is not yet on disk.
    fn close(&mut self, transitions: &mut mpsc::Receiver<Transition>) {
        transitions.close();
        while let Ok(transition) = transitions.try_recv() {
            self.accept(&transition);
        }
        self.turns.queue.save_unsaved();
    }
}

/// Labels of all that the agent writes.
fn labels() -> BTreeMap<String, String> {
    [("app.kubernetes.io/part-of", "netprecursor"), ("app.kubernetes.io/managed-by", FIELD_MANAGER)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}
