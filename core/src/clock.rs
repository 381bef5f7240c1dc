//! What recurs by the clock: the maximum RTT of each ten seconds of the target's last hours, by the phase of the periods at
//! which people let jobs run. Autocorrelation finds any period of up to half an hour; this finds those of the clock also
//! where nothing but a short job stands out, and the hourly ones.

use crate::{
    forecast::{QUANTILES, nearest_rank},
    tick::{BIN_TICKS, Tick},
};

/// Bins remembered: six hours, which every period divides.
pub(crate) const BINS: usize = 2_160;

/// Periods in bins: 5, 10, 15, 30 and 60 minutes.
const PERIODS: [usize; 5] = [30, 60, 90, 180, 360];

/// Bins from one look for a period to the next; every period divides by it.
const FIND_BINS: u64 = 6;
/// Rounds of a period before it is believed.
const LEAST_ROUNDS: usize = 3;
/// Rounds that are looked back at.
const MOST_ROUNDS: usize = 12;

/// The latest rounds, which those before them have to explain.
const JUDGED: usize = 2;

/// How much of what moves in a round the rounds before have to explain.
const LEAST_EXPLAINED: f32 = 0.3;
/// Of two periods that explain about as much the shorter one is meant, the other is its multiple.
const MULTIPLE_TOLERANCE: f32 = 0.85;

/// Below this variance of ln RTT a round is flat: nothing recurs in it.
const FLAT: f32 = 0.01;

/// The last hours of one target. Allocates when it is made.
#[derive(Debug, Clone)]
pub struct Clock {
    /// ln µs by bin modulo [`BINS`], NaN for what was not measured.
    bins: Box<[f32; BINS]>,
    /// The bin that fills, counted from tick 0.
    filling: u64,
    /// Bins since the first one, at most [`BINS`].
    known: usize,
    /// Looked for once a minute: over six hours that is as much work as all else in ten ticks.
    period: Option<Period>,
}

/// A period of the clock that explains what the target measures.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Period {
    bins: usize,
    explained: f32,
}

/// What the clock expects of the coming ten seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// The period.
    pub period_s: f32,
    /// The share of the variance of the latest rounds that those before explain.
    pub explained: f32,
    /// [`QUANTILES`] over the rounds of the maximum at this phase, ln µs.
    pub ln_us: [f32; QUANTILES.len()],
}

impl Default for Clock {
    fn default() -> Self {
        Self { bins: Box::new([f32::NAN; BINS]), filling: 0, known: 0, period: None }
    }
}

impl Clock {
    /// Takes in a tick and what was measured in it, µs. The caller pushes in order.
    pub(crate) fn push(&mut self, tick: Tick, measured_us: Option<f32>) {
        let bin = tick.0 / BIN_TICKS;
        if self.known == 0 {
            (self.filling, self.known) = (bin, 1);
        }
        let begun = bin.saturating_sub(self.filling);
        if begun > 0 {
            for passed in 1..=begun.min(BINS as u64) {
                self.bins[slot(self.filling + passed)] = f32::NAN;
            }
            self.known = (self.known as u64 + begun).min(BINS as u64) as usize;
            let is_due = bin / FIND_BINS != self.filling / FIND_BINS;
            self.filling = bin;
            if is_due {
                self.period = self.find(0);
            }
        }
        if let Some(us) = measured_us {
            let now = &mut self.bins[slot(bin)];
            // What is not a number is smaller than any.
            *now = now.max(us.max(1.0).ln());
        }
    }

