//! When the node report is due. Pure: time and chance are parameters.

use std::time::Duration;

use fastrand::Rng;
use netprecursor_kit::budget::jittered;

/// Without any change, a report is written this often: later by chance, never sooner.
const HEARTBEAT: Duration = Duration::from_secs(300);
/// By how much later.
const JITTER: f64 = 0.05;
/// A changed state is published at once, but no more often than this.
const STATE_APART: Duration = Duration::from_secs(15);
/// Growing counters are published no more often than this.
const COUNTS_APART: Duration = Duration::from_secs(60);

/// What of a report differs from the one that was written last. Gauges do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Change {
    /// A state: of a sensor, a model, a condition, the set of rules.
    pub state: bool,
    /// A counter of alerts.
    pub counts: bool,
}

/// How urgent a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// It is due.
    Now,
    /// At this time, if nothing changes before.
    At(Duration),
}

/// When the last one was written and when the next one is due.
#[derive(Debug, Clone, Default)]
pub(super) struct Schedule {
    written: Option<Duration>,
    heartbeat: Duration,
}

impl Schedule {
    /// How urgent it is at `now`.
    pub(super) fn due(&self, now: Duration, change: Change) -> Due {
        let Some(written) = self.written else { return Due::Now };
        let mut at = self.heartbeat;
        if change.state {
            at = at.min(written + STATE_APART);
        }
        if change.counts {
            at = at.min(written + COUNTS_APART);
        }
        if now >= at { Due::Now } else { Due::At(at) }
    }

    /// It was written at `now`.
    pub(super) fn written(&mut self, now: Duration, rng: &mut Rng) {
        self.written = Some(now);
        self.heartbeat = now + HEARTBEAT + jittered(HEARTBEAT.mul_f64(JITTER), 1.0, rng);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Change = Change { state: false, counts: false };

    fn written_at_zero(seed: u64) -> Schedule {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.due(Duration::ZERO, QUIET), Due::Now);
        schedule.written(Duration::ZERO, &mut Rng::with_seed(seed));
        schedule
    }

    #[test]
    fn a_quiet_node_writes_at_most_once_in_five_minutes() {
        for seed in 0..100 {
            let Due::At(next) = written_at_zero(seed).due(Duration::from_secs(299), QUIET) else { panic!() };
            assert!(next >= HEARTBEAT && next <= Duration::from_secs(330), "{next:?}");
        }
    }

    #[test]
    fn a_changed_state_is_published_soon_and_a_counter_a_little_later() {
        let schedule = written_at_zero(1);
        let state = Change { state: true, counts: false };
        let counts = Change { state: false, counts: true };
        assert_eq!(schedule.due(Duration::from_secs(1), state), Due::At(STATE_APART));
        assert_eq!(schedule.due(Duration::from_secs(20), state), Due::Now);
        assert_eq!(schedule.due(Duration::from_secs(20), counts), Due::At(COUNTS_APART));
        assert_eq!(schedule.due(Duration::from_secs(61), counts), Due::Now);
    }
}
