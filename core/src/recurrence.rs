//! Does a series repeat itself, how strongly, and when is its next peak? Autocorrelation over fixed storage.
//!
//! In life most load is periodic (cron jobs, batches, polling), and what was seen one period ago predicts more of the
//! next ten seconds than the trend of the last ones.

/// A period found in a series of samples at equal distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recurrence {
    /// The period in samples.
    pub lag: usize,
    /// How far the autocorrelation at `lag` rises above its lowest point at shorter lags (zero counts as the lowest):
    /// 0 to 1. A trend, which is similar to itself at every short lag, has none.
    pub strength: f32,
    /// Samples from the newest one back to the highest of the mean period: 0 to `lag` − 1.
    pub peak_age: usize,
}

/// Bartlett's bound for the autocorrelation of white noise is 1/√overlap; a period must stand out by three of them.
const SIGNIFICANCE: f32 = 3.0;
/// Of two periods that explain a series about as well the shorter one is meant, the other is its multiple.
const MULTIPLE_TOLERANCE: f32 = 0.85;
/// Below this standard deviation (of logarithms or of roots of counts) a series is flat.
const FLAT: f32 = 1e-3;

impl Recurrence {
    /// Looks for a period of `shortest` to `longest` samples in `series` (oldest first, NaN: not measured), of which
    /// the newest `N` are read. Needs two periods in sight; `None` when nothing recurs.
    pub fn find<const N: usize>(
        series: impl DoubleEndedIterator<Item = f32>,
        shortest: usize,
        longest: usize,
    ) -> Option<Self> {
        let centred = Centred::<N>::of(series)?;
        let longest = longest.min(centred.len / 2);
        let shortest = shortest.max(1);
        if longest < shortest {
            return None;
        }
        let strengths = centred.strengths(longest + 1);
        let is_peak = |lag: usize| strengths.prominent[lag] > 0.0 && strengths.rises_to(lag);
        let best =
            (shortest..=longest).filter(|lag| is_peak(*lag)).map(|lag| strengths.prominent[lag]).reduce(f32::max)?;
        let lag =
            (shortest..=longest).find(|lag| is_peak(*lag) && strengths.prominent[*lag] >= MULTIPLE_TOLERANCE * best)?;
        Some(Self { lag, strength: strengths.prominent[lag].min(1.0), peak_age: centred.peak_age(lag) })
    }

    /// Samples from the newest one to the next expected peak: 1 to `lag`.
    pub const fn until_peak(&self) -> usize {
        self.lag - self.peak_age
    }

    /// The highest value that followed one period ago, for the next `horizon` samples; `newest_first` is the series
    /// from its newest sample back. `None` when nothing was measured there.
    pub fn expected(&self, newest_first: impl Iterator<Item = f32>, horizon: usize) -> Option<f32> {
        // The sample `h` ahead was `lag·⌈h / lag⌉ − h` samples ago: for a horizon beyond the period all of it.
        let nearest = self.lag.saturating_sub(horizon);
        newest_first.skip(nearest).take(self.lag - nearest).filter(|value| value.is_finite()).reduce(f32::max)
    }
}

/// A series without its mean, newest first; what was not measured is the mean, which has no effect.
struct Centred<const N: usize> {
    values: [f32; N],
    len: usize,
}

struct Strengths<const N: usize> {
    correlation: [f32; N],
    prominent: [f32; N],
}

impl<const N: usize> Strengths<N> {
    fn rises_to(&self, lag: usize) -> bool {
        self.correlation[lag] >= self.correlation[lag - 1] && self.correlation[lag] > self.correlation[lag + 1]
    }
}

impl<const N: usize> Centred<N> {
    fn of(series: impl DoubleEndedIterator<Item = f32>) -> Option<Self> {
        let mut values = [0.0; N];
        let (mut len, mut measured, mut sum) = (0, 0_u32, 0.0);
        for value in series.rev().take(N) {
            values[len] = value;
            len += 1;
            if value.is_finite() {
                measured += 1;
                sum += value;
            }
        }
        let mean = sum / measured.max(1) as f32;
        let mut energy = 0.0;
        for value in &mut values[..len] {
            *value = if value.is_finite() { *value - mean } else { 0.0 };
            energy += *value * *value;
        }
        let flat = FLAT * FLAT * measured as f32;
        (energy.is_finite() && energy > flat).then_some(Self { values, len })
    }

