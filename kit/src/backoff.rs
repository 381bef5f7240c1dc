//! When to try again what failed: exponential, capped, jittered. Pure: time and chance are parameters.

use std::time::Duration;

use fastrand::Rng;

/// The usual first wait, and the longest that is chosen here; what a server asks for may be longer.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// No server's wish is heeded beyond this: a wrong clock or header must not silence a program.
pub const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// Consecutive failures, and until when they keep us waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    until: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::between(FIRST, LONGEST)
    }
}

impl Backoff {
    /// Waits that grow from `first` to `longest`.
    pub const fn between(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0, until: Duration::ZERO }
    }

    /// How long to wait after it failed once more, where nothing else happens meanwhile.
    pub fn pause(&mut self, rng: &mut Rng) -> Duration {
        self.fail(Duration::ZERO, None, rng)
    }

    /// It failed at `now`; `asked` is how long the other side asks to wait, at least. Returns until when to wait.
    pub fn fail(&mut self, now: Duration, asked: Option<Duration>, rng: &mut Rng) -> Duration {
        let own = self.first.saturating_mul(1 << self.failures.min(16)).min(self.longest);
        // Between half and all of it: those that failed together do not come back together.
        let own = own.mul_f64(0.5 + 0.5 * rng.f64());
        let asked = asked.map(|asked| asked.min(LONGEST_ASKED).mul_f64(1.0 + 0.25 * rng.f64()));
        self.failures = self.failures.saturating_add(1);
        self.until = now + asked.map_or(own, |asked| asked.max(own));
        self.until
    }

    /// It worked.
    pub const fn succeed(&mut self) {
        *self = Self::between(self.first, self.longest);
    }

    /// Until when to wait, if that is after `now`.
    pub fn waits(&self, now: Duration) -> Option<Duration> {
        (self.until > now).then_some(self.until)
    }

    /// Failures since it last worked.
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_cap_and_are_jittered() {
        for seed in 0..20 {
            let (mut backoff, mut rng) = (Backoff::default(), Rng::with_seed(seed));
            for failure in 0..40_u32 {
                let wait = backoff.fail(Duration::ZERO, None, &mut rng);
                let whole = FIRST.saturating_mul(1 << failure.min(16)).min(LONGEST);
                assert!(wait >= whole / 2 && wait <= whole, "failure {failure}: {wait:?} of {whole:?}");
            }
        }
    }

    #[test]
    fn what_the_server_asks_for_is_granted_within_reason() {
        let (mut backoff, mut rng) = (Backoff::default(), Rng::with_seed(3));
        let asked = |backoff: &mut Backoff, rng: &mut Rng, s| {
            backoff.fail(Duration::ZERO, Some(Duration::from_secs(s)), rng).as_secs_f64()
        };
        assert!((30.0..=37.5).contains(&asked(&mut backoff, &mut rng, 30)));
        assert!((600.0..=750.0).contains(&asked(&mut backoff, &mut rng, u64::MAX)));
    }

    #[test]
    fn success_ends_the_waiting() {
        let (mut backoff, mut rng) = (Backoff::default(), Rng::with_seed(3));
        let until = backoff.fail(Duration::from_secs(9), None, &mut rng);
        assert_eq!(backoff.waits(Duration::from_secs(9)), Some(until));
        assert_eq!(backoff.waits(until), None);
        backoff.succeed();
        assert_eq!((backoff.waits(Duration::ZERO), backoff.failures()), (None, 0));
    }
}
