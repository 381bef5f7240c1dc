//! Where the RTT of a target comes from. Conversations of answers below a segment have no clean samples beside handshakes: a
//! receiver may delay each of their ACKs, and a slow answer delays the ACK that rides on it. A queue raises every sample,
//! though, and those raise only some. So what the least delayed samples rise by is the network's.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    policy::Measure,
    signal::{Signal, Signals},
    tick::Tick,
};

/// Samples of which the least delayed are taken, where there are as many within [`LOOK_BACK`] seconds: with fewer, each may
/// be a slow answer.
const SAMPLES: f32 = 10.0;
/// Seconds over which samples are gathered.
const LOOK_BACK: u64 = 10;
/// Seconds without a clean sample after which the others are used. Most bursts of a mixed load are closer together.
const PATIENCE: u64 = 30;
/// Seconds over which the kernel takes a connection's smallest RTT by default (tcp_min_rtt_wlen).
pub const FLOOR_SECONDS: u64 = 300;
/// Seconds over which the usual low quantile is looked for.
const USUAL_SECONDS: usize = FLOOR_SECONDS as usize;
/// One in so many seconds is lower than usual: a connection's first ACKs are not delayed, however all later ones are.
const LOWER: usize = 4;

/// Where the RTT of a target comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RttFrom {
    /// Clean samples of data.
    #[default]
    Clean,
    /// The path's floor, and what the low quantile of the samples that are not clean has risen by above its usual level.
    LowQuantile,
    /// Handshakes alone.
    Handshake,
}

/// What is remembered of a target to choose by.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    measure: Measure,
    from: RttFrom,
    /// The last second with clean samples of data.
    clean: Option<Tick>,
    /// The first second with samples since then that were not clean.
    unclean: Option<Tick>,
    /// Seconds with samples: how many, and their low quantile.
    recent: VecDeque<(Tick, f32, f32)>,
    /// The least delayed of each of the last seconds with samples.
    lows: VecDeque<f32>,
}

impl Source {
    /// Nothing seen yet of this measure.
    pub fn of(measure: Measure) -> Self {
        Self { measure, ..Self::default() }
    }

    /// Whether it can have come of what was measured; for one that was kept.
    pub fn is_sound(&self) -> bool {
        let is_rtt = |us: &f32| us.is_finite() && *us >= 0.0;
        self.lows.len() <= USUAL_SECONDS
            && self.recent.len() <= LOOK_BACK as usize
            && self.lows.iter().all(is_rtt)
            && self.recent.iter().all(|(_, samples, low)| is_rtt(samples) && is_rtt(low))
    }

    /// Takes in a second with the low quantile of its samples that are not clean, and makes of its signals what forecasts
    /// shall see.
    pub fn second(&mut self, now: Tick, signals: &mut Signals, low_us: f32) {
        let handshakes = signals.get(Signal::HandshakeCount);
        let samples = signals.get(Signal::RttAllCount) - signals.get(Signal::RttCount);
        // A handshake is its connection's floor, and no sample of inflation.
        let data = match self.measure {
            Measure::Rtt => signals.get(Signal::RttCount) - handshakes,
            Measure::Inflation => signals.get(Signal::RttCount),
        };
        if data > 0.0 {
            (self.clean, self.unclean) = (Some(now), None);
        } else if samples > 0.0 {
            self.unclean = self.unclean.or(Some(now));
        }
        let low = self.low(now, samples, low_us);
        self.from = match (self.clean, self.unclean) {
            (Some(clean), _) if now.since(clean) <= PATIENCE => RttFrom::Clean,
            // Before anything clean was seen there is less to wait for.
            (clean, Some(unclean)) if clean.is_some() || now.since(unclean) >= LOOK_BACK => RttFrom::LowQuantile,
            (None, None) if handshakes > 0.0 => RttFrom::Handshake,
            _ => self.from,
        };
        if let (RttFrom::LowQuantile, Some(low)) = (self.from, low.filter(|_| samples > 0.0)) {
            self.put(signals, low);
        }
    }

    /// Where the RTT came from in the last second.
    pub const fn from(&self) -> RttFrom {
        self.from
    }

