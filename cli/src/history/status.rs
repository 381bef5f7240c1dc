//! How a history is doing, as the page shows it.

use serde::Serialize;

use super::{error::HistoryError, file::File, tier::Tier};

/// In a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum State {
    /// What comes is kept.
    Good,
    /// It cannot be written, or read; it is tried again.
    Failing,
    /// The file holds what was not written there. Nothing more is.
    Damaged,
}

/// How it is doing.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    pub(super) state: State,
    /// Where it comes from: `Store` or `Prometheus`.
    pub(super) from: &'static str,
    /// The file, or the address.
    pub(super) place: String,
    /// Since when it is in that state, Unix s.
    pub(super) since: u64,
    /// Why it is not good.
    pub(super) reason: Option<String>,
    /// Bytes on disk, and at most; none of what is kept elsewhere.
    pub(super) bytes: Option<u64>,
    pub(super) limit: Option<u64>,
    /// The oldest second that is kept, Unix s.
    pub(super) oldest: Option<u64>,
    /// Seconds of targets and alerts that had to go to make room, and behind the last of them, Unix s.
    pub(super) evicted_seconds: u64,
    pub(super) evicted_alerts: u64,
    pub(super) evicted_until: Option<u64>,
    /// Seconds of targets that were lost before they could be written.
    pub(super) lost: u64,
}

impl Status {
    /// Of a file that can be read, at `unix`.
    pub(super) fn of(file: &File, unix: u64) -> Result<Self, HistoryError> {
        let mut oldest = None;
        for tier in Tier::ALL {
            let ends = file.ends(tier).map_err(HistoryError::using(&file.path))?;
            oldest = [oldest, ends.map(|(first, _)| first)].into_iter().flatten().min();
        }
        let gone = file.gone()?;
        Ok(Self {
            bytes: Some(file.bytes()),
            limit: Some(file.size),
            oldest,
            evicted_seconds: gone.seconds,
            evicted_alerts: gone.alerts,
            evicted_until: Some(gone.until).filter(|until| *until > 0),
            ..Self::begun("Store", file.path.display().to_string(), unix)
        })
    }

    /// Of what is not known to fail.
    pub(super) const fn begun(from: &'static str, place: String, unix: u64) -> Self {
        Self {
            state: State::Good,
            from,
            place,
            since: unix,
            reason: None,
            bytes: None,
            limit: None,
            oldest: None,
            evicted_seconds: 0,
            evicted_alerts: 0,
            evicted_until: None,
            lost: 0,
        }
    }

    /// It works; `now` is how it is.
    pub(super) fn good(&mut self, now: Self) {
        let since = if self.state == State::Good { self.since } else { now.since };
        *self = Self { since, ..now };
    }

    /// It does not, since `unix` or longer.
    pub(super) fn failed(&mut self, error: &HistoryError, unix: u64) {
        let state = if error.is_damage() { State::Damaged } else { State::Failing };
        self.fails(state, error.to_string(), unix);
    }

    /// As [`Self::failed`], for a reason in words.
    pub(super) fn fails(&mut self, state: State, reason: String, unix: u64) {
        if self.state != state {
            (self.state, self.since) = (state, unix);
        }
        self.reason = Some(reason);
    }
}
