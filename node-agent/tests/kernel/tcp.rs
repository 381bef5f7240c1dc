//! The `tcp` and `traffic` sensors say what really happened on the wire.

use std::{
    io::{ErrorKind, Write},
    net::{Shutdown, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use netprecursor_core::signal::Signal;

use crate::fixture::{Behaviour, Family, Observation, Path, Server, alone, ask, exchange, wait_for};

const MEGABYTE: usize = 1_000_000;
const RATE_MBIT: u32 = 20;
/// 60 ms of sending: no round trip waits longer.
const QUEUE_BYTES: u32 = 150_000;
const QUEUE_US: f32 = 60_000.0;
/// The receiver's window holds several ms of sending, and they wait in the queue.
const FILLED_US: f32 = 5_000.0;

fn bulk_transfer_is_measured(family: Family) {
    let Some(_alone) = alone() else { return };
    let path = Path::through_a_queue(RATE_MBIT, QUEUE_BYTES);
    let server = Server::start(&path.far, Path::far_address(family, 0), Behaviour::Swallow);
    let mut seen = Observation::of(&[&path.near, &path.far]);

    for _ in 0..3 {
        drop(ask(&path.near, server.address));
    }
    let mut stream = ask(&path.near, server.address);
    stream.write_all(&vec![b'x'; 4 * MEGABYTE]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    drop(stream);
    seen.until("four connections closed at both ends", |seen| (0..2).all(|host| seen.sum(host, Signal::Closes) >= 4.0));
    seen.settle();

    let (near, far, described) = (0, 1, seen.describe(0));
    assert_eq!((seen.sum(near, Signal::Opens), seen.sum(near, Signal::Closes)), (4.0, 4.0), "{described}");
    assert_eq!((seen.sum(far, Signal::Opens), seen.sum(far, Signal::Closes)), (4.0, 4.0), "{}", seen.describe(far));
    assert_eq!(seen.sum(near, Signal::FailedConnects), 0.0);
    assert!(seen.sum(near, Signal::HandshakeCount) >= 4.0, "{described}");
    assert!(seen.min(near, Signal::HandshakeMean) < QUEUE_US, "{described}");

    // The window fills the queue: its delay is what the largest round trips are made of.
    assert!(seen.sum(near, Signal::RttCount) >= 20.0, "{described}");
    let max = seen.max(near, Signal::RttMax);
    assert!((FILLED_US..2.0 * QUEUE_US).contains(&max), "{max} µs through a queue of {QUEUE_US} µs; {described}");
    assert!(seen.min(near, Signal::RttMin) > 0.0 && seen.max(near, Signal::InFlight) > 1448.0, "{described}");

    let (sent, received) = (seen.sum(near, Signal::TxBytes), seen.sum(far, Signal::RxBytes));
    let expected = 4.0 * MEGABYTE as f32;
    assert!((1.0..1.1).contains(&(received / expected)), "{received} bytes received of {expected} sent");
    assert!((1.0..1.1).contains(&(sent / expected)), "{sent} bytes sent for {expected}; {described}");
    let segments = expected / 1448.0;
    let packets = seen.sum(far, Signal::RxPackets);
    assert!((0.95..1.15).contains(&(packets / segments)), "{packets} packets for {segments} segments");
}

#[test]
fn a_bulk_transfer_over_ipv4_is_measured_as_it_is() {
    bulk_transfer_is_measured(Family::V4);
}

#[test]
fn a_bulk_transfer_over_ipv6_is_measured_as_it_is() {
    bulk_transfer_is_measured(Family::V6);
}

#[test]
fn round_trips_are_kept_apart_by_the_quarter_of_the_second_in_which_they_ended() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::Swallow);
    let mut seen = Observation::of(&[&path.near]);
    // Of a machine that is busy for long enough to miss a quarter nothing is asked; the next second is another chance.
    let second = wait_for("a handshake in the first quarter and one in the third", || {
        seen.tick();
        let begun = Instant::now();
        drop(ask(&path.near, server.address));
        let is_first = begun.elapsed() < Duration::from_millis(230);
        wait_for("the third quarter", || (begun.elapsed() > Duration::from_millis(530)).then_some(()));
        drop(ask(&path.near, server.address));
        let is_third = begun.elapsed() < Duration::from_millis(720);
        seen.tick();
        (is_first && is_third).then(|| *seen.ticks(0).last().unwrap())
    });
    let quarters = Signal::RTT_QUARTERS.map(|quarter| second.get(quarter));
    assert!(quarters[0] > 0.0 && quarters[2] > 0.0, "{quarters:?}; {}", seen.describe(0));
    assert!(quarters[1].is_nan() && quarters[3].is_nan(), "{quarters:?}");
    assert_eq!(quarters[0].max(quarters[2]), second.get(Signal::RttMax));
}

#[test]
fn a_slow_answer_is_no_slow_network() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let behaviour = Behaviour::Answer { bytes: 64, after: Duration::from_millis(20) };
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), behaviour);
    let mut seen = Observation::of(&[&path.near]);
    let mut stream = ask(&path.near, server.address);
    for _ in 0..40 {
        exchange(&mut stream, 64);
    }
    seen.until("samples", |seen| seen.sum(0, Signal::RttAllCount) >= 20.0);
    let (all, clean) = (seen.max(0, Signal::RttAllMax), seen.max(0, Signal::RttMax));
    assert!(all >= 18_000.0, "delayed ACKs stretch a sample to the answer's 20 ms, got {all} µs");
    assert!(clean < all / 3.0, "clean {clean} µs, all {all} µs; {}", seen.describe(0));
}

