//! Follows objects of one kind for ever. An API server that is away changes nothing: the last known state stays in force.

use std::{fmt::Debug, pin::pin, time::Duration};

use fastrand::Rng;
use futures::StreamExt;
use kube::{
    Api, Resource,
    runtime::watcher::{self, Event},
};
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc, time::Instant};

use crate::{Backoff, Key, Sight};

/// A kind of object as it comes over the wire.
pub trait Wire: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static {}

impl<W: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static> Wire for W {}

/// No error for so long means that it worked in between: a watch that starts again shows nothing until something changes. Longer
/// than a wait and a silent server's time limit together.
const QUIET: Duration = Duration::from_secs(180);

/// A change of what is known, which is an `M`.
pub type Change<M> = Box<dyn FnOnce(&mut M) + Send>;

/// What is followed.
#[derive(Debug)]
pub struct Watch<W, R> {
    /// What it is called in the log.
    pub kind: &'static str,
    /// Where it is.
    pub api: Api<W>,
    /// Which of it, and how long one watch lasts.
    pub config: watcher::Config,
    /// What is kept of an object; `None` for nothing.
    pub read: R,
}

impl<W: Wire, R> Watch<W, R> {
    /// Hands on what the watches show as changes that `take` makes of it, until nobody takes any. After an error, which
    /// `failed` receives, it waits and goes on where it was; it lists again where the server no longer knows that place.
    pub async fn follow<V, M>(
        self,
        take: impl Fn(Sight<V>) -> Change<M>,
        failed: impl Fn(&watcher::Error),
        changes: mpsc::Sender<Change<M>>,
    ) where
        R: Fn(W) -> Option<V>,
    {
        self.run(false, take, failed, changes).await;
    }

    /// As [`Self::follow`], but lists again after every error: for whoever has to see that it works again. A watch that goes on
    /// where it was shows nothing before something changes.
    pub async fn follow_anew<V, M>(
        self,
        take: impl Fn(Sight<V>) -> Change<M>,
        failed: impl Fn(&watcher::Error),
        changes: mpsc::Sender<Change<M>>,
    ) where
        R: Fn(W) -> Option<V>,
    {
        self.run(true, take, failed, changes).await;
    }

    async fn run<V, M>(
        self,
        lists_again: bool,
        take: impl Fn(Sight<V>) -> Change<M>,
        failed: impl Fn(&watcher::Error),
        changes: mpsc::Sender<Change<M>>,
    ) where
        R: Fn(W) -> Option<V>,
    {
        let Self { kind, api, config, read } = self;
        let mut events = pin!(watcher::watcher(api.clone(), config.clone()));
        let (mut backoff, mut rng, mut last) = (Backoff::default(), Rng::new(), None::<Instant>);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    // Before a list was answered nothing has worked yet.
                    if !matches!(event, Event::Init) {
                        if backoff.failures() > 0 {
                            tracing::info!(kind, "watching again");
                        }
                        backoff.succeed();
                    }
                    if let Some(sight) = sight(event, &read)
                        && changes.send(take(sight)).await.is_err()
                    {
                        return;
                    }
                }
                Err(error) => {
                    failed(&error);
                    if last.replace(Instant::now()).is_some_and(|last| last.elapsed() > QUIET) {
                        backoff.succeed();
                    }
                    let wait = backoff.pause(&mut rng);
                    // Once per outage.
                    if backoff.failures() == 1 {
                        tracing::warn!(kind, %error, "cannot watch; what is known goes on");
                    }
                    tokio::time::sleep(wait).await;
                    if lists_again {
                        events.set(watcher::watcher(api.clone(), config.clone()));
                    }
                }
            }
        }
    }
}

/// What an event of a watch means; `None` for an object of a list that is not kept.
fn sight<W: Wire, V>(event: Event<W>, read: impl Fn(W) -> Option<V>) -> Option<Sight<V>> {
    let keyed = |object: W| (Key::from(object.meta()), read(object));
    Some(match event {
        Event::Init => Sight::Listing,
        Event::InitDone => Sight::Complete,
        Event::InitApply(object) => {
            let (key, value) = keyed(object);
            Sight::Listed(key, value?)
        }
        Event::Apply(object) => match keyed(object) {
            (key, Some(value)) => Sight::Applied(key, value),
            // It was kept before, perhaps.
            (key, None) => Sight::Deleted(key),
        },
        Event::Delete(object) => Sight::Deleted(object.meta().into()),
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    #[test]
    fn an_object_that_is_no_longer_kept_is_as_good_as_gone() {
        let object = || ConfigMap::default();
        assert!(matches!(sight(Event::Apply(object()), Some), Some(Sight::Applied(..))));
        assert!(matches!(sight(Event::Apply(object()), |_| None::<()>), Some(Sight::Deleted(_))));
        assert!(sight(Event::InitApply(object()), |_| None::<()>).is_none());
    }
}
