//! The last minute of one target: what rules, naive forecasters and features look at.

use std::collections::VecDeque;

use thiserror::Error;

use crate::{
    forecast::ceiling_us,
    memory::Memory,
    signal::{Signal, Signals},
    tick::Tick,
};

/// Ticks in a window.
pub const LENGTH: usize = 60;

/// Why a tick was not taken into a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PushError {
    /// One tick is pushed once, in order.
    #[error("got tick {}, expected one after {}: push each tick once and in order", got.0, last.0)]
    NotAfter {
        /// The tick that was refused.
        got: Tick,
        /// The window's newest tick.
        last: Tick,
    },
}

/// The last [`LENGTH`] ticks of one target's signals. Allocates when it is made and never again.
#[derive(Debug, Clone)]
pub struct Window {
    /// Oldest first, one entry per tick, no holes.
    ticks: VecDeque<Signals>,
    /// ln of the measured RTT in µs beside each tick, NaN for none: features would else take sixty logarithms each.
    rtt_ln: VecDeque<f32>,
    memory: Memory,
    last: Option<Tick>,
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

impl Window {
    /// An empty window.
    pub fn new() -> Self {
        Self::remembering(Memory::new())
    }

    /// A window with nothing in sight that knows what the last hours were like.
    pub fn remembering(memory: Memory) -> Self {
        Self { ticks: VecDeque::with_capacity(LENGTH), rtt_ln: VecDeque::with_capacity(LENGTH), memory, last: None }
    }

    /// A window that saw these ticks up to `last`, oldest first, of which the newest [`LENGTH`] stay in sight; `memory` may
    /// know some of them already.
    pub fn resume(memory: Memory, last: Tick, ticks: &[Signals]) -> Self {
        let mut window = Self::remembering(memory);
        let ticks = &ticks[ticks.len().saturating_sub(LENGTH)..];
        let known = window.memory.last();
        for (ago, signals) in (0..ticks.len() as u64).rev().zip(ticks) {
            let tick = Tick(last.0.saturating_sub(ago));
            window.append(*signals);
            if known.is_none_or(|known| tick > known) {
                window.memory.push(tick, signals);
            }
        }
        window.last = (!ticks.is_empty()).then_some(last);
        window
    }

    /// Takes in one tick. Ticks left out since the last one count as [`Signals::ABSENT`]; when more than a window's
    /// length was left out nothing of the old content is in sight, and the window starts over (its memory does not).
    ///
    /// # Errors
    /// [`PushError::NotAfter`] when `tick` is not later than the last one; the window stays as it was.
    pub fn push(&mut self, tick: Tick, signals: &Signals) -> Result<(), PushError> {
        if let Some(last) = self.last {
            if tick <= last {
                return Err(PushError::NotAfter { got: tick, last });
            }
            let left_out = tick.since(last) - 1;
            if left_out >= LENGTH as u64 {
                self.ticks.clear();
                self.rtt_ln.clear();
            } else {
                for _ in 0..left_out {
                    self.append(Signals::ABSENT);
                }
            }
        }
        self.append(*signals);
        self.memory.push(tick, signals);
        self.last = Some(tick);
        Ok(())
    }

    fn append(&mut self, signals: Signals) {
        if self.ticks.len() == LENGTH {
            self.ticks.pop_front();
            self.rtt_ln.pop_front();
        }
        self.rtt_ln.push_back(signals.measured_rtt_us().map_or(f32::NAN, |us| us.max(1.0).ln()));
        self.ticks.push_back(signals);
    }

    /// The newest tick; `None` before the first push.
    pub const fn tick(&self) -> Option<Tick> {
        self.last
    }

    /// Ticks in sight, at most [`LENGTH`]; those that were left out count.
    pub fn len(&self) -> usize {
        self.ticks.len()
    }

    /// True before the first push.
    pub fn is_empty(&self) -> bool {
        self.ticks.is_empty()
    }

    /// True once [`LENGTH`] ticks are in sight.
    pub fn is_full(&self) -> bool {
        self.ticks.len() == LENGTH
    }

    /// The newest signals.
    pub fn latest(&self) -> Option<&Signals> {
        self.ticks.back()
    }

    /// The signals per tick, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Signals> + Clone + ExactSizeIterator {
        self.ticks.iter()
    }

    /// The newest `ticks` in the two runs of the ring, oldest first.
    pub(crate) fn newest(&self, ticks: usize) -> [&[Signals]; 2] {
        let (older, newer) = self.ticks.as_slices();
        let of_newer = newer.len().saturating_sub(ticks);
        let of_older = older.len() - older.len().min(ticks.saturating_sub(newer.len()));
        [&older[of_older..], &newer[of_newer..]]
    }

