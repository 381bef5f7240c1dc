//! The state that all clients of a server share.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    fault::{Faults, Nothing},
    refusal::Refusal,
    request::Call,
    server::{Answer, State},
};

/// The state that all clients share.
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) faults: Mutex<Box<dyn Faults>>,
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) hung: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            faults: Mutex::new(Box::new(Nothing)),
            changed: watch::channel(0).0,
            hung: watch::channel(0).0,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the state was held leaves it whole: every change is one insertion.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn handle(&self, call: &Call, stale: Duration) -> Result<Answer, Refusal> {
        let mut state = self.state();
        let answer = state.handle(call, stale);
        let version = state.store.version();
        drop(state);
        self.changed.send_if_modified(|seen| std::mem::replace(seen, version) != version);
        answer
    }
}
