//! What one tick added to a log-linear histogram, and its statistics.

use netprecursor_agent_common::histogram::{BUCKETS, value};

/// The difference of two readings of a histogram.
#[derive(Debug, Clone)]
pub struct Tally {
    counts: [u32; BUCKETS],
    total: u64,
}

impl Tally {
    /// What lies between two readings; counters wrap.
    pub fn between(now: &[u32; BUCKETS], before: &[u32; BUCKETS]) -> Self {
        let mut counts = [0; BUCKETS];
        let mut total = 0;
        for (count, (now, before)) in counts.iter_mut().zip(now.iter().zip(before)) {
            *count = now.wrapping_sub(*before);
            total += u64::from(*count);
        }
        Self { counts, total }
    }

    /// These samples and `others`.
    #[must_use]
    pub fn with(mut self, others: &Self) -> Self {
        for (count, others) in self.counts.iter_mut().zip(&others.counts) {
            *count = count.saturating_add(*others);
        }
        self.total += others.total;
        self
    }

    /// Samples.
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// The values that `shares` (ascending, of 0…1) of the samples do not exceed, in the unit of the histogram, ≤5.9 %
    /// off; NaN without samples.
    pub fn quantiles<const N: usize>(&self, shares: [f32; N]) -> [f32; N] {
        let mut found = [f32::NAN; N];
        let mut seen = 0;
        let mut next = 0;
        if self.total == 0 {
            return found;
        }
        for (bucket, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            seen += u64::from(*count);
            while next < N && seen as f64 >= (self.total as f64 * f64::from(shares[next])).ceil().max(1.0) {
                found[next] = value(bucket);
                next += 1;
            }
        }
        found
    }

    /// Standard deviation, with each sample at its bucket's value; NaN without samples.
    pub fn deviation(&self) -> f32 {
        if self.total == 0 {
            return f32::NAN;
        }
        let n = self.total as f64;
        let samples = || self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let mean = samples().map(|(bucket, count)| f64::from(value(bucket)) * f64::from(*count)).sum::<f64>() / n;
        let variance =
            samples().map(|(b, count)| (f64::from(value(b)) - mean).powi(2) * f64::from(*count)).sum::<f64>() / n;
        variance.sqrt() as f32
    }
}

#[cfg(test)]
mod tests {
    use netprecursor_agent_common::histogram::bucket;

    use super::*;

    fn tally(samples: &[u32]) -> Tally {
        let (before, mut now) = ([u32::MAX; BUCKETS], [u32::MAX; BUCKETS]);
        for sample in samples {
            now[bucket(*sample)] = now[bucket(*sample)].wrapping_add(1);
        }
        Tally::between(&now, &before)
    }

    #[test]
    fn quantiles_lie_within_six_percent_of_the_samples() {
        let samples: Vec<u32> = (1..=1000).map(|i| i * 100).collect();
        let [p50, p90, p99] = tally(&samples).quantiles([0.5, 0.9, 0.99]);
        for (found, expected) in [(p50, 50_000.0f32), (p90, 90_000.0), (p99, 99_000.0)] {
            assert!((found - expected).abs() / expected < 0.07, "{found} stands for {expected}");
        }
    }

    #[test]
    fn counters_that_wrapped_still_count() {
        assert_eq!(tally(&[5, 5, 900]).count(), 3);
    }

    #[test]
    fn tallies_add_up() {
        let both = tally(&[100, 900]).with(&tally(&[900, 5000]));
        assert_eq!(both.count(), 4);
        assert_eq!(both.quantiles([0.75]), tally(&[900]).quantiles([0.75]));
    }

    #[test]
    fn without_samples_there_is_no_number() {
        assert!(tally(&[]).quantiles([0.5])[0].is_nan());
        assert!(tally(&[]).deviation().is_nan());
    }

    #[test]
    fn equal_samples_do_not_deviate() {
        assert!(tally(&[1000; 50]).deviation() < 0.01);
    }
}
