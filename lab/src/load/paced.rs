//! Open-loop requests: they come when they come, whatever the answers do. One thread per client.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::AsRawFd as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Instant,
};

use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket},
    },
};
use serde::{Deserialize, Serialize};

use super::{Stream, tools::range_header};
use crate::{
    LabError,
    scenario::Randomness,
    topology::{Address, Namespace},
};

/// Connections of one client to all servers at most; a request that finds none free is counted and not made.
const CONNECTIONS: usize = 192;
/// Longest pause of the loop, ms: how late a change of rate is noticed.
const LONGEST_PAUSE_MS: f64 = 20.0;
const EVENTS: usize = 64;
/// Longest head of an answer.
const HEAD_BYTES: usize = 4096;

/// What became of the requests.
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
    /// Whether the first client's generator does not read.
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

    /// The first client stops reading its answers, or goes on.
    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.shared.stalled.store(stalled, Relaxed);
    }

    /// What became of the requests so far.
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

struct Generator {
    servers: Vec<Address>,
    streams: Vec<Stream>,
    begun: Instant,
    random: Randomness,
    shared: Arc<Shared>,
    /// Whether it is the one that a stall stops.
    stalls: bool,
}

/// What a connection waits for.
#[derive(Debug, PartialEq, Eq)]
enum Waiting {
    Nothing,
    Connected { response_bytes: u64 },
    Head(Vec<u8>),
    Body { remaining: u64 },
}

struct Connection {
    stream: TcpStream,
    server: usize,
    single: bool,
    waiting: Waiting,
}

/// What happened on a connection.
enum Step {
    Wait,
    Answered,
    Failed,
}

/// When the next request of a stream is due: expected requests so far against an exponential step (a Poisson process
/// whose rate moves).
struct Arrivals {
    expected: f64,
    next: f64,
}

impl Generator {
    fn run(mut self, epoll: &Epoll) {
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
                // Events come once, when something changes: those of the stall are gone.
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

/// Begins to connect, without waiting.
fn dial(address: Address) -> io::Result<TcpStream> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let socket = socket(family, SockType::Stream, flags, None)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address, 80))) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    }
}

impl Connection {
    fn ask(&mut self, response_bytes: u64) -> io::Result<()> {
        let close = if self.single { "Connection: close\r\n" } else { "" };
        let range = range_header(response_bytes);
        let request = format!("GET /blob HTTP/1.1\r\nHost: lab\r\n{range}\r\n{close}\r\n");
        self.waiting = Waiting::Head(Vec::new());
        // A request is far smaller than an empty send buffer.
        self.stream.write_all(request.as_bytes())
    }

    fn step(&mut self, buffer: &mut [u8]) -> Step {
        if let Waiting::Connected { response_bytes } = self.waiting {
            match self.stream.take_error() {
                Ok(None) => {}
                _ => return Step::Failed,
            }
            match self.ask(response_bytes) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::WouldBlock) => {
                    self.waiting = Waiting::Connected { response_bytes };
                    return Step::Wait;
                }
                Err(_) => return Step::Failed,
            }
        }
        loop {
            let length = match self.stream.read(buffer) {
                Ok(0) => return Step::Failed,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Step::Wait,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Step::Failed,
            };
            match self.waiting.take(&buffer[..length]) {
                Some(true) => return Step::Answered,
                Some(false) => {}
                None => return Step::Failed,
            }
        }
    }
}

impl Waiting {
    const fn is_connecting(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }

    /// Takes received bytes; whether the answer is complete, `None` where it is no answer.
    fn take(&mut self, bytes: &[u8]) -> Option<bool> {
        let remaining = match self {
            Self::Nothing | Self::Connected { .. } => return None,
            Self::Body { remaining } => remaining.checked_sub(bytes.len() as u64)?,
            Self::Head(head) => {
                head.extend_from_slice(bytes);
                let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else {
                    return (head.len() <= HEAD_BYTES).then_some(false);
                };
                content_length(&head[..end])?.checked_sub((head.len() - end - 4) as u64)?
            }
        };
        *self = if remaining == 0 { Self::Nothing } else { Self::Body { remaining } };
        Some(remaining == 0)
    }
}

fn content_length(head: &[u8]) -> Option<u64> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    if !lines.next()?.starts_with("HTTP/1.1 2") {
        return None;
    }
    let (_, value) =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 206 Partial Content\r\nServer: x\r\nContent-Length: 5\r\n\r\n";

    #[test]
    fn an_answer_is_complete_however_it_is_cut() {
        let whole = [HEAD, b"hello"].concat();
        for cut in 1..whole.len() {
            let mut waiting = Waiting::Head(Vec::new());
            assert_eq!(waiting.take(&whole[..cut]), Some(false), "cut at {cut}");
            assert_eq!(waiting.take(&whole[cut..]), Some(true), "cut at {cut}");
            assert_eq!(waiting, Waiting::Nothing);
        }
    }

    #[test]
    fn an_error_answer_and_too_long_a_body_are_failures() {
        assert_eq!(Waiting::Head(Vec::new()).take(b"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n"), None);
        assert_eq!(Waiting::Head(Vec::new()).take(&[HEAD, b"hello, world"].concat()), None);
        assert_eq!(Waiting::Head(Vec::new()).take(&[b'x'; HEAD_BYTES + 1]), None);
    }
}
