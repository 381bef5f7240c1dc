//! Whether a request is made again, for what runs once and nobody repeats.

use std::time::Duration;

use netprecursor_kit::Failure;

/// Between two tries, where the API server names no time.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// Tries of one request.
pub(crate) const TRIES: usize = 5;

/// How long to wait before a request that failed `tries` times is made again; `None`: it is given up.
pub(crate) fn again(failed: &kube::Error, tries: usize) -> Option<Duration> {
    let pause = match Failure::from(failed) {
        Failure::Busy { retry_after } => retry_after.unwrap_or(PAUSE),
        Failure::Refused | Failure::Garbled | Failure::Unanswered => PAUSE,
        Failure::Missing
        | Failure::Forbidden
        | Failure::Ending
        | Failure::Exists
        | Failure::Conflict
        | Failure::Invalid => return None,
    };
    (tries < TRIES).then_some(pause)
}
