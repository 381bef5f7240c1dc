//! Messages to a webhook, in order: one when an alert fires, one when it resolves. Details that come while a message waits are
//! taken into it; later ones are not sent. Pure.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use netprecursor_core::hex;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{Moment, notice::Notice};

/// A message that waited for so long is given up: nobody could act on it any more.
const GIVE_UP: Duration = Duration::from_secs(900);

/// What ended so long before the start counts as sent, by whoever sent before. That something fires is repeated for as long as
/// anybody could act on it: ids do not change, so that a receiver can tell.
const SENT_BEFORE: Duration = Duration::from_secs(60);

/// What a message announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub enum Event {
    /// The alert fired.
    Fired,
    /// The alert resolved.
    Resolved,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same for each attempt, and for a repeat after a restart.
    pub id: String,
    /// What it announces.
    pub event: Event,
    /// The alert.
    pub notice: Arc<Notice>,
    came: Duration,
}

/// Messages of one webhook.
#[derive(Debug)]
pub struct Queue {
    waiting: VecDeque<Message>,
    /// The last message of each alert, by the alert's name.
    last: HashMap<String, Last>,
    /// Names of alerts by when they were heard of last, for the oldest to go.
    order: BTreeMap<u64, String>,
    /// How often anything was heard of.
    heard: u64,
    capacity: usize,
    began_unix: u64,
    dropped: u64,
}

#[derive(Debug)]
struct Last {
    /// The message's id.
    message: String,
    /// The alert's place in the order.
    heard: u64,
}

impl Queue {
    /// For at most `capacity` messages; it begins at `unix`.
    pub fn new(capacity: usize, unix: u64) -> Self {
        let (waiting, last, order) = (VecDeque::new(), HashMap::new(), BTreeMap::new());
        Self { waiting, last, order, heard: 0, capacity, began_unix: unix, dropped: 0 }
    }

    /// Takes in the state of an alert.
    pub fn take(&mut self, notice: Arc<Notice>, now: Moment) {
        let (event, unix, repeated) = match notice.resolved_unix.filter(|_| !notice.is_firing()) {
            Some(resolved) => (Event::Resolved, resolved, SENT_BEFORE),
            None => (Event::Fired, notice.fired_unix, GIVE_UP),
        };
        let id = id(&notice, event);
        if !self.remember(&notice.id, &id) {
            if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.id == id) {
                waiting.notice = notice;
            }
            return;
        }
        if unix.saturating_add(repeated.as_secs()) < self.began_unix {
            return;
        }
        if self.waiting.len() >= self.capacity {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(Message { id, event, notice, came: now.since });
    }

    /// The message that is next.
    pub fn first(&self) -> Option<Message> {
        self.waiting.front().cloned()
    }

    /// It was taken, or (`is_refused`) never will be.
    pub fn settle(&mut self, message: &Message, is_refused: bool) {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.id != message.id);
        self.dropped += u64::from(is_refused && self.waiting.len() < before);
    }

    /// Gives up what waited for too long.
    pub fn expire(&mut self, now: Duration) {
        while self.waiting.front().is_some_and(|message| message.came + GIVE_UP <= now) {
            self.waiting.pop_front();
            self.dropped += 1;
        }
    }

    /// When the next message is given up; what waits is due at once.
    pub fn next(&self) -> Option<Duration> {
        self.waiting.front().map(|message| message.came + GIVE_UP)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many never arrived.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Remembers the last message of an alert; false when it was this one before.
    fn remember(&mut self, alert: &str, message: &str) -> bool {
        self.heard += 1;
        let last = Last { message: message.to_owned(), heard: self.heard };
        let before = self.last.insert(alert.to_owned(), last);
        if let Some(before) = &before {
            self.order.remove(&before.heard);
        }
        self.order.insert(self.heard, alert.to_owned());
        if self.order.len() > self.capacity.saturating_mul(2)
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.last.remove(&oldest);
        }
        before.is_none_or(|before| before.message != message)
    }
}

