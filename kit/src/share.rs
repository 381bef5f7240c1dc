//! One agent's share of the cluster's writes to the API server. The operator deals it by the number of
//! nodes, agents read it from a file. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Writes per second of all agents together.
const CLUSTER_PER_SECOND: f64 = 250.0;

/// Writes at once of all agents together, as long as each has at least [`LEAST_BURST`].
const CLUSTER_BURST: u32 = 30_000;

/// Most writes per second of one agent.
const MOST_PER_SECOND: f64 = 10.0;

/// Fewest writes per second of one agent: one each 20 s, however many nodes there are, or an agent could publish nothing.
const LEAST_PER_SECOND: f64 = 0.05;

/// Writes at once of one agent, at most and at least.
const MOST_BURST: u32 = 30;
const LEAST_BURST: u32 = 10;

/// Longest text of a share, in bytes.
pub const MAX_TEXT: usize = 4096;

/// The share of one agent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// Writes per second in the long run.
    writes_per_second: f64,
    /// Writes at once after a quiet time.
    burst: u32,
}

/// Why a text is no share.
#[derive(Debug, Error)]
pub enum ShareError {
    /// It is no JSON, or has other fields.
    #[error("got {text:?}, expected JSON like {{\"writesPerSecond\":10.0,\"burst\":30}}")]
    Unreadable {
        /// Its beginning.
        text: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It is too long for one.
    #[error("got {0} bytes, expected at most {MAX_TEXT}")]
    TooLong(usize),
    /// A number that no share has.
    #[error(
        "got {0} writes per second, {1} at once, expected {LEAST_PER_SECOND} to {MOST_PER_SECOND}, {LEAST_BURST} to {MOST_BURST}"
    )]
    OutOfBounds(f64, u32),
}

impl Share {
    /// What an agent may write that does not know its share.
    pub const UNKNOWN: Self = Self { writes_per_second: LEAST_PER_SECOND, burst: MOST_BURST };

    /// The share of each agent of so many. Where there are none, the least: a cluster that grows from nothing may grow fast.
    pub fn of(agents: usize) -> Self {
        let Some(agents) = stepped(agents) else {
            return Self { writes_per_second: LEAST_PER_SECOND, burst: LEAST_BURST };
        };
        // Three decimals, so that what is read is what was written.
        let rate = (1_000.0 * CLUSTER_PER_SECOND / f64::from(agents)).floor() / 1_000.0;
        Self {
            writes_per_second: rate.clamp(LEAST_PER_SECOND, MOST_PER_SECOND),
            burst: (CLUSTER_BURST / agents).clamp(LEAST_BURST, MOST_BURST),
        }
    }

    /// The share that a text names.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn read(text: &str) -> Result<Self, ShareError> {
        if text.len() > MAX_TEXT {
            return Err(ShareError::TooLong(text.len()));
        }
        let share: Self = serde_json::from_str(text)
            .map_err(|source| ShareError::Unreadable { text: text.chars().take(80).collect(), source })?;
        let is_sound = (LEAST_PER_SECOND..=MOST_PER_SECOND).contains(&share.writes_per_second)
            && (LEAST_BURST..=MOST_BURST).contains(&share.burst);
        if is_sound { Ok(share) } else { Err(ShareError::OutOfBounds(share.writes_per_second, share.burst)) }
    }

    /// The text that [`Self::read`] reads.
    pub fn text(&self) -> String {
        format!("{{\"writesPerSecond\":{:?},\"burst\":{}}}", self.writes_per_second, self.burst)
    }

    /// The time between two writes in the long run.
    pub fn refill(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.writes_per_second)
    }

    /// Writes at once after a quiet time.
    pub const fn burst(&self) -> u32 {
        self.burst
    }
}

/// The number of agents, rounded up by a sixteenth at most: not every node that comes or goes is news to all others.
fn stepped(agents: usize) -> Option<u32> {
    let agents = u32::try_from(agents).unwrap_or(u32::MAX);
    let step = (1 << agents.checked_ilog2()?) / 16;
    Some(agents.checked_next_multiple_of(step.max(1)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dealt(agents: usize) -> (f64, u32) {
        let share = Share::of(agents);
        (share.writes_per_second, share.burst)
    }

    #[test]
    fn a_few_agents_have_all_they_may_have_and_many_what_they_need() {
        assert_eq!([dealt(1), dealt(3), dealt(25)], [(10.0, 30); 3]);
        assert_eq!(dealt(250), (0.976, 30));
        assert_eq!([dealt(5_000), dealt(100_000), dealt(usize::MAX)], [(0.05, 10); 3]);
        assert_eq!(Share::of(5_000).refill(), Duration::from_secs(20));
    }

    #[test]
    fn all_agents_together_stay_within_the_clusters_budget_and_use_most_of_it() {
        for agents in 25..=5_000_u32 {
            let (rate, burst) = dealt(agents as usize);
            let all = rate * f64::from(agents);
            assert!((230.0..=250.0 + 1e-6).contains(&all), "{agents} agents write {all} times a second");
            assert!(
                burst <= LEAST_BURST || burst * agents <= CLUSTER_BURST,
                "{agents} agents write {burst} times each"
            );
        }
    }

    #[test]
    fn without_nodes_a_share_is_the_least() {
        assert_eq!(dealt(0), (LEAST_PER_SECOND, LEAST_BURST));
    }

    #[test]
    fn nodes_that_come_and_go_are_news_to_others_only_now_and_then() {
        let changes = (1_000..2_000).filter(|agents| Share::of(*agents) != Share::of(agents + 1)).count();
        assert!((12..=20).contains(&changes), "{changes}");
    }

    #[test]
    fn a_share_is_read_as_it_was_written() {
        for agents in [0, 1, 26, 333, 5_000] {
            let share = Share::of(agents);
            assert_eq!(Share::read(&share.text()).unwrap(), share, "{}", share.text());
        }
        assert_eq!(Share::of(3).text(), r#"{"writesPerSecond":10.0,"burst":30}"#);
    }

    #[test]
    fn what_is_no_share_is_refused_with_what_was_got_and_expected() {
        for (text, words) in [
            ("", "got \"\", expected JSON"),
            (r#"{"writesPerSecond":10}"#, "expected JSON"),
            (r#"{"writesPerSecond":1000,"burst":30}"#, "got 1000 writes per second"),
            (r#"{"writesPerSecond":0,"burst":30}"#, "expected 0.05 to 10"),
            (r#"{"writesPerSecond":1,"burst":3}"#, "3 at once"),
            (r#"{"writesPerSecond":-1e400,"burst":30}"#, "expected"),
            (&"x".repeat(MAX_TEXT + 1), "got 4097 bytes, expected at most 4096"),
        ] {
            let error = Share::read(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
