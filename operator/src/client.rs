//! Clients of the API server. A request has one try and a deadline: otherwise a renewal of the lease would outlive it.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use futures::{FutureExt, future::BoxFuture};
use kube::{Client, Config, client::ClientBuilder};
use netprecursor_kit::{Budget, Limits};
use tokio::{sync::Mutex, time::Instant};
use tower::util::MapFutureLayer;

/// Requests at once, and per second in the long run. A thousand policies' status takes a minute to write.
const BURST: u32 = 50;
const PER_SECOND: u32 = 20;

/// The operator's clients.
#[derive(Clone)]
pub struct Clients {
    /// For reads and writes, within the budget.
    pub requests: Client,
    /// For watches and the lists before them.
    pub watches: Client,
    /// For the lease: never waits behind others.
    pub lease: Client,
}

impl Clients {
    /// Clients of the cluster that the environment names.
    ///
    /// # Errors
    /// kube's, when the environment names none, or certificates cannot be read.
    pub fn new(config: &Config) -> kube::Result<Self> {
        let budget = Budget::new(BURST, Duration::from_secs(1) / PER_SECOND, 0.0);
        Ok(Self {
            requests: ClientBuilder::try_from(Limits::REQUESTS.bound(config))?
                .with_layer(&MapFutureLayer::new(within(budget)))
                .build(),
            watches: ClientBuilder::try_from(Limits::WATCHES.bound(config))?.build(),
            lease: ClientBuilder::try_from(Limits::REQUESTS.bound(config))?.build(),
        })
    }
}

/// Has requests wait until the budget has room, in the order in which they were made.
fn within<F: Future + Send + 'static>(budget: Budget) -> impl FnMut(F) -> BoxFuture<'static, F::Output> + Clone {
    let (budget, begun) = (Arc::new(Mutex::new((budget, Rng::new()))), Instant::now());
    move |answer| {
        let budget = Arc::clone(&budget);
        async move {
            // A queue that is fair: who waits for a token has those who come later wait for the lock.
            let mut bucket = budget.lock().await;
            let (budget, rng) = &mut *bucket;
            while !budget.take(begun.elapsed(), rng) {
                tokio::time::sleep_until(begun + budget.next().unwrap_or_default()).await;
            }
            drop(bucket);
            answer.await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use tower::{Layer, ServiceExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let start = Instant::now();
        let service = tower::service_fn(move |()| async move { Ok::<_, ()>(start.elapsed().as_millis()) });
        let service = MapFutureLayer::new(within(Budget::new(3, Duration::from_millis(500), 0.0))).layer(service);
        let all = (0..5).map(|_| service.clone().oneshot(()));
        assert_eq!(futures::future::try_join_all(all).await, Ok(vec![0, 0, 0, 500, 1_000]));
    }
}
