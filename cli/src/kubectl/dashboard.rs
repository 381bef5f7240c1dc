//! `dashboard`: the local web application over a whole cluster, with the rights of whoever starts it. Nothing new listens in the
//! cluster: objects are watched ([`watching`]) and kept ([`mirrors`]), a [`picture`] of them is made whenever something changed
//! ([`publish`]), and agents are reached by port-forward ([`dial`]).

mod alerts;
mod dial;
mod mirrors;
mod nodes;
mod picture;
mod policies;
mod publish;
#[cfg(test)]
mod tests;
mod watching;

use std::{net::SocketAddr, sync::Arc};

use tokio::sync::{mpsc, watch};

use super::connect::Cluster;
use crate::{
    dashboard::{
        Listening, PrometheusArgs,
        cluster::{Picture, serve},
    },
    terminal,
};
use dial::{Agents, Forwards};
use mirrors::Mirrors;

/// Changes that wait to be taken in; a watch that is faster waits for it.
const WAITING: usize = 512;

// Where the dashboard listens. The subcommand has the help.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    listening: Listening,
    #[command(flatten)]
    prometheus: PrometheusArgs,
}

/// Serves it until it is stopped. `is_one_namespace`: the user asked for one.
pub(super) async fn run(cluster: Cluster, is_one_namespace: bool, args: &Args) -> anyhow::Result<()> {
    let url = cluster.url().to_owned();
    let (pictures, shown) = watch::channel(Arc::new(Picture::default()));
    let (agents, known) = watch::channel(Arc::new(Agents::default()));
    let forwards = Forwards::new(cluster.client.clone(), known);
    let begun = |address: SocketAddr| {
        terminal::print(&format!("dashboard of {url} on http://{address}/, until it is stopped\n"))
    };
    tokio::select! {
        served = serve((&args.listening, &args.prometheus), &url, forwards, shown, begun) => served,
        ended = follow(&cluster, is_one_namespace, pictures, agents) => ended,
    }
}

/// Watches the cluster, and makes pictures of it.
async fn follow(
    cluster: &Cluster,
    is_one_namespace: bool,
    pictures: watch::Sender<Arc<Picture>>,
    agents: watch::Sender<Arc<Agents>>,
) -> anyhow::Result<()> {
    let (sender, changes) = mpsc::channel(WAITING);
    let watches = cluster.watches()?;
    let namespaces = if is_one_namespace { Some(cluster.namespace.as_str()) } else { None };
    let mirrors = Mirrors { is_one_namespace, ..Mirrors::default() };
    let publish = publish::publish(mirrors, changes, pictures, agents);
    tokio::select! {
        () = watching::objects(&watches, namespaces, &cluster.namespace, &sender) => {}
        () = watching::installation(cluster, &watches, &sender) => {}
        () = publish => {}
    }
    Err(anyhow::anyhow!("the watches of the cluster ended, expected them to go on"))
}
