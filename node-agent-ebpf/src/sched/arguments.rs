//! The scheduler's events by the arguments of raw tracepoints: tasks, whose fields the kernel's BTF locates.

use core::ffi::c_void;

use aya_ebpf::{helpers::bpf_probe_read_kernel, programs::RawTracePointContext};

use super::{became_runnable, begins_to_run, current, inherits, is_timed};
use crate::slots::constant;

#[unsafe(no_mangle)]
static TASK_PID_OFFSET: u32 = 0;
#[unsafe(no_mangle)]
static TASK_STATE_OFFSET: u32 = 0;

/// A number of a task.
#[inline(always)]
fn field(task: *const c_void, offset: &'static u32) -> Option<u32> {
    let field = task.wrapping_byte_add(constant(offset) as usize).cast::<u32>();
    // SAFETY: the helper checks the address; the loader took the offset from the kernel's own description.
    unsafe { bpf_probe_read_kernel(field) }.ok()
}

pub(crate) fn wakeup(ctx: &RawTracePointContext) {
    if let Some(thread) = field(ctx.arg(0), &TASK_PID_OFFSET) {
        became_runnable(thread);
    }
}

pub(crate) fn switch(ctx: &RawTracePointContext) {
    let previous = current();
    // A task that was preempted is runnable, whatever it was about to do. A state of zero is that of one that runs.
    if is_timed(previous) && (ctx.arg::<u64>(0) & 1 == 1 || field(ctx.arg(1), &TASK_STATE_OFFSET) == Some(0)) {
        became_runnable(previous);
    }
    if let Some(next) = field(ctx.arg(2), &TASK_PID_OFFSET) {
        begins_to_run(next);
    }
}

pub(crate) fn fork(ctx: &RawTracePointContext) {
    if is_timed(current())
        && let Some(child) = field(ctx.arg(1), &TASK_PID_OFFSET)
    {
        inherits(child);
    }
}