#[test]
fn a_cut_path_is_a_stall_that_grows_and_counts_as_round_trip() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
    let mut seen = Observation::of(&[&path.near]);
    let mut stream = ask(&path.near, server.address);
    exchange(&mut stream, 64);
    seen.until("a sample", |seen| seen.sum(0, Signal::RttAllCount) > 0.0);
    assert_eq!(seen.max(0, Signal::Stall), 0.0);

    path.cut();
    stream.write_all(b"into the void").unwrap();
    seen.until("a stall of a second", |seen| seen.max(0, Signal::Stall) > 1e6);

    assert!(seen.sum(0, Signal::Rtos) >= 2.0 && seen.sum(0, Signal::Retransmits) >= 2.0, "{}", seen.describe(0));
    let stalls: Vec<f32> = seen.ticks(0).iter().map(|tick| tick.get(Signal::Stall)).filter(|us| *us > 0.0).collect();
    assert!(stalls.is_sorted() && stalls.first() < stalls.last(), "{stalls:?}");
    let stalled = seen.ticks(0).iter().find(|tick| tick.get(Signal::Stall) > 1e6).unwrap();
    assert_eq!(stalled.measured_rtt_us(), Some(stalled.get(Signal::Stall)));
}

#[test]
fn connects_that_fail_are_counted_whether_refused_or_unanswered() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let closed = {
        let listener = path.far.within(|| TcpListener::bind(Path::far_address(Family::V4, 0))).unwrap();
        listener.local_addr().unwrap()
    };
    let mut seen = Observation::of(&[&path.near]);
    let refused = path.near.within(|| TcpStream::connect(closed)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    path.cut();
    let unanswered = path.near.within(|| TcpStream::connect_timeout(&closed, Duration::from_millis(300))).unwrap_err();
    assert_eq!(unanswered.kind(), ErrorKind::TimedOut);
    seen.until("two failures", |seen| seen.sum(0, Signal::FailedConnects) >= 2.0);
    seen.settle();
    assert_eq!(seen.sum(0, Signal::FailedConnects), 2.0);
    assert_eq!((seen.sum(0, Signal::Opens), seen.sum(0, Signal::Closes)), (0.0, 0.0));
}
