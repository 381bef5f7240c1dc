//! Makes a picture whenever something has changed, and at most one a second.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use netprecursor_kit::Change;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{
    dial::Agents,
    mirrors::Mirrors,
    picture::{agents, picture},
};
use crate::dashboard::cluster::Picture;

/// What changes together is shown together.
const SETTLE: Duration = Duration::from_secs(1);

/// Without a change, ages of heartbeats still grow.
const AGE: Duration = Duration::from_secs(10);

/// Publishes until nobody changes anything any more.
pub(super) async fn publish(
    mut mirrors: Mirrors,
    mut changes: mpsc::Receiver<Change<Mirrors>>,
    pictures: watch::Sender<Arc<Picture>>,
    known: watch::Sender<Arc<Agents>>,
) {
    loop {
        tokio::select! {
            change = changes.recv() => match change {
                Some(change) => change(&mut mirrors),
                None => return,
            },
            () = sleep(AGE) => {}
        }
        let until = Instant::now() + SETTLE;
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Some(change) => change(&mut mirrors),
                    None => return,
                },
                () = sleep_until(until) => break,
            }
        }
        if mirrors.is_settled() {
            // First who can be asked: a picture says that they can.
            known.send_replace(Arc::new(agents(&mirrors)));
            pictures.send_replace(Arc::new(picture(&mut mirrors, Timestamp::now())));
        }
    }
}
