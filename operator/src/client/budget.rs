//! A budget of requests, as kube has none: a burst, then so many a second, in the order in which they were asked for.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;
use tower::{Layer, Service};

/// When the next request is due. The generic cell rate algorithm: one instant stands for the whole bucket.
#[derive(Debug, Clone)]
pub struct Budget {
    /// When a bucket that is never used again would be full.
    full_at: Arc<Mutex<Instant>>,
    interval: Duration,
    burst: Duration,
}

/// Puts a [`Budget`] in front of a service.
#[derive(Debug, Clone)]
pub struct BudgetLayer(Budget);

/// A service behind a [`Budget`].
#[derive(Debug, Clone)]
pub struct Budgeted<S> {
    inner: S,
    budget: Budget,
}

impl Budget {
    /// `burst` requests at once, `per_second` in the long run; both at least 1.
    pub fn new(burst: u32, per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { full_at: Arc::new(Mutex::new(Instant::now())), interval, burst: interval * burst.max(1) }
    }

    /// Takes the next place; the caller waits until then.
    fn due(&self, now: Instant) -> Instant {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        *full_at = (*full_at).max(now) + self.interval;
        full_at.checked_sub(self.burst).unwrap_or(now).max(now)
    }
}

impl BudgetLayer {
    /// All services under this layer share the budget.
    pub const fn new(budget: Budget) -> Self {
        Self(budget)
    }
}

impl<S> Layer<S> for BudgetLayer {
    type Service = Budgeted<S>;

    fn layer(&self, inner: S) -> Budgeted<S> {
        Budgeted { inner, budget: self.0.clone() }
    }
}

impl<S, R> Service<R> for Budgeted<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let due = self.budget.due(Instant::now());
        // The inner future does nothing before it is polled.
        let answer = self.inner.call(request);
        Box::pin(async move {
            tokio::time::sleep_until(due).await;
            answer.await
        })
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let layer = BudgetLayer::new(Budget::new(3, 2));
        let start = Instant::now();
        let service = tower::service_fn(move |()| async move { Ok::<_, ()>(start.elapsed().as_millis()) });
        let service = layer.layer(service);
        let mut at = Vec::new();
        for _ in 0..5 {
            at.push(service.clone().oneshot(()).await.unwrap());
        }
        assert_eq!(at, [0, 0, 0, 500, 1_000]);
    }

    #[test]
    fn what_was_not_used_does_not_add_up_beyond_the_burst() {
        let now = Instant::now();
        let budget = Budget::new(2, 1);
        let later = now + Duration::from_secs(1_000);
        assert_eq!([budget.due(later), budget.due(later)], [later; 2]);
        assert_eq!(budget.due(later), later + Duration::from_secs(1));
    }
}