/// The id of a message: a digest, for ids have no dots and alerts do.
fn id(notice: &Notice, event: Event) -> String {
    let mut hash = Sha256::new();
    let turn = format!("{} {} {event:?}", notice.count, notice.fired_unix);
    for part in [&notice.id, &turn] {
        // Lengths keep ("ab", "c") apart from ("a", "bc").
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    format!("msg_{}", hex(&hash.finalize()[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::tests::{FIRED, notice, resolved};

    fn at(since: u64) -> Moment {
        Moment { since: Duration::from_secs(since), unix: FIRED + since }
    }

    fn queue() -> Queue {
        Queue::new(2, FIRED)
    }

    fn take(queue: &mut Queue, notice: Notice, now: u64) {
        queue.take(Arc::new(notice), at(now));
    }

    fn events(queue: &Queue) -> Vec<Event> {
        queue.waiting.iter().map(|message| message.event).collect()
    }

    #[test]
    fn an_alert_is_two_messages_however_often_its_details_change() {
        let mut queue = queue();
        take(&mut queue, notice(), 0);
        take(&mut queue, Notice { predicted: Some("300ms".to_owned()), ..notice() }, 1);
        let first = queue.first().unwrap();
        assert_eq!((first.event, first.notice.predicted.as_deref()), (Event::Fired, Some("300ms")));
        queue.settle(&first, false);
        take(&mut queue, notice(), 2);
        assert!(queue.is_empty());
        take(&mut queue, resolved(), 30);
        take(&mut queue, resolved(), 31);
        assert_eq!((events(&queue), queue.dropped()), (vec![Event::Resolved], 0));
    }

    #[test]
    fn each_time_that_it_fires_is_sent_under_an_id_of_its_own() {
        let mut ids = Vec::new();
        for notice in [notice(), resolved(), Notice { count: 2, fired_unix: FIRED + 60, ..notice() }] {
            let mut queue = queue();
            take(&mut queue, notice.clone(), 60);
            let message = queue.first().unwrap();
            // The same after a restart.
            let mut again = self::queue();
            take(&mut again, notice, 90);
            assert_eq!(again.first().unwrap().id, message.id);
            assert!(!message.id.contains('.') && !ids.contains(&message.id), "{ids:?}");
            ids.push(message.id);
        }
    }

    #[test]
    fn what_still_fires_at_the_start_is_sent_unless_it_fired_long_ago() {
        for (began, is_sent) in [(FIRED + 900, true), (FIRED + 901, false)] {
            let mut queue = Queue::new(2, began);
            take(&mut queue, notice(), 900);
            assert_eq!(!queue.is_empty(), is_sent, "{began}");
        }
    }

    #[test]
    fn what_was_over_long_before_the_start_was_sent_before() {
        const OVER: u64 = FIRED + 30;
        for (began, is_sent) in [(OVER + 60, true), (OVER + 61, false)] {
            let mut queue = Queue::new(2, began);
            take(&mut queue, resolved(), 90);
            assert_eq!(!queue.is_empty(), is_sent, "{began}");
        }
        // The end of what fired long ago is news.
        let mut queue = Queue::new(2, FIRED + 1000);
        take(&mut queue, notice(), 1000);
        take(&mut queue, Notice { resolved_unix: Some(FIRED + 1001), ..resolved() }, 1001);
        assert_eq!(events(&queue), [Event::Resolved]);
    }

    #[test]
    fn what_waits_too_long_or_finds_no_room_or_is_refused_is_counted() {
        let mut queue = queue();
        for count in 1..=3 {
            take(&mut queue, Notice { count, ..notice() }, count);
        }
        assert_eq!((queue.len(), queue.dropped()), (2, 1));
        assert_eq!(queue.next(), Some(Duration::from_secs(902)));
        queue.expire(Duration::from_secs(902));
        assert_eq!((queue.len(), queue.dropped()), (1, 2));
        let message = queue.first().unwrap();
        queue.settle(&message, true);
        assert_eq!((queue.len(), queue.dropped(), queue.next()), (0, 3, None));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut queue, mut sent) = (queue(), Vec::new());
        for number in 0..100 {
            // One that lasts is not forgotten for all those that come and go.
            for id in [number.to_string(), "lasts".to_owned()] {
                take(&mut queue, Notice { id, ..notice() }, 0);
                while let Some(message) = queue.first() {
                    queue.settle(&message, false);
                    sent.push(message.notice.id.clone());
                }
            }
        }
        assert_eq!((queue.last.len(), queue.order.len()), (4, 4));
        assert_eq!(sent.iter().filter(|id| id.as_str() == "lasts").count(), 1);
    }
}
