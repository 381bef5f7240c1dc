//! How many requests the API server is asked to take: a token bucket. Pure: time and chance are parameters.

use std::time::Duration;

use fastrand::Rng;

/// By how many times the jitter the first token after a full bucket is early or late: with 10 % the first tokens of many
/// buckets come evenly over twice the time of one, and so do all that follow.
const FIRST: f64 = 10.0;

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

    /// Takes one token out; `false` when there is none. Buckets that were full until the same moment do not go on in step: of
    /// each the first token is early or late by several times the jitter.
    pub fn take(&mut self, now: Duration, rng: &mut Rng) -> bool {
        if self.at(now, rng) == 0 {
            return false;
        }
        self.tokens -= 1;
        if self.next.is_none() {
            self.next = Some(now + jittered(self.refill, (FIRST * self.jitter).min(1.0), rng));
        }
        true
    }

    /// From `now` on one token comes back per `refill`, and the bucket holds `burst` of them. What has come so far of the
    /// next token counts as the share of it that it is, so that no order of rates makes a token more than they allow.
    pub fn deal(&mut self, burst: u32, refill: Duration, now: Duration, rng: &mut Rng) {
        self.at(now, rng);
        let scale = refill.as_secs_f64() / self.refill.as_secs_f64();
        self.next = match self.next {
            Some(next) => Some(now + next.saturating_sub(now).mul_f64(scale)),
            None => (self.tokens < burst).then(|| now + jittered(refill, self.jitter, rng)),
        };
        (self.burst, self.refill) = (burst, refill);
        if self.tokens >= burst {
            (self.tokens, self.next) = (burst, None);
        }
    }

    /// What it holds when it is full.
    pub const fn burst(&self) -> u32 {
        self.burst
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
        assert!(all.len() > 90 && all.iter().all(|next| *next <= second(40)), "{all:?}");
        let early = all.iter().filter(|next| **next < second(20)).count();
        assert!((30..=70).contains(&early), "{early} of 100 in the first half");
    }

    #[test]
    fn a_new_rate_holds_at_once_and_gives_nothing_away() {
        let (mut budget, mut rng) = (Budget::new(BURST, second(20), 0.0), Rng::with_seed(3));
        assert_eq!(drained(&mut budget, 0, &mut rng), BURST);
        // Half a token has come, and a tenth of a second is what the rest of it takes at the new rate.
        budget.deal(BURST, Duration::from_millis(200), second(10), &mut rng);
        assert_eq!(budget.at(second(10), &mut rng), 0);
        assert_eq!(budget.next(), Some(Duration::from_millis(10_100)));
        assert_eq!(budget.at(second(11), &mut rng), 5);
        budget.deal(4, second(20), second(11), &mut rng);
        assert_eq!((budget.at(second(11), &mut rng), budget.next()), (4, None));
    }

    #[test]
    fn rates_that_change_all_the_time_give_no_token_more_than_the_fastest_of_them() {
        for seed in 0..50 {
            let (mut budget, mut rng) = (Budget::new(BURST, second(20), 0.1), Rng::with_seed(seed));
            drained(&mut budget, 0, &mut rng);
            let mut taken = 0;
            // Half of the time one token per 100 ms, half of the time one per 20 s: five a second.
            for step in 1..=10_000_u64 {
                let now = Duration::from_millis(10 * step);
                let refill = if step.is_multiple_of(2) { Duration::from_millis(100) } else { second(20) };
                budget.deal(BURST, refill, now, &mut rng);
                taken += u64::from(budget.take(now, &mut rng));
            }
            assert!((440..=560).contains(&taken), "{taken} of 500 expected, seed {seed}");
        }
    }

    #[test]
    fn a_bucket_that_grows_is_filled_at_its_rate() {
        let (mut budget, mut rng) = (Budget::new(10, second(20), 0.0), Rng::with_seed(5));
        budget.deal(30, second(1), second(100), &mut rng);
        assert_eq!((budget.at(second(100), &mut rng), budget.next()), (10, Some(second(101))));
        assert_eq!((budget.at(second(200), &mut rng), budget.burst()), (30, 30));
    }

    #[test]
    fn when_the_next_token_comes_it_is_there() {
        let (mut budget, mut rng) = (Budget::new(1, second(20), 0.1), Rng::with_seed(7));
        assert!(budget.take(second(5), &mut rng) && !budget.take(second(5), &mut rng));
        let next = budget.next().unwrap();
        assert_eq!(budget.at(next - Duration::from_nanos(1), &mut rng), 0);
        assert!(budget.take(next, &mut rng));
    }
}
