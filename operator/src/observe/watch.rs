//! Watches all that is observed. Each watch ends by itself after about five minutes and is resumed.

use kube::Client;
use netprecursor_kit::Watch;
use tokio::{sync::mpsc, task::JoinSet};

use super::{Observed, Seen, Source, Visitor, Wire};
use crate::{config::Settings, metrics::Metrics};

/// Seconds of one watch; the upper half of the time is drawn, so that watches of several clients do not end together.
const WATCH_SECONDS: u32 = 300;

/// Of Events the API server keeps no watch cache, and so sends no bookmarks: without one for long, a watch would count as
/// broken (`Limits::WATCHES`).
const WATCH_SECONDS_OF_EVENTS: u32 = 80;

/// Changes that wait to be taken in; a watch that is faster waits for it.
const WAITING: usize = 512;

/// A change of what is observed.
pub type Change = netprecursor_kit::Change<Observed>;

/// Watches of everything; they end when this is dropped.
#[derive(Debug)]
pub struct Watches {
    /// What they show.
    pub changes: mpsc::Receiver<Change>,
    _tasks: JoinSet<()>,
}

struct Start {
    tasks: JoinSet<()>,
    sender: mpsc::Sender<Change>,
    metrics: Metrics,
}

impl Watches {
    /// Watches everything; ServiceCIDRs where the API server serves them.
    pub fn start(client: &Client, settings: &Settings, serves_service_cidrs: bool, metrics: &Metrics) -> Self {
        let (sender, changes) = mpsc::channel(WAITING);
        let mut start = Start { tasks: JoinSet::new(), sender, metrics: metrics.clone() };
        super::sources(client, settings, serves_service_cidrs, &mut start);
        Self { changes, _tasks: start.tasks }
    }
}

impl Visitor for Start {
    fn visit<W: Wire, T: Send + 'static>(&mut self, source: Source<W, T>) {
        self.tasks.spawn(watch(source, self.sender.clone(), self.metrics.clone()));
    }
}

async fn watch<W: Wire, T: Send + 'static>(source: Source<W, T>, changes: mpsc::Sender<Change>, metrics: Metrics) {
    let longest = if W::kind(&()) == "Event" { WATCH_SECONDS_OF_EVENTS } else { WATCH_SECONDS };
    let config = source.watch_config(longest / 2 + fastrand::u32(..longest / 2));
    let Source { kind, api, reduce, mirror, .. } = source;
    let watch = Watch { kind, api, config, read: move |object| Seen::of(object, reduce) };
    let take = |sight| -> Change { Box::new(move |observed| mirror(observed).take(sight)) };
    watch.follow(take, |_| metrics.watch_failed(kind), changes).await;
}
