//! When a replica of Alertmanager is sent which alert: at once when it fires or resolves, soon when there is more to say, again
//! as long as it is firing (Alertmanager forgets what it does not hear of), and for some minutes after it resolved. Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use netprecursor_core::alert::AlertState;

use crate::{
    Moment,
    notice::{Labels, Notice},
};

/// Alerts of one request.
pub const MAX_BATCH: usize = 128;

/// A forecast that rose, or a verdict, is sent no sooner than this after what was sent last.
const DETAILS_AFTER: Duration = Duration::from_secs(10);

/// A firing alert that is not sent again lasts for so many intervals: as with Prometheus, three may be lost.
const LASTS_INTERVALS: u32 = 4;

/// The least time for which one that resolved is sent.
const KEEP_RESOLVED: Duration = Duration::from_secs(300);

/// How often and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Between two times that an unchanged alert is sent.
    pub resend: Duration,
    /// How many alerts are remembered.
    pub capacity: usize,
}

impl Schedule {
    /// For how long Alertmanager takes a firing alert to be firing that it does not hear of again.
    pub const fn lasts(&self) -> Duration {
        self.resend.saturating_mul(LASTS_INTERVALS)
    }

    /// For how long an alert that resolved is sent: where that was lost, Alertmanager takes it to be firing for as long.
    pub fn keep_resolved(&self) -> Duration {
        self.lasts().max(KEEP_RESOLVED)
    }
}

/// The alerts of one replica.
#[derive(Debug)]
pub struct Register {
    schedule: Schedule,
    cluster: Option<Arc<str>>,
    /// By labels, for to Alertmanager these are the alert: a pod that came back under its name has the one it had before.
    entries: BTreeMap<Arc<Labels>, Entry>,
    /// The labels of each alert, by its own name.
    named: HashMap<String, Arc<Labels>>,
    dropped: u64,
}

#[derive(Debug)]
struct Entry {
    notice: Arc<Notice>,
    /// When to send it.
    due: Duration,
    /// When it was sent last.
    sent: Option<Duration>,
    /// Whether it has not been sent since it fired or resolved.
    is_news: bool,
    /// Since when it is known to be over.
    over: Option<Duration>,
}

/// An alert that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its labels.
    pub labels: Arc<Labels>,
    /// Its state.
    pub notice: Arc<Notice>,
}

impl Register {
    /// An empty one; `cluster` is a label of all alerts.
    pub fn new(schedule: Schedule, cluster: Option<Arc<str>>) -> Self {
        Self { schedule, cluster, entries: BTreeMap::new(), named: HashMap::new(), dropped: 0 }
    }

    /// Takes in the state of an alert.
    pub fn take(&mut self, notice: Arc<Notice>, now: Moment) {
        let labels = Arc::new(notice.labels(self.cluster.as_deref()));
        // Another severity, for example: nobody will say of the old labels that they are over.
        if let Some(before) = self.named.get(&notice.id).filter(|before| **before != labels) {
            let before = Arc::clone(before);
            self.named.remove(&notice.id);
            self.end(&before, now);
        }
        if let Some(entry) = self.entries.get_mut(&labels) {
            let former = (entry.notice.id != notice.id).then(|| entry.notice.id.clone());
            // Another alert about the same is over: that says nothing about this one.
            if former.is_some() && entry.notice.is_firing() && !notice.is_firing() {
                return;
            }
            entry.take(Arc::clone(&notice), now.since);
            if let Some(former) = former {
                self.forget(&former, &labels);
            }
            self.named.insert(notice.id.clone(), labels);
        } else if !self.is_long_over(&notice, now.unix) {
            self.add(labels, notice, now.since);
        }
    }

    /// What is to be sent now, the most important first: what fires, what resolves, what is longest due.
    pub fn batch(&self, now: Duration) -> Vec<Due> {
        let mut due: Vec<_> = self.entries.iter().filter(|(_, entry)| entry.due <= now).collect();
        due.sort_by_key(|(_, entry)| (Reverse((entry.is_news, entry.notice.is_firing())), entry.due));
        due.truncate(MAX_BATCH);
        due.into_iter()
            .map(|(labels, entry)| Due { labels: Arc::clone(labels), notice: Arc::clone(&entry.notice) })
            .collect()
    }

