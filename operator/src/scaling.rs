//! Serves how urgent alerts are to autoscalers, as the aggregated API `external.metrics.k8s.io`, so that a HorizontalPodAutoscaler
//! adds pods before RTT breaches its threshold. Every replica answers, whether it leads or not: each watches the alerts that fire by
//! itself. One that has lost the API server says so within a minute instead of repeating what it knew: it does not learn any more
//! what users may.
//!
//! alert → `firing` (what scaling goes by) → `known` → `metric` over what a `selector` selects → `api`; in front of it `serve` (TLS),
//! `door` (certificates), `front_proxy` (who asks) and `answer` (whether they may).

mod answer;
mod api;
mod door;
mod firing;
mod front_proxy;
mod known;
mod metric;
mod selector;
mod serve;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, core::DeserializeGuard, runtime::watcher};
use netprecursor_crds::alert::PrecursorAlert;
use netprecursor_kit::{Change, Mirror, Permissions, Sight, Watch};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};

use self::{
    answer::{Desk, routes},
    door::{Door, DoorError, Material},
    firing::Firing,
    known::Known,
};
pub use self::{
    api::{GROUP, VERSION},
    door::Files,
    firing::LABELS,
    metric::Metric,
};
use crate::{client::Clients, metrics::Metrics};

/// Seconds of one watch; the upper half of the time is drawn, so that watches of several clients do not end together.
const WATCH_SECONDS: u32 = 300;

/// Alerts in one page of a list.
const PAGE: u32 = 500;

/// Changes that wait to be taken in; the watch waits for it.
const WAITING: usize = 512;

/// Between two looks at the certificate's files, which the kubelet replaces.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// The fields of the ConfigMap that says who the front proxy is.
type Authentication = BTreeMap<String, String>;

/// Serves until the future is dropped. Nothing of it depends on the lead.
pub async fn serve(listener: TcpListener, files: Files, clients: &Clients, metrics: &Metrics) {
    let known = Arc::new(Mutex::new(Known::default()));
    let permissions = Arc::new(Permissions::new(clients.lease.clone()));
    let desk = Desk { permissions, known: Arc::clone(&known), metrics: metrics.clone() };
    let (open, door) = watch::channel(None);
    tokio::join!(
        follow_alerts(clients.watches.clone(), &known, metrics),
        keep_door(clients.watches.clone(), files, &open, metrics),
        serve::serve(listener, door, routes(desk), metrics.clone()),
    );
}

/// Keeps what is known of alerts that fire. The API server selects them, so that those which are over cost nothing.
async fn follow_alerts(client: Client, known: &Mutex<Known>, metrics: &Metrics) {
    const KIND: &str = "PrecursorAlert for autoscalers";
    let api: Api<DeserializeGuard<PrecursorAlert>> = Api::all(client);
    let config = watcher::Config { page_size: Some(PAGE), ..config("status.state=Firing") };
    let take = |sight: Sight<Firing>| -> Change<Known> { Box::new(move |known: &mut Known| known.take(sight)) };
    let (sender, mut changes) = mpsc::channel::<Change<Known>>(WAITING);
    let taken = async {
        while let Some(change) = changes.recv().await {
            change(&mut known.lock().unwrap_or_else(PoisonError::into_inner));
        }
    };
    let failed = |_: &watcher::Error| {
        metrics.watch_failed(KIND);
        known.lock().unwrap_or_else(PoisonError::into_inner).failed(Instant::now());
    };
    tokio::join!(Watch { kind: KIND, api, config, read: firing::firing }.follow(take, failed, sender), taken);
}

/// Keeps a door open that fits the files and the API server's ConfigMap.
async fn keep_door(client: Client, files: Files, open: &watch::Sender<Option<Arc<Door>>>, metrics: &Metrics) {
    const KIND: &str = "ConfigMap of the front proxy";
    let api: Api<ConfigMap> = Api::namespaced(client, front_proxy::NAMESPACE);
    let config = config(&format!("metadata.name={}", front_proxy::NAME));
    let read = |map: ConfigMap| Some(map.data.unwrap_or_default());
    let take = |sight: Sight<Authentication>| -> Change<Mirror<Authentication>> {
        Box::new(move |known: &mut Mirror<Authentication>| known.take(sight))
    };
    let (sender, changes) = mpsc::channel(WAITING);
    tokio::join!(
        Watch { kind: KIND, api, config, read }.follow(take, |_| metrics.watch_failed(KIND), sender),
        Doorkeeper { files, used: None, complaint: None }.keep(changes, open),
    );
}

