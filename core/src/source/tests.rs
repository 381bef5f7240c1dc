use proptest::prelude::*;

use super::*;

const FLOOR: f32 = 1_000.0;

/// A second of small answers with these RTTs, µs.
fn small(samples: &[f32]) -> (Signals, f32) {
    let mut signals = Signals::ABSENT;
    signals.set(Signal::RttAllCount, samples.len() as f32);
    signals.set(Signal::RttFloor, FLOOR);
    let mut sorted = samples.to_vec();
    sorted.sort_by(f32::total_cmp);
    (signals, sorted[(sorted.len() - 1) / 10])
}

fn unclean(low_us: f32) -> Others {
    Others { low_us, ..Others::NONE }
}

fn clean(us: f32) -> (Signals, f32) {
    let (mut signals, low) = small(&[us]);
    signals.set(Signal::RttCount, 1.0);
    signals.set(Signal::RttMax, us);
    (signals, low)
}

/// What is measured of these seconds, and from where.
fn seen(seconds: impl IntoIterator<Item = (Signals, f32)>) -> Vec<(RttFrom, Option<f32>)> {
    let mut source = Source::default();
    let second = |(tick, (mut signals, low)): (u64, (Signals, f32))| {
        source.second(Tick(tick), &mut signals, &unclean(low));
        (source.from(), signals.measured_rtt_us())
    };
    (0..).zip(seconds).map(second).collect()
}

/// Slow answers and delayed ACKs: from nothing to 40 ms on top of path and queue.
fn delayed(tick: u64, sample: u64, queue: f32) -> f32 {
    FLOOR + queue + ((tick * 31 + sample * 17) % 41) as f32 * 1_000.0
}

#[test]
fn a_queue_is_seen_through_slow_answers_and_they_are_not() {
    let queue = |tick| if tick >= 100 { 30_000.0 } else { 0.0 };
    let second = |tick: u64| small(&(0..20).map(|sample| delayed(tick, sample, queue(tick))).collect::<Vec<_>>());
    let seen = seen((0..120).map(second));
    assert!(seen[..10].iter().all(|(_, rtt)| rtt.is_none()), "{:?}", &seen[..11]);
    let calm = seen[10..100].iter().filter_map(|(_, rtt)| *rtt).fold(0.0, f32::max);
    assert!(calm < FLOOR + 5_000.0, "{calm}");
    let queued = seen[100..].iter().filter_map(|(_, rtt)| *rtt).fold(f32::MAX, f32::min);
    assert!((queued - FLOOR - 30_000.0).abs() < 5_000.0, "{queued}");
    assert!(seen[10..].iter().all(|(from, _)| *from == RttFrom::LowQuantile));
}

#[test]
fn one_answer_a_second_is_enough_for_a_queue_that_stays() {
    let second = |tick| small(&[delayed(tick, 0, if tick >= 200 { 50_000.0 } else { 0.0 })]);
    let seen = seen((0..230).map(second));
    let highest = |seconds: &[(RttFrom, Option<f32>)]| seconds.iter().filter_map(|(_, rtt)| *rtt).fold(0.0, f32::max);
    // Of ten samples each may be a slow one, of which the least is taken.
    assert!(highest(&seen[20..200]) < FLOOR + 15_000.0, "{}", highest(&seen[20..200]));
    assert!(highest(&seen[212..]) > FLOOR + 45_000.0, "{}", highest(&seen[212..]));
}

#[test]
fn clean_samples_are_preferred_and_the_change_is_no_jump() {
    let seconds = (0..200).map(|tick| match tick {
        0..60 | 150.. => clean(FLOOR + 100.0),
        _ => small(&[FLOOR + 39_000.0, FLOOR + 41_000.0]),
    });
    let seen = seen(seconds);
    let from = |tick: usize| seen[tick].0;
    assert_eq!(
        [from(59), from(89), from(90), from(149), from(150)].map(|from| from == RttFrom::Clean),
        [true, true, false, false, true]
    );
    // What a delayed ACK adds was there when it was first seen, and is no rise.
    assert!(seen[90..150].iter().all(|(_, rtt)| *rtt == Some(FLOOR)), "{:?}", &seen[85..95]);
}

