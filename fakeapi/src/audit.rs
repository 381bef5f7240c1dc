//! The requests to the server and their outcomes, as in the audit log of a real one.

use std::{collections::VecDeque, time::Duration};

use crate::request::{Call, Verb};

/// Requests that the log keeps at most; the oldest go first and are counted.
const MAX_ENTRIES: usize = 200_000;

/// A request that was answered.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The user.
    pub user: String,
    /// The verb.
    pub verb: Verb,
    /// API group; empty for the core group.
    pub group: String,
    /// Resource, with `/status` for that part.
    pub resource: String,
    /// Namespace; empty for all.
    pub namespace: String,
    /// Name; empty for all.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// Whether it changed anything.
    pub has_changed: bool,
    /// Time since the server was started.
    pub at: Duration,
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    forgotten: u64,
}

impl Log {
    pub(crate) fn add(&mut self, call: &Call, name: &str, code: u16, has_changed: bool, at: Duration) {
        if self.entries.len() == MAX_ENTRIES {
            self.entries.pop_front();
            self.forgotten += 1;
        }
        let part = if call.subresource.is_empty() { "" } else { "/" };
        self.entries.push_back(Entry {
            user: call.user.clone(),
            verb: call.verb,
            group: call.kind.group.clone(),
            resource: format!("{}{part}{}", call.kind.plural, call.subresource),
            namespace: call.namespace.clone(),
            name: name.to_owned(),
            code,
            has_changed,
            at,
        });
    }

    /// The requests, oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Requests that the log had no room for.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.forgotten = 0;
    }
}
