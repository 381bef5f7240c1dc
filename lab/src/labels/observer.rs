//! The observer's own probes through the bottleneck: an ICMP echo from each server to the first client, every 50 ms unless the
//! scenario sets another interval.
//!
//! The client's kernel answers, so no process has to wake up on the way; the answer is timed by the kernel when it
//! arrives. Sending is timed just before the system call. Both are readings of `CLOCK_REALTIME`, whose step would show
//! as one odd probe.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufWriter, IoSliceMut, Write as _},
    net::SocketAddr,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        prctl,
        socket::{
            AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, connect,
            recvmsg, send, setsockopt, socket, sockopt,
        },
        time::TimeSpec,
    },
    time::{ClockId, clock_gettime},
};

use super::{Instants, Second};
use crate::{
    LabError,
    topology::{Address, Namespace},
};

/// A probe without an answer by then is lost.
const LOST_AFTER: Duration = Duration::from_secs(2);
/// Type of an echo request of ICMP (RFC 792) and of ICMPv6 (RFC 4443).
const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST_6: u8 = 128;
/// ICMP header and as much again as a TCP segment without data has.
const PROBE_BYTES: usize = 40;

/// The probes of one target, second by second.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    pub(crate) seconds: Vec<Second>,
}

/// A running observer.
#[derive(Debug)]
pub(crate) struct Observer {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Seen>>>,
    thread: Option<thread::JoinHandle<Result<(), LabError>>>,
}

struct Probed {
    name: String,
    socket: OwnedFd,
    echo_request: u8,
    outstanding: VecDeque<Probe>,
    sequence: u16,
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    sequence: u16,
    sent: Instants,
    sent_realtime: Duration,
}

impl Observer {
    /// Starts to probe each target every `interval`; `begun` is where seconds count from. Every probe becomes a line of
    /// `observer.csv`.
    pub(crate) fn start(
        servers: &[Namespace],
        client: Address,
        interval: Duration,
        begun: Instants,
        csv: &Path,
    ) -> Result<Self, LabError> {
        let targets = servers
            .iter()
            .map(|server| {
                let socket = server.within("open an ICMP socket", || open(client))?;
                let echo_request = if client.is_ipv6() { ECHO_REQUEST_6 } else { ECHO_REQUEST };
                let name = server.name().into();
                Ok(Probed { name, socket, echo_request, outstanding: VecDeque::new(), sequence: 0 })
            })
            .collect::<Result<Vec<_>, LabError>>()?;
        let mut out = BufWriter::new(File::create(csv).map_err(LabError::file(csv))?);
        writeln!(out, "unix_ms,monotonic_ns,target,rtt_us,lost").map_err(LabError::file(csv))?;
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(vec![Seen::default(); targets.len()]));
        let watch = Watch { targets, interval, begun, out, csv: csv.into(), seen: Arc::clone(&seen) };
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("lab-observer".into())
            .spawn(move || watch.run(&stopped))
            .map_err(|error| LabError::Thread { what: "observer", got: error.to_string() })?;
        Ok(Self { stop, seen, thread: Some(thread) })
    }

    /// The probes so far, in the order of the servers.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().map(|seen| seen.clone()).unwrap_or_default()
    }

    /// Fails if it no longer runs.
    pub(crate) fn check(&mut self) -> Result<(), LabError> {
        if self.thread.as_ref().is_some_and(|thread| thread.is_finished()) {
            return self.finish().map(|_| ());
        }
        Ok(())
    }

    /// Ends it and returns all probes.
    pub(crate) fn finish(&mut self) -> Result<Vec<Seen>, LabError> {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| LabError::Thread { what: "observer", got: "a panic".into() })??;
        }
        Ok(self.seen())
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        // A caller that wants the result has called `finish`.
        let _ = self.finish();
    }
}

fn open(client: Address) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let (family, protocol) = match client.is_ipv6() {
        true => (AddressFamily::Inet6, SockProtocol::IcmpV6),
        false => (AddressFamily::Inet, SockProtocol::Icmp),
    };
    let socket = socket(family, SockType::Datagram, flags, protocol)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(client, 0)))?;
    Ok(socket)
}

