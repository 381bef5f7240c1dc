//! When a target's input is not fit to raise an alert, and why: each reason is shown in the status.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{tick::Tick, window};

/// Ticks without a measured value after which the input is stale: then not even the shortest rule of thumb has
/// anything to look at.
pub const STALE_TICKS: u64 = 10;

/// Ticks since the first one until a target's window is full.
pub const WARM_UP_TICKS: u64 = window::LENGTH as u64;

/// Measured values that a warm target has to have seen.
pub const WARM_UP_SAMPLES: u32 = 10;

/// Ticks after a restart of the agent in which nothing fires: warm-up and half a minute more, because connections
/// that were open before show up one by one.
pub const GRACE_TICKS: u64 = WARM_UP_TICKS + 30;

/// Measured values in a row that are the same to the last bit and so not believed: a live path varies by
/// microseconds.
pub const CONSTANT_SAMPLES: u32 = window::LENGTH as u32;

/// Why nothing may fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "gate")]
pub enum Gate {
    /// The target is new: its window is not full, or holds too little.
    WarmingUp {
        /// Ticks seen, of [`WARM_UP_TICKS`].
        ticks: u64,
        /// Measured values seen, of [`WARM_UP_SAMPLES`].
        samples: u32,
    },
    /// The agent has just restarted.
    Grace {
        /// Ticks until it ends.
        ticks_left: u64,
    },
    /// Nothing has ever been measured.
    Missing,
    /// Neither sample nor retransmission timeout for [`STALE_TICKS`] or longer.
    Stale {
        /// Ticks since the last one.
        ticks: u64,
    },
    /// The same value again and again.
    Constant {
        /// How often.
        samples: u32,
    },
}

/// How a target came under watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Start {
    /// It appeared.
    #[default]
    Fresh,
    /// It was there already; the agent is what started.
    Restart,
}

/// What the gates need to know of a target's past.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gatekeeper {
    start: Start,
    began: Tick,
    warm_since: Tick,
    samples: u32,
    last_measured: Option<Tick>,
    repeated: (f32, u32),
}

impl Gatekeeper {
    /// The gates of a target whose first tick is `now`.
    pub const fn new(start: Start, now: Tick) -> Self {
        Self { start, began: now, warm_since: now, samples: 0, last_measured: None, repeated: (0.0, 0) }
    }

    /// Takes in a tick and returns what forbids firing, if anything. A silence as long as the window restarts the warm-up
    /// with the next measured value.
    pub fn observe(&mut self, now: Tick, measured_us: Option<f32>) -> Option<Gate> {
        if let Some(us) = measured_us {
            if self.silent_ticks(now) >= window::LENGTH as u64 {
                (self.warm_since, self.samples) = (now, 0);
            }
            self.last_measured = Some(now);
            self.samples = self.samples.saturating_add(1);
            let (value, times) = self.repeated;
            self.repeated = (us, if us.to_bits() == value.to_bits() { times.saturating_add(1) } else { 1 });
        }
        self.gate(now)
    }

    /// Ticks since the last measured value, or since the start.
    pub fn silent_ticks(&self, now: Tick) -> u64 {
        now.since(self.last_measured.unwrap_or(self.began))
    }

    fn gate(&self, now: Tick) -> Option<Gate> {
        let (silent, ticks, age) = (self.silent_ticks(now), now.since(self.warm_since) + 1, now.since(self.began));
        if silent >= STALE_TICKS {
            return Some(self.last_measured.map_or(Gate::Missing, |_| Gate::Stale { ticks: silent }));
        }
        if ticks < WARM_UP_TICKS || self.samples < WARM_UP_SAMPLES {
            return Some(Gate::WarmingUp { ticks, samples: self.samples });
        }
        if self.start == Start::Restart && age < GRACE_TICKS {
            return Some(Gate::Grace { ticks_left: GRACE_TICKS - age });
        }
        let (_, samples) = self.repeated;
        (samples >= CONSTANT_SAMPLES).then_some(Gate::Constant { samples })
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WarmingUp { ticks, samples } => {
                write!(f, "warming up: {ticks} of {WARM_UP_TICKS} s, {samples} of {WARM_UP_SAMPLES} seconds with RTT")
            }
            Self::Grace { ticks_left } => write!(f, "the agent has restarted: {ticks_left} s left"),
            Self::Missing => f.write_str("no RTT was ever measured"),
            Self::Stale { ticks } => write!(f, "no RTT was measured for {ticks} s"),
            Self::Constant { samples } => write!(f, "RTT was the same {samples} times in a row"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gate after each of `ticks` ticks.
    fn gates(start: Start, ticks: u64, measured: impl Fn(u64) -> Option<f32>) -> Vec<Option<Gate>> {
        let mut keeper = Gatekeeper::new(start, Tick(0));
        (0..ticks).map(|tick| keeper.observe(Tick(tick), measured(tick))).collect()
    }

    fn varying(tick: u64) -> Option<f32> {
        Some(100.0 + (tick % 7) as f32)
    }

    #[test]
    fn a_new_target_warms_up_for_a_window() {
        let gates = gates(Start::Fresh, 61, varying);
        assert_eq!(gates[58], Some(Gate::WarmingUp { ticks: 59, samples: 59 }));
        assert_eq!(gates[58].unwrap().to_string(), "warming up: 59 of 60 s, 59 of 10 seconds with RTT");
        assert_eq!(gates[59], None);
    }

    #[test]
    fn sparse_samples_prolong_the_warm_up() {
        let gates = gates(Start::Fresh, 80, |tick| varying(tick).filter(|_| tick % 8 == 0));
        assert_eq!(gates[71], Some(Gate::WarmingUp { ticks: 72, samples: 9 }));
        assert_eq!(gates[72], None);
    }

    #[test]
    fn after_a_restart_there_is_a_grace_period() {
        let gates = gates(Start::Restart, 91, varying);
        assert_eq!(gates[59], Some(Gate::Grace { ticks_left: 31 }));
        assert_eq!(gates[89], Some(Gate::Grace { ticks_left: 1 }));
        assert_eq!(gates[90], None);
    }

    #[test]
    fn silence_is_stale_after_ten_ticks_and_a_long_one_warms_up_again() {
        let gates = gates(Start::Fresh, 240, |tick| varying(tick).filter(|_| !(100..170).contains(&tick)));
        assert_eq!(gates[108], None);
        assert_eq!(gates[109], Some(Gate::Stale { ticks: 10 }));
        assert_eq!(gates[169], Some(Gate::Stale { ticks: 70 }));
        assert_eq!(gates[170], Some(Gate::WarmingUp { ticks: 1, samples: 1 }));
        assert_eq!(gates[229], None);
    }

    #[test]
    fn what_was_never_measured_is_missing() {
        assert_eq!(gates(Start::Fresh, 70, |_| None)[65], Some(Gate::Missing));
    }

    #[test]
    fn one_value_all_window_long_is_not_believed_until_it_changes() {
        let gates = gates(Start::Fresh, 130, |tick| if tick < 100 { Some(250.0) } else { varying(tick) });
        assert_eq!(gates[59], Some(Gate::Constant { samples: 60 }));
        assert_eq!(gates[99], Some(Gate::Constant { samples: 100 }));
        assert_eq!(gates[100], None);
    }

    #[test]
    fn a_growing_stall_is_neither_stale_nor_constant() {
        let gates = gates(Start::Fresh, 200, |tick| if tick < 100 { varying(tick) } else { Some(tick as f32 * 1e6) });
        assert!(gates[100..].iter().all(Option::is_none));
    }
}
