//! Slots: which target the kernel counts where. A slot that was freed rests before it is given away again, so that no
//! program that still runs for the old target counts for the new one.

use netprecursor_agent_common::MAX_SLOTS;

/// Ticks that a freed slot rests: programs run for microseconds.
const REST: u64 = 3;

/// The free slots.
#[derive(Debug)]
pub struct Slots {
    free: Vec<u32>,
    resting: Vec<(u64, u32)>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { free: (0..MAX_SLOTS).rev().collect(), resting: Vec::new() }
    }
}

impl Slots {
    /// A slot for a new target; `None`: all are taken.
    pub fn take(&mut self, tick: u64) -> Option<u32> {
        self.resting.retain(|(since, slot)| {
            let rested = tick >= since + REST;
            if rested {
                self.free.push(*slot);
            }
            !rested
        });
        self.free.pop()
    }

    /// Gives a slot back.
    pub fn give_back(&mut self, slot: u32, tick: u64) {
        self.resting.push((tick, slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_slot_rests_before_it_is_given_away_again() {
        let mut slots = Slots::default();
        let all: Vec<u32> = std::iter::from_fn(|| slots.take(0)).collect();
        assert_eq!(all.len(), MAX_SLOTS as usize);
        slots.give_back(7, 10);
        assert_eq!(slots.take(12), None);
        assert_eq!(slots.take(13), Some(7));
    }
}
