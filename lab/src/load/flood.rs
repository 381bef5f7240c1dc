//! Datagrams from a host that is no target: a rate that heeds neither loss nor delay.

use std::{
    net::{SocketAddrV4, UdpSocket},
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
/// What fits into a frame of Ethernet.
const PAYLOAD_BYTES: usize = 1400;
/// Payload with the headers of UDP, IPv4 and Ethernet.
const FRAME_BITS: f64 = ((PAYLOAD_BYTES + 8 + 20 + 14) * 8) as f64;
/// Pause between two sendings while there is a rate, and while there is none.
const PAUSE: Duration = Duration::from_millis(2);
const IDLE: Duration = Duration::from_millis(50);
/// What may be made up for after a pause that took longer: more would be a burst that nobody asked for.
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
    /// Bound and never read: the client's kernel drops what arrives instead of answering that nobody listens.
    _sink: UdpSocket,
}

impl Flood {
    /// Starts it at a rate of nothing.
    pub(crate) fn start(from: &Namespace, to: &Namespace, address: Address) -> Result<Self, LabError> {
        let at = SocketAddrV4::new(address, PORT);
        let sink = to.within("bind a UDP socket", || UdpSocket::bind(at))?;
        let socket = from.within("open a UDP socket", || {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect(at)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })?;
        let shared = Arc::new(Shared::default());
        let told = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("lab-flood".into())
            .spawn(move || run(&socket, &told))
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

fn run(socket: &UdpSocket, shared: &Shared) {
    let payload = [0; PAYLOAD_BYTES];
    let (mut last, mut credit) = (Instant::now(), 0.0);
    while !shared.stop.load(Relaxed) {
        let rate = shared.bits_per_second.load(Relaxed) as f64;
        thread::sleep(if rate > 0.0 { PAUSE } else { IDLE });
        let now = Instant::now();
        credit += rate / FRAME_BITS * (now - last).min(ARREARS).as_secs_f64();
        last = now;
        while credit >= 1.0 {
            // A full queue at the first hop is a lost datagram, like any other.
            let _ = socket.send(&payload);
            credit -= 1.0;
        }
    }
}
