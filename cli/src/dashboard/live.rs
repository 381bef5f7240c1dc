//! The stream of events: one a second, with what the page looks at. It goes on while the agent is silent, so that the page
//! hears how stale it is.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::response::sse::Event;
use futures_util::stream::{self, Stream};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant as Moment, sleep_until, timeout},
};

use super::{api::Shared, store::Look, views};

/// An event comes with each second of the agent, or after so long without one.
const REPEAT: Duration = Duration::from_millis(1_500);

/// Between two events at least: less than a second, so that none of an agent's is left out.
const LEAST: Duration = Duration::from_millis(700);

struct Listener {
    shared: Arc<Shared>,
    look: Look,
    changes: watch::Receiver<()>,
    /// When the last event was; none before the first.
    sent: Option<Moment>,
    /// One of the streams that may be open.
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    async fn next(&mut self) -> Event {
        if let Some(sent) = self.sent {
            // Whichever it was, there is an event; the sender lives as long as what it is shared by.
            let _ = timeout(REPEAT, self.changes.changed()).await;
            // Each agent of a cluster has seconds of its own: those that come together are one event.
            sleep_until(sent + LEAST).await;
        }
        self.sent = Some(Moment::now());
        self.shared.look(&self.look);
        let history = self.shared.past().status();
        let text = self.shared.read(|fleet| {
            let live = fleet.live(&self.look, Instant::now());
            serde_json::to_string(&views::Live { history, ..live })
        });
        // Views have neither maps with keys of their own nor anything else that JSON could not write.
        Event::default().data(text.unwrap_or_default())
    }
}

/// Events for a page that looks at `look`.
pub(super) fn events(
    shared: Arc<Shared>,
    look: Look,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    let changes = shared.changes();
    let listener = Listener { shared, look, changes, sent: None, _permit: permit };
    stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await;
        Some((Ok(event), listener))
    })
}
