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
    time::timeout,
};

use super::{api::Shared, store::Look, views};

/// An event comes with each second of the agent, or after so long without one.
const REPEAT: Duration = Duration::from_millis(1_500);

struct Listener {
    shared: Arc<Shared>,
    look: Look,
    changes: watch::Receiver<()>,
    is_first: bool,
    /// One of the streams that may be open.
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    async fn next(&mut self) -> Event {
        if !self.is_first {
            // Whichever it was, there is an event; the sender lives as long as what it is shared by.
            let _ = timeout(REPEAT, self.changes.changed()).await;
        }
        self.is_first = false;
        let history = self.shared.past().status();
        let text = self.shared.read(|store| {
            let live = store.live(&self.look, Instant::now());
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
    let listener = Listener { shared, look, changes, is_first: true, _permit: permit };
    stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await;
        Some((Ok(event), listener))
    })
}
