//! Transitions on their way from the tick thread to the one that talks to the API server.

use std::collections::VecDeque;

use netprecursor_core::alert::Transition;
use tokio::sync::mpsc;

/// Transitions that wait between the two threads.
const CHANNEL: usize = 256;
/// Transitions that wait on the tick thread's side when the channel is full.
const WAITING: usize = 1024;

/// Both ends. Every alert that goes in has a subject.
pub fn channel() -> (Outbox, mpsc::Receiver<Transition>) {
    let (sender, transitions) = mpsc::channel(CHANNEL);
    (Outbox { sender, waiting: VecDeque::new(), lost: 0 }, transitions)
}

/// Transitions on their way out of the tick thread, which never waits. When the other side falls behind, older states
/// of an alert are dropped for its newer one first; only then is anything lost.
#[derive(Debug)]
pub struct Outbox {
    sender: mpsc::Sender<Transition>,
    waiting: VecDeque<Transition>,
    lost: u64,
}

impl Outbox {
    /// Sends a transition, in order, now or with a later call.
    pub fn send(&mut self, transition: Transition) {
        if self.waiting.len() >= WAITING {
            self.make_room(&transition.alert().name);
        }
        self.waiting.push_back(transition);
        self.flush();
    }

    /// Sends what waits, as far as there is room.
    pub fn flush(&mut self) {
        while let Some(transition) = self.waiting.pop_front() {
            if let Err(refused) = self.sender.try_send(transition) {
                let (mpsc::error::TrySendError::Full(transition) | mpsc::error::TrySendError::Closed(transition)) =
                    refused;
                self.waiting.push_front(transition);
                return;
            }
        }
    }

    /// Transitions dropped although nothing newer of their alert followed.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Drops an older transition of the same alert, else of any alert of which a newer one waits, else the oldest.
    fn make_room(&mut self, name: &str) {
        let is_outdated = |index: usize| {
            let old = &self.waiting[index].alert().name;
            old == name || self.waiting.iter().skip(index + 1).any(|newer| newer.alert().name == *old)
        };
        match (0..self.waiting.len()).find(|index| is_outdated(*index)) {
            Some(index) => {
                self.waiting.remove(index);
            }
            None => {
                self.waiting.pop_front();
                self.lost += 1;
            }
        }
    }
}