    /// ln µs per bin, oldest first, NaN for what was not measured; the last one fills.
    pub(crate) fn bins(&self) -> impl ExactSizeIterator<Item = f32> + '_ {
        (0..self.known).rev().map(|ago| self.bins[slot(self.filling - ago as u64)])
    }

    /// A clock that has seen these bins, at most [`BINS`] of them, of which `filling` is the last.
    pub(crate) fn of(filling: u64, bins: impl ExactSizeIterator<Item = f32>) -> Self {
        let mut clock = Self { filling, known: bins.len().min(filling as usize + 1), ..Self::default() };
        for (ago, ln) in (0..bins.len()).rev().zip(bins) {
            if let Some(bin) = filling.checked_sub(ago as u64) {
                clock.bins[slot(bin)] = ln;
            }
        }
        // As it was found while these bins came.
        clock.period = clock.find((filling % FIND_BINS) as usize);
        clock
    }

    /// What came at this phase of the period in the rounds before; `None` where the clock explains nothing.
    pub fn expected(&self) -> Option<Expected> {
        let Period { bins, explained } = self.period?;
        let mut came = [0.0; MOST_ROUNDS];
        let mut count = 0;
        for (slot, ln) in came.iter_mut().zip(self.rounds(bins).filter_map(|ago| self.at(ago, 2))) {
            *slot = ln;
            count += 1;
        }
        let came = &mut came[..count];
        came.sort_unstable_by(f32::total_cmp);
        (count >= LEAST_ROUNDS).then(|| Expected {
            period_s: (bins as u64 * BIN_TICKS) as f32,
            explained,
            ln_us: QUANTILES.map(|quantile| came[nearest_rank(quantile, count)]),
        })
    }

    /// Bins ago, of each whole round.
    fn rounds(&self, period: usize) -> impl Iterator<Item = usize> + use<> {
        (1..=(self.known / period).min(MOST_ROUNDS)).map(move |round| round * period)
    }

    /// The maximum of this many bins from the one `ago` on.
    fn at(&self, ago: usize, bins: usize) -> Option<f32> {
        let of = |offset: usize| self.filling.checked_sub(ago as u64).map(|bin| self.bins[slot(bin + offset as u64)]);
        (0..bins).filter_map(of).filter(|ln| !ln.is_nan()).reduce(f32::max)
    }

    /// The period as it showed when the bin that was filled `since` bins ago began.
    fn find(&self, since: usize) -> Option<Period> {
        let explained = PERIODS.map(|bins| self.explained(bins, since));
        let best = explained.into_iter().flatten().reduce(f32::max).filter(|best| *best >= LEAST_EXPLAINED)?;
        let found = PERIODS.into_iter().zip(explained).find(|(_, it)| *it >= Some(MULTIPLE_TOLERANCE * best));
        found.and_then(|(bins, explained)| Some(Period { bins, explained: explained? }))
    }

    /// The share of the variance of the last two rounds that the median of the rounds before explains, phase by phase. Two,
    /// because half of the rounds of half a period hold what comes once in a period.
    fn explained(&self, period: usize, since: usize) -> Option<f32> {
        let known_then = self.known.saturating_sub(since);
        let rounds = known_then.saturating_sub(1) / period;
        if rounds < LEAST_ROUNDS {
            return None;
        }
        let (mut count, mut sum, mut squares, mut missed) = (0.0_f32, 0.0_f32, 0.0_f32, 0.0_f32);
        for ago in 1..=JUDGED * period {
            let Some(came) = self.at(since + ago, 1) else { continue };
            let mut before = [0.0; MOST_ROUNDS];
            let mut known = 0;
            let rounds = (1..=rounds.min(MOST_ROUNDS))
                .map(|round| ago + round * period)
                .filter(|ago| *ago < known_then)
                .filter_map(|ago| self.at(since + ago, 1));
            for (slot, ln) in before.iter_mut().zip(rounds) {
                *slot = ln;
                known += 1;
            }
            if known == 0 {
                continue;
            }
            let before = &mut before[..known];
            before.sort_unstable_by(f32::total_cmp);
            let expected = before[(known - 1) / 2];
            count += 1.0;
            sum += came;
            squares += came * came;
            missed += (came - expected) * (came - expected);
        }
        let variance = squares - sum * sum / count;
        (count > 0.0 && variance > FLAT * count).then(|| 1.0 - missed / variance)
    }
}

fn slot(bin: u64) -> usize {
    (bin % BINS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job of 20 s at each multiple of `every` seconds, over a calm with some noise.
    fn clock(seconds: u64, every: u64) -> Clock {
        let mut clock = Clock::default();
        // Noon of some day: phases are those of the clock, not of the beginning.
        for tick in 1_795_000_000..1_795_000_000 + seconds {
            let calm = 10_000.0 + (tick * 7 % 13) as f32 * 100.0;
            clock.push(Tick(tick), Some(if tick % every < 20 { 200_000.0 } else { calm }));
        }
        clock
    }

    #[test]
    fn after_a_few_rounds_a_job_of_the_clock_is_expected_at_its_phase_and_nowhere_else() {
        for every in [300, 600, 900, 1_800, 3_600] {
            let seconds = 4 * every + every - 1_795_000_000 % every;
            // Ten seconds before it is due, and in the middle between two.
            let due = clock(seconds - 5, every).expected().unwrap_or_else(|| panic!("{every}"));
            assert_eq!(due.period_s, every as f32);
            assert!(due.explained > 0.9 && due.ln_us[0] > 150_000.0_f32.ln(), "{due:?}");
            let between = clock(seconds + every / 2, every).expected().unwrap();
            assert!(between.ln_us[2] < 20_000.0_f32.ln(), "{between:?}");
        }
    }

    #[test]
    fn what_is_flat_random_or_too_short_is_not_explained_by_the_clock() {
        assert_eq!(clock(7_200, 1_000_000_007).expected(), None);
        assert_eq!(clock(700, 300).expected(), None);
        let mut random = Clock::default();
        for tick in 0..20_000_u64 {
            let noise = (tick / 10).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            random.push(Tick(tick), Some(1_000.0 + noise as f32));
        }
        assert_eq!(random.expected(), None);
    }

    #[test]
    fn a_gap_is_not_measured_and_one_of_hours_forgets() {
        let mut clock = clock(3_000, 300);
        assert!(clock.expected().is_some());
        let last = Tick(1_795_003_000);
        clock.push(Tick(last.0 + 600), None);
        assert!(clock.bins.iter().filter(|ln| !ln.is_nan()).count() <= 301);
        clock.push(Tick(last.0 + 100_000), Some(5.0));
        assert_eq!(clock.expected(), None);
        assert_eq!(clock.bins.iter().filter(|ln| !ln.is_nan()).count(), 1);
    }
}
