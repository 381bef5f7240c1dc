//! Sends alerts to receivers, while this operator leads: one writer, whatever the number of agents. It watches alerts by itself,
//! so that neither a long round nor the budget of writes keeps a warning waiting.

mod notice;
mod published;

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use kube::{Api, Client, core::DeserializeGuard, runtime::watcher};
use netprecursor_crds::alert::PrecursorAlert;
use netprecursor_kit::{Change, Sight, Watch};
use netprecursor_sinks::{
    notice::Notice,
    receivers::{Inlet, Limits, Receivers},
};
use tokio::{sync::mpsc, task::JoinSet};

use self::published::Published;
use crate::{election::Leadership, metrics::Metrics, reconcile::Context};

/// Who says that it sends.
const PROGRAM: &str = concat!("netprecursor-operator/", env!("CARGO_PKG_VERSION"));

/// Seconds of one watch; the upper half of the time is drawn, so that watches of several clients do not end together.
const WATCH_SECONDS: u32 = 300;

/// Alerts in one page of a list.
const PAGE: u32 = 500;

/// Changes that wait to be taken in; the watch waits for it.
const WAITING: usize = 512;

/// Alerts that are held for each receiver, whatever the cap of alerts in the cluster: all of them are looked through whenever
/// something is sent, on the thread that renews the lease.
const MAX_HELD: usize = 20_000;

/// Sends as long as it lives and the lead lasts. It watches the lead by itself: a round of writes may outlast it, and whoever
/// leads next sends meanwhile. What is under way when the lead is lost is dropped; its receiver may have taken it.
#[derive(Debug)]
pub struct Notifier {
    /// One, which ends when this is dropped.
    task: JoinSet<()>,
}

/// What the watch changes.
struct Publisher {
    published: Published,
    inlet: Inlet,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("published", &self.published).finish_non_exhaustive()
    }
}

impl Notifier {
    /// Begins to send; `None` without a receiver. `watches` is the client for watches.
    pub fn start(watches: &Client, context: &Context) -> Option<Self> {
        let Context { settings, metrics, clock, leadership, .. } = context;
        if settings.receivers.is_empty() {
            return None;
        }
        let limits = Limits::new(held(settings.config.caps.alerts_per_cluster));
        let cluster = Some(settings.config.cluster_name.as_str());
        let (inlet, receivers) = Receivers::new(&settings.receivers, cluster, PROGRAM, &limits);
        metrics.receivers(inlet.boards());
        let publisher = Publisher { published: Published::default(), inlet, clock: Arc::clone(clock) };
        let (sender, changes) = mpsc::channel(WAITING);
        let watching = watch(watches.clone(), sender, metrics.clone());
        let sending = async move {
            tokio::join!(receivers.run(std::future::pending::<()>()), watching, publish(publisher, changes));
        };
        let mut task = JoinSet::new();
        task.spawn(while_led(leadership.clone(), sending));
        Some(Self { task })
    }

    /// Waits until it sends no more: the lead was lost. It does not begin again when the lead is regained.
    pub async fn ended(&mut self) {
        if let Some(Err(error)) = self.task.join_next().await {
            tracing::error!(%error, "sending alerts has failed; it begins again");
        }
    }
}

/// How many alerts are held for a receiver in a cluster with this cap.
fn held(cap: u32) -> usize {
    (cap as usize).min(MAX_HELD)
}

async fn while_led(leadership: Leadership, task: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = leadership.lost() => {}
        () = task => {}
    }
}

impl Publisher {
    fn take(&mut self, sight: Sight<Option<Notice>>) {
        let unix = notice::unix((self.clock)());
        for notice in self.published.take(sight, unix) {
            self.inlet.put(&notice);
        }
    }
}

async fn watch(client: Client, changes: mpsc::Sender<Change<Publisher>>, metrics: Metrics) {
    const KIND: &str = "PrecursorAlert for receivers";
    let seconds = WATCH_SECONDS / 2 + fastrand::u32(..WATCH_SECONDS / 2);
    let config = watcher::Config { page_size: Some(PAGE), ..watcher::Config::default().timeout(seconds) };
    // What cannot be read, and is in the log of the other watch, is there all the same.
    let read = |object: DeserializeGuard<PrecursorAlert>| Some(object.0.ok().and_then(|alert| notice::notice(&alert)));
    let api: Api<DeserializeGuard<PrecursorAlert>> = Api::all(client);
    let watch = Watch { kind: KIND, api, config, read };
    let take = |sight| -> Change<Publisher> { Box::new(move |publisher: &mut Publisher| publisher.take(sight)) };
    watch.follow(take, |_| metrics.watch_failed(KIND), changes).await;
}

async fn publish(mut publisher: Publisher, mut changes: mpsc::Receiver<Change<Publisher>>) {
    while let Some(change) = changes.recv().await {
        change(&mut publisher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_alerts_are_held_than_are_looked_through_in_no_time() {
        assert_eq!([5_000, 20_000, 1_000_000].map(held), [5_000, 20_000, 20_000]);
    }
}
