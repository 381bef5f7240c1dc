//! Faults between a client and the server.

use std::time::Duration;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::{
    refusal::Refusal,
    request::{Call, Verb},
};

/// How long a client waits that has a read timeout, as all of the project's have.
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A fault of one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// It is refused, and nothing happens.
    Refuse(Refusal),
    /// It is done, and then refused.
    RefuseAfter(Refusal),
    /// It never arrives, and no answer ever comes: for the moment of a crash.
    HangBefore,
    /// It is done, and no answer ever comes: for the moment of a crash.
    HangAfter,
    /// It never arrives, and the client gives up after this long.
    TimeoutBefore(Duration),
    /// It is done, and the client gives up after this long.
    TimeoutAfter(Duration),
    /// The connection breaks before it arrives.
    CutBefore,
    /// It is done, and the connection breaks before the answer.
    CutAfter,
    /// A watch ends after some events, without a bookmark.
    EndWatch(usize),
    /// A watch breaks off in the middle of the line after some events.
    CutWatch(usize),
    /// A watch fails after some events because its version is too old.
    ExpireWatch(usize),
    /// Reads from the cache lag behind by this much.
    Stale(Duration),
}

/// Decides which request meets which fault.
pub trait Faults: Send {
    /// The fault of this request.
    fn next(&mut self, call: &Call) -> Option<Fault>;
}

/// No faults.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Faults for Nothing {
    fn next(&mut self, _: &Call) -> Option<Fault> {
        None
    }
}

/// A fault at the write with a certain number, counted from 0 over all requests that change something.
#[derive(Debug, Clone)]
pub struct AtWrite {
    number: usize,
    fault: Fault,
    seen: usize,
    /// Only requests of this user count.
    user: String,
}

impl AtWrite {
    /// `fault` at the write `number` of `user`.
    pub fn new(user: &str, number: usize, fault: Fault) -> Self {
        Self { number, fault, seen: 0, user: user.to_owned() }
    }
}

impl Faults for AtWrite {
    fn next(&mut self, call: &Call) -> Option<Fault> {
        if call.user != self.user || !call.verb.is_write() {
            return None;
        }
        self.seen += 1;
        (self.seen - 1 == self.number).then(|| self.fault.clone())
    }
}

/// Faults drawn by seed until a budget is spent, so that the tested program can converge.
#[derive(Debug, Clone)]
pub struct Drawn {
    random: ChaCha8Rng,
    /// Faults left.
    budget: u32,
    /// A request fails with this chance, in 256ths.
    chance: u8,
    user: String,
}

impl Drawn {
    /// At most `budget` faults for requests of `user`, each request with a chance of `chance`/256.
    pub fn new(seed: u64, user: &str, budget: u32, chance: u8) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), budget, chance, user: user.to_owned() }
    }

    fn draw(&mut self, below: u32) -> u32 {
        self.random.next_u32() % below
    }

    fn read_fault(&mut self, call: &Call) -> Fault {
        match self.draw(7) {
            0 => Fault::Refuse(Refusal::server_error(500)),
            1 => Fault::Refuse(Refusal::too_many_requests(u64::from(self.draw(5)))),
            2 => Fault::TimeoutBefore(READ_TIMEOUT),
            3 => Fault::CutBefore,
            4 => Fault::Refuse(Refusal::expired(1, 2)),
            5 if call.verb == Verb::Watch => {
                let after = self.draw(3) as usize;
                match self.draw(3) {
                    0 => Fault::EndWatch(after),
                    1 => Fault::CutWatch(after),
                    _ => Fault::ExpireWatch(after),
                }
            }
            _ => Fault::Stale(Duration::from_millis(u64::from(self.draw(30_000)))),
        }
    }

    fn write_fault(&mut self, call: &Call) -> Fault {
        match self.draw(9) {
            0 => Fault::Refuse(Refusal::conflict(&call.kind, &call.name, "drawn")),
            1 => Fault::Refuse(Refusal::too_many_requests(u64::from(self.draw(5)))),
            2 => Fault::Refuse(Refusal::server_error(500)),
            3 => Fault::Refuse(Refusal::server_error(503)),
            4 => Fault::RefuseAfter(Refusal::server_error(504)),
            5 => Fault::TimeoutBefore(READ_TIMEOUT),
            6 => Fault::TimeoutAfter(READ_TIMEOUT),
            7 => Fault::CutBefore,
            _ => Fault::CutAfter,
        }
    }
}

impl Faults for Drawn {
    fn next(&mut self, call: &Call) -> Option<Fault> {
        if call.user != self.user || self.budget == 0 || self.draw(256) >= u32::from(self.chance) {
            return None;
        }
        self.budget -= 1;
        Some(if call.verb.is_write() { self.write_fault(call) } else { self.read_fault(call) })
    }
}

/// The server does not answer users whose name starts with `user` while `is_down` returns true.
pub struct Outage<F> {
    user: String,
    is_down: F,
}

impl<F: Fn() -> bool + Send> Outage<F> {
    /// An outage for users whose name starts with `user`.
    pub fn new(user: &str, is_down: F) -> Self {
        Self { user: user.to_owned(), is_down }
    }
}

impl<F: Fn() -> bool + Send> Faults for Outage<F> {
    fn next(&mut self, call: &Call) -> Option<Fault> {
        (call.user.starts_with(&self.user) && (self.is_down)()).then_some(Fault::CutBefore)
    }
}
