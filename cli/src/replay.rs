//! Plays a recording through the agent's windows: the same signals, in the same order, into the same code.

mod source;

use std::collections::HashMap;

use netprecursor_core::{
    policy::View,
    signal::{Signal, Signals},
    tick::Tick,
    window::{PushError, Window},
};
use thiserror::Error;

pub(crate) use source::Source;

use crate::{
    recording::{RecordingError, Row},
    seen::Seen,
};

/// Why a recording could not be played.
#[derive(Debug, Error)]
pub(crate) enum ReplayError {
    #[error(transparent)]
    Recording(#[from] RecordingError),
    #[error(
        "got no column '{column}', expected every signal of this release: record again, or use the release that recorded it"
    )]
    Signal { column: &'static str },
    #[error("target '{target}': {reason}; the recording is not one of a single agent's run")]
    Order { target: String, reason: PushError },
}

/// Plays a source from its beginning: each row with its tick, its signals and its target's window.
///
/// # Errors
/// Rows that cannot be read or are out of order, and the errors of `visit`.
pub(crate) fn play<E: From<ReplayError>>(
    source: &impl Source,
    visit: impl FnMut(&Row, Tick, &Signals, &Window) -> Result<(), E>,
) -> Result<(), E> {
    play_as(source, &View::default(), visit)
}

/// As [`play`], as a rule sees it that means `view` by RTT.
///
/// # Errors
/// As [`play`].
pub(crate) fn play_as<E: From<ReplayError>>(
    source: &impl Source,
    view: &View,
    mut visit: impl FnMut(&Row, Tick, &Signals, &Window) -> Result<(), E>,
) -> Result<(), E> {
    let mut columns = [0; Signal::COUNT];
    for (slot, signal) in columns.iter_mut().zip(Signal::ALL) {
        let column = signal.name();
        *slot = source.position(column).ok_or(ReplayError::Signal { column })?;
    }
    let mut targets: HashMap<String, (Seen<'_>, Window)> = HashMap::new();
    for row in source.rows() {
        let row = row.map_err(ReplayError::from)?;
        let (seen, window) = targets.entry(row.uid.clone()).or_insert_with(|| (Seen::new(view), Window::new()));
        let signals = seen.second(row.tick, &Signals::from_values(&columns.map(|column| row.floats[column])));
        let pushed = window.push(Tick(row.tick), &signals);
        pushed.map_err(|reason| ReplayError::Order { target: row.target.clone(), reason })?;
        visit(&row, Tick(row.tick), &signals, window)?;
    }
    Ok(())
}
