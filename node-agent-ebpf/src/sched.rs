//! How long the targets' tasks wait for a CPU, by the scheduler's tracepoints.
//!
//! The agent names the tasks of a target when it finds them; children inherit the slot at fork. Only known tasks are
//! timed. Where the kernel keeps what is read differs between kernels. There are two ways to know, and a set of programs for
//! each: [`arguments`] and [`fields`]; the agent attaches one of them.

pub(crate) mod arguments;
pub(crate) mod fields;

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_ktime_get_ns},
    macros::map,
    maps::{Array, HashMap},
};
use netprecursor_agent_common::{
    Counter, MAX_SLOTS,
    sched::{MAX_TASKS, SchedSlot, Task},
};

use crate::{histogram, slots};

/// Slots × possible CPUs; the loader sets the length.
#[map]
static SCHED_SLOTS: Array<SchedSlot> = Array::with_max_entries(MAX_SLOTS, slots::BPF_F_MMAPABLE);

/// The targets' tasks by thread id.
#[map]
static TASKS: HashMap<u32, Task> = HashMap::with_max_entries(MAX_TASKS, 0);

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

/// The thread that is running.
#[inline(always)]
fn current() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

#[inline(always)]
fn is_timed(thread: u32) -> bool {
    thread != 0 && TASKS.get_ptr(&thread).is_some()
}

#[inline(always)]
fn became_runnable(thread: u32) {
    if let Some(task) = TASKS.get_ptr_mut(&thread) {
        // SAFETY: points into the map.
        unsafe { (*task).runnable_since_ns = now() };
    }
}

#[inline(always)]
fn begins_to_run(thread: u32) {
    if thread == 0 {
        return;
    }
    let Some(task) = TASKS.get_ptr_mut(&thread) else { return };
    // SAFETY: points into the map.
    let task = unsafe { &mut *task };
    if task.runnable_since_ns == 0 {
        return;
    }
    let wait = now().saturating_sub(task.runnable_since_ns);
    task.runnable_since_ns = 0;
    record(task.slot, wait);
}

#[inline(always)]
fn record(slot: u32, wait_ns: u64) {
    let Some(counts) = SCHED_SLOTS.get_ptr_mut(slots::index(slot)) else { return };
    // SAFETY: points to this CPU's part of the map.
    let counts = unsafe { &mut *counts };
    counts.waits += 1;
    counts.wait_sum_ns += wait_ns;
    histogram::count(&mut counts.waits_us, (wait_ns / 1000).min(u64::from(u32::MAX)) as u32);
}

/// A thread that the running one has made is of the same target.
#[inline(always)]
fn inherits(child: u32) {
    // SAFETY: values are plain data.
    let Some(task) = (unsafe { TASKS.get(&current()) }) else { return };
    if TASKS.insert(&child, &Task::new(task.slot), 0).is_err() {
        slots::count(Counter::TaskLost);
    }
}

pub(crate) fn exit() {
    let _ = TASKS.remove(&current());
}
