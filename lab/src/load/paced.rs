//! Open-loop requests: their times do not depend on the answers. One thread per client.

mod connection;
mod generator;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Instant,
};

use generator::Generator;
use nix::sys::epoll::{Epoll, EpollCreateFlags};
use serde::{Deserialize, Serialize};

use super::Stream;
use crate::{
    LabError,
    scenario::Randomness,
    topology::{Address, Namespace},
};

/// Outcomes of the requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// Requests made.
    pub sent: u64,
    /// Answers received to the end.
    pub answered: u64,
    /// Requests whose connection failed.
    pub failed: u64,
    /// Requests not made because every connection was busy.
    pub not_sent: u64,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Whether the first client's generator has stopped reading.
    stalled: AtomicBool,
    sent: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    not_sent: AtomicU64,
}

/// Running request generators. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Pacer {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Pacer {
    /// Starts one generator in each client's namespace; each makes its share of the streams. Time counts from `begun`.
    pub(crate) fn start(
        clients: &[Namespace],
        servers: &[Address],
        streams: &[Stream],
        begun: Instant,
        seed: u64,
    ) -> Result<Self, LabError> {
        let shared = Arc::new(Shared::default());
        let mut pacer = Self { shared: Arc::clone(&shared), threads: Vec::new() };
        for (n, client) in clients.iter().enumerate() {
            let mut streams = streams.to_vec();
            for stream in &mut streams {
                stream.per_second /= clients.len() as f64;
            }
            let (ready, entered) = std::sync::mpsc::channel();
            let handle = client.try_clone()?;
            let generator = Generator {
                servers: servers.to_vec(),
                streams,
                begun,
                random: Randomness::new(seed, 100 + n as u64),
                shared: Arc::clone(&shared),
                stalls: n == 0,
            };
            let body = move || {
                let result = handle.enter().and_then(|()| Ok(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?));
                match result {
                    Ok(epoll) => {
                        let _ = ready.send(Ok(()));
                        generator.run(&epoll);
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
            };
            let thread = thread::Builder::new()
                .name("lab-requests".into())
                .spawn(body)
                .map_err(|error| LabError::Thread { what: "request", got: error.to_string() })?;
            pacer.threads.push(thread);
            entered
                .recv()
                .map_err(|error| LabError::Thread { what: "request", got: error.to_string() })?
                .map_err(LabError::namespace(client.name(), "start requests"))?;
        }
        Ok(pacer)
    }

    /// Stops the first client from reading its answers, or lets it go on.
    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.shared.stalled.store(stalled, Relaxed);
    }

    /// Outcomes of the requests so far.
    pub(crate) fn counts(&self) -> RequestCounts {
        RequestCounts {
            sent: self.shared.sent.load(Relaxed),
            answered: self.shared.answered.load(Relaxed),
            failed: self.shared.failed.load(Relaxed),
            not_sent: self.shared.not_sent.load(Relaxed),
        }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