struct Watch {
    targets: Vec<Probed>,
    interval: Duration,
    begun: Instants,
    out: BufWriter<File>,
    csv: PathBuf,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Watch {
    fn run(mut self, stop: &AtomicBool) -> Result<(), LabError> {
        // Both are refinements that may be refused.
        let _ = prctl::set_timerslack(1);
        crate::fault::spin::set_nice(-10);
        let step = self.interval / self.targets.len().max(1) as u32;
        let mut next = Instant::now();
        let mut turn = 0;
        // Targets take turns, so that probes do not queue behind each other.
        while !stop.load(Relaxed) {
            let now = Instant::now();
            if now >= next {
                self.expire(turn)?;
                self.targets[turn].send();
                turn = (turn + 1) % self.targets.len();
                next = (next + step).max(now);
            }
            let mut polls: Vec<_> =
                self.targets.iter().map(|target| PollFd::new(target.socket.as_fd(), PollFlags::POLLIN)).collect();
            let wait = TimeSpec::from_duration(next.saturating_duration_since(now));
            // An interrupted wait is a short one.
            let _ = ppoll(&mut polls, Some(wait), None);
            let readable: Vec<bool> = polls.iter().map(|poll| poll.any().unwrap_or(false)).collect();
            for (n, _) in readable.into_iter().enumerate().filter(|(_, readable)| *readable) {
                while let Some((probe, rtt)) = self.targets[n].receive() {
                    self.note(n, probe, Some(rtt))?;
                }
            }
        }
        self.out.flush().map_err(LabError::file(self.csv))
    }

    fn expire(&mut self, n: usize) -> Result<(), LabError> {
        let now = monotonic_ns();
        let late = |probe: &Probe| now.saturating_sub(probe.sent.monotonic_ns) > LOST_AFTER.as_nanos() as u64;
        while self.targets[n].outstanding.front().is_some_and(late) {
            if let Some(probe) = self.targets[n].outstanding.pop_front() {
                self.note(n, probe, None)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, n: usize, probe: Probe, rtt: Option<Duration>) -> Result<(), LabError> {
        let Instants { unix_ms, monotonic_ns } = probe.sent;
        let rtt_us = rtt.map(|rtt| rtt.as_micros() as u32);
        let text = rtt_us.map_or_else(String::new, |rtt| rtt.to_string());
        let target = &self.targets[n].name;
        writeln!(self.out, "{unix_ms},{monotonic_ns},{target},{text},{}", u8::from(rtt.is_none()))
            .map_err(LabError::file(&self.csv))?;
        // Probes of the idle path come before the first second of the load.
        let Some(since) = monotonic_ns.checked_sub(self.begun.monotonic_ns) else { return Ok(()) };
        let second = (since / 1_000_000_000) as usize;
        if let Ok(mut seen) = self.seen.lock() {
            let seconds = &mut seen[n].seconds;
            if seconds.len() <= second {
                seconds.resize(second + 1, Second::default());
            }
            seconds[second].add(rtt_us);
        }
        Ok(())
    }
}

impl Probed {
    fn send(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = [0; PROBE_BYTES];
        packet[0] = self.echo_request; // The kernel fills in identifier and checksum.
        packet[6..8].copy_from_slice(&self.sequence.to_be_bytes());
        let sent = Instants::now();
        let sent_realtime = realtime();
        // A full queue at the first hop is a lost probe, like any other.
        let _ = send(self.socket.as_raw_fd(), &packet, MsgFlags::MSG_DONTWAIT);
        self.outstanding.push_back(Probe { sequence: self.sequence, sent, sent_realtime });
    }

    /// The next answer, with its probe and round trip.
    fn receive(&mut self) -> Option<(Probe, Duration)> {
        loop {
            let mut packet = [0; PROBE_BYTES + 64];
            let mut control = nix::cmsg_space!(TimeSpec);
            let mut parts = [IoSliceMut::new(&mut packet)];
            let message =
                recvmsg::<()>(self.socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT).ok()?;
            let arrived = message.cmsgs().ok()?.find_map(|part| match part {
                ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
                _ => None,
            });
            let length = message.bytes;
            if length < 8 {
                continue;
            }
            let sequence = u16::from_be_bytes([packet[6], packet[7]]);
            // An answer to a probe that was given up already is not in the list.
            let Some(position) = self.outstanding.iter().position(|probe| probe.sequence == sequence) else { continue };
            let probe = self.outstanding.remove(position)?;
            let arrived = arrived.unwrap_or_else(realtime);
            return Some((probe, arrived.saturating_sub(probe.sent_realtime)));
        }
    }
}

fn realtime() -> Duration {
    clock_gettime(ClockId::CLOCK_REALTIME).map(Duration::from).unwrap_or_default()
}

pub(super) fn monotonic_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default().as_nanos() as u64
}

pub(super) fn unix_ms() -> u64 {
    realtime().as_millis() as u64
}
