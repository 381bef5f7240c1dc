//! Keeps a stream to each agent that is wanted, and to no other. What fails is tried again, after waits that grow.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{Dial, Unreached, remote::session, wire::WireError};
use crate::dashboard::{
    api::{Shared, unix_ms},
    follow::wait,
};

/// Between two looks at what is wanted.
const EVERY: Duration = Duration::from_secs(1);

/// Between two attempts where a right is missing: somebody may grant it.
const FORBIDDEN: Duration = Duration::from_secs(60);

/// A stream, which ends when this is dropped.
struct Stream(JoinHandle<()>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Keeps them, without end.
pub(super) async fn keep<D: Dial>(dial: Arc<D>, shared: Arc<Shared>) {
    let mut streams: HashMap<String, Stream> = HashMap::new();
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let wanted = shared.read(|fleet| fleet.wanted(std::time::Instant::now()));
        let gone: Vec<String> = streams.keys().filter(|node| !wanted.contains(*node)).cloned().collect();
        for node in gone {
            streams.remove(&node);
            shared.change(|fleet| fleet.forget(&node));
        }
        for node in wanted {
            streams.entry(node).or_insert_with_key(|node| {
                shared.change(|fleet| fleet.begin(node, unix_ms()));
                Stream(tokio::spawn(follow(Arc::clone(&dial), node.clone(), Arc::clone(&shared))))
            });
        }
    }
}

async fn follow<D: Dial>(dial: Arc<D>, node: String, shared: Arc<Shared>) {
    let mut failures = 0;
    loop {
        let ended: Result<Infallible, WireError> = session(&*dial, &node, &shared, &mut failures).await;
        let error = match ended {
            Ok(never) => match never {},
            Err(error) => error,
        };
        let forbidden = match &error {
            WireError::Unreached(Unreached::NotPermitted(words)) => Some(words.clone()),
            _ => None,
        };
        let pause = if forbidden.is_some() { FORBIDDEN } else { wait(failures) };
        shared.change(|fleet| {
            fleet.permit(&node, forbidden);
            if let Some(store) = fleet.store(&node) {
                store.disconnected(error.to_string(), unix_ms() / 1_000);
            }
        });
        tokio::time::sleep(pause).await;
        failures += 1;
    }
}
