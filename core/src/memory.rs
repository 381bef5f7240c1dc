//! The last hour of one target in coarse bins: where load that recurs every few minutes shows.

mod kept;

use std::collections::VecDeque;

use crate::{
    clock::Clock,
    forecast::{QUANTILES, nearest_rank},
    recurrence::Recurrence,
    signal::{Signal, Signals},
    tick::{BIN_TICKS, Tick},
};

pub use kept::{Kept, KeptError};

/// Complete bins kept: one hour.
pub const BINS: usize = 360;
/// The shortest period looked for, in bins (20 s).
const SHORTEST: usize = 2;
/// The longest period looked for, in bins (30 min): two of them fit.
const LONGEST: usize = BINS / 2;

/// Bins with a measured RTT below which their quantiles mean nothing.
pub const LEAST_MAXIMA: usize = 12;

/// What ten seconds were like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Highest measured RTT in µs ([`Signals::measured_rtt_us`]); NaN when none was measured.
    pub rtt_max_us: f32,
    /// Bytes sent.
    pub tx_bytes: f32,
    /// Connections opened.
    pub opens: f32,
}

impl Bin {
    const EMPTY: Self = Self { rtt_max_us: f32::NAN, tx_bytes: 0.0, opens: 0.0 };

    fn add(&mut self, signals: &Signals) {
        if let Some(rtt) = signals.measured_rtt_us() {
            self.rtt_max_us = self.rtt_max_us.max(rtt);
        }
        self.tx_bytes += signals.get(Signal::TxBytes);
        self.opens += signals.get(Signal::Opens);
    }
}

/// A quantity of [`Bin`] whose recurrence is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// Highest measured RTT, in ln µs.
    Rtt,
    /// Bytes sent.
    TxBytes,
    /// Connections opened.
    Opens,
}

impl Track {
    /// Every track.
    pub const ALL: [Self; 3] = [Self::Rtt, Self::TxBytes, Self::Opens];

    /// The value on the scale on which it is correlated: logarithm for RTT, root for counts (the scale on which the
    /// scatter of counts does not depend on their size: Anscombe 1948).
    fn scaled(self, bin: &Bin) -> f32 {
        let value = self.of(bin);
        match self {
            Self::Rtt if value.is_nan() => value,
            Self::Rtt => value.max(1.0).ln(),
            Self::TxBytes | Self::Opens => value.max(0.0).sqrt(),
        }
    }

    fn of(self, bin: &Bin) -> f32 {
        match self {
            Self::Rtt => bin.rtt_max_us,
            Self::TxBytes => bin.tx_bytes,
            Self::Opens => bin.opens,
        }
    }
}

/// What a track is expected to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlook {
    /// The period in seconds.
    pub period_s: f32,
    /// [`Recurrence::strength`].
    pub strength: f32,
    /// Seconds to the next expected peak; zero when it is due in this bin.
    pub until_peak_s: f32,
    /// The higher of the two bins one period ago that the coming ten seconds touch; `None` when not measured.
    pub expected: Option<f32>,
}

/// The last [`BINS`] complete bins and the one that fills. Bins begin at ticks that divide by [`BIN_TICKS`], so the
/// content depends on the last hour only, not on when the target was first seen. Allocates when it is made.
#[derive(Debug, Clone)]
pub struct Memory {
    /// Oldest first, one entry per bin, no holes.
    bins: VecDeque<Bin>,
    filling: Bin,
    last: Option<Tick>,
    /// Found when a bin completes: cheap enough once in ten ticks, too slow for every one.
    recurrences: [Option<Recurrence>; Track::ALL.len()],
    /// Likewise.
    maxima: Option<[f32; QUANTILES.len()]>,
    /// Likewise, ln µs; NaN for none.
    largest_ln: f32,
    clock: Clock,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// Nothing remembered yet.
    pub fn new() -> Self {
        Self {
            bins: VecDeque::with_capacity(BINS),
            filling: Bin::EMPTY,
            last: None,
            recurrences: [None; 3],
            maxima: None,
            largest_ln: f32::NAN,
            clock: Clock::default(),
        }
    }

    /// Takes in a tick. The caller pushes in order; a tick that is not later adds to the bin that fills.
    pub(crate) fn push(&mut self, tick: Tick, signals: &Signals) {
        let begun = self.last.map_or(0, |last| (tick.0 / BIN_TICKS).saturating_sub(last.0 / BIN_TICKS));
        if begun > BINS as u64 {
            self.bins.clear();
            self.filling = Bin::EMPTY;
            self.recurrences = [None; 3];
            self.maxima = None;
        } else if begun > 0 {
            for _ in 0..begun {
                self.complete();
            }
            self.look();
        }
        self.filling.add(signals);
        self.clock.push(tick, signals.measured_rtt_us());
        self.last = Some(tick);
    }

    /// Finds what the complete bins show.
    fn look(&mut self) {
        self.recurrences = Track::ALL
            .map(|track| Recurrence::find::<BINS>(self.bins.iter().map(|bin| track.scaled(bin)), SHORTEST, LONGEST));
        self.maxima = self.quantiles();
        self.largest_ln = self.bins_rtt_ln().chain(self.clock.bins()).fold(f32::NAN, f32::max);
    }

    fn complete(&mut self) {
        if self.bins.len() == BINS {
            self.bins.pop_front();
        }
        self.bins.push_back(std::mem::replace(&mut self.filling, Bin::EMPTY));
    }