#[test]
fn connections_of_one_clean_sample_each_have_clean_inflation() {
    let (mut signals, low) = small(&[700.0; 10]);
    for (signal, value) in [(Signal::HandshakeCount, 5.0), (Signal::RttCount, 5.0), (Signal::RttMax, 90_000.0)] {
        signals.set(signal, value);
    }
    let mut source = Source::of(Measure::Inflation);
    for tick in 0..60 {
        let mut seen = signals;
        source.second(Tick(tick), &mut seen, &unclean(low));
        assert_eq!((source.from(), seen.measured_rtt_us()), (RttFrom::Clean, Some(90_000.0)));
    }
}

#[test]
fn inflation_that_is_inferred_has_no_path_in_it() {
    let mut source = Source::of(Measure::Inflation);
    for tick in 0..60 {
        // Every ACK is delayed by 40 ms, on a path of 1 ms.
        let (mut signals, low) = small(&[40_000.0; 12]);
        source.second(Tick(tick), &mut signals, &unclean(low));
        assert!(signals.measured_rtt_us().is_none_or(|us| us == 1.0), "{:?}", signals.measured_rtt_us());
    }
    assert_eq!(source.from(), RttFrom::LowQuantile);
}

#[test]
fn what_is_kept_goes_on_where_it_was() {
    let mut source = Source::default();
    for tick in 0..400 {
        let (mut signals, low) = small(&[delayed(tick, 0, 0.0), delayed(tick, 1, 0.0)]);
        source.second(Tick(tick), &mut signals, &unclean(low));
    }
    let kept: Source = serde_json::from_str(&serde_json::to_string(&source).unwrap()).unwrap();
    assert!(kept == source && kept.is_sound());
}

#[test]
fn handshakes_alone_are_what_they_were() {
    let mut signals = Signals::ABSENT;
    for signal in [Signal::HandshakeCount, Signal::RttCount, Signal::RttAllCount] {
        signals.set(signal, 3.0);
    }
    signals.set(Signal::RttMax, 700.0);
    let seen = seen((0..50).map(|_| (signals, 650.0)));
    assert!(seen.iter().all(|second| *second == (RttFrom::Handshake, Some(700.0))));
}

/// A second in which connections that are older than the agent sent small requests or much.
fn smoothed(low_us: f32, bulk_us: f32) -> Others {
    Others { smoothed: Smoothed { samples: 10.0, low_us, bulk_us, floor_us: FLOOR }, ..Others::NONE }
}

/// What is measured of these seconds, in which older connections sent as well.
fn beside(seconds: impl IntoIterator<Item = (Signals, Others)>) -> Vec<(RttFrom, Option<f32>)> {
    let mut source = Source::default();
    let second = |(tick, (mut signals, others)): (u64, (Signals, Others))| {
        source.second(Tick(tick), &mut signals, &others);
        (source.from(), signals.measured_rtt_us())
    };
    (0..).zip(seconds).map(second).collect()
}

#[test]
fn a_queue_is_seen_by_older_connections_and_the_delays_that_were_always_there_are_not() {
    let low = |tick| if tick >= 60 { 45_000.0 } else { 15_000.0 };
    let seen = beside((0..90).map(|tick| (Signals::ABSENT, smoothed(low(tick), f32::NAN))));
    assert!(seen[..10].iter().all(|(from, rtt)| *from != RttFrom::Smoothed && rtt.is_none()), "{seen:?}");
    assert!(seen[10..60].iter().all(|second| *second == (RttFrom::Smoothed, Some(FLOOR))), "{seen:?}");
    assert!(seen[62..].iter().all(|(_, rtt)| *rtt == Some(FLOOR + 30_000.0)), "{seen:?}");
}

