//! Notices on their way to a receiver's worker. Whoever puts one in never waits: the latest state of each alert replaces the
//! one before, and when there is no room the oldest goes, counted.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use netprecursor_core::alert::AlertState;
use tokio::sync::Notify;

use crate::notice::Notice;

/// Both ends; clones share it.
#[derive(Debug, Clone)]
pub struct Inbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    capacity: usize,
    arrival: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    notices: HashMap<Turn, Arc<Notice>>,
    /// In order of arrival.
    order: VecDeque<Turn>,
    dropped: u64,
}

/// An alert that fires for the `count`th time at some second, or that resolves after it: later details replace earlier ones, but
/// no turn replaces another. One that was deleted and made anew counts from the start.
type Turn = (String, u64, u64, bool);

impl Inbox {
    /// For at most `capacity` turns.
    pub fn new(capacity: usize) -> Self {
        Self(Arc::new(Shared { waiting: Mutex::default(), capacity: capacity.max(1), arrival: Notify::new() }))
    }

    /// Puts a notice in.
    pub fn put(&self, notice: Arc<Notice>) {
        let turn = (notice.id.clone(), notice.count, notice.fired_unix, notice.state == AlertState::Firing);
        let mut waiting = self.lock();
        if waiting.notices.insert(turn.clone(), notice).is_none() {
            waiting.order.push_back(turn);
        } else if waiting.order.iter().rev().find(|later| later.0 == turn.0) != Some(&turn) {
            // What came last is read last.
            waiting.order.retain(|earlier| *earlier != turn);
            waiting.order.push_back(turn);
        }
        if waiting.order.len() > self.0.capacity
            && let Some(oldest) = waiting.order.pop_front()
        {
            waiting.notices.remove(&oldest);
            waiting.dropped += 1;
        }
        drop(waiting);
        self.0.arrival.notify_one();
    }

    /// Takes all out, in order of arrival.
    pub fn take(&self) -> Vec<Arc<Notice>> {
        let Waiting { mut notices, order, .. } = {
            let mut waiting = self.lock();
            let dropped = waiting.dropped;
            std::mem::replace(&mut *waiting, Waiting { dropped, ..Waiting::default() })
        };
        order.into_iter().filter_map(|turn| notices.remove(&turn)).collect()
    }

    /// Waits until something was put in since the last wait.
    pub async fn arrival(&self) {
        self.0.arrival.notified().await;
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().order.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many had to go.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Whole whatever a thread that panicked was doing with it.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::tests::{FIRED, notice, resolved};

    fn of(id: &str) -> Arc<Notice> {
        Arc::new(Notice { id: id.to_owned(), ..notice() })
    }

    #[test]
    fn later_details_replace_earlier_ones_and_no_turn_is_left_out() {
        let inbox = Inbox::new(8);
        let worse = Arc::new(Notice { predicted: Some("300ms".to_owned()), ..notice() });
        for notice in [Arc::new(notice()), of("other"), Arc::clone(&worse), Arc::new(resolved())] {
            inbox.put(notice);
        }
        assert_eq!(inbox.take(), [worse, of("other"), Arc::new(resolved())]);
        assert_eq!((inbox.len(), inbox.dropped()), (0, 0));
    }

    #[test]
    fn an_alert_that_is_made_anew_is_read_after_the_end_of_the_one_before() {
        let inbox = Inbox::new(8);
        // Its own state outlived the object, or it fires for the first time again.
        for fired_unix in [FIRED, FIRED + 40] {
            let again = Arc::new(Notice { fired_unix, ..notice() });
            for notice in [Arc::new(notice()), of("other"), Arc::new(resolved()), Arc::clone(&again)] {
                inbox.put(notice);
            }
            let taken = inbox.take();
            let firing: Vec<bool> = taken.iter().filter(|one| one.id != "other").map(|one| one.is_firing()).collect();
            assert_eq!(taken.last(), Some(&again));
            assert_eq!(firing, if fired_unix == FIRED { vec![false, true] } else { vec![true, false, true] });
        }
    }

    #[test]
    fn the_oldest_makes_room_and_is_counted() {
        let inbox = Inbox::new(2);
        for id in ["a", "b", "c"] {
            inbox.put(of(id));
        }
        assert_eq!(inbox.take(), [of("b"), of("c")]);
        assert_eq!(inbox.dropped(), 1);
    }

    #[tokio::test]
    async fn who_waits_hears_of_what_came_before_the_wait() {
        let inbox = Inbox::new(2);
        inbox.put(of("a"));
        inbox.arrival().await;
        assert_eq!(inbox.take().len(), 1);
    }
}
