//! The least delayed samples: a queue raises every sample, and delayed ACKs and slow answers raise only some.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::FLOOR_SECONDS;
use crate::tick::Tick;

/// Samples of which the least delayed are taken, where there are as many within [`LOOK_BACK`] seconds: with fewer, each may
/// be a slow answer.
const SAMPLES: f32 = 10.0;
/// Seconds over which samples are gathered.
pub(super) const LOOK_BACK: u64 = 10;
/// Seconds over which the usual level is looked for.
const USUAL_SECONDS: usize = FLOOR_SECONDS as usize;
/// One in so many seconds is lower than usual: a connection's first ACKs are not delayed, however all later ones are.
const LOWER: usize = 4;

/// What is remembered of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Least {
    /// Seconds with samples: how many, and a low value of them.
    recent: VecDeque<(Tick, f32, f32)>,
    /// The least delayed of each of the last seconds with samples.
    lows: VecDeque<f32>,
}

impl Least {
    /// Whether it can have come of what was measured; for one that was kept.
    pub(super) fn is_sound(&self) -> bool {
        let is_rtt = |us: &f32| us.is_finite() && *us >= 0.0;
        self.lows.len() <= USUAL_SECONDS
            && self.recent.len() <= LOOK_BACK as usize
            && self.lows.iter().all(is_rtt)
            && self.recent.iter().all(|(_, samples, low)| is_rtt(samples) && is_rtt(low))
    }

    /// Takes in a second of so many samples and a low value of them. The least delayed of late; none without any.
    pub(super) fn take(&mut self, now: Tick, samples: f32, low_us: f32) -> Option<f32> {
        let has_samples = samples > 0.0 && low_us.is_finite();
        if has_samples {
            self.recent.push_back((now, samples, low_us));
        }
        while self.recent.front().is_some_and(|(at, ..)| now.since(*at) >= LOOK_BACK) {
            self.recent.pop_front();
        }
        let (mut gathered, mut low) = (0.0, f32::NAN);
        for (_, samples, low_us) in self.recent.iter().rev() {
            low = low.min(*low_us);
            gathered += samples;
            if gathered >= SAMPLES {
                break;
            }
        }
        if !low.is_finite() {
            return None;
        }
        if has_samples {
            if self.lows.len() == USUAL_SECONDS {
                self.lows.pop_front();
            }
            self.lows.push_back(low);
        }
        Some(low)
    }

    /// The RTT of a path with this `floor` whose least delayed samples are `low` now: they have risen by what queues add.
    pub(super) fn infer(&self, low: f32, floor: f32) -> f32 {
        let usual = self.usual().unwrap_or(low);
        let floor = if floor.is_finite() { floor.min(low).min(usual) } else { usual.min(low) };
        floor + (low - usual).max(0.0)
    }

    /// What the least delayed samples usually are.
    fn usual(&self) -> Option<f32> {
        // On the stack: this is asked in each second of such a target.
        let mut lows = [0.0; USUAL_SECONDS];
        let lows = lows.get_mut(..self.lows.len())?;
        lows.iter_mut().zip(&self.lows).for_each(|(copy, low)| *copy = *low);
        let rank = lows.len() / LOWER;
        (!lows.is_empty()).then(|| *lows.select_nth_unstable_by(rank, f32::total_cmp).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_five_minutes() {
        let mut least = Least::default();
        for tick in 0..400 {
            least.take(Tick(tick), 2.0, 1.0);
        }
        assert!(least.is_sound());
        assert!(!Least { lows: [1.0; USUAL_SECONDS + 1].into(), ..Least::default() }.is_sound());
    }
}