    /// One signal per tick, oldest first; NaN where it was not measured.
    pub fn signal(&self, signal: Signal) -> impl DoubleEndedIterator<Item = f32> + Clone + ExactSizeIterator + '_ {
        self.ticks.iter().map(move |signals| signals.get(signal))
    }

    /// [`Signals::measured_rtt_us`] per tick in µs, oldest first.
    pub fn measured(&self) -> impl DoubleEndedIterator<Item = Option<f32>> + Clone + ExactSizeIterator + '_ {
        self.ticks.iter().map(Signals::measured_rtt_us)
    }

    /// ln of [`Self::measured`] (at least 1 µs), oldest first; NaN where nothing was measured.
    pub fn measured_ln(&self) -> impl DoubleEndedIterator<Item = f32> + Clone + ExactSizeIterator + '_ {
        self.rtt_ln.iter().copied()
    }

    /// The memory alone.
    pub fn into_memory(self) -> Memory {
        self.memory
    }

    /// The most that is forecast of the target in µs ([`ceiling_us`]), after the largest RTT in sight or in memory; `None`
    /// when there is none.
    pub fn ceiling_us(&self) -> Option<f32> {
        let seen = self.measured().flatten().chain(self.memory.largest_us());
        seen.reduce(f32::max).map(ceiling_us)
    }

    /// The last hour, fed by the same pushes.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtt(us: f32) -> Signals {
        let mut signals = Signals::ABSENT;
        signals.set(Signal::RttMax, us);
        signals
    }

    fn filled(ticks: impl IntoIterator<Item = u64>) -> Window {
        let mut window = Window::new();
        for tick in ticks {
            window.push(Tick(tick), &rtt(tick as f32)).unwrap();
        }
        window
    }

    #[test]
    fn only_the_last_minute_stays_in_sight_oldest_first() {
        let window = filled(1..=100);
        assert_eq!(window.tick(), Some(Tick(100)));
        assert!(window.is_full());
        assert!(window.measured().map(Option::unwrap).eq((41..=100).map(|us| us as f32)));
        assert_eq!(window.latest().map(|signals| signals.get(Signal::RttMax)), Some(100.0));
    }

    #[test]
    fn newest_ticks_are_the_end_of_the_minute_wherever_the_ring_begins() {
        for end in [1, 5, 60, 61, 95, 119, 120] {
            let window = filled(1..=end);
            for ticks in [0, 1, 4, 10, 60, 100] {
                let newest = window.newest(ticks).concat();
                let expected: Vec<Signals> = window.iter().skip(window.len().saturating_sub(ticks)).copied().collect();
                assert_eq!(newest.len(), expected.len(), "{ticks} of {end}");
                assert!(newest.iter().zip(&expected).all(|(a, b)| a.measured_rtt_us() == b.measured_rtt_us()));
            }
        }
    }

    #[test]
    fn ticks_left_out_count_as_absent() {
        let window = filled([1, 2, 5]);
        assert!(window.measured().eq([Some(1.0), Some(2.0), None, None, Some(5.0)]));
    }

    #[test]
    fn a_gap_longer_than_the_window_starts_it_over_and_a_shorter_one_does_not() {
        assert_eq!(filled([1, 2, 2 + LENGTH as u64]).len(), LENGTH);
        assert_eq!(filled([1, 2, 3 + LENGTH as u64]).len(), 1);
        assert_eq!(filled([1, u64::MAX]).len(), 1);
    }

    #[test]
    fn the_ceiling_follows_the_largest_rtt_of_hours() {
        assert_eq!(Window::new().ceiling_us(), None);
        let mut window = Window::new();
        for tick in 0..7_200 {
            window.push(Tick(tick), &rtt(if tick == 100 { 500_000.0 } else { 20_000.0 })).unwrap();
        }
        assert!((window.ceiling_us().unwrap() / 8e6 - 1.0).abs() < 1e-4, "{:?}", window.ceiling_us());
        window.push(Tick(7_200), &rtt(3e6)).unwrap();
        assert_eq!(window.ceiling_us(), Some(13e6));
    }

    #[test]
    fn a_window_that_is_resumed_goes_on_as_if_nothing_had_happened() {
        for (end, known) in [(40, 40), (100, 40), (100, 100), (100, 0)] {
            let mut one = filled(1..=end);
            let ticks: Vec<Signals> = one.iter().copied().collect();
            let mut other = Window::resume(filled(1..=known).memory().clone(), Tick(end), &ticks);
            for tick in [end + 3, end + 4] {
                one.push(Tick(tick), &rtt(5.0)).unwrap();
                other.push(Tick(tick), &rtt(5.0)).unwrap();
            }
            assert!(one.measured().eq(other.measured()), "{known} of {end}");
            assert!(one.measured_ln().map(f32::to_bits).eq(other.measured_ln().map(f32::to_bits)));
            // Of what was never known nothing comes back; all that was in sight does.
            if known >= 40 {
                assert_eq!(one.memory().keep(), other.memory().keep(), "{known} of {end}");
            }
            assert!(other.push(Tick(end), &rtt(1.0)).is_err());
        }
        assert_eq!(Window::resume(Memory::new(), Tick(7), &[]).tick(), None);
    }

    #[test]
    fn a_tick_that_is_not_later_is_refused_and_changes_nothing() {
        let mut window = filled([7, 8]);
        for tick in [0, 7, 8] {
            assert_eq!(window.push(Tick(tick), &rtt(1.0)), Err(PushError::NotAfter { got: Tick(tick), last: Tick(8) }));
        }
        assert!(window.measured().eq([Some(7.0), Some(8.0)]));
    }
}
