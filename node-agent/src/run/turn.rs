//! One agent at a time keeps a state directory. The next one of a rolling update is ready beside it, and takes over as soon as
//! the one before has written everything down and ended.

use std::{
    fs::{File, TryLockError},
    net::TcpListener,
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use axum::{Router, http::StatusCode, routing::get};

use super::signals::Signals;

/// The file whose lock is held; there is nothing in it.
const NAME: &str = "lock";

/// Between two looks at the lock: what the agent that waits adds to the time that nobody watches.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The turn of this agent, as long as it lives: the kernel frees the lock, whatever ends the process.
#[derive(Debug)]
pub(super) struct Turn {
    _lock: Option<File>,
}

/// Waits until no other agent keeps its state in `directory`, and answers probes meanwhile: ready unless something required is
/// `missing`, so that an agent that could not take over never replaces one that works. `None`: it is to end before.
///
/// # Errors
/// Probes cannot be answered.
pub(super) async fn wait(
    directory: &Path,
    listener: &TcpListener,
    probes: Option<&TcpListener>,
    missing: &str,
    signals: &mut Signals,
) -> anyhow::Result<Option<Turn>> {
    // Whoever cannot write there keeps nothing there, and has been told so.
    let Ok(lock) = File::options().create(true).truncate(false).write(true).open(directory.join(NAME)) else {
        return Ok(Some(Turn { _lock: None }));
    };
    match lock.try_lock() {
        Ok(()) => return Ok(Some(Turn { _lock: Some(lock) })),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Ok(Some(unlocked(directory, &error))),
    }
    tracing::info!("another agent keeps its state in {}: standing by until it ends", directory.display());
    let freed = async {
        loop {
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK_EVERY).await,
                Err(TryLockError::Error(error)) => return Some(error),
                Ok(()) => return None,
            }
        }
    };
    let answering = async {
        match probes {
            Some(probes) => tokio::try_join!(answer(listener, missing), answer(probes, missing)).map(|_| ()),
            None => answer(listener, missing).await,
        }
    };
    // In this order: who is to end does not take over first.
    let failed = tokio::select! {
        biased;
        () = signals.next() => return Ok(None),
        answered = answering => return answered.map(|()| None).context("HTTP"),
        failed = freed => failed,
    };
    Ok(Some(match failed {
        Some(error) => unlocked(directory, &error),
        None => Turn { _lock: Some(lock) },
    }))
}

/// As before there was a lock.
fn unlocked(directory: &Path, error: &std::io::Error) -> Turn {
    let directory = directory.display();
    tracing::warn!("cannot lock {directory} ({error}): going on; only one agent may keep its state there at a time");
    Turn { _lock: None }
}

/// Answers probes, and everybody else that there is nothing to see yet.
async fn answer(listener: &TcpListener, missing: &str) -> std::io::Result<()> {
    const STANDING_BY: &str = "standing by: another agent keeps its state here\n";
    let ready = if missing.is_empty() {
        (StatusCode::OK, STANDING_BY.to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n"))
    };
    let routes = Router::new()
        .route("/healthz", get(async || STANDING_BY))
        .route("/readyz", get(async move || ready))
        .fallback(async || (StatusCode::SERVICE_UNAVAILABLE, STANDING_BY));
    axum::serve(tokio::net::TcpListener::from_std(listener.try_clone()?)?, routes).await
}
