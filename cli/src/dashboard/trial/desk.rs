//! Who may try, and when: few trials at a time, one of each page, and none for a page that has gone or asks for another.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::shelf::Shelf;

/// Trials that run at a time: each takes a core while it does.
const PLACES: usize = 2;

/// Pages that wait or try.
const MOST_PAGES: usize = 16;

/// How long a page waits for a place. One that was overtaken is free within milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// The desk.
#[derive(Debug)]
pub(in crate::dashboard) struct Desk {
    shelf: Option<Shelf>,
    places: Arc<Semaphore>,
    /// What stops the trial of each page.
    pages: Mutex<HashMap<String, Arc<AtomicBool>>>,
}

/// A page's turn. Its trial is stopped when this is dropped, as it is when the page's connection ends, and when the page
/// asks for another one.
#[derive(Debug)]
pub(super) struct Turn {
    desk: Arc<Desk>,
    page: String,
    stop: Arc<AtomicBool>,
}

/// What is said to who finds no place.
pub(super) fn full() -> String {
    format!(
        "{PLACES} trials run already, expected fewer: try again in some seconds, or close other pages that try policies"
    )
}

impl Desk {
    /// A desk with or without recordings.
    pub(in crate::dashboard) fn new(shelf: Option<Shelf>) -> Self {
        Self { shelf, places: Arc::new(Semaphore::new(PLACES)), pages: Mutex::default() }
    }

    /// The recordings.
    pub(super) const fn shelf(&self) -> Option<&Shelf> {
        self.shelf.as_ref()
    }

    /// Gives a page its turn, and stops the trial that it had before. None when too many pages wait.
    pub(super) fn turn(self: &Arc<Self>, page: &str) -> Option<Turn> {
        let mut pages = self.pages();
        if pages.len() >= MOST_PAGES && !pages.contains_key(page) {
            return None;
        }
        let stop = Arc::new(AtomicBool::new(false));
        if let Some(before) = pages.insert(page.to_owned(), Arc::clone(&stop)) {
            before.store(true, Relaxed);
        }
        Some(Turn { desk: Arc::clone(self), page: page.to_owned(), stop })
    }

    /// Waits for a place. None when there is none for too long.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await.ok()?.ok()
    }

    fn pages(&self) -> MutexGuard<'_, HashMap<String, Arc<AtomicBool>>> {
        // Nothing is left half written: each change is one call.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Set once the trial is to end.
    pub(super) fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let mut pages = self.desk.pages();
        // A later turn of the same page stays.
        if pages.get(&self.page).is_some_and(|stop| Arc::ptr_eq(stop, &self.stop)) {
            pages.remove(&self.page);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_asks_again_or_goes_stops_its_trial() {
        let desk = Arc::new(Desk::new(None));
        let (one, other) = (desk.turn("a").unwrap(), desk.turn("b").unwrap());
        let (first, second) = (one.stop(), other.stop());
        let again = desk.turn("a").unwrap();
        assert!(first.load(Relaxed) && !again.stop().load(Relaxed) && !second.load(Relaxed));
        drop(one);
        assert!(!again.stop().load(Relaxed), "the end of a turn that was overtaken is not that of the next");
        drop(other);
        assert!(second.load(Relaxed));
        assert_eq!(desk.pages().len(), 1);
    }

    #[test]
    fn pages_are_bounded_and_one_that_is_there_may_ask_again() {
        let desk = Arc::new(Desk::new(None));
        let turns: Vec<Turn> = (0..MOST_PAGES).map(|page| desk.turn(&page.to_string()).unwrap()).collect();
        assert!(desk.turn("one more").is_none() && desk.turn("0").is_some());
        drop(turns);
        assert!(desk.turn("one more").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_is_told_so_after_a_while() {
        let desk = Desk::new(None);
        let (one, other) = (desk.place().await, desk.place().await);
        assert!(one.is_some() && other.is_some() && desk.place().await.is_none());
        drop(one);
        assert!(desk.place().await.is_some());
    }
}
