//! The BPF programs of the agent. One file per sensor; this one is the table of entry points.
//!
//! Nothing here decides: programs count into slots that the agent reads once a second. All of them return the value
//! that lets the packet or event pass.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod address;
mod extremes;
mod flight;
mod histogram;
mod identity;
mod local;
mod older;
mod sched;
mod slots;
mod tcp;
mod traffic;
mod views;

use aya_ebpf::{
    macros::{cgroup_skb, raw_tracepoint, sock_ops, tracepoint},
    programs::{RawTracePointContext, SkBuffContext, SockOpsContext, TracePointContext},
};
use netprecursor_agent_common::identity::Stamp;

/// `cgroup_skb` verdict: the packet passes.
const PASS: i32 = 1;

#[sock_ops]
pub fn tcp(ctx: SockOpsContext) -> u32 {
    tcp::callback(&ctx);
    1
}

/// Does what every program must do before it measures, so that benchmarks can subtract it.
#[sock_ops]
pub fn tcp_empty(ctx: SockOpsContext) -> u32 {
    tcp::subscribe_established(&ctx);
    1
}

/// The sample path without the clean filter's socket memory, so that benchmarks can say what the filter costs.
#[sock_ops]
pub fn tcp_unfiltered(ctx: SockOpsContext) -> u32 {
    tcp::callback_unfiltered(&ctx);
    1
}

#[cgroup_skb]
pub fn traffic_ingress(ctx: SkBuffContext) -> i32 {
    traffic::count(&ctx, traffic::Direction::Received, slots::of_skb_by_namespace(&ctx));
    PASS
}

#[cgroup_skb]
pub fn traffic_egress(ctx: SkBuffContext) -> i32 {
    leaves::<true>(&ctx, slots::of_skb_by_namespace(&ctx));
    PASS
}

/// Counts and notes nothing for the clean filter, so that benchmarks can say what that costs.
#[cgroup_skb]
pub fn traffic_egress_counting(ctx: SkBuffContext) -> i32 {
    traffic::count(&ctx, traffic::Direction::Sent, slots::of_skb_by_namespace(&ctx));
    PASS
}

/// For kernels whose cgroup_skb programs cannot ask for the namespace (before 6.3).
#[cgroup_skb]
pub fn traffic_ingress_by_socket(ctx: SkBuffContext) -> i32 {
    traffic::count(&ctx, traffic::Direction::Received, slots::of_skb_by_socket(&ctx));
    PASS
}

/// For kernels whose cgroup_skb programs cannot ask for the namespace (before 6.3). Without older sockets: the verifier of 6.1
/// refuses the program with them.
#[cgroup_skb]
pub fn traffic_egress_by_socket(ctx: SkBuffContext) -> i32 {
    leaves::<false>(&ctx, slots::of_skb_by_socket(&ctx));
    PASS
}

/// A packet leaves its socket: counts it for its target, and notes what an RTT sample of the socket will need; with `OLDER` it
/// measures sockets that are older than the agent.
#[inline(always)]
fn leaves<const OLDER: bool>(ctx: &SkBuffContext, stamp: Option<Stamp>) {
    traffic::count(ctx, traffic::Direction::Sent, stamp);
    if !local::stays(ctx, stamp.is_some())
        && let Some(stamp) = stamp
    {
        flight::sent::<OLDER>(ctx, stamp);
    }
}

#[raw_tracepoint]
pub fn sched_wakeup_raw(ctx: RawTracePointContext) -> i32 {
    sched::arguments::wakeup(&ctx);
    0
}

#[raw_tracepoint]
pub fn sched_wakeup_new_raw(ctx: RawTracePointContext) -> i32 {
    sched::arguments::wakeup(&ctx);
    0
}

#[raw_tracepoint]
pub fn sched_switch_raw(ctx: RawTracePointContext) -> i32 {
    sched::arguments::switch(&ctx);
    0
}

#[raw_tracepoint]
pub fn sched_process_fork_raw(ctx: RawTracePointContext) -> i32 {
    sched::arguments::fork(&ctx);
    0
}

#[raw_tracepoint]
pub fn sched_process_exit_raw(_ctx: RawTracePointContext) -> i32 {
    sched::exit();
    0
}

#[tracepoint]
pub fn sched_wakeup(ctx: TracePointContext) -> u32 {
    sched::fields::wakeup(&ctx);
    0
}

#[tracepoint]
pub fn sched_wakeup_new(ctx: TracePointContext) -> u32 {
    sched::fields::wakeup(&ctx);
    0
}

#[tracepoint]
pub fn sched_switch(ctx: TracePointContext) -> u32 {
    sched::fields::switch(&ctx);
    0
}

#[tracepoint]
pub fn sched_process_fork(ctx: TracePointContext) -> u32 {
    sched::fields::fork(&ctx);
    0
}

#[tracepoint]
pub fn sched_process_exit(_ctx: TracePointContext) -> u32 {
    sched::exit();
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel compares this with its list of GPL-compatible licenses; this crate is offered under GPL-2.0 as well.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
