//! Which target an event belongs to. A target is a network namespace; its slot is looked up by the namespace's cookie
//! at each event (35 ns, flat in the number of connections), so that targets can come and go under live sockets.

use aya_ebpf::{
    bindings::bpf_sock_ops,
    helpers::generated::{bpf_get_netns_cookie, bpf_get_smp_processor_id, bpf_get_socket_cookie},
    macros::map,
    maps::{Array, HashMap, PerCpuArray},
    programs::SkBuffContext,
};
use netprecursor_agent_common::{
    Counter, MAX_SLOTS,
    tcp::{LINES, Line},
};

/// Slot by cookie of the network namespace; written by the agent.
#[map]
static NETNS_SLOTS: HashMap<u64, u32> = HashMap::with_max_entries(MAX_SLOTS, 0);

/// What is remembered per socket, indexed by the low bits of its cookie.
#[map]
static SOCKET_LINES: Array<Line> = Array::with_max_entries(LINES, BPF_F_MMAPABLE);

/// Entry 0: the epoch that events belong to; raised by the agent at each tick.
#[map]
static EPOCH: Array<u32> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Counter::COUNT, 0);

/// The agent reads and writes such maps through memory of its own address space: 0.04 µs a target instead of 0.6.
pub(crate) const BPF_F_MMAPABLE: u32 = 1 << 10;

/// Possible CPUs; set by the loader.
#[unsafe(no_mangle)]
static POSSIBLE_CPUS: u32 = 1;

/// A constant that the loader may have replaced: the compiler must not fold it.
#[inline(always)]
pub(crate) fn constant(of: &'static u32) -> u32 {
    // SAFETY: a reference to a static is valid for reads.
    unsafe { core::ptr::read_volatile(of) }
}

/// Where this CPU counts for `slot`, in an array of slots × CPUs.
#[inline(always)]
pub(crate) fn index(slot: u32) -> u32 {
    // SAFETY: the helper has no preconditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    slot.wrapping_mul(constant(&POSSIBLE_CPUS)).wrapping_add(cpu)
}

#[inline(always)]
fn by_cookie(cookie: u64) -> Option<u32> {
    // SAFETY: values are plain integers that only the agent writes.
    unsafe { NETNS_SLOTS.get(&cookie) }.copied()
}

/// The slot of the socket's namespace.
#[inline(always)]
pub(crate) fn of_socket(ops: *mut bpf_sock_ops) -> Option<u32> {
    // SAFETY: `ops` is the context of the running sock_ops program.
    by_cookie(unsafe { bpf_get_netns_cookie(ops.cast()) })
}

/// The slot of the namespace that the packet's socket lives in.
#[inline(always)]
pub(crate) fn of_skb_by_namespace(ctx: &SkBuffContext) -> Option<u32> {
    // SAFETY: the pointer is the context of the running cgroup_skb program.
    by_cookie(unsafe { bpf_get_netns_cookie(ctx.skb.skb.cast()) })
}

/// The slot that the `tcp` sensor noted for the packet's socket.
#[inline(always)]
pub(crate) fn of_skb_by_socket(ctx: &SkBuffContext) -> Option<u32> {
    // SAFETY: the pointer is the context of the running cgroup_skb program.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.skb.skb.cast()) };
    let line = line(cookie)?;
    // SAFETY: `line` points into the map.
    let (owner, slot) = unsafe { ((*line).cookie, (*line).slot) };
    if owner != cookie || cookie == 0 {
        count(Counter::PacketUnknown);
        return None;
    }
    Some(slot)
}

/// The line that sockets of this cookie share.
#[inline(always)]
pub(crate) fn line(cookie: u64) -> Option<*mut Line> {
    SOCKET_LINES.get_ptr_mut(cookie as u32 & (LINES - 1))
}

/// The epoch of this event.
#[inline(always)]
pub(crate) fn epoch() -> u32 {
    match EPOCH.get_ptr(0) {
        // SAFETY: points into the map; the agent writes whole words.
        Some(epoch) => unsafe { core::ptr::read_volatile(epoch) },
        None => 0,
    }
}

/// Counts something that belongs to no slot.
#[inline(always)]
pub(crate) fn count(what: Counter) {
    if let Some(counter) = COUNTERS.get_ptr_mut(what as u32) {
        // SAFETY: points into this CPU's copy.
        unsafe { *counter += 1 };
    }
}