#[test]
fn the_smoothed_rtt_of_bulk_transfer_is_taken_as_it_is() {
    let seen = beside((0..30).map(|_| (Signals::ABSENT, smoothed(f32::NAN, 80_000.0))));
    assert_eq!(seen[29], (RttFrom::Smoothed, Some(80_000.0)));
}

#[test]
fn clean_samples_are_preferred_to_older_connections_and_the_change_is_no_jump() {
    let seconds = (0..200).map(|tick| match tick {
        0..60 | 150.. => (clean(FLOOR + 100.0).0, smoothed(40_000.0, f32::NAN)),
        _ => (Signals::ABSENT, smoothed(40_000.0, f32::NAN)),
    });
    let seen = beside(seconds);
    let is_clean = |tick: usize| seen[tick].0 == RttFrom::Clean;
    assert_eq!([0, 59, 89, 90, 149, 150].map(is_clean), [true, true, true, false, false, true]);
    assert!(seen[90..150].iter().all(|second| *second == (RttFrom::Smoothed, Some(FLOOR))), "{seen:?}");
}

#[test]
fn what_sockets_show_until_their_first_callback_changes_nothing() {
    // A restart: for two seconds nobody is known yet.
    let seconds = (0..60).map(|tick| {
        let (signals, low) = small(&[FLOOR + 100.0; 12]);
        let others = if (30..32).contains(&tick) { smoothed(FLOOR, 90_000.0).smoothed } else { Smoothed::NONE };
        (signals, Others { low_us: low, smoothed: others })
    });
    assert!(beside(seconds)[10..].iter().all(|(from, _)| *from == RttFrom::LowQuantile));
}

#[test]
fn older_connections_that_send_now_and_then_have_not_been_sending_for_ten_seconds() {
    let each = |gap: u64| {
        beside((0..120_u64).map(move |tick| {
            let sends = tick.is_multiple_of(gap);
            (Signals::ABSENT, if sends { smoothed(FLOOR, 90_000.0) } else { Others::NONE })
        }))
    };
    for gap in [11, 29, 60] {
        assert!(each(gap).iter().all(|second| *second == (RttFrom::default(), None)), "each {gap} s");
    }
    assert_eq!(each(10)[10], (RttFrom::Smoothed, Some(90_000.0)));
}

#[test]
fn small_answers_of_newer_connections_count_beside_older_ones() {
    // A health check on the node, and a pool on a path that fills.
    let probe = || small(&[200.0; 3]);
    let pool = |tick| smoothed(if tick >= 60 { 50_000.0 } else { FLOOR }, f32::NAN);
    let second = |tick| (probe().0, Others { low_us: probe().1, ..pool(tick) });
    let seen = beside((0..80).map(second));
    assert_eq!(seen[79], (RttFrom::Smoothed, Some(50_000.0)));
    // The pool is closed: what is left decides after a while.
    let seen = beside((0..160).map(|tick| if tick < 80 { second(tick) } else { (probe().0, unclean(probe().1)) }));
    assert_eq!([seen[109].0, seen[110].0], [RttFrom::Smoothed, RttFrom::LowQuantile]);
}

proptest! {
    #[test]
    fn what_is_inferred_is_finite_and_no_more_than_the_least_delayed_sample(
        seconds in prop::collection::vec(prop::collection::vec(1.0..1e7_f32, 1..30), 20..400),
    ) {
        let lows: Vec<f32> = seconds.iter().map(|samples| small(samples).1).collect();
        for (tick, (from, rtt)) in seen(seconds.iter().map(|samples| small(samples))).into_iter().enumerate() {
            prop_assert!(from == RttFrom::LowQuantile || rtt.is_none());
            if let Some(rtt) = rtt {
                prop_assert!(rtt.is_finite() && rtt > 0.0 && rtt <= lows[tick].max(FLOOR) * 1.001, "{rtt} of {}", lows[tick]);
            }
        }
    }
}
