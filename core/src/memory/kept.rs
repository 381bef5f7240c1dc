//! The form in which a memory outlives its target: on disk, and as what another target of the same workload begins with.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{BINS, Bin, Memory};
use crate::{
    clock::{self, Clock},
    tick::{BIN_TICKS, Tick},
};

/// No hour has a ten-second bin beyond this: the bound of what is read, far above what any link carries.
const MOST: f32 = 1e15;

/// A memory as JSON writes it; `null` is what was not measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The last tick.
    last: u64,
    /// Highest RTT in µs, bytes sent, connections opened, per complete bin, oldest first.
    hour: Vec<(Option<f32>, f32, f32)>,
    /// Likewise, of the bin that fills.
    filling: (Option<f32>, f32, f32),
    /// ln µs per bin of the clock, oldest first; the last one fills.
    clock: Vec<Option<f32>>,
}

/// Why what was kept is not taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeptError {
    /// The clock was set back, or the file is from elsewhere.
    #[error("got a memory up to tick {}, expected one before {}", last.0, now.0)]
    Future {
        /// Its last tick.
        last: Tick,
        /// The tick at which it was to be taken up.
        now: Tick,
    },
    /// More bins than a memory has.
    #[error("got {got} bins, expected at most {most}")]
    Bins {
        /// How many.
        got: usize,
        /// How many there may be.
        most: usize,
    },
    /// Numbers that nothing measured leads to.
    #[error("got numbers out of range, expected RTTs, bytes and connections from 0 to {MOST:e}")]
    Range,
}

impl Memory {
    /// What is remembered, to be kept; `None` before the first tick.
    pub fn keep(&self) -> Option<Kept> {
        let bin = |bin: &Bin| (measured(bin.rtt_max_us), bin.tx_bytes, bin.opens);
        Some(Kept {
            last: self.last?.0,
            hour: self.bins.iter().map(bin).collect(),
            filling: bin(&self.filling),
            clock: self.clock.bins().map(measured).collect(),
        })
    }

    /// The memory at `now`, continued from what was kept; the time in between counts as not measured.
    ///
    /// # Errors
    /// [`KeptError`]: what is read from a disk is checked as any input.
    pub fn resume(kept: &Kept, now: Tick) -> Result<Self, KeptError> {
        let last = Tick(kept.last);
        if last > now {
            return Err(KeptError::Future { last, now });
        }
        for (got, most) in [(kept.hour.len(), BINS), (kept.clock.len(), clock::BINS)] {
            if got > most {
                return Err(KeptError::Bins { got, most });
            }
        }
        let is_amount = |value: f32| (0.0..=MOST).contains(&value);
        let is_bin = |(rtt, tx, opens): &(Option<f32>, f32, f32)| {
            rtt.is_none_or(is_amount) && is_amount(*tx) && is_amount(*opens)
        };
        let is_ln = |ln: &Option<f32>| ln.is_none_or(|ln| (0.0..=MOST.ln()).contains(&ln));
        if !kept.hour.iter().chain([&kept.filling]).all(is_bin) || !kept.clock.iter().all(is_ln) {
            return Err(KeptError::Range);
        }
        let bin = |(rtt, tx_bytes, opens): &(Option<f32>, f32, f32)| Bin {
            rtt_max_us: rtt.unwrap_or(f32::NAN),
            tx_bytes: *tx_bytes,
            opens: *opens,
        };
        let mut memory = Self::new();
        memory.bins.extend(kept.hour.iter().map(bin));
        memory.filling = bin(&kept.filling);
        memory.last = Some(last);
        memory.clock = Clock::of(kept.last / BIN_TICKS, kept.clock.iter().map(|ln| ln.unwrap_or(f32::NAN)));
        memory.look();
        Ok(memory)
    }

    /// Complete bins of the last hours, at most six: how much there is to hand on.
    pub fn extent(&self) -> usize {
        self.clock.bins().len()
    }
}

fn measured(value: f32) -> Option<f32> {
    Some(value).filter(|value| !value.is_nan())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Track, tests::periodic},
        *,
    };
    use crate::signal::Signals;

    fn through_json(memory: &Memory) -> Kept {
        serde_json::from_str(&serde_json::to_string(&memory.keep().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn a_memory_that_was_kept_goes_on_as_if_nothing_had_happened() {
        let mut one = periodic(0, 4_005);
        let mut other = Memory::resume(&through_json(&one), Tick(4_005)).unwrap();
        for tick in 4_005..4_400 {
            let signals = Signals::ABSENT;
            one.push(Tick(tick), &signals);
            other.push(Tick(tick), &signals);
            assert_eq!(one.keep(), other.keep());
            assert_eq!(Track::ALL.map(|track| one.outlook(track)), Track::ALL.map(|track| other.outlook(track)));
            assert_eq!((one.maxima(), one.clock().expected()), (other.maxima(), other.clock().expected()));
        }
    }

    #[test]
    fn a_target_that_begins_with_the_memory_of_its_workload_foresees_the_job_of_the_clock_at_once() {
        let before = periodic(0, 3_900);
        // The new pod comes a minute and a half after the old one went; its job is due at 4,200.
        let mut memory = Memory::resume(&through_json(&before), Tick(3_990)).unwrap();
        for tick in 3_990..4_195 {
            memory.push(Tick(tick), &Signals::ABSENT);
        }
        let expected = memory.clock().expected().unwrap();
        assert!(expected.ln_us[0] > 80_000_f32.ln(), "{expected:?}");
    }

    #[test]
    fn hours_later_nothing_is_left_of_what_was_kept() {
        let mut memory = Memory::resume(&through_json(&periodic(0, 3_900)), Tick(90_000)).unwrap();
        memory.push(Tick(90_000), &Signals::ABSENT);
        assert_eq!((memory.bins().len(), memory.maxima(), memory.clock().expected()), (0, None, None));
    }

    #[test]
    fn what_nothing_measured_leads_to_is_refused() {
        let kept = through_json(&periodic(0, 100));
        let refused = |kept: &Kept| Memory::resume(kept, Tick(100)).unwrap_err();
        assert_eq!(refused(&Kept { last: 101, ..kept.clone() }), KeptError::Future { last: Tick(101), now: Tick(100) });
        let long = Kept { hour: vec![kept.filling; BINS + 1], ..kept.clone() };
        assert_eq!(refused(&long), KeptError::Bins { got: BINS + 1, most: BINS });
        let long = Kept { clock: vec![None; clock::BINS + 1], ..kept.clone() };
        assert_eq!(refused(&long), KeptError::Bins { got: clock::BINS + 1, most: clock::BINS });
        for bin in [(Some(-1.0), 0.0, 0.0), (None, f32::INFINITY, 0.0), (None, 0.0, f32::NAN)] {
            assert_eq!(refused(&Kept { filling: bin, ..kept.clone() }), KeptError::Range, "{bin:?}");
        }
        assert_eq!(refused(&Kept { clock: vec![Some(f32::NAN)], ..kept.clone() }), KeptError::Range);
        assert_eq!(Memory::new().keep(), None);
    }

    #[test]
    fn a_memory_without_bins_is_a_memory() {
        let kept = Kept { last: 5, hour: Vec::new(), filling: (None, 0.0, 0.0), clock: Vec::new() };
        let mut memory = Memory::resume(&kept, Tick(7)).unwrap();
        memory.push(Tick(7), &Signals::ABSENT);
        assert_eq!(memory.bins().len(), 0);
    }
}
