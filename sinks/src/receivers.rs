//! All receivers of a program: an inlet for whoever knows of alerts, and the workers that send.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use futures::future::join_all;
use netprecursor_kit::Backoff;
use tokio::time::Instant;

use crate::{
    alertmanager::{self, Register, Schedule},
    health::{Board, Health},
    http::Sender,
    inbox::Inbox,
    link::Link,
    notice::Notice,
    settings::{Replica, Settings},
    webhook::{self, Webhook, queue::Queue},
    worker::{Receiver, Worker, unix},
};

/// How much a program holds for each receiver, and how long it waits.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Alerts and messages of one receiver.
    pub capacity: usize,
    /// When to try again what failed.
    pub backoff: Backoff,
    /// The longest that one attempt takes.
    pub attempt: Duration,
}

impl Limits {
    /// For a program that knows of so many alerts.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, backoff: Backoff::default(), attempt: crate::http::TIME_LIMIT }
    }
}

/// Where notices go in. Held by whoever knows of alerts; clones lead to the same receivers.
#[derive(Debug, Clone)]
pub struct Inlet {
    inboxes: Arc<[Inbox]>,
    boards: Arc<[Board]>,
}

impl Inlet {
    /// Hands a notice to every receiver. Never waits.
    pub fn put(&self, notice: &Arc<Notice>) {
        self.inboxes.iter().for_each(|inbox| inbox.put(Arc::clone(notice)));
    }

    /// How each receiver is doing.
    pub fn boards(&self) -> &[Board] {
        &self.boards
    }

    /// How all of them together are doing.
    pub fn health(&self) -> Health {
        let mut all = Health { name: "receivers", ..Health::default() };
        for health in self.boards.iter().map(Board::read) {
            all.pending += health.pending;
            all.sent += health.sent;
            all.dropped += health.dropped;
            all.failures = all.failures.max(health.failures);
        }
        all
    }
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The workers, ready to run.
pub struct Receivers<S> {
    workers: Vec<Box<dyn FnOnce(S) -> Running + Send>>,
}

impl<S> std::fmt::Debug for Receivers<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receivers").field("workers", &self.workers.len()).finish()
    }
}

/// What all workers of a program share.
struct Making<'a> {
    limits: &'a Limits,
    program: &'static str,
    notices: &'a [String],
    inboxes: Vec<Inbox>,
    boards: Vec<Board>,
}

impl Making<'_> {
    fn worker<R: Receiver>(
        &mut self,
        name: &'static str,
        (address, shown, access): (crate::http::Address, String, crate::http::Access),
        receiver: R,
    ) -> Worker<R> {
        let (inbox, board) = (Inbox::new(self.limits.capacity), Board::new(name, shown));
        board.write(|health| health.notices = self.notices.to_vec());
        self.inboxes.push(inbox.clone());
        self.boards.push(board.clone());
        let sender = Sender::new(address, R::VISIBLE, access, self.program, self.limits.attempt);
        Worker { receiver, sender, inbox, board, backoff: self.limits.backoff.clone(), begun: Instant::now() }
    }
}

impl<S: Future<Output = ()> + Clone + Send + 'static> Receivers<S> {
    /// The receivers that the settings name; `cluster` is a label of all alerts, `program` is who says that it sends. To be
    /// called where Tokio runs.
    pub fn new(settings: &Settings, cluster: Option<&str>, program: &'static str, limits: &Limits) -> (Inlet, Self) {
        let cluster: Option<Arc<str>> = cluster.filter(|name| !name.is_empty()).map(Arc::from);
        let link: Option<Arc<Link>> = settings.link.clone().map(Arc::new);
        let notices = &settings.notices;
        for notice in notices {
            tracing::warn!("receivers of alerts: {notice}");
        }
        let mut making = Making { limits, program, notices, inboxes: Vec::new(), boards: Vec::new() };
        let mut workers = Vec::new();
        let schedule = Schedule { resend: settings.resend, capacity: limits.capacity };
        for Replica { address, shown, access } in settings.alertmanager.clone() {
            let register = Register::new(schedule, cluster.clone());
            let replica = alertmanager::Replica { register, link: link.clone() };
            workers.push(running(making.worker(alertmanager::NAME, (address, shown, access), replica)));
        }
        if let Some(given) = settings.webhook.clone() {
            let queue = Queue::new(limits.capacity, unix());
            let receiver = Webhook { queue, cluster, link, secret: given.secret };
            let to = (given.address, given.shown, given.access);
            workers.push(running(making.worker(webhook::NAME, to, receiver)));
        }
        let Making { inboxes, boards, .. } = making;
        (Inlet { inboxes: inboxes.into(), boards: boards.into() }, Self { workers })
    }

    /// Sends until `stop`; then what is due, once more.
    pub async fn run(self, stop: S) {
        let running = self.workers.into_iter().map(|run| run(stop.clone()));
        // Also without a receiver it ends with the rest.
        tokio::join!(join_all(running), stop.clone());
    }
}

fn running<R, S>(worker: Worker<R>) -> Box<dyn FnOnce(S) -> Running + Send>
where
    R: Receiver + Send + Sync + 'static,
    R::Batch: Send + Sync,
    S: Future<Output = ()> + Send + 'static,
{
    Box::new(move |stop: S| -> Running { Box::pin(worker.run(stop)) })
}
