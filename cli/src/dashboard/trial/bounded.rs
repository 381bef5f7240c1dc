//! A source of which only some targets are played, no more seconds than a trial takes, and none once it is stopped.

use std::{
    cell::Cell,
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::{
    recording::{RecordingError, Row},
    replay::Source,
};

/// The part of a source that is played.
pub(super) struct Bounded<'a, S> {
    source: &'a S,
    /// None: all targets.
    uids: Option<&'a BTreeSet<String>>,
    most: usize,
    stop: &'a AtomicBool,
    is_cut: Cell<bool>,
}

impl<'a, S: Source> Bounded<'a, S> {
    /// At most `most` rows.
    pub(super) const fn new(
        source: &'a S,
        uids: Option<&'a BTreeSet<String>>,
        most: usize,
        stop: &'a AtomicBool,
    ) -> Self {
        Self { source, uids, most, stop, is_cut: Cell::new(false) }
    }

    /// Whether there was more than was played.
    pub(super) const fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    fn is_wanted(&self, row: &Row) -> bool {
        self.uids.is_none_or(|uids| uids.contains(&row.uid))
    }
}

impl<S: Source> Source for Bounded<'_, S> {
    fn position(&self, name: &str) -> Option<usize> {
        self.source.position(name)
    }

    fn rows(&self) -> impl Iterator<Item = Result<Row, RecordingError>> + '_ {
        let mut taken = 0;
        let rows = self.source.rows().take_while(move |_| !self.stop.load(Relaxed));
        rows.filter(move |row| row.as_ref().map_or(true, |row| self.is_wanted(row))).take_while(move |_| {
            taken += 1;
            self.is_cut.set(taken > self.most);
            taken <= self.most
        })
    }
}
