//! Connections that were opened while no agent ran.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use netprecursor_agent::{sensors::sockets::Coverage, tick::pipeline::Pipeline};
use netprecursor_core::{source::RttFrom, tick::Tick};

use crate::fixture::{
    Behaviour, Ended, Family, Path, Server, Step, alone, ask, exchange, flooded, seen, smoothed_us, wait_for, watching,
};

/// 200 kB at 20 Mbit/s: 80 ms of queue.
const RATE_MBIT: u32 = 20;
const QUEUE: u32 = 200_000;
/// A queue, whoever fills it.
const FILLED_US: f32 = 20_000.0;
/// A path with nothing on it answers within this on a busy machine.
const CALM_US: f32 = 15_000.0;

/// Ticks of 300 ms, in which the connections are busy.
struct Ticks<'a> {
    pipeline: &'a mut Pipeline,
    number: u64,
}

impl Ticks<'_> {
    /// What the target's RTT is after a tick of this.
    fn of(&mut self, mut work: impl FnMut()) -> (RttFrom, Option<f32>) {
        let end = Instant::now() + Duration::from_millis(300);
        while Instant::now() < end {
            work();
        }
        self.number += 1;
        self.pipeline.tick(Tick(self.number), 1.0, self.number);
        let target = &self.pipeline.targets[0];
        (target.source.from(), target.plain().signals.measured_rtt_us())
    }
}

#[test]
fn a_pool_that_is_older_than_the_agent_is_measured_by_its_smoothed_rtt_until_a_newer_connection_is_seen() {
    let Some(_alone) = alone() else { return };
    let path = Path::through_a_queue(RATE_MBIT, QUEUE);
    let prompt = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
    let swallow = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::Swallow);
    let mut pool: Vec<TcpStream> = (0..3).map(|_| ask(&path.near, prompt.address)).collect();
    pool.iter_mut().for_each(|stream| exchange(stream, 64));

    let [v4, _] = Path::far_addresses();
    let rules = [format!("measure: Inflation, peers: {{cidrs: [{v4}/32]}}")];
    let mut pipeline = watching(&path, &rules);
    pipeline.begin(Tick(0), 0);
    let mut ticks = Ticks { pipeline: &mut pipeline, number: 0 };
    let calm: Vec<_> = (0..25).map(|_| ticks.of(|| pool.iter_mut().for_each(|stream| exchange(stream, 64)))).collect();
    let smoothed = calm.iter().filter(|(from, _)| *from == RttFrom::Smoothed).filter_map(|(_, rtt)| *rtt);
    let highest = smoothed.clone().fold(0.0, f32::max);
    assert!(smoothed.count() >= 10 && highest < CALM_US, "{calm:?}");
    flooded(&path, || {
        wait_for("the queue, not far off", || {
            let (from, rtt) = ticks.of(|| pool.iter_mut().for_each(|stream| exchange(stream, 64)));
            let queued = pool.iter().map(smoothed_us).fold(f32::MAX, f32::min);
            let inflation = seen(ticks.pipeline)[0].1.measured_rtt_us()?;
            let is_close = |us: f32| (us / queued - 1.0).abs() < 0.3;
            let is_seen = from == RttFrom::Smoothed && is_close(rtt?) && is_close(inflation);
            (is_seen && queued > FILLED_US).then_some(())
        });
    });
    wait_for("the pool counts as smoothed", || {
        ticks.of(|| pool.iter_mut().for_each(|stream| exchange(stream, 64)));
        let coverage = ticks.pipeline.targets[0].coverage?;
        (coverage == Coverage { established: 3, seen: 0, smoothed: 3 }).then_some(())
    });
    let mut newer = ask(&path.near, swallow.address);
    wait_for("clean samples", || {
        let (from, _) = ticks.of(|| {
            pool.iter_mut().for_each(|stream| exchange(stream, 64));
            newer.write_all(&[0; 20_000]).unwrap();
        });
        (from == RttFrom::Clean).then_some(())
    });
}

#[test]
fn a_bulk_transfer_that_is_older_than_the_agent_is_measured_as_it_is() {
    let Some(_alone) = alone() else { return };
    let path = Path::through_a_queue(RATE_MBIT, QUEUE);
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::Swallow);
    let stream = ask(&path.near, server.address);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut sending = stream.try_clone().unwrap();
        let is_over = &is_over;
        scope.spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                sending.write_all(&[0; 16_384]).unwrap();
            }
        });
        let _over = Ended(is_over);
        wait_for("a queue", || (smoothed_us(&stream) > FILLED_US).then_some(()));
        let mut pipeline = watching(&path, &["measure: Rtt".to_owned()]);
        pipeline.begin(Tick(0), 0);
        let mut ticks = Ticks { pipeline: &mut pipeline, number: 0 };
        wait_for("the smoothed RTT, a fifth off at most", || {
            let (from, rtt) = ticks.of(thread::yield_now);
            let off = rtt? / smoothed_us(&stream) - 1.0;
            (from == RttFrom::Smoothed && off.abs() < 0.2).then_some(())
        });
    });
}

/// Three of the wire's segments: an MTU of 1,500 less headers with timestamps.
const UPLOAD: usize = 3 * 1_448;
/// Sooner than the delayed ACK of the third segment (40 ms at least), which therefore rides on the answer.
const ANSWERED_AFTER_MS: u64 = 30;
/// Between what the path takes and what late answers make of the smoothed RTT: 16 ms.
const LATE_US: f32 = 10_000.0;

/// Sends three segments and waits for a small answer.
fn upload(stream: &mut TcpStream) {
    stream.write_all(&[0; UPLOAD]).unwrap();
    stream.read_exact(&mut [0; 64]).unwrap();
}

#[test]
fn small_uploads_that_are_answered_late_are_no_bulk_transfer() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    // As one packet all of the request would be acknowledged at once.
    path.without_offloads();
    let steps = &[Step::DelayAcks, Step::Pause(ANSWERED_AFTER_MS), Step::Send(64)];
    let behaviour = Behaviour::Script { request: UPLOAD, steps };
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), behaviour);
    let mut stream = ask(&path.near, server.address);
    let late = wait_for("ACKs that wait for their answers", || {
        upload(&mut stream);
        Some(smoothed_us(&stream)).filter(|us| *us > LATE_US)
    });

    let mut pipeline = watching(&path, &["measure: Rtt".to_owned()]);
    pipeline.begin(Tick(0), 0);
    let mut ticks = Ticks { pipeline: &mut pipeline, number: 0 };
    // 256 segments take eighty-six requests: nine ticks.
    let seen: Vec<_> = (0..30).map(|_| ticks.of(|| upload(&mut stream))).collect();
    let smoothed = seen.iter().filter(|(from, _)| *from == RttFrom::Smoothed).filter_map(|(_, rtt)| *rtt);
    let highest = smoothed.clone().fold(0.0, f32::max);
    assert!(smoothed.count() >= 10 && highest < LATE_US, "{late} µs late; {seen:?}");
}
