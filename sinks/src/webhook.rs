//! A webhook as a receiver: one message when an alert fires and one when it resolves, in order ([`queue`]), as JSON with a
//! published schema ([`body`]) and signed ([`signature`]).

pub mod body;
pub mod queue;
pub mod signature;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use self::{
    body::Body,
    queue::{Message, Queue},
    signature::Secrets,
};
use crate::{
    Moment,
    http::{Failure, File, url::Visible},
    link::Link,
    notice::Notice,
    worker::Receiver,
};

/// What the sink is called in status and metrics.
pub const NAME: &str = "webhook";

/// What of its URL may be shown: a chat's path is a secret.
pub(crate) const VISIBLE: Visible = Visible::Host;

/// What one webhook is sent.
#[derive(Debug)]
pub(crate) struct Webhook {
    pub(crate) queue: Queue,
    pub(crate) cluster: Option<Arc<str>>,
    pub(crate) link: Option<Arc<Link>>,
    /// Where the secrets are that messages are signed with, if they are.
    pub(crate) secret: Option<File>,
}

impl Receiver for Webhook {
    type Batch = Message;

    const VISIBLE: Visible = VISIBLE;

    fn take(&mut self, notice: Arc<Notice>, now: Moment) {
        self.queue.take(notice, now);
    }

    fn expire(&mut self, now: Duration) {
        self.queue.expire(now);
    }

    fn batch(&self, _now: Duration) -> Option<Message> {
        self.queue.first()
    }

    fn request(&self, message: &Message, now: Moment) -> Result<(HeaderMap, Bytes), Failure> {
        let body = Body::new(message, self.cluster.as_deref(), self.link.as_deref());
        let body = serde_json::to_vec(&body).map_err(|error| Failure::own(&error))?;
        let id = HeaderValue::try_from(&message.id).map_err(|error| Failure::own(&error))?;
        let mut headers =
            HeaderMap::from_iter([(signature::ID, id), (signature::TIMESTAMP, HeaderValue::from(now.unix))]);
        if let Some(secret) = &self.secret {
            // What the file lacks now it may have later; unsigned it is not sent.
            let secrets = Secrets::read(secret).map_err(|reason| Failure::refused(reason, true))?;
            let signature = secrets.sign(&message.id, now.unix, &body);
            let signature = HeaderValue::try_from(signature).map_err(|error| Failure::own(&error))?;
            headers.insert(signature::SIGNATURE, signature);
        }
        Ok((headers, body.into()))
    }

    fn settle(&mut self, message: &Message, is_refused: bool, _now: Duration) -> u64 {
        self.queue.settle(message, is_refused);
        1
    }

    fn next(&self) -> Option<Duration> {
        self.queue.next()
    }

    fn waiting(&self) -> usize {
        self.queue.len()
    }

    fn dropped(&self) -> u64 {
        self.queue.dropped()
    }
}
