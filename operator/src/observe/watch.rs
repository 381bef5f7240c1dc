//! Watches all that is observed. Each watch ends by itself after about five minutes and goes on where it was; after an
//! error it waits, longer each time.

use std::time::Duration;

use futures::{StreamExt, pin_mut};
use kube::{Client, runtime::watcher};
use tokio::{sync::mpsc, task::JoinSet};

use super::{Observed, Source, Visitor, Wire};
use crate::{config::Settings, metrics::Metrics};

/// Seconds of one watch; the upper half of the time is drawn, so that watches of several clients do not end together.
const WATCH_SECONDS: u32 = 300;

/// Of Events the API server keeps no watch cache, and so sends no bookmarks: without one for long, a watch would count as
/// broken (`client::WATCH_SILENCE`).
const WATCH_SECONDS_OF_EVENTS: u32 = 80;

/// Changes that wait to be taken in; a watch that is faster waits for it.
const WAITING: usize = 512;

/// Waits after errors.
const FIRST_WAIT: Duration = Duration::from_millis(800);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A change of what is observed.
pub type Change = Box<dyn FnOnce(&mut Observed) + Send>;

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
    /// Watches everything.
    pub fn start(client: &Client, settings: &Settings, metrics: &Metrics) -> Self {
        let (sender, changes) = mpsc::channel(WAITING);
        let mut start = Start { tasks: JoinSet::new(), sender, metrics: metrics.clone() };
        super::sources(client, settings, &mut start);
        Self { changes, _tasks: start.tasks }
    }
}

impl Visitor for Start {
    fn visit<W: Wire, T: Send + 'static>(&mut self, source: Source<W, T>) {
        self.tasks.spawn(watch(source, self.sender.clone(), self.metrics.clone()));
    }
}

async fn watch<W: Wire, T: Send + 'static>(source: Source<W, T>, sender: mpsc::Sender<Change>, metrics: Metrics) {
    let longest = if W::kind(&()) == "Event" { WATCH_SECONDS_OF_EVENTS } else { WATCH_SECONDS };
    let seconds = longest / 2 + fastrand::u32(..longest / 2);
    let events = watcher(source.api.clone(), source.watch_config(seconds));
    pin_mut!(events);
    let mut wait = FIRST_WAIT;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if !matches!(event, watcher::Event::Init) {
                    wait = FIRST_WAIT;
                }
                let mirror = source.mirror;
                if let Some(sight) = source.sight(event)
                    && sender.send(Box::new(move |observed| mirror(observed).take(sight))).await.is_err()
                {
                    return;
                }
            }
            Err(error) => {
                metrics.watch_failed(source.kind);
                tracing::warn!(kind = source.kind, %error, wait = ?wait, "watching failed");
                tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64())).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}
