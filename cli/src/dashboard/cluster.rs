//! The dashboard over a cluster: whoever watches the API server hands in [`Picture`]s of it and a way to [`Dial`] agents; here is
//! decided whose agents are streamed ([`plan`]), and they are ([`streams`], [`remote`], [`wire`]), each into a store of its own.

mod picture;
mod plan;
mod remote;
mod rows;
mod streams;
#[cfg(test)]
pub(super) mod tests;
mod wire;

use std::{pin::Pin, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};

pub(crate) use picture::{Picture, Placed, PolicyRule, PolicyView, Trouble};
pub(crate) use plan::MOST;
pub(super) use plan::{Candidate, chosen};
pub(super) use rows::{Row, rows};

use super::{Listening, Past, PrometheusArgs, api::Shared, stopped};

/// Bytes in both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Why a connection ended, where the other side says so.
pub(crate) type Complaint = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// A connection to an agent.
pub(crate) struct Dialled {
    pub(crate) stream: Box<dyn Duplex>,
    pub(crate) complaint: Complaint,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreached {
    /// The user may not; the API server's words.
    #[error("{0}")]
    NotPermitted(String),
    #[error("no agent is ready on {node}")]
    NoAgent { node: String },
    #[error("cannot connect to the agent on {node}: {reason}")]
    Failed { node: String, reason: String },
}

/// A way to the agents of a cluster.
pub(crate) trait Dial: Send + Sync + 'static {
    /// Connects to the agent on a node.
    fn dial(&self, node: &str) -> impl Future<Output = Result<Dialled, Unreached>> + Send;
}

/// Listens, says so by `begun`, and serves the cluster of the API server at `url` until the program is stopped. The past is what
/// a Prometheus has of it, if there is one.
pub(crate) async fn serve(
    (listening, prometheus): (&Listening, &PrometheusArgs),
    url: &str,
    dial: impl Dial,
    pictures: watch::Receiver<Arc<Picture>>,
    begun: impl FnOnce(std::net::SocketAddr) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (dashboard, past) = (listening.start()?, Past::asked(prometheus)?);
    begun(dashboard.address())?;
    let shared = Arc::new(Shared::of_cluster(url, past));
    tokio::select! {
        served = dashboard.serve(Arc::clone(&shared)) => served,
        ended = stopped() => ended,
        () = streams::keep(Arc::new(dial), Arc::clone(&shared)) => Ok(()),
        () = look(pictures, &shared) => Err(anyhow::anyhow!("the cluster is not watched any more")),
    }
}

/// Takes in each picture; ends when there will be no more.
async fn look(mut pictures: watch::Receiver<Arc<Picture>>, shared: &Shared) {
    while pictures.changed().await.is_ok() {
        let picture = Arc::clone(&pictures.borrow_and_update());
        shared.change(|fleet| fleet.see(picture));
    }
}
