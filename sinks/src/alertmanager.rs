//! Alertmanager as a receiver, by version 2 of its API: what a replica is sent ([`payload`]), and when ([`register`]). Every
//! replica is sent every alert, as its documentation demands: replicas share what they have notified of, not the alerts.

pub mod payload;
pub mod register;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;

pub use self::register::{Register, Schedule};
use self::{payload::PostableAlert, register::Due};
use crate::{
    Moment,
    http::{Failure, url::Visible},
    link::Link,
    notice::Notice,
    worker::Receiver,
};

/// What the sink is called in status and metrics.
pub const NAME: &str = "alertmanager";

/// Relative to a replica's URL.
pub const PATH: &str = "api/v2/alerts";

/// What of a replica's URL may be shown.
pub(crate) const VISIBLE: Visible = Visible::Path;

/// What one replica is sent.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) register: Register,
    pub(crate) link: Option<Arc<Link>>,
}

impl Receiver for Replica {
    type Batch = Vec<Due>;

    const VISIBLE: Visible = VISIBLE;

    fn take(&mut self, notice: Arc<Notice>, now: Moment) {
        self.register.take(notice, now);
    }

    fn expire(&mut self, now: Duration) {
        self.register.expire(now);
    }

    fn batch(&self, now: Duration) -> Option<Self::Batch> {
        Some(self.register.batch(now)).filter(|batch| !batch.is_empty())
    }

    fn request(&self, batch: &Self::Batch, now: Moment) -> Result<(HeaderMap, Bytes), Failure> {
        let lasts = self.register.schedule().lasts();
        let alerts: Vec<_> = batch
            .iter()
            .map(|due| PostableAlert::new(&due.notice, &due.labels, self.link.as_deref(), lasts, now.unix))
            .collect();
        let body = serde_json::to_vec(&alerts).map_err(|error| Failure::own(&error))?;
        Ok((HeaderMap::new(), body.into()))
    }

    fn settle(&mut self, batch: &Self::Batch, is_refused: bool, now: Duration) -> u64 {
        self.register.settle(batch, is_refused, now);
        batch.len() as u64
    }

    fn next(&self) -> Option<Duration> {
        self.register.next()
    }

    fn waiting(&self) -> usize {
        self.register.news()
    }

    fn dropped(&self) -> u64 {
        self.register.dropped()
    }
}
