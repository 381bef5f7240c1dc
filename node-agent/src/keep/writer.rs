//! A thread that writes what is handed to it: a disk may take seconds, and the tick waits for nobody.

use std::{
    io,
    sync::mpsc::{self, Receiver, SyncSender, TrySendError},
    thread::{self, JoinHandle},
};

/// The thread.
#[derive(Debug)]
pub struct Writer<T> {
    sender: SyncSender<T>,
    thread: JoinHandle<()>,
}

impl<T: Send + 'static> Writer<T> {
    /// Starts it; `write` runs until nothing more comes.
    ///
    /// # Errors
    /// There may be no more threads.
    pub fn start(name: &str, write: impl FnOnce(Receiver<T>) + Send + 'static) -> io::Result<Self> {
        // One waits while another is written: a disk that falls further behind is not helped by more.
        let (sender, received) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || write(received))?;
        Ok(Self { sender, thread })
    }

    /// Keeps the state, now or soon; gives it back when the one before is still waiting for the disk.
    ///
    /// # Errors
    /// What was handed over: it is still to be kept.
    pub fn try_keep(&self, state: T) -> Result<(), T> {
        self.sender.try_send(state).map_err(|refused| match refused {
            TrySendError::Full(state) | TrySendError::Disconnected(state) => state,
        })
    }

    /// Keeps what there is for the last time, and returns when it is on disk.
    pub fn finish(self, state: impl Into<Option<T>>) {
        // Both fail only when the thread panicked, whose message is in the log.
        let _ = state.into().map(|state| self.sender.send(state));
        drop(self.sender);
        let _ = self.thread.join();
    }
}
