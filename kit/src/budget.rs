//! How many requests the API server is asked to take: a token bucket. Pure: time and chance are parameters.

use std::time::Duration;

use fastrand::Rng;

/// The bucket. `now` is the time since any one moment, and never runs backwards.
#[derive(Debug, Clone)]
pub struct Budget {
    tokens: u32,
    burst: u32,
    refill: Duration,
    jitter: f64,
    /// When the next token comes; none while the bucket is full.
    next: Option<Duration>,
}

impl Budget {
    /// A full bucket of `burst` tokens, of which one comes back per `refill`; `jitter` is the share of it by which that is
    /// early or late.
    pub const fn new(burst: u32, refill: Duration, jitter: f64) -> Self {
        Self { tokens: burst, burst, refill, jitter, next: None }
    }

    /// Takes in the tokens that have come by `now`, and says how many there are.
    pub fn at(&mut self, now: Duration, rng: &mut Rng) -> u32 {
        while let Some(next) = self.next.filter(|next| *next <= now) {
            self.tokens += 1;
            self.next = (self.tokens < self.burst).then(|| next + jittered(self.refill, self.jitter, rng));
        }
        self.tokens
    }

    /// Takes one token out; `false` when there is none.
    pub fn take(&mut self, now: Duration, rng: &mut Rng) -> bool {
        if self.at(now, rng) == 0 {
            return false;
        }
        self.tokens -= 1;
        if self.next.is_none() {
            self.next = Some(now + jittered(self.refill, self.jitter, rng));
        }
        true
    }

    /// When there is one token more; `None` when the bucket is full.
    pub const fn next(&self) -> Option<Duration> {
        self.next
    }
}

/// `duration`, up to `share` of it shorter or longer.
pub fn jittered(duration: Duration, share: f64, rng: &mut Rng) -> Duration {
    duration.mul_f64(1.0 - share + 2.0 * share * rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: u32 = 30;

    fn agents() -> Budget {
        Budget::new(BURST, second(20), 0.1)
    }

    const fn second(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    /// Takes all there is at each second until `end`; how many that were.
    fn drained(budget: &mut Budget, end: u64, rng: &mut Rng) -> u32 {
        (0..=end).map(|s| std::iter::from_fn(|| budget.take(second(s), rng).then_some(())).count() as u32).sum()
    }

    #[test]
    fn a_burst_goes_out_at_once_and_then_one_per_refill() {
        for seed in 0..50 {
            let (mut budget, mut rng) = (agents(), Rng::with_seed(seed));
            assert_eq!(drained(&mut budget, 0, &mut rng), BURST);
            let day = drained(&mut budget, 86_400, &mut rng);
            assert!((4_250..=4_390).contains(&day), "{day} of 4,320 expected, seed {seed}");
        }
    }

    #[test]
    fn a_bucket_holds_no_more_than_its_burst() {
        let (mut budget, mut rng) = (Budget::new(3, second(20), 0.1), Rng::with_seed(1));
        assert!(budget.take(second(0), &mut rng));
        assert_eq!(budget.at(second(10_000), &mut rng), 3);
        assert_eq!(budget.next(), None);
    }

    #[test]
    fn nodes_do_not_refill_in_step() {
        let when = |seed| {
            let (mut budget, mut rng) = (agents(), Rng::with_seed(seed));
            budget.take(second(0), &mut rng);
            budget.next().unwrap()
        };
        let all: std::collections::BTreeSet<Duration> = (0..100).map(when).collect();
        assert!(all.len() > 90 && all.iter().all(|next| *next >= second(18) && *next <= second(22)), "{all:?}");
    }

    #[test]
    fn when_the_next_token_comes_it_is_there() {
        let (mut budget, mut rng) = (Budget::new(1, second(20), 0.1), Rng::with_seed(7));
        assert!(budget.take(second(5), &mut rng) && !budget.take(second(6), &mut rng));
        let next = budget.next().unwrap();
        assert_eq!(budget.at(next - Duration::from_nanos(1), &mut rng), 0);
        assert!(budget.take(next, &mut rng));
    }
}
