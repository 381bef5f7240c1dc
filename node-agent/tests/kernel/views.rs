//! What rules mean by RTT: the connections with some peers, and what queues add to a connection's own floor.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use netprecursor_agent::tick::pipeline::Pipeline;
use netprecursor_core::{
    policy::{Measure, Peers},
    signal::Signal,
    source::RttFrom,
    tick::Tick,
};

use crate::fixture::{Behaviour, Family, Path, Server, Step, alone, ask, exchange, flooded, seen, wait_for, watching};

#[test]
fn a_rule_counts_the_connections_with_its_peers_and_no_others() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let [v4, v6] = Path::far_addresses();
    let mut pipeline = watching(
        &path,
        &[
            format!("peers: {{cidrs: [{v4}/32]}}"),
            format!("peers: {{cidrs: [0.0.0.0/0, '::/0'], except: [{v4}/32]}}"),
            format!("measure: Inflation, statistic: P90, peers: {{cidrs: [{v4}/32]}}"),
            "statistic: P90".to_owned(),
        ],
    );
    let mut now = 0..;
    let mut tick = |pipeline: &mut Pipeline| {
        let now = now.next().unwrap();
        pipeline.tick(Tick(now), 1.0, now);
    };
    tick(&mut pipeline);
    let servers = [Family::V4, Family::V6]
        .map(|family| Server::start(&path.far, Path::far_address(family, 0), Behaviour::PROMPT));
    for (server, connections) in servers.iter().zip([3, 2]) {
        for _ in 0..connections {
            exchange(&mut ask(&path.near, server.address), 64);
        }
    }
    tick(&mut pipeline);
    let opens: Vec<f32> = seen(&pipeline).iter().map(|(_, signals)| signals.get(Signal::Opens)).collect();
    assert_eq!(opens, [3.0, 2.0, 3.0, 5.0]);
    let plain = pipeline.targets[0].plain();
    assert_eq!(plain.signals.get(Signal::Opens), 5.0);
    // A handshake is the first sample of its connection, and so its floor.
    let inflation = &seen(&pipeline)[2].1;
    assert_eq!((inflation.measured_rtt_us(), inflation.get(Signal::HandshakeCount)), (None, 3.0));
    assert!(v6.is_ipv6() && pipeline.counters.views_uncounted == 0);
}

#[test]
fn inflation_is_what_a_queue_adds_whatever_the_floor() {
    let Some(_alone) = alone() else { return };
    // 200 kB at 20 Mbit/s: 80 ms of queue.
    let path = Path::through_a_queue(20, 200_000);
    let mut pipeline = watching(&path, &["measure: Inflation".to_owned(), "measure: Rtt".to_owned()]);
    pipeline.tick(Tick(0), 1.0, 0);
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::Swallow);
    let mut stream = ask(&path.near, server.address);
    let (mut now, mut counts) = (0, [0.0; 2]);
    // Sent through a window that is smaller than the queue, so that the RTT is what is queued.
    wait_for("a queue", || {
        stream.write_all(&[0; 100_000]).unwrap();
        now += 1;
        pipeline.tick(Tick(now), 1.0, now);
        let [(inflated, inflation), (plain, rtt)] = &seen(&pipeline)[..] else { panic!() };
        assert_eq!((inflated.measure, plain.measure), (Measure::Inflation, Measure::Rtt));
        counts[0] += inflation.get(Signal::RttAllCount);
        counts[1] += rtt.get(Signal::RttAllCount) - rtt.get(Signal::HandshakeCount);
        // The slots are read one after the other, and a wait for a retransmission has no floor.
        assert!((counts[0] - counts[1]).abs() <= 2.0, "{counts:?}");
        if rtt.get(Signal::Stall) > 0.0 {
            return None;
        }
        let (above, whole) = (inflation.measured_rtt_us()?, rtt.measured_rtt_us()?);
        let floor = rtt.get(Signal::RttFloor);
        assert!((above - (whole - floor)).abs() <= 1.0, "{above} µs above {floor} of {whole}");
        (above > 10_000.0).then_some(())
    });
}

#[test]
fn a_rule_whose_peers_cannot_be_counted_has_no_rtt_and_the_others_have() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let networks = (0..5).map(|number| format!("peers: {{cidrs: [0.0.0.0/0, 10.{number}.0.0/16]}}"));
    let mut pipeline = watching(&path, &networks.collect::<Vec<_>>());
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
    pipeline.tick(Tick(0), 1.0, 0);
    exchange(&mut ask(&path.near, server.address), 64);
    pipeline.tick(Tick(1), 1.0, 1);
    let opens: Vec<f32> = seen(&pipeline).iter().map(|(_, signals)| signals.get(Signal::Opens)).collect();
    assert_eq!(opens, [1.0, 1.0, 1.0, 0.0, 0.0]);
    assert_eq!((pipeline.counters.views_uncounted, pipeline.targets[0].views.len()), (1, 4));
    let rtt = |index: usize| seen(&pipeline)[index].1.measured_rtt_us();
    assert!(rtt(0).is_some() && rtt(4).is_none());
    assert!(!matches!(seen(&pipeline)[0].0.peers, Peers::All));
}

/// Small answers, some of which take their time: none has a clean sample.
const SMALL: &[Step] = &[
    Step::Send(300),
    Step::Await,
    Step::Pause(25),
    Step::Send(300),
    Step::Await,
    Step::Pause(5),
    Step::Send(300),
    Step::Await,
    Step::Send(300),
];
/// What it asks for each.
const REQUEST: usize = 80;

#[test]
fn a_queue_is_seen_through_small_answers_and_their_think_time_is_not() {
    let Some(_alone) = alone() else { return };
    // 200 kB at 20 Mbit/s: 80 ms of queue.
    let path = Path::through_a_queue(20, 200_000);
    let mut pipeline = watching(&path, &["measure: Rtt".to_owned()]);
    pipeline.tick(Tick(0), 1.0, 0);
    let behaviour = Behaviour::Script { request: REQUEST, steps: SMALL };
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), behaviour);
    let (mut stream, mut now) = (ask(&path.near, server.address), 0);
    // Ticks as fast as a conversation of 30 answers.
    let mut tick = |pipeline: &mut Pipeline| {
        let end = Instant::now() + Duration::from_millis(300);
        while Instant::now() < end {
            converse_once(&mut stream);
        }
        now += 1;
        pipeline.tick(Tick(now), 1.0, now);
        let target = &pipeline.targets[0];
        (target.source.from(), target.plain().signals.measured_rtt_us())
    };
    let calm: Vec<_> = (0..30).map(|_| tick(&mut pipeline)).collect();
    let inferred = calm.iter().filter(|(from, _)| *from == RttFrom::LowQuantile).filter_map(|(_, rtt)| *rtt);
    let highest = inferred.clone().fold(0.0, f32::max);
    assert!(inferred.count() >= 15 && highest < 15_000.0, "{calm:?}");
    flooded(&path, || {
        wait_for("a queue", || {
            let (from, rtt) = tick(&mut pipeline);
            (from == RttFrom::LowQuantile && rtt? > 30_000.0).then_some(())
        });
    });
}

fn converse_once(stream: &mut std::net::TcpStream) {
    for step in SMALL {
        if let Step::Send(bytes) = step {
            stream.write_all(&[0; REQUEST]).unwrap();
            std::io::Read::read_exact(stream, &mut vec![0; *bytes]).unwrap();
        }
    }
}
