//! Delay and loss made exactly, in user space, between two TUN devices: many kernels have no netem.
//!
//! Packets that the kernel sends into one device come out of the other after a fixed time. Routing, queues and
//! addresses stay the kernel's business.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::OpenOptionsExt as _,
    },
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::{prctl, time::TimeSpec},
};

use super::Namespace;
use crate::{LabError, fault::Bursts, scenario::Randomness};

/// Packets in flight in one direction at most; further ones are dropped and counted. 60 ms at 200 Mbit/s
/// are 1,000 full packets.
const ON_THE_WAY: usize = 16_384;
/// Packets taken from one device before the other gets its turn.
const BATCH: usize = 64;
const LARGEST_PACKET: usize = 65_536;
/// How often a relay without traffic looks whether it should end.
const IDLE: Duration = Duration::from_millis(100);

nix::ioctl_write_ptr_bad!(
    /// Names the interface of an open TUN file and fixes its kind (drivers/net/tun.c).
    set_interface,
    libc::TUNSETIFF,
    libc::ifreq
);

/// Counters of the relay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Packets that came out of the other side.
    pub forwarded: u64,
    /// Packets lost on purpose.
    pub lost: u64,
    /// Packets lost because too many were on their way, or because the kernel refused them.
    pub overflow: u64,
}

#[derive(Debug, Default)]
struct Shared {
    round_trip_ns: AtomicU64,
    /// Probability as a fraction of 2⁶⁴.
    loss: AtomicU64,
    bursts: Mutex<Option<Bursts>>,
    stop: AtomicBool,
    forwarded: AtomicU64,
    lost: AtomicU64,
    overflow: AtomicU64,
}

/// A running relay. Dropping it removes its devices.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Direction {
    from: File,
    to: File,
    on_the_way: VecDeque<(Instant, Vec<u8>)>,
    chain: Chain,
}

/// The state of a chain that loses packets in bursts.
#[derive(Debug, Default, Clone, Copy)]
struct Chain {
    bad: bool,
}

impl Chain {
    /// Moves on by one packet; whether it is lost.
    fn loses(&mut self, bursts: Option<Bursts>, random: &mut Randomness) -> bool {
        let Some(Bursts { enter, leave, lost }) = bursts else {
            self.bad = false;
            return false;
        };
        self.bad = if self.bad { random.unit() >= leave } else { random.unit() < enter };
        self.bad && random.unit() < lost
    }
}

impl Direction {
    const fn new(from: File, to: File) -> Self {
        Self { from, to, on_the_way: VecDeque::new(), chain: Chain { bad: false } }
    }
}

