//! A watch: the changes after a version, as lines of JSON, until its time is over.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use crate::{
    fault::Fault,
    refusal::Refusal,
    server::{Watch, shown},
    shared::Shared,
    store::{Change, Store},
};

/// The annotation of the bookmark that ends the initial events.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// A watch under way.
struct Running {
    shared: Arc<Shared>,
    watch: Watch,
    changed: watch::Receiver<u64>,
    ready: VecDeque<Value>,
    cursor: u64,
    sent: usize,
    fault: Option<Fault>,
    lag: Duration,
    is_over: bool,
}

/// A piece of the body, or the error that cut it off.
type Piece = Result<Bytes, std::io::Error>;

/// The body of a watch.
pub(crate) fn events(shared: Arc<Shared>, watch: Watch, fault: Option<Fault>) -> impl Stream<Item = Piece> {
    let changed = shared.changed.subscribe();
    let lag = match fault {
        Some(Fault::Stale(lag)) => lag,
        _ => Duration::ZERO,
    };
    let mut running =
        Running { shared, watch, changed, ready: VecDeque::new(), cursor: 0, sent: 0, fault, lag, is_over: false };
    running.start();
    stream::unfold(running, |mut running| async move { running.next().await.map(|piece| (piece, running)) })
}

impl Running {
    fn start(&mut self) {
        let shared = Arc::clone(&self.shared);
        let state = shared.state();
        let store = &state.store;
        match self.watch.from {
            Some(from) if from < store.compacted() => {
                self.end_with(&Refusal::expired(from, store.compacted()));
            }
            Some(from) => self.cursor = from,
            None => {
                self.cursor = store.version();
                for (key, object) in store.snapshot(self.watch.kind.resource(), self.cursor) {
                    if self.is_here(&key.namespace) && self.watch.selector.matches(&object) {
                        self.ready.push_back(self.event("ADDED", &object));
                    }
                }
                if self.watch.marks_initial {
                    let mut bookmark = self.bookmark();
                    bookmark["object"]["metadata"]["annotations"] = json!({INITIAL_END: "true"});
                    self.ready.push_back(bookmark);
                }
            }
        }
    }

    async fn next(&mut self) -> Option<Piece> {
        loop {
            if let Some(piece) = self.broken() {
                return piece;
            }
            if let Some(event) = self.ready.pop_front() {
                self.sent += 1;
                return Some(Ok(line(&event)));
            }
            if self.is_over {
                return None;
            }
            self.changed.mark_unchanged();
            let visible_later = self.read();
            if !self.ready.is_empty() {
                continue;
            }
            let deadline = visible_later.unwrap_or(self.watch.ends).min(self.watch.ends);
            if deadline <= Instant::now() {
                if deadline == self.watch.ends {
                    self.end();
                }
                continue;
            }
            tokio::select! {
                changed = self.changed.changed() => self.is_over = changed.is_err(),
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    /// Queues what is visible; returns when the next change becomes visible to a cache that lags.
    fn read(&mut self) -> Option<Instant> {
        let shared = Arc::clone(&self.shared);
        let state = shared.state();
        let store: &Store = &state.store;
        if self.cursor < store.compacted() {
            self.end_with(&Refusal::expired(self.cursor, store.compacted()));
            return None;
        }
        let now = Instant::now();
        for change in store.since(self.cursor) {
            if change.at + self.lag > now {
                return Some(change.at + self.lag);
            }
            self.cursor = change.version;
            let event = self.told_of(change);
            self.ready.extend(event);
        }
        None
    }

    /// The event that a change is to a watch with a selector.
    fn told_of(&self, change: &Change) -> Option<Value> {
        if *change.key.resource != *self.watch.kind.id || !self.is_here(&change.key.namespace) {
            return None;
        }
        let is_selected = |object: &Arc<Value>| self.watch.selector.matches(object);
        let was = change.old.as_ref().is_some_and(is_selected);
        let is = change.new.as_ref().is_some_and(is_selected);
        match (was, is) {
            (false, true) => Some(self.event("ADDED", &change.last)),
            (true, true) => Some(self.event("MODIFIED", &change.last)),
            (true, false) => {
                // The last state that was selected, under the version at which it went.
                let mut last = change.old.as_deref().cloned().unwrap_or_default();
                last["metadata"]["resourceVersion"] = change.last["metadata"]["resourceVersion"].clone();
                Some(self.event("DELETED", &last))
            }
            (false, false) => None,
        }
    }

    fn is_here(&self, namespace: &str) -> bool {
        self.watch.namespace.is_empty() || self.watch.namespace == namespace
    }

    fn event(&self, kind: &str, object: &Value) -> Value {
        json!({"type": kind, "object": shown(object, self.watch.is_metadata_only)})
    }

    fn bookmark(&self) -> Value {
        let (kind, api_version) = match self.watch.is_metadata_only {
            true => ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned()),
            false => (self.watch.kind.kind.clone(), self.watch.kind.api_version()),
        };
        json!({"type": "BOOKMARK", "object": {
            "kind": kind, "apiVersion": api_version, "metadata": {"resourceVersion": self.cursor.to_string()},
        }})
    }

    fn end(&mut self) {
        if self.watch.has_bookmarks {
            self.ready.push_back(self.bookmark());
        }
        self.is_over = true;
    }

    fn end_with(&mut self, refusal: &Refusal) {
        self.ready.push_back(json!({"type": "ERROR", "object": refusal.to_json()}));
        self.is_over = true;
    }

    /// The effect of the fault, once it is due.
    fn broken(&mut self) -> Option<Option<Piece>> {
        let sent = self.sent;
        match &self.fault {
            Some(Fault::EndWatch(after)) if sent >= *after => Some(None),
            Some(Fault::CutWatch(after)) if sent >= *after => {
                self.fault = Some(Fault::EndWatch(0));
                let error = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the connection was cut");
                Some(Some(Err(error)))
            }
            Some(Fault::ExpireWatch(after)) if sent >= *after => {
                self.fault = Some(Fault::EndWatch(0));
                let refusal = Refusal::expired(self.cursor, self.cursor + 1);
                Some(Some(Ok(line(&json!({"type": "ERROR", "object": refusal.to_json()})))))
            }
            _ => None,
        }
    }
}

fn line(event: &Value) -> Bytes {
    let mut text = event.to_string();
    text.push('\n');
    Bytes::from(text)
}