    /// The least delayed samples of late; none without any.
    fn low(&mut self, now: Tick, samples: f32, low_us: f32) -> Option<f32> {
        if samples > 0.0 && low_us.is_finite() {
            self.recent.push_back((now, samples, low_us));
        }
        while self.recent.front().is_some_and(|(at, ..)| now.since(*at) >= LOOK_BACK) {
            self.recent.pop_front();
        }
        let (mut gathered, mut low) = (0.0, f32::NAN);
        for (_, samples, low_us) in self.recent.iter().rev() {
            low = low.min(*low_us);
            gathered += samples;
            if gathered >= SAMPLES {
                break;
            }
        }
        if !low.is_finite() {
            return None;
        }
        if samples > 0.0 {
            if self.lows.len() == USUAL_SECONDS {
                self.lows.pop_front();
            }
            self.lows.push_back(low);
        }
        Some(low)
    }

    /// What the least delayed samples usually are.
    fn usual(&self) -> Option<f32> {
        // On the stack: this is asked in each second of such a target.
        let mut lows = [0.0; USUAL_SECONDS];
        let lows = &mut lows[..self.lows.len()];
        lows.iter_mut().zip(&self.lows).for_each(|(copy, low)| *copy = *low);
        let rank = lows.len() / LOWER;
        (!lows.is_empty()).then(|| *lows.select_nth_unstable_by(rank, f32::total_cmp).1)
    }

    /// Puts the RTT that is inferred where clean samples would have put theirs; a handshake of the second says more.
    fn put(&self, signals: &mut Signals, low: f32) {
        let usual = self.usual().unwrap_or(low);
        let floor = match self.measure {
            // The kernel's floor of the path holds no delay of an ACK, if it ever saw a sample without one.
            Measure::Rtt => signals.get(Signal::RttFloor),
            // As little as the kernel counts.
            Measure::Inflation => 1.0,
        };
        let floor = if floor.is_finite() { floor.min(low).min(usual) } else { usual.min(low) };
        let rtt = floor + (low - usual).max(0.0);
        let max = rtt.max(signals.get(Signal::HandshakeMax));
        signals.set(Signal::RttCount, signals.get(Signal::RttAllCount));
        for level in [Signal::RttMean, Signal::RttP50, Signal::RttMin] {
            signals.set(level, rtt);
        }
        for upper in [Signal::RttP90, Signal::RttP99, Signal::RttMax] {
            signals.set(upper, max);
        }
        signals.set(Signal::RttJitter, 0.0);
        for quarter in Signal::RTT_QUARTERS {
            signals.set(quarter, f32::NAN);
        }
    }
}

#[cfg(test)]
mod tests {
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
            source.second(Tick(tick), &mut signals, low);
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
        let highest =
            |seconds: &[(RttFrom, Option<f32>)]| seconds.iter().filter_map(|(_, rtt)| *rtt).fold(0.0, f32::max);
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
            source.second(Tick(tick), &mut seen, low);
            assert_eq!((source.from(), seen.measured_rtt_us()), (RttFrom::Clean, Some(90_000.0)));
        }
    }

    #[test]
    fn inflation_that_is_inferred_has_no_path_in_it() {
        let mut source = Source::of(Measure::Inflation);
        for tick in 0..60 {
            // Every ACK is delayed by 40 ms, on a path of 1 ms.
            let (mut signals, low) = small(&[40_000.0; 12]);
            source.second(Tick(tick), &mut signals, low);
            assert!(signals.measured_rtt_us().is_none_or(|us| us == 1.0), "{:?}", signals.measured_rtt_us());
        }
        assert_eq!(source.from(), RttFrom::LowQuantile);
    }

    #[test]
    fn what_is_kept_goes_on_where_it_was() {
        let mut source = Source::default();
        for tick in 0..400 {
            let (mut signals, low) = small(&[delayed(tick, 0, 0.0), delayed(tick, 1, 0.0)]);
            source.second(Tick(tick), &mut signals, low);
        }
        let kept: Source = serde_json::from_str(&serde_json::to_string(&source).unwrap()).unwrap();
        assert!(kept == source && kept.is_sound());
        let many = Source { lows: [1.0; USUAL_SECONDS + 1].into(), ..Source::default() };
        assert!(!many.is_sound());
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
}
