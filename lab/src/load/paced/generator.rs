//! The generator of one client: when requests are due, and the connections that carry them.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags, EpollTimeout};

use super::{
    Shared,
    connection::{Connection, Step, Waiting, dial},
};
use crate::{load::Stream, scenario::Randomness, topology::Address};

/// Connections of one client to all servers at most; a request that finds none free is counted and not made.
const CONNECTIONS: usize = 192;
/// Longest pause of the loop, ms: how late a change of rate is noticed.
const LONGEST_PAUSE_MS: f64 = 20.0;
const EVENTS: usize = 64;

/// The requests of one client.
pub(super) struct Generator {
    pub(super) servers: Vec<Address>,
    pub(super) streams: Vec<Stream>,
    pub(super) begun: Instant,
    pub(super) random: Randomness,
    pub(super) shared: Arc<Shared>,
    /// Whether a stall stops it.
    pub(super) stalls: bool,
}

/// When the next request of a stream is due: expected requests so far against an exponential step (a Poisson process
/// whose rate moves).
struct Arrivals {
    expected: f64,
    next: f64,
}

impl Generator {
    /// Runs until it is stopped.
    pub(super) fn run(mut self, epoll: &Epoll) {
        let mut connections: Vec<Option<Connection>> = (0..CONNECTIONS).map(|_| None).collect();
        let mut arrivals: Vec<_> =
            self.streams.iter().map(|_| Arrivals { expected: 0.0, next: self.random.exponential() }).collect();
        let mut events = [EpollEvent::empty(); EVENTS];
        let mut buffer = vec![0; 65_536];
        let mut was_stalled = false;
        let mut last = self.begun.elapsed().as_secs_f64();
        while !self.shared.stop.load(Relaxed) {
            let now = self.begun.elapsed().as_secs_f64();
            let mut pause_ms = LONGEST_PAUSE_MS;
            for (stream, arrivals) in self.streams.iter().zip(&mut arrivals) {
                let rate = stream.rate(now);
                arrivals.expected += rate * (now - last);
                while arrivals.expected >= arrivals.next {
                    arrivals.next += self.random.exponential();
                    let server = stream.server.unwrap_or_else(|| self.random.below(self.servers.len()));
                    let single = self.random.unit() < stream.fresh_share;
                    let response_bytes = (stream.response_bytes * (0.5 + self.random.unit())) as u64;
                    let address = self.servers[server];
                    request(epoll, &mut connections, (server, address), single, response_bytes, &self.shared);
                }
                if rate > 0.0 {
                    pause_ms = pause_ms.min((arrivals.next - arrivals.expected) / rate * 1e3);
                }
            }
            last = now;
            let timeout = EpollTimeout::from(pause_ms.ceil().max(1.0) as u16);
            let ready = epoll.wait(&mut events, timeout).unwrap_or(0);
            let stalled = self.stalls && self.shared.stalled.load(Relaxed);
            if was_stalled && !stalled {
                // Edge-triggered events come once: those of the stall are gone.
                connections.iter_mut().for_each(|slot| self.progress(slot, &mut buffer));
            }
            was_stalled = stalled;
            for event in &events[..ready] {
                let slot = &mut connections[event.data() as usize];
                let asks = slot.as_ref().is_some_and(|connection| connection.waiting.is_connecting());
                if asks || !stalled {
                    self.progress(slot, &mut buffer);
                }
            }
        }
    }

    fn progress(&self, slot: &mut Option<Connection>, buffer: &mut [u8]) {
        let Some(connection) = slot else { return };
        match connection.step(buffer) {
            Step::Wait => {}
            Step::Answered => {
                self.shared.answered.fetch_add(1, Relaxed);
                if connection.single {
                    *slot = None;
                }
            }
            Step::Failed => {
                // An idle connection that the server closes is no failure.
                if connection.waiting != Waiting::Nothing {
                    self.shared.failed.fetch_add(1, Relaxed);
                }
                *slot = None;
            }
        }
    }
}

fn request(
    epoll: &Epoll,
    connections: &mut [Option<Connection>],
    (server, address): (usize, Address),
    single: bool,
    response_bytes: u64,
    shared: &Shared,
) {
    let idle = |slot: &&mut Option<Connection>| {
        slot.as_ref().is_some_and(|c| c.server == server && !c.single && c.waiting == Waiting::Nothing)
    };
    if !single && let Some(Some(connection)) = connections.iter_mut().find(idle) {
        shared.sent.fetch_add(1, Relaxed);
        if connection.ask(response_bytes).is_err() {
            shared.failed.fetch_add(1, Relaxed);
            connection.single = true; // The event of the broken connection frees the slot.
        }
        return;
    }
    let Some(free) = connections.iter().position(Option::is_none) else {
        shared.not_sent.fetch_add(1, Relaxed);
        return;
    };
    shared.sent.fetch_add(1, Relaxed);
    let opened = dial(address).and_then(|stream| {
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        epoll.add(&stream, EpollEvent::new(interest, free as u64))?;
        Ok(stream)
    });
    match opened {
        Ok(stream) => {
            let waiting = Waiting::Connected { response_bytes };
            connections[free] = Some(Connection { stream, server, single, waiting });
        }
        Err(_) => {
            shared.failed.fetch_add(1, Relaxed);
        }
    }
}
