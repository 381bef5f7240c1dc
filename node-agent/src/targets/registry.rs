//! Slots: which target the kernel counts where. A slot that was freed rests before it is given away again, so that no
//! program that still runs for the old target counts for the new one.

use netprecursor_agent_common::MAX_SLOTS;

/// Ticks that a freed slot rests: programs run for microseconds.
const REST: u64 = 3;

/// Slots for further views of targets: whoever asks for many of them takes none from the pods of a node, of which there are
/// 110 by the kubelet's default.
pub const MAX_SPARE: u32 = MAX_SLOTS / 2;

/// The free slots.
#[derive(Debug)]
pub struct Slots {
    spare: u32,
    free: Vec<u32>,
    resting: Vec<(u64, u32)>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { spare: 0, free: (0..MAX_SLOTS).rev().collect(), resting: Vec::new() }
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

    /// A slot for a further view of a target; `None`: there are none to spare.
    pub fn take_spare(&mut self, tick: u64) -> Option<u32> {
        if self.spare >= MAX_SPARE {
            return None;
        }
        let slot = self.take(tick)?;
        self.spare += 1;
        Some(slot)
    }

    /// Gives a slot of [`Self::take_spare`] back; `is_used`: something may have been counted there.
    pub fn give_spare_back(&mut self, slot: u32, tick: u64, is_used: bool) {
        self.spare = self.spare.saturating_sub(1);
        if is_used {
            self.give_back(slot, tick);
        } else {
            self.free.push(slot);
        }
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

    #[test]
    fn views_leave_half_of_the_slots_to_targets_and_one_that_was_not_used_does_not_rest() {
        let mut slots = Slots::default();
        let spare: Vec<u32> = std::iter::from_fn(|| slots.take_spare(0)).collect();
        assert_eq!(spare.len(), MAX_SPARE as usize);
        assert_eq!(std::iter::from_fn(|| slots.take(0)).count(), (MAX_SLOTS - MAX_SPARE) as usize);
        slots.give_spare_back(spare[0], 0, false);
        assert_eq!(slots.take_spare(0), Some(spare[0]));
        slots.give_spare_back(spare[0], 0, true);
        assert_eq!(slots.take_spare(0), None);
    }
}
