//! The one thread that talks to the API server, with a runtime of its own.

use std::{
    future::Future,
    io,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    thread::{self, JoinHandle},
};

use fastrand::Rng;
use kube::Config;
use netprecursor_kit::Backoff;
use tokio::sync::{oneshot, watch};

use super::{client::Clients, models::Shelf, networks::NetworksFile, recall::Recall, watching};
use crate::desired::Desired;

/// Where this agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The node.
    pub node: String,
    /// The agent's pod.
    pub pod: String,
    /// The agent's namespace, in which the operator publishes models.
    pub namespace: String,
}

/// What else runs on the thread once there is a client; ends when asked to.
pub type Publishing = Box<dyn FnOnce(Clients, oneshot::Receiver<()>) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// The thread.
#[derive(Debug)]
pub struct Cluster {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Starts it. Whether there is an API server shows later: the agent lives without.
    ///
    /// # Errors
    /// No thread or runtime can be made.
    pub fn start(
        location: Location,
        recall: Recall,
        networks_file: Option<PathBuf>,
        desired: watch::Sender<Arc<Desired>>,
        publishing: Publishing,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("cluster".to_owned()).spawn(move || {
            let networks = NetworksFile::new(networks_file);
            runtime.block_on(live(location, recall, networks, desired, publishing, stopped));
            // A check of a model may still run: its child has a deadline of its own.
            runtime.shutdown_background();
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Ends it, and waits until all pending alerts are published or on disk.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported; what is on disk is published by the next agent.
            let _ = thread.join();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

async fn live(
    location: Location,
    recall: Recall,
    networks: NetworksFile,
    desired: watch::Sender<Arc<Desired>>,
    publishing: Publishing,
    mut stopped: oneshot::Receiver<()>,
) {
    let clients = tokio::select! {
        clients = connect() => clients,
        _ = &mut stopped => return,
    };
    let (end, ended) = oneshot::channel();
    let shelf = Shelf::new(clients.requests.clone(), location.namespace.clone());
    let following = watching::follow(clients.watches.clone(), shelf, recall, networks, &location.node, desired);
    let mut publishing = publishing(clients, ended);
    tokio::select! {
        () = following => {}
        () = &mut publishing => {}
        _ = &mut stopped => {
            let _ = end.send(());
            publishing.await;
        }
    }
}

/// Clients, as soon as there is a configuration.
async fn connect() -> Clients {
    // The token may be mounted late.
    let (mut backoff, mut rng) = (Backoff::default(), Rng::new());
    loop {
        let found = match Config::infer().await {
            Ok(config) => Clients::new(&config).map_err(|error| crate::error::chain(&error)),
            Err(error) => Err(crate::error::chain(&error)),
        };
        match found {
            Ok(clients) => return clients,
            Err(error) => tracing::warn!(
                error,
                "cannot connect to the API server: expected a service account token or KUBECONFIG; retrying"
            ),
        }
        tokio::time::sleep(backoff.pause(&mut rng)).await;
    }
}
