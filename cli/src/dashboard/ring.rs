//! Values by slot of time, without holes, of which the oldest go first. Pure: slots are numbers that the caller makes of a
//! clock, which may jump.

use std::collections::VecDeque;

/// What a slot holds.
pub(super) trait Slot: Copy {
    /// Nothing.
    const ABSENT: Self;

    /// Takes in what came later in the same slot.
    fn merge(&mut self, later: Self);
}

/// A ring of slots.
#[derive(Debug, Clone)]
pub(super) struct Ring<T> {
    values: VecDeque<T>,
    /// Slot of the last value.
    newest: u64,
    capacity: usize,
}

impl<T: Slot> Ring<T> {
    /// An empty ring of so many slots, at least one.
    pub(super) fn new(capacity: usize) -> Self {
        Self { values: VecDeque::new(), newest: 0, capacity: capacity.max(1) }
    }

    /// Takes in a value. Slots that were skipped are absent. What is older than all that is kept means that the clock was set
    /// back, and what is newer by more than a ring that it was set ahead: then the ring begins anew.
    pub(super) fn record(&mut self, slot: u64, value: T) {
        if !self.values.is_empty() && slot <= self.newest {
            let back = self.newest - slot;
            let at = usize::try_from(back).ok().and_then(|back| (self.values.len() - 1).checked_sub(back));
            if let Some(kept) = at.and_then(|at| self.values.get_mut(at)) {
                kept.merge(value);
                return;
            }
            self.values.clear();
        }
        let skipped = if self.values.is_empty() { 0 } else { slot - self.newest - 1 };
        if skipped >= self.capacity as u64 {
            self.values.clear();
        } else {
            for _ in 0..skipped {
                self.push(T::ABSENT);
            }
        }
        self.push(value);
        self.newest = slot;
    }

    fn push(&mut self, value: T) {
        if self.values.len() == self.capacity {
            self.values.pop_front();
        }
        // In steps, so that a ring is never twice as large as what it holds.
        if self.values.len() == self.values.capacity() {
            self.values.reserve_exact((self.capacity - self.values.len()).clamp(1, 300));
        }
        self.values.push_back(value);
    }

    /// Keeps so many slots from now on, at least one.
    pub(super) fn resize(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
        let surplus = self.values.len().saturating_sub(self.capacity);
        if surplus > 0 {
            self.values.drain(..surplus);
            self.values.shrink_to(self.capacity);
        }
    }

    /// The same in slots that are `factor` times as long, of which it holds `capacity`.
    pub(super) fn coarser(&self, factor: u64, capacity: usize) -> Self {
        let mut coarse = Self::new(capacity);
        for (slot, value) in self.iter() {
            coarse.record(slot / factor.max(1), *value);
        }
        coarse
    }

    /// The oldest slot that is kept.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.iter().next().map(|(slot, _)| slot)
    }

    /// What is kept with its slots, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        // A clock that starts before the ring is full counts from zero.
        let first = self.newest.saturating_add(1).saturating_sub(self.values.len() as u64);
        // The values first: a range has no end, and must not be asked beyond the last number.
        self.values.iter().zip(first..).map(|(value, slot)| (slot, value))
    }

    /// What is kept from the slot `from` on, oldest first.
    pub(super) fn since(&self, from: u64) -> impl Iterator<Item = (u64, &T)> {
        self.iter().skip_while(move |(slot, _)| *slot < from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Slot for u32 {
        const ABSENT: Self = 0;

        fn merge(&mut self, later: Self) {
            *self = (*self).max(later);
        }
    }

    fn ring(capacity: usize, recorded: &[(u64, u32)]) -> Vec<(u64, u32)> {
        let mut ring = Ring::new(capacity);
        for (slot, value) in recorded {
            ring.record(*slot, *value);
        }
        ring.iter().map(|(slot, value)| (slot, *value)).collect()
    }

    #[test]
    fn the_oldest_go_first() {
        assert_eq!(ring(2, &[(100, 1), (101, 2), (102, 3)]), [(101, 2), (102, 3)]);
    }

    #[test]
    fn skipped_slots_are_absent_and_one_slot_merges() {
        assert_eq!(ring(9, &[(100, 1), (103, 4), (103, 2)]), [(100, 1), (101, 0), (102, 0), (103, 4)]);
    }

    #[test]
    fn what_comes_late_goes_where_it_belongs() {
        assert_eq!(ring(9, &[(100, 1), (103, 4), (101, 7)]), [(100, 1), (101, 7), (102, 0), (103, 4)]);
    }

    #[test]
    fn a_clock_that_was_set_begins_a_new_ring_either_way() {
        assert_eq!(ring(5, &[(100, 1), (101, 2), (10, 3)]), [(10, 3)]);
        assert_eq!(ring(5, &[(100, 1), (u64::MAX - 1, 2)]), [(u64::MAX - 1, 2)]);
        assert_eq!(ring(5, &[(u64::MAX - 1, 1), (0, 2)]), [(0, 2)]);
        assert_eq!(ring(5, &[(0, 1), (1, 2)]), [(0, 1), (1, 2)]);
    }

    #[test]
    fn memory_stays_within_the_capacity() {
        let mut ring = Ring::new(1_000);
        for slot in 0..10_000 {
            ring.record(slot, 1_u32);
        }
        assert!(ring.values.capacity() <= 1_000, "{}", ring.values.capacity());
        ring.resize(10);
        assert!(ring.values.len() == 10 && ring.values.capacity() < 100, "{}", ring.values.capacity());
        assert_eq!(ring.oldest(), Some(9_990));
    }

    #[test]
    fn coarser_slots_hold_what_is_highest_in_them() {
        let mut ring = Ring::new(10);
        for (slot, value) in [(14, 1), (15, 9), (19, 2), (20, 3)] {
            ring.record(slot, value);
        }
        let coarse = ring.coarser(5, 4);
        assert_eq!(coarse.iter().map(|(slot, value)| (slot, *value)).collect::<Vec<_>>(), [(2, 1), (3, 9), (4, 3)]);
    }
}
