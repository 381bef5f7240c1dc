//! How long the targets' tasks wait for a CPU, by the scheduler's tracepoints.
//!
//! The agent names the tasks of a target when it finds them; children inherit the slot at fork. Only known tasks are
//! timed. Offsets of the tracepoints' fields differ between kernels and come from their `format` files.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_ktime_get_ns},
    macros::map,
    maps::{Array, HashMap},
    programs::TracePointContext,
};
use netprecursor_agent_common::{
    Counter, MAX_SLOTS,
    sched::{MAX_TASKS, SchedSlot, Task},
};

use crate::{
    histogram,
    slots::{self, constant},
};

/// Slots × possible CPUs; the loader sets the length.
#[map]
static SCHED_SLOTS: Array<SchedSlot> = Array::with_max_entries(MAX_SLOTS, slots::BPF_F_MMAPABLE);

/// The targets' tasks by thread id.
#[map]
static TASKS: HashMap<u32, Task> = HashMap::with_max_entries(MAX_TASKS, 0);

#[unsafe(no_mangle)]
static WAKEUP_PID_OFFSET: u32 = 0;
#[unsafe(no_mangle)]
static SWITCH_PREV_PID_OFFSET: u32 = 0;
#[unsafe(no_mangle)]
static SWITCH_PREV_STATE_OFFSET: u32 = 0;
#[unsafe(no_mangle)]
static SWITCH_NEXT_PID_OFFSET: u32 = 0;
#[unsafe(no_mangle)]
static FORK_CHILD_PID_OFFSET: u32 = 0;

/// Bits of `prev_state` that mean asleep; none set: still runnable, it was preempted.
const ASLEEP: u64 = 0xff;

#[inline(always)]
fn field<T: Copy>(ctx: &TracePointContext, offset: &'static u32) -> Option<T> {
    // SAFETY: the loader took the offset from the tracepoint's format file.
    unsafe { ctx.read_at::<T>(constant(offset) as usize) }.ok()
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

#[inline(always)]
fn became_runnable(thread: u32) {
    if let Some(task) = TASKS.get_ptr_mut(&thread) {
        // SAFETY: points into the map.
        unsafe { (*task).runnable_since_ns = now() };
    }
}

pub(crate) fn wakeup(ctx: &TracePointContext) {
    if let Some(thread) = field::<u32>(ctx, &WAKEUP_PID_OFFSET) {
        became_runnable(thread);
    }
}

pub(crate) fn switch(ctx: &TracePointContext) {
    let Some(previous) = field::<u32>(ctx, &SWITCH_PREV_PID_OFFSET) else { return };
    if previous != 0 && field::<u64>(ctx, &SWITCH_PREV_STATE_OFFSET).is_some_and(|state| state & ASLEEP == 0) {
        became_runnable(previous);
    }
    let Some(next) = field::<u32>(ctx, &SWITCH_NEXT_PID_OFFSET) else { return };
    if next == 0 {
        return;
    }
    let Some(task) = TASKS.get_ptr_mut(&next) else { return };
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

pub(crate) fn fork(ctx: &TracePointContext) {
    let parent = bpf_get_current_pid_tgid() as u32;
    // SAFETY: values are plain data.
    let Some(task) = (unsafe { TASKS.get(&parent) }) else { return };
    let child = Task::new(task.slot);
    let Some(thread) = field::<u32>(ctx, &FORK_CHILD_PID_OFFSET) else { return };
    if TASKS.insert(&thread, &child, 0).is_err() {
        slots::count(Counter::TaskLost);
    }
}

pub(crate) fn exit() {
    let thread = bpf_get_current_pid_tgid() as u32;
    let _ = TASKS.remove(&thread);
}
