//! When an event happens: in which tick, and in which quarter of it.

/// Quarters of an epoch.
pub const QUARTERS: usize = 4;

/// Unit of the time within an epoch, as a power of two of ns: about a millisecond.
const UNIT_NS_LOG2: u32 = 20;

/// Quarters of a second in a unit, as a fraction of 2^16: what a division would cost at each sample, a multiplication does.
const QUARTERS_IN_UNIT: u32 = 275;

/// An epoch in one word, so that the kernel never reads the number of one and the beginning of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch `number`, which begins at `now_ns` on the monotonic clock.
    #[inline(always)]
    pub const fn new(number: u32, now_ns: u64) -> Self {
        Self(number as u64 | (now_ns >> UNIT_NS_LOG2) << 32)
    }

    /// Its number, which wraps.
    #[inline(always)]
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// The quarter of a second since its beginning in which `now_ns` lies. The last one lasts until the epoch ends.
    #[inline(always)]
    pub const fn quarter(self, now_ns: u64) -> usize {
        let began = (self.0 >> 32) as u32;
        let passed = ((now_ns >> UNIT_NS_LOG2) as u32).wrapping_sub(began);
        // A coarse clock may be a little behind that of the agent.
        if passed > u32::MAX / 2 {
            return 0;
        }
        let quarter = (passed.saturating_mul(QUARTERS_IN_UNIT) >> 16) as usize;
        if quarter < QUARTERS { quarter } else { QUARTERS - 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn quarters_follow_each_other_and_the_last_one_lasts() {
        for began in [0, 7_777 * MS, u64::from(u32::MAX) * (1 << UNIT_NS_LOG2)] {
            let epoch = Epoch::new(9, began);
            assert_eq!(epoch.number(), 9);
            for (passed, quarter) in [(0, 0), (245, 0), (255, 1), (495, 1), (505, 2), (755, 3), (1_500, 3), (90_000, 3)]
            {
                assert_eq!(epoch.quarter(began + passed * MS), quarter, "{passed} ms after {began}");
            }
        }
    }

    #[test]
    fn a_clock_that_is_behind_is_at_the_beginning() {
        assert_eq!(Epoch::new(1, 5_000 * MS).quarter(4_996 * MS), 0);
    }
}