fn config(fields: &str) -> watcher::Config {
    let seconds = WATCH_SECONDS / 2 + fastrand::u32(..WATCH_SECONDS / 2);
    watcher::Config::default().fields(fields).timeout(seconds)
}

/// Makes doors.
struct Doorkeeper {
    files: Files,
    /// What the open door is made of.
    used: Option<Material>,
    /// What was complained of last: the log has one line for each trouble.
    complaint: Option<String>,
}

impl Doorkeeper {
    async fn keep(
        mut self,
        mut changes: mpsc::Receiver<Change<Mirror<Authentication>>>,
        open: &watch::Sender<Option<Arc<Door>>>,
    ) {
        let mut known = Mirror::default();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                change = changes.recv() => {
                    let Some(change) = change else { return };
                    change(&mut known);
                }
                _ = looks.tick() => {}
            }
            // Before it was looked for, nothing is missing.
            if known.is_synced() {
                let authentication = known.iter().next().map(|(_, data)| data.clone()).unwrap_or_default();
                self.look(authentication, open);
            }
        }
    }

    /// Opens another door where there is other material. What cannot be read changes nothing.
    fn look(&mut self, authentication: Authentication, open: &watch::Sender<Option<Arc<Door>>>) {
        match self.renewed(authentication) {
            Ok(made) => {
                self.complaint = None;
                if let Some(door) = made {
                    tracing::info!("serving external metrics");
                    open.send_replace(Some(Arc::new(door)));
                }
            }
            Err(error) => {
                let error = error.to_string();
                if self.complaint.as_ref() != Some(&error) {
                    tracing::error!(
                        error,
                        is_served = open.borrow().is_some(),
                        "cannot use the certificates for external metrics"
                    );
                    self.complaint = Some(error);
                }
            }
        }
    }

    fn renewed(&mut self, authentication: Authentication) -> Result<Option<Door>, DoorError> {
        let material = Material::read(&self.files, authentication)?;
        if self.used.as_ref() == Some(&material) {
            return Ok(None);
        }
        let door = material.door(&self.files)?;
        self.used = Some(material);
        Ok(Some(door))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{
        door::tests::{files, signed},
        front_proxy::tests::data,
        *,
    };

    #[test]
    fn another_certificate_opens_another_door_and_a_broken_one_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path());
        let write = |(certificate, key): &(String, String)| {
            fs::write(&files.certificate.path, certificate).unwrap();
            fs::write(&files.key.path, key).unwrap();
        };
        let (authority, first, second) = (signed(&["front-proxy-ca"]).0, signed(&["a"]), signed(&["b"]));
        let (open, door) = watch::channel(None::<Arc<Door>>);
        let mut keeper = Doorkeeper { files: files.clone(), used: None, complaint: None };
        let mut look = || {
            keeper.look(data(&authority), &open);
            (door.borrow().clone(), keeper.complaint.is_some())
        };
        let is_same = |one: &Option<Arc<Door>>, other: &Option<Arc<Door>>| match (one, other) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };

        let (none, complains) = look();
        assert!(none.is_none() && complains, "there is no file yet");
        write(&first);
        let (one, complains) = look();
        assert!(one.is_some() && !complains);
        assert!(is_same(&look().0, &one), "nothing has changed");
        write(&(first.0.clone(), "torn".to_owned()));
        let (kept, complains) = look();
        assert!(is_same(&kept, &one) && complains);
        write(&first);
        assert!(!look().1, "it is as it was");
        write(&second);
        let (other, complains) = look();
        assert!(other.is_some() && !is_same(&other, &one) && !complains);
    }
}
