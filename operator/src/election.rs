//! Who leads: one operator of several writes, by a Lease.
//!
//! A leader leads until [`RENEW_WITHIN`] after it *began* its last successful renewal; the others wait [`LEASE`] after
//! they *saw* it. The first is shorter, and both are measured on the own monotonic clock: clocks may differ between
//! nodes, a request may hang, an answer may be lost, and still there are never two leaders.

mod claim;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use netprecursor_kit::Failure;
use tokio::{sync::watch, time::Instant};

pub use claim::{Claim, Claims};

use crate::{http::Health, installation::Permit};

/// How long the others wait after the last sign of life.
pub const LEASE: Duration = Duration::from_secs(15);

/// The longest that a lease is respected, whatever it says.
const LONGEST: Duration = Duration::from_secs(600);

/// How long a leader leads without a renewal.
pub const RENEW_WITHIN: Duration = Duration::from_secs(10);

/// Between two looks at the lease.
const RETRY: Duration = Duration::from_secs(3);

/// For one request about the lease.
const REQUEST: Duration = Duration::from_secs(3);

/// Until when the process leads, as seen by whoever wants to write.
#[derive(Debug, Clone)]
pub struct Leadership(watch::Receiver<Option<Instant>>);

/// Keeps the lease, or waits for it.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    claims: Claims,
    until: watch::Sender<Option<Instant>>,
    permit: Option<watch::Receiver<Permit>>,
    health: Health,
}

impl Leadership {
    /// What is left of the lead; `None` when another leads.
    pub fn left(&self) -> Option<Duration> {
        let until = (*self.0.borrow())?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// Waits until the lead is gained, renewed or lost; false when the candidate is gone.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }

    /// Waits until the lead has run out, or another has it.
    pub async fn lost(mut self) {
        while let Some(left) = self.left() {
            let changed = tokio::time::timeout(left, self.changed()).await;
            // Nobody renews the lead of a candidate that is gone.
            if changed == Ok(false)
                && let Some(left) = self.left()
            {
                tokio::time::sleep(left).await;
            }
        }
    }

    /// Leads without a lease: where there is one operator only, as in tests.
    pub fn alone() -> Self {
        Self::until(Instant::now() + Duration::from_secs(365 * 86_400))
    }

    /// The same, for a while.
    pub fn until(end: Instant) -> Self {
        Self(watch::channel(Some(end)).1)
    }
}

impl Candidate {
    /// A candidate for the lease `name` that calls itself `identity`.
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str, health: Health) -> (Self, Leadership) {
        let (until, leadership) = watch::channel(None);
        let claims = Claims::new(identity.to_owned());
        let (api, name) = (Api::namespaced(client, namespace), name.to_owned());
        let candidate = Self { api, name, claims, until, permit: None, health };
        (candidate, Leadership(leadership))
    }

    /// The same, which leads only while it may.
    pub fn permitted_by(self, permit: watch::Receiver<Permit>) -> Self {
        Self { permit: Some(permit), ..self }
    }

    /// Campaigns until the future is dropped.
    pub async fn campaign(&mut self) {
        loop {
            let permit = self.permit.as_ref().map_or(Permit::Granted, |permit| permit.borrow().clone());
            self.health.is_refused(permit.refusal());
            if permit != Permit::Granted {
                self.health.is_alive();
                if self.claims.held().is_some() {
                    self.release().await;
                }
                tokio::time::sleep(RETRY / 3).await;
                continue;
            }
            let begun = Instant::now();
            let attempted = self.attempt(Timestamp::now()).await;
            // Liveness does not depend on the API server, readiness does.
            self.health.is_alive();
            self.health.is_ready(attempted.is_ok());
            match attempted {
                Ok(true) => {
                    if self.until.send_replace(Some(begun + RENEW_WITHIN)).is_none_or(|until| until < begun) {
                        tracing::info!(lease = self.name, "leading");
                    }
                }
                Ok(false) => self.step_down("another holds the lease"),
                Err(error) => tracing::warn!(%error, lease = self.name, "cannot renew or acquire the lease"),
            }
            // Neither candidates that start together nor their retries stay in step.
            tokio::time::sleep(RETRY.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
        }
    }

    /// One look at the lease, and one claim where there is one to make: whether the process leads by it.
    ///
    /// # Errors
    /// The API server's; the lead lasts as long as it did.
    pub async fn attempt(&mut self, now: Timestamp) -> Result<bool, kube::Error> {
        let seen = self.read().await?;
        let claim = self.claims.claim(seen, Instant::now(), now);
        let params = PostParams::default();
        let written = match claim {
            Claim::Wait => return Ok(false),
            Claim::Create(lease) => in_time(self.api.create(&params, &named(*lease, &self.name))).await,
            Claim::Replace(lease) => in_time(self.api.replace(&self.name, &params, &lease)).await,
        };
        match written {
            Ok(lease) => {
                self.claims.wrote(lease);
                Ok(true)
            }
            // Another was faster.
            Err(error) if matches!(Failure::from(&error), Failure::Conflict | Failure::Exists) => {
                self.claims.forget();
                Ok(false)
            }
            Err(error) => {
                // It may have been written all the same: look before the next claim.
                self.claims.forget();
                Err(error)
            }
        }
    }

    /// Gives the lease back, so that another need not wait for its end.
    pub async fn release(&mut self) {
        self.step_down("stopping");
        let released = match self.read().await {
            Ok(seen) => self.claims.release(seen),
            Err(_) => None,
        };
        if let Some(lease) = released
            && let Err(error) = in_time(self.api.replace(&self.name, &PostParams::default(), &lease)).await
        {
            tracing::warn!(%error, "cannot release the lease: another operator takes over when it expires");
        }
    }

    async fn read(&self) -> Result<Option<Lease>, kube::Error> {
        if let Some(known) = self.claims.held() {
            return Ok(Some(known));
        }
        in_time(self.api.get_opt(&self.name)).await
    }

    fn step_down(&self, why: &str) {
        if self.until.send_replace(None).is_some() {
            tracing::info!(lease = self.name, why, "no longer leading");
        }
    }
}

fn named(mut lease: Lease, name: &str) -> Lease {
    lease.metadata.name = Some(name.to_owned());
    lease
}

async fn in_time<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    tokio::time::timeout(REQUEST, request).await.unwrap_or_else(|elapsed| Err(kube::Error::Service(elapsed.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAD: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_lead_is_lost_when_it_runs_out_unless_it_is_renewed() {
        let start = Instant::now();
        let (renew, leadership) = watch::channel(Some(start + LEAD));
        let renewed = async {
            tokio::time::sleep(LEAD / 2).await;
            renew.send_replace(Some(start + 2 * LEAD));
        };
        tokio::join!(Leadership(leadership).lost(), renewed);
        let lasted = start.elapsed();
        assert!(lasted >= 2 * LEAD && lasted < 3 * LEAD, "{lasted:?}");
        Leadership::until(Instant::now() + LEAD).lost().await;
        assert!(start.elapsed() >= 3 * LEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lead_is_lost_at_once_when_another_has_it() {
        let start = Instant::now();
        let (until, leadership) = watch::channel(Some(start + LEAD));
        let seized = async {
            tokio::time::sleep(LEAD / 2).await;
            until.send_replace(None);
        };
        tokio::join!(Leadership(leadership).lost(), seized);
        assert!(start.elapsed() < LEAD);
    }
}
