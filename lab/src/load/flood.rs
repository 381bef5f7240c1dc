//! Datagrams from a host that is no target, at a rate that ignores loss and delay.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    LabError,
    topology::{Address, Namespace},
};

/// Discard (RFC 863).
const PORT: u16 = 9;
/// Payload that fits into an Ethernet frame.
const PAYLOAD_BYTES: usize = 1400;
/// Headers besides that of IP.
const UDP_AND_ETHERNET_BYTES: usize = 8 + 14;
/// Pause between two bursts, and between two looks at the rate while it is zero.
const PAUSE: Duration = Duration::from_millis(2);
const IDLE: Duration = Duration::from_millis(50);
/// How much of an overlong pause is made up for. More would be an unwanted burst.
const ARREARS: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
struct Shared {
    bits_per_second: AtomicU64,
    stop: AtomicBool,
}

/// A running flood. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Flood {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
    /// Bound and never read: the client's kernel drops the datagrams instead of answering port unreachable.
    _sink: UdpSocket,
}

impl Flood {
    /// Starts it at rate 0.
    pub(crate) fn start(from: &Namespace, to: &Namespace, address: Address) -> Result<Self, LabError> {
        let (any, header_bytes): (IpAddr, usize) = match address {
            IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), 20),
            IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED.into(), 40),
        };
        let frame_bits = ((PAYLOAD_BYTES + UDP_AND_ETHERNET_BYTES + header_bytes) * 8) as f64;
        let at = SocketAddr::new(address, PORT);
        let sink = to.within("bind a UDP socket", || UdpSocket::bind(at))?;
        let socket = from.within("open a UDP socket", || {
            let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
            socket.connect(at)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })?;
        let shared = Arc::new(Shared::default());
        let settings = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("lab-flood".into())
            .spawn(move || run(&socket, frame_bits, &settings))
            .map_err(|error| LabError::Thread { what: "flood", got: error.to_string() })?;
        Ok(Self { shared, thread: Some(thread), _sink: sink })
    }

    /// Changes the rate, with headers.
    pub(crate) fn set_rate(&self, bits_per_second: f64) {
        self.shared.bits_per_second.store(bits_per_second as u64, Relaxed);
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(socket: &UdpSocket, frame_bits: f64, shared: &Shared) {
    let payload = [0; PAYLOAD_BYTES];
    let (mut last, mut credit) = (Instant::now(), 0.0);
    while !shared.stop.load(Relaxed) {
        let rate = shared.bits_per_second.load(Relaxed) as f64;
        thread::sleep(if rate > 0.0 { PAUSE } else { IDLE });
        let now = Instant::now();
        credit += rate / frame_bits * (now - last).min(ARREARS).as_secs_f64();
        last = now;
        while credit >= 1.0 {
            // A full queue at the first hop is a lost datagram, like any other.
            let _ = socket.send(&payload);
            credit -= 1.0;
        }
    }
}