    fn quantiles(&self) -> Option<[f32; QUANTILES.len()]> {
        let mut buffer = [0.0; BINS];
        let mut count = 0;
        for (slot, ln) in buffer.iter_mut().zip(self.bins_rtt_ln().filter(|ln| !ln.is_nan())) {
            *slot = ln;
            count += 1;
        }
        let known = &mut buffer[..count];
        known.sort_unstable_by(f32::total_cmp);
        (count >= LEAST_MAXIMA).then(|| QUANTILES.map(|quantile| known[nearest_rank(quantile, count)]))
    }

    /// [`QUANTILES`] (nearest rank) of the ten-second maxima of the measured RTT over the last hour, in ln µs; `None` before
    /// [`LEAST_MAXIMA`] were measured.
    pub const fn maxima(&self) -> Option<[f32; QUANTILES.len()]> {
        self.maxima
    }

    /// The largest RTT of the last six hours in µs, as of the last complete bin; `None` when none was measured.
    pub fn largest_us(&self) -> Option<f32> {
        (!self.largest_ln.is_nan()).then(|| self.largest_ln.exp())
    }

    /// The last six hours by the phase of the clock's periods.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The complete bins, oldest first.
    pub fn bins(&self) -> impl DoubleEndedIterator<Item = &Bin> + Clone + ExactSizeIterator {
        self.bins.iter()
    }

    /// ln of [`Bin::rtt_max_us`] (at least 1 µs) per complete bin, oldest first; NaN where none was measured.
    pub fn bins_rtt_ln(&self) -> impl DoubleEndedIterator<Item = f32> + Clone + ExactSizeIterator + '_ {
        self.bins.iter().map(|bin| Track::Rtt.scaled(bin))
    }

    /// The last tick that was taken in.
    pub const fn last(&self) -> Option<Tick> {
        self.last
    }

    /// The bin that fills.
    pub const fn filling(&self) -> &Bin {
        &self.filling
    }

    /// What `track` is expected to do next; `None` when nothing recurs.
    pub fn outlook(&self, track: Track) -> Option<Outlook> {
        let recurrence = self.recurrences[track as usize]?;
        // The bin that fills is the sample after the newest complete one, hence one less to wait.
        let bins_to_wait = (recurrence.until_peak() - 1) as u64 * BIN_TICKS;
        let into_bin = self.last.map_or(0, |last| last.0 % BIN_TICKS);
        Some(Outlook {
            period_s: (recurrence.lag as u64 * BIN_TICKS) as f32,
            strength: recurrence.strength,
            until_peak_s: bins_to_wait.saturating_sub(into_bin) as f32,
            // The coming ten seconds are the rest of the bin that fills and the beginning of the next.
            expected: recurrence.expected(self.bins.iter().rev().map(|bin| track.of(bin)), 2),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(tx: f32, rtt_us: f32) -> Signals {
        let mut signals = Signals::ABSENT;
        signals.set(Signal::TxBytes, tx);
        signals.set(Signal::RttMax, rtt_us);
        signals
    }

    /// A job of 20 s each 5 minutes, on top of quiet load.
    pub(super) fn periodic(from: u64, to: u64) -> Memory {
        let mut memory = Memory::new();
        for tick in from..to {
            let wobble = (tick.wrapping_mul(2_654_435_761) >> 7) % 100;
            let at_work = tick % 300 < 20;
            let (tx, rtt) = if at_work { (1e6, 90_000.0) } else { (1e4, 2_000.0) };
            memory.push(Tick(tick), &busy(tx + wobble as f32 * 10.0, rtt + wobble as f32));
        }
        memory
    }

    #[test]
    fn a_job_each_five_minutes_is_foreseen() {
        // 12 s before the job of tick 3000.
        let memory = periodic(0, 2_989);
        for track in [Track::Rtt, Track::TxBytes] {
            let outlook = memory.outlook(track).unwrap();
            assert_eq!(outlook.period_s, 300.0);
            assert!(outlook.strength > 0.8, "{outlook:?}");
            assert!((2.0..=22.0).contains(&outlook.until_peak_s), "{outlook:?}");
        }
        // Two seconds before, the coming ten seconds hold the job.
        let expected = periodic(0, 2_999).outlook(Track::Rtt).unwrap().expected.unwrap();
        assert!(expected >= 90_000.0, "{expected}");
        assert_eq!(memory.outlook(Track::Opens), None);
    }

    #[test]
    fn what_is_foreseen_depends_on_the_last_hour_only() {
        let (young, old) = (periodic(6_000, 9_990), periodic(0, 9_990));
        assert!(young.bins().eq(old.bins()));
        assert_eq!(Track::ALL.map(|track| young.outlook(track)), Track::ALL.map(|track| old.outlook(track)));
    }

    #[test]
    fn an_hour_without_ticks_is_forgotten_and_a_shorter_gap_is_empty_bins() {
        let mut memory = periodic(0, 100);
        memory.push(Tick(150), &busy(1.0, 1.0));
        assert_eq!(memory.bins().len(), 15);
        assert!(memory.bins().rev().take(5).all(|bin| bin.tx_bytes == 0.0 && bin.rtt_max_us.is_nan()));
        memory.push(Tick(150 + 4_000), &busy(1.0, 1.0));
        assert_eq!(memory.bins().len(), 0);
        assert_eq!(memory.filling().tx_bytes, 1.0);
    }
}
