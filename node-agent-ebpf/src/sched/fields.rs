//! The scheduler's events by the fields of tracepoints, which their `format` files locate.

use aya_ebpf::programs::TracePointContext;

use super::{became_runnable, begins_to_run, inherits};
use crate::slots::constant;

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
    if let Some(next) = field::<u32>(ctx, &SWITCH_NEXT_PID_OFFSET) {
        begins_to_run(next);
    }
}

pub(crate) fn fork(ctx: &TracePointContext) {
    if let Some(child) = field::<u32>(ctx, &FORK_CHILD_PID_OFFSET) {
        inherits(child);
    }
}