impl Relay {
    /// Makes the two devices inside the namespace and starts to relay between them.
    pub(super) fn start(
        namespace: &Namespace,
        devices: [&'static str; 2],
        round_trip: Duration,
        seed: u64,
    ) -> Result<Self, LabError> {
        let [a, b] = namespace.within("make TUN devices", || Ok([open(devices[0])?, open(devices[1])?]))?;
        let duplicate = |file: &File| file.try_clone().map_err(LabError::namespace(namespace.name(), "share TUN"));
        let forth = Direction::new(duplicate(&a)?, duplicate(&b)?);
        let back = Direction::new(b, a);
        let shared = Arc::new(Shared::default());
        let relay_shared = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("lab-relay".into())
            .spawn(move || relay([forth, back], &relay_shared, Randomness::new(seed, 1)))
            .map_err(|error| LabError::Thread { what: "relay", got: error.to_string() })?;
        let relay = Self { shared, thread: Some(thread) };
        relay.set_round_trip(round_trip);
        Ok(relay)
    }

    /// Changes the delay: half of it each way, for packets that arrive from now on; order is kept.
    pub fn set_round_trip(&self, round_trip: Duration) {
        self.shared.round_trip_ns.store(round_trip.as_nanos() as u64, Relaxed);
    }

    /// Changes the share of packets lost, each way.
    pub fn set_loss(&self, share: f64) {
        self.shared.loss.store((share.clamp(0.0, 1.0) * u64::MAX as f64) as u64, Relaxed);
    }

    /// Loses packets in bursts, or no longer does.
    pub fn set_bursts(&self, bursts: Option<Bursts>) {
        if let Ok(mut now) = self.shared.bursts.lock() {
            *now = bursts;
        }
    }

    /// The counters so far.
    pub fn counts(&self) -> Counts {
        Counts {
            forwarded: self.shared.forwarded.load(Relaxed),
            lost: self.shared.lost.load(Relaxed),
            overflow: self.shared.overflow.load(Relaxed),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn open(device: &str) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    // SAFETY: all zeroes is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The name keeps its terminating zero: device names of the lab are short.
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(device.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the descriptor is open and `request` lives through the call, which only reads it.
    unsafe { set_interface(file.as_raw_fd(), &request) }?;
    Ok(file)
}

fn relay(mut directions: [Direction; 2], shared: &Shared, mut random: Randomness) {
    // Exact to some tens of µs also where the machine is busy; both are refinements that may be refused.
    let _ = prctl::set_timerslack(1);
    crate::fault::spin::set_nice(-10);
    let mut spare: Vec<Vec<u8>> = Vec::new();
    let mut buffer = vec![0; LARGEST_PACKET];
    while !shared.stop.load(Relaxed) {
        let now = Instant::now();
        let next = directions.iter().filter_map(|d| d.on_the_way.front()).map(|(due, _)| *due).min();
        let wait = next.map_or(IDLE, |due| due.saturating_duration_since(now)).min(IDLE);
        let [a, b] = &directions;
        let mut readable = [&a.from, &b.from].map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN));
        // An interrupted wait is a short one.
        let _ = ppoll(&mut readable, Some(TimeSpec::from_duration(wait)), None);
        let readable = readable.map(|poll| poll.any().unwrap_or(false));
        let one_way = Duration::from_nanos(shared.round_trip_ns.load(Relaxed) / 2);
        for (direction, readable) in directions.iter_mut().zip(readable) {
            if readable {
                take(direction, one_way, shared, &mut random, &mut spare, &mut buffer);
            }
            give(direction, shared, &mut spare);
        }
    }
}

/// Reads the packets that the kernel sent.
fn take(
    direction: &mut Direction,
    one_way: Duration,
    shared: &Shared,
    random: &mut Randomness,
    spare: &mut Vec<Vec<u8>>,
    buffer: &mut [u8],
) {
    let bursts = shared.bursts.lock().ok().and_then(|bursts| *bursts);
    for _ in 0..BATCH {
        let Ok(length) = direction.from.read(buffer) else { return };
        let loss = shared.loss.load(Relaxed);
        let burst = direction.chain.loses(bursts, random);
        if burst || loss > 0 && random.unit() < loss as f64 / u64::MAX as f64 {
            shared.lost.fetch_add(1, Relaxed);
            continue;
        }
        if direction.on_the_way.len() >= ON_THE_WAY {
            shared.overflow.fetch_add(1, Relaxed);
            continue;
        }
        let mut packet = spare.pop().unwrap_or_default();
        packet.clear();
        packet.extend_from_slice(&buffer[..length]);
        let due = Instant::now() + one_way;
        let due = direction.on_the_way.back().map_or(due, |(last, _)| due.max(*last));
        direction.on_the_way.push_back((due, packet));
    }
}

/// Sends the packets that are due.
fn give(direction: &mut Direction, shared: &Shared, spare: &mut Vec<Vec<u8>>) {
    let now = Instant::now();
    while direction.on_the_way.front().is_some_and(|(due, _)| *due <= now) {
        let Some((_, packet)) = direction.on_the_way.pop_front() else { return };
        // A TUN device takes a packet whole or not at all.
        let counter = match direction.to.write_all(&packet) {
            Ok(()) => &shared.forwarded,
            Err(_) => &shared.overflow,
        };
        counter.fetch_add(1, Relaxed);
        spare.push(packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_have_the_share_and_the_length_of_the_chain() {
        let bursts = Some(Bursts { enter: 0.01, leave: 0.1, lost: 0.5 });
        let (mut chain, mut random) = (Chain::default(), Randomness::new(1, 1));
        let (mut lost, mut bad, mut entered) = (0, 0, 0);
        for _ in 0..1_000_000 {
            let before = chain.bad;
            lost += i32::from(chain.loses(bursts, &mut random));
            bad += i32::from(chain.bad);
            entered += i32::from(chain.bad && !before);
        }
        let (share, length) = (f64::from(lost) / 1e6, f64::from(bad) / f64::from(entered));
        // In the bad state for 1/11 of the packets, ten at a time, and half of those are lost.
        assert!((share - 0.5 / 11.0).abs() < 0.003 && (length - 10.0).abs() < 0.5, "{share} {length}");
        assert!(!chain.loses(None, &mut random) && !chain.bad);
    }
}