    /// Correlation of the series with itself at lags 0 to `longest` (below `N`), each normalised by its own overlap.
    fn strengths(&self, longest: usize) -> Strengths<N> {
        let series = &self.values[..self.len];
        let mut strengths = Strengths { correlation: [0.0; N], prominent: [0.0; N] };
        let total = dot(series, series);
        let (mut head, mut tail) = (total, total);
        let mut lowest = 1.0_f32;
        strengths.correlation[0] = 1.0;
        for lag in 1..=longest.min(self.len - 1).min(N - 1) {
            let overlap = self.len - lag;
            tail -= series[overlap] * series[overlap];
            head -= series[lag - 1] * series[lag - 1];
            let scale = head.max(0.0).sqrt() * tail.max(0.0).sqrt();
            if scale <= 1e-3 * total {
                continue;
            }
            let correlation = (dot(&series[lag..], &series[..overlap]) / scale).clamp(-1.0, 1.0);
            strengths.correlation[lag] = correlation;
            if correlation * (overlap as f32).sqrt() >= SIGNIFICANCE {
                strengths.prominent[lag] = correlation - lowest.max(0.0);
            }
            lowest = lowest.min(correlation);
        }
        strengths
    }

    /// Folds the series at `lag` and finds the highest mean.
    fn peak_age(&self, lag: usize) -> usize {
        let mean = |age: usize| {
            let folded = self.values[age..self.len].iter().step_by(lag);
            let count = folded.len();
            folded.sum::<f32>() / count as f32
        };
        let mut best = (0, mean(0));
        for age in 1..lag {
            let candidate = mean(age);
            if candidate > best.1 {
                best = (age, candidate);
            }
        }
        best.0
    }
}

/// Σ aᵢ·bᵢ over the shorter of both, in eight independent sums so that the compiler can use vector registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let len = a.len().min(b.len());
    let (a, a_rest) = a[..len].as_chunks::<8>();
    let (b, b_rest) = b[..len].as_chunks::<8>();
    let mut lanes = [0.0_f32; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A deterministic stand-in for noise in −0.5 to 0.5.
    fn noise(i: usize) -> f32 {
        let mixed = (i as u32).wrapping_mul(0x9E37_79B9) ^ 0x5bd1_e995;
        (mixed.wrapping_mul(0x85eb_ca6b) >> 16) as f32 / 65_536.0 - 0.5
    }

    fn spikes(len: usize, period: usize, width: usize) -> impl DoubleEndedIterator<Item = f32> {
        (0..len).map(move |i| if i % period < width { 3.0 } else { 0.0 } + 0.3 * noise(i))
    }

    #[test]
    fn a_period_is_found_with_its_next_peak_and_not_its_multiple() {
        for period in [5, 7, 12, 20, 29] {
            let found = Recurrence::find::<60>(spikes(60, period, 2), 4, 30).unwrap();
            assert_eq!(found.lag, period);
            assert!(found.strength > 0.5, "{period}: {found:?}");
            // The newest sample is number 59, peaks are the samples whose number divides by the period, and the next.
            let next = (59 + found.until_peak()) % period;
            assert!(next <= 1, "{period}: {found:?}");
        }
    }

    #[test]
    fn half_an_hour_between_two_jobs_is_found_in_an_hour() {
        let found = Recurrence::find::<360>(spikes(360, 178, 6), 2, 180).unwrap();
        assert!(found.lag.abs_diff(178) <= 1, "{found:?}");
    }

    #[test]
    fn trends_noise_steps_and_flat_lines_do_not_recur() {
        assert_eq!(Recurrence::find::<60>((0..60).map(|i| i as f32), 4, 30), None);
        assert_eq!(Recurrence::find::<60>((0..60).map(|i| if i < 30 { 0.0 } else { 4.0 }), 4, 30), None);
        assert_eq!(Recurrence::find::<60>((0..60).map(|_| 5.0), 4, 30), None);
        assert_eq!(Recurrence::find::<60>((0..60).map(|_| f32::NAN), 4, 30), None);
        assert_eq!(Recurrence::find::<60>([].into_iter(), 4, 30), None);
        let found_in_noise =
            (0..50).filter(|run| Recurrence::find::<60>((0..60).map(|i| noise(i + 61 * run)), 4, 30).is_some()).count();
        assert!(found_in_noise <= 5, "{found_in_noise} of 50");
    }

    #[test]
    fn what_was_not_measured_does_not_hide_the_period() {
        let series = spikes(60, 10, 2).enumerate().map(|(i, v)| if i % 7 == 3 { f32::NAN } else { v });
        let found = Recurrence::find::<60>(series.collect::<Vec<_>>().into_iter(), 4, 30).unwrap();
        assert_eq!(found.lag, 10);
    }

    #[test]
    fn the_value_expected_is_the_highest_one_period_before_the_horizon() {
        let found = Recurrence { lag: 20, strength: 1.0, peak_age: 0 };
        let newest_first = || (0..60).map(|age| age as f32);
        assert_eq!(found.expected(newest_first(), 10), Some(19.0), "ages 10 to 19");
        let short = Recurrence { lag: 4, strength: 1.0, peak_age: 0 };
        assert_eq!(short.expected(newest_first(), 10), Some(3.0), "the whole period");
        assert_eq!(short.expected((0..4).map(|_| f32::NAN), 10), None);
    }
}