    /// These were sent at `now`, or (`is_refused`) never will be as they are: they have their turn again with the others.
    pub fn settle(&mut self, batch: &[Due], is_refused: bool, now: Duration) {
        for Due { labels, notice } in batch {
            let Some(entry) = self.entries.get_mut(labels) else { continue };
            entry.sent = Some(now);
            // What came meanwhile is still to be sent.
            if Arc::ptr_eq(&entry.notice, notice) {
                self.dropped += u64::from(is_refused && entry.is_news);
                entry.is_news = false;
                entry.due = now + self.schedule.resend;
            }
        }
    }

    /// Forgets what resolved long enough ago.
    pub fn expire(&mut self, now: Duration) {
        let keep = self.schedule.keep_resolved();
        let over: Vec<_> =
            self.entries.extract_if(.., |_, entry| entry.over.is_some_and(|over| over + keep <= now)).collect();
        for (labels, entry) in over {
            self.dropped += u64::from(entry.is_news);
            self.forget(&entry.notice.id, &labels);
        }
    }

    /// When something is due or to be forgotten; `None` when there is nothing.
    pub fn next(&self) -> Option<Duration> {
        let next = |entry: &Entry| {
            let end = entry.over.map(|over| over + self.schedule.keep_resolved());
            end.map_or(entry.due, |end| end.min(entry.due))
        };
        self.entries.values().map(next).min()
    }

    /// How many fired or resolved, and were not sent since.
    pub fn news(&self) -> usize {
        self.entries.values().filter(|entry| entry.is_news).count()
    }

    /// How many fired or resolved, and were given up unsent.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How often and how many.
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn add(&mut self, labels: Arc<Labels>, notice: Arc<Notice>, now: Duration) {
        if self.entries.len() >= self.schedule.capacity && !self.evict() {
            self.dropped += 1;
            return;
        }
        self.named.insert(notice.id.clone(), Arc::clone(&labels));
        let over = (!notice.is_firing()).then_some(now);
        self.entries.insert(labels, Entry { notice, due: now, sent: None, is_news: true, over });
    }

    /// Makes room: of those that are over the first goes. False when all are firing.
    fn evict(&mut self) -> bool {
        let over = self.entries.iter().filter_map(|(labels, entry)| Some((entry.over?, labels)));
        let Some(labels) = over.min_by_key(|(over, _)| *over).map(|(_, labels)| Arc::clone(labels)) else {
            return false;
        };
        if let Some(entry) = self.entries.remove(&labels) {
            self.dropped += u64::from(entry.is_news);
            self.forget(&entry.notice.id, &labels);
        }
        true
    }

    /// What is known under these labels is over.
    fn end(&mut self, labels: &Labels, now: Moment) {
        let Some(entry) = self.entries.get_mut(labels).filter(|entry| entry.notice.is_firing()) else { return };
        let over =
            Notice { state: AlertState::Resolved, resolved_unix: Some(now.unix), ..Notice::clone(&entry.notice) };
        entry.take(Arc::new(over), now.since);
    }

    fn forget(&mut self, id: &str, labels: &Labels) {
        if self.named.get(id).is_some_and(|named| **named == *labels) {
            self.named.remove(id);
        }
    }

    /// Whether there is nothing to say about an alert that was not known.
    fn is_long_over(&self, notice: &Notice, unix: u64) -> bool {
        let over = notice.resolved_unix.filter(|_| !notice.is_firing());
        over.is_some_and(|over| unix.saturating_sub(over) >= self.schedule.keep_resolved().as_secs())
    }
}

impl Entry {
    fn take(&mut self, notice: Arc<Notice>, now: Duration) {
        let before = std::mem::replace(&mut self.notice, notice);
        let is_turn =
            before.state != self.notice.state || before.count != self.notice.count || before.id != self.notice.id;
        if is_turn {
            self.is_news = true;
            self.due = now;
            self.over = (!self.notice.is_firing()).then_some(now);
        } else if before != self.notice {
            let soon = self.sent.map_or(now, |sent| (sent + DETAILS_AFTER).max(now));
            self.due = self.due.min(soon);
        }
    }
}

#[cfg(test)]
mod tests;
