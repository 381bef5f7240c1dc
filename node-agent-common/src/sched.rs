//! What the `sched` sensor counts per target and CPU, and what it remembers per task.

use crate::histogram::BUCKETS;

/// Waits for a CPU; they only grow (and wrap).
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct SchedSlot {
    /// How often a task became runnable and then ran.
    pub waits: u64,
    /// Sum of the waits, ns.
    pub wait_sum_ns: u64,
    /// Waits in µs by [`crate::histogram::bucket`].
    pub waits_us: [u32; BUCKETS],
}

/// A task of a target.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Task {
    /// When it became runnable, ns on the monotonic clock; zero: it is running or asleep.
    pub runnable_since_ns: u64,
    /// The target's slot.
    pub slot: u32,
    _pad: u32,
}

impl Task {
    /// A task of the target in `slot`, not waiting.
    #[inline(always)]
    pub const fn new(slot: u32) -> Self {
        Self { runnable_since_ns: 0, slot, _pad: 0 }
    }
}

/// Tasks remembered at once.
pub const MAX_TASKS: u32 = 16_384;

layout!(SchedSlot: 16 + 4 * BUCKETS, 8; waits 0, wait_sum_ns 8, waits_us 16);
layout!(Task: 16, 8; runnable_since_ns 0, slot 8, _pad 12);
