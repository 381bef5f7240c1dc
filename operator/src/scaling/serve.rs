//! Lets connections in: TLS with whatever door is open, then HTTP. Bounded: whoever does not shake hands, or says nothing, is
//! shown out, and beyond so many connections the next one waits outside.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{answer::Peer, door::Door};
use crate::metrics::Metrics;

/// Connections at once. Each kube-apiserver keeps a few.
const MOST: usize = 128;

/// For TLS, which takes a round trip or two.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// For the next request; longer than autoscalers wait between two looks, so that they need no new connection.
const SILENCE: Duration = Duration::from_secs(60);

/// The same for who has shown no certificate.
const STRANGE: Duration = Duration::from_secs(2);

/// After a connection could not be accepted: descriptors are short, for example.
const PAUSE: Duration = Duration::from_millis(500);

/// The door that is open now, if one is.
pub(super) type Open = watch::Receiver<Option<Arc<Door>>>;

/// Serves `routes` until the future is dropped; connections end with it.
pub(super) async fn serve(listener: TcpListener, mut open: Open, routes: Router, metrics: Metrics) {
    let room = Arc::new(Semaphore::new(MOST));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // Nobody closes the semaphore.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let door = open.borrow_and_update().clone();
                connections.spawn(connection(stream, (door, open.clone()), routes.clone(), metrics.clone(), permit));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for external metrics");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// One connection to its end, or until there is another door. Without a door it is closed: why there is none is in the log.
async fn connection(
    stream: TcpStream,
    (door, mut next): (Option<Arc<Door>>, Open),
    routes: Router,
    metrics: Metrics,
    _permit: OwnedSemaphorePermit,
) {
    let Some(door) = door else { return metrics.scaling_requested("no_certificate") };
    let shaken = timeout(HANDSHAKE, TlsAcceptor::from(Arc::clone(&door.tls)).accept(stream)).await;
    let stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            return metrics.scaling_requested("handshake_failed");
        }
        Err(_) => return metrics.scaling_requested("handshake_failed"),
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    // A stranger is told what it lacks, and need not be waited for.
    let silence = if certificate.is_some() { SILENCE } else { STRANGE };
    let peer = Peer::new(Arc::clone(&door.front_proxy), certificate);
    let service = TowerToHyperService::new(routes.layer(Extension(peer)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(silence);
    let mut served = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = &mut served => ended,
        // Whom the next door would not believe is not believed any longer; who asks connects again.
        _ = next.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection for external metrics broke");
    }
}
