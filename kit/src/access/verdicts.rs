//! What the API server said of whoever asks (tokens, or users with what they want), for a while; bounded. Pure: time is a
//! parameter.

use std::{collections::HashMap, time::Duration};

use fastrand::Rng;
use sha2::{Digest, Sha256};

use crate::Budget;

/// How long a verdict holds: a token that is revoked is good for no longer, a right that is given helps as soon.
const ALLOWED: Duration = Duration::from_secs(60);
const REFUSED: Duration = Duration::from_secs(10);

/// Tokens that are remembered.
const MOST: usize = 64;

/// Unknown tokens that are shown to the API server at once, and how often one more: anybody who reaches the port can send
/// some.
const BURST: u32 = 10;
const REFILL: Duration = Duration::from_secs(1);

/// What the API server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// It is no token of this cluster's.
    Unknown,
    /// The user may not.
    Forbidden {
        user: String,
    },
}

/// What is known of whoever asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    Known(Verdict),
    /// The API server is to be asked.
    Unknown,
    /// The API server was asked often enough.
    Full,
}

/// A token's digest: secrets are not kept.
type Key = [u8; 32];

#[derive(Debug)]
struct Entry {
    verdict: Verdict,
    until: Duration,
}

#[derive(Debug)]
pub(super) struct Verdicts {
    most: usize,
    entries: HashMap<Key, Entry>,
    budget: Budget,
    rng: Rng,
}

impl Default for Verdicts {
    fn default() -> Self {
        Self::new(MOST, BURST, REFILL)
    }
}

impl Verdicts {
    /// None yet; at most `most` are remembered, and as a burst `burst` unknown ones are asked about, one more each `refill`.
    pub(super) fn new(most: usize, burst: u32, refill: Duration) -> Self {
        Self { most, entries: HashMap::new(), budget: Budget::new(burst, refill, 0.0), rng: Rng::new() }
    }

    pub(super) fn look(&mut self, token: &str, now: Duration) -> Look {
        match self.entries.get(&key(token)) {
            Some(entry) if entry.until > now => Look::Known(entry.verdict.clone()),
            // Who was allowed a while ago does not wait behind strangers.
            Some(Entry { verdict: Verdict::Allowed, .. }) => Look::Unknown,
            _ if self.budget.take(now, &mut self.rng) => Look::Unknown,
            _ => Look::Full,
        }
    }

    pub(super) fn keep(&mut self, token: &str, verdict: Verdict, now: Duration) {
        let key = key(token);
        if self.entries.len() >= self.most && !self.entries.contains_key(&key) {
            let worth = |entry: &Entry| (entry.verdict == Verdict::Allowed, entry.until);
            let least = self.entries.iter().min_by_key(|(_, entry)| worth(entry)).map(|(key, _)| *key);
            least.map(|least| self.entries.remove(&least));
        }
        let until = now + if verdict == Verdict::Allowed { ALLOWED } else { REFUSED };
        self.entries.insert(key, Entry { verdict, until });
    }
}

fn key(token: &str) -> Key {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn second(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn an_allowed_token_is_reviewed_again_after_a_minute_and_a_refused_one_after_ten_seconds() {
        let mut verdicts = Verdicts::default();
        verdicts.keep("good", Verdict::Allowed, second(0));
        verdicts.keep("bad", Verdict::Unknown, second(0));
        assert_eq!(verdicts.look("good", second(59)), Look::Known(Verdict::Allowed));
        assert_eq!(verdicts.look("good", second(60)), Look::Unknown);
        assert_eq!(verdicts.look("bad", second(9)), Look::Known(Verdict::Unknown));
        assert_eq!(verdicts.look("bad", second(10)), Look::Unknown);
    }

    #[test]
    fn a_flood_of_unknown_tokens_is_throttled_and_keeps_nobody_out_who_was_allowed() {
        let mut verdicts = Verdicts::default();
        verdicts.keep("good", Verdict::Allowed, second(0));
        let mut reviewed = 0;
        for number in 0..10_000 {
            let (token, now) = (format!("forged-{number}"), second(70));
            if verdicts.look(&token, now) == Look::Unknown {
                verdicts.keep(&token, Verdict::Unknown, now);
                reviewed += 1;
            }
        }
        assert_eq!(reviewed, BURST);
        assert_eq!(verdicts.look("new", second(70)), Look::Full);
        assert_eq!(verdicts.look("good", second(70)), Look::Unknown);
        assert_eq!(verdicts.look("new", second(71)), Look::Unknown);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_refused_tokens_go_first() {
        let mut verdicts = Verdicts::default();
        verdicts.keep("good", Verdict::Allowed, second(0));
        for number in 0..3 * MOST {
            verdicts.keep(&format!("forged-{number}"), Verdict::Unknown, second(55));
        }
        assert_eq!(verdicts.entries.len(), MOST);
        assert_eq!(verdicts.look("good", second(56)), Look::Known(Verdict::Allowed));
    }
}
