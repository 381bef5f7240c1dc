//! Who sends to one receiver: takes in what comes, sends what is due, waits when it fails. A receiver that is slow, dead or lying
//! keeps its own worker alone.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use fastrand::Rng;
use http::HeaderMap;
use netprecursor_kit::Backoff;
use tokio::time::Instant;

use crate::{
    Moment,
    health::Board,
    http::{Failure, Sender, url::Visible},
    inbox::Inbox,
    notice::Notice,
};

/// Time for what is still due at the end.
const LAST: Duration = Duration::from_secs(2);

/// Timers count in steps: one that ends within a step may end too soon, and what was waited for would not be due.
const TIMER_STEP: Duration = Duration::from_millis(1);

/// What a receiver is sent, and when.
pub(crate) trait Receiver {
    /// What goes into one request.
    type Batch;

    /// What of its URL may be shown.
    const VISIBLE: Visible;

    /// Takes in the state of an alert.
    fn take(&mut self, notice: Arc<Notice>, now: Moment);

    /// Forgets what is too old.
    fn expire(&mut self, now: Duration);

    /// What is to be sent now; `None` for nothing.
    fn batch(&self, now: Duration) -> Option<Self::Batch>;

    /// It as a request: headers and body.
    ///
    /// # Errors
    /// What has to be known for it cannot be read.
    fn request(&self, batch: &Self::Batch, now: Moment) -> Result<(HeaderMap, Bytes), Failure>;

    /// It was taken, or (`is_refused`) never will be as it is. Returns of how many alerts it is.
    fn settle(&mut self, batch: &Self::Batch, is_refused: bool, now: Duration) -> u64;

    /// When something is due or too old; `None` when there is nothing.
    fn next(&self) -> Option<Duration>;

    /// How much waits to be sent.
    fn waiting(&self) -> usize;

    /// How much was given up unsent.
    fn dropped(&self) -> u64;
}

/// Sends to one receiver.
#[derive(Debug)]
pub(crate) struct Worker<R> {
    pub(crate) receiver: R,
    pub(crate) sender: Sender,
    pub(crate) inbox: Inbox,
    pub(crate) board: Board,
    pub(crate) backoff: Backoff,
    pub(crate) begun: Instant,
}

impl<R: Receiver> Worker<R> {
    /// Sends what comes until `stop`; then what is due, once more.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut rng = Rng::new();
        loop {
            let now = self.take();
            let waits = self.backoff.waits(now);
            if waits.is_none()
                && let Some(batch) = self.receiver.batch(now)
            {
                let sent = tokio::select! {
                    biased;
                    () = &mut stop => break,
                    sent = self.send(&batch) => sent,
                };
                self.settle(&batch, sent, &mut rng);
                continue;
            }
            let wake = waits.or_else(|| self.receiver.next()).map(|until| self.begun + until + TIMER_STEP);
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = self.inbox.arrival() => {}
                () = tokio::time::sleep_until(wake.unwrap_or(self.begun)), if wake.is_some() => {}
            }
        }
        let last = async {
            loop {
                let now = self.take();
                let Some(batch) = self.receiver.batch(now) else { return };
                let sent = self.send(&batch).await;
                let is_over = sent.as_ref().is_err_and(|failure| failure.is_transient);
                self.settle(&batch, sent, &mut rng);
                if is_over {
                    return;
                }
            }
        };
        if tokio::time::timeout(LAST, last).await.is_err() {
            tracing::warn!("a receiver of alerts did not answer at the end");
        }
    }

    /// Takes in what came, and says when.
    fn take(&mut self) -> Duration {
        let now = self.now();
        for notice in self.inbox.take() {
            self.receiver.take(notice, now);
        }
        self.receiver.expire(now.since);
        let (pending, dropped) = (self.receiver.waiting() as u64, self.receiver.dropped() + self.inbox.dropped());
        self.board.write(|health| (health.pending, health.dropped) = (pending, dropped));
        now.since
    }

    async fn send(&mut self, batch: &R::Batch) -> Result<(), Failure> {
        let (headers, body) = self.receiver.request(batch, self.now())?;
        self.sender.post(headers, body).await
    }

    fn settle(&mut self, batch: &R::Batch, sent: Result<(), Failure>, rng: &mut Rng) {
        let now = self.now().since;
        match sent {
            Ok(()) => {
                self.backoff.succeed();
                let count = self.receiver.settle(batch, false, now);
                self.board.settle(Ok(count));
            }
            Err(failure) => {
                // After a refusal the next message may be taken, but not at any rate.
                self.backoff.fail(now, failure.retry_after, rng);
                if !failure.is_transient {
                    self.receiver.settle(batch, true, now);
                }
                self.board.settle(Err(&failure.reason));
            }
        }
    }

    fn now(&self) -> Moment {
        Moment { since: self.begun.elapsed(), unix: unix() }
    }
}

/// The wall clock, unix s.
pub(crate) fn unix() -> u64 {
    // A clock before 1970 is not set at all.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
