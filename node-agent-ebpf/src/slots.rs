//! Which target an event belongs to. A target is a network namespace; its slot is looked up by the namespace's cookie,
//! and remembered in the socket's line with the slot's generation, so that targets can come and go under live sockets.
//! Targets that share the node's own namespace are told apart by the cgroup of the socket, which only cgroup_skb may ask
//! for: it leaves the answer in the socket's line.

use aya_ebpf::{
    bindings::bpf_sock_ops,
    helpers::generated::{
        bpf_get_netns_cookie, bpf_get_smp_processor_id, bpf_get_socket_cookie, bpf_skb_cgroup_id, bpf_skb_load_bytes,
    },
    macros::map,
    maps::{Array, HashMap, PerCpuArray},
    programs::SkBuffContext,
};
use netprecursor_agent_common::{
    Counter, MAX_SLOTS,
    epoch::Epoch,
    identity::{MAX_CGROUPS, MAX_NAMESPACES, Stamp},
    tcp::{LINES, Line},
};

use crate::identity;

/// [`Stamp`] by cookie of the network namespace; written by the agent.
#[map]
static NETNS_SLOTS: HashMap<u64, u32> = HashMap::with_max_entries(MAX_NAMESPACES, 0);

/// [`Stamp`] by cgroup, for targets in the node's own namespace; written by the agent.
#[map]
static CGROUP_SLOTS: HashMap<u64, u32> = HashMap::with_max_entries(MAX_CGROUPS, 0);

/// The generation of each slot; written by the agent.
#[map]
static GENERATIONS: Array<u32> = Array::with_max_entries(MAX_SLOTS, BPF_F_MMAPABLE);

/// What is remembered per socket, indexed by the low bits of its cookie.
#[map]
static SOCKET_LINES: Array<Line> = Array::with_max_entries(LINES, BPF_F_MMAPABLE);

/// Entry 0: the [`Epoch`] that events belong to; the agent writes the next one at each tick.
#[map]
static EPOCH: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

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
fn of_namespace(cookie: u64) -> Option<Stamp> {
    // SAFETY: values are plain integers that only the agent writes.
    unsafe { NETNS_SLOTS.get(&cookie) }.map(|stamp| Stamp(*stamp))
}

/// The slot that was left somewhere, unless it has been given to another target since.
#[inline(always)]
pub(crate) fn current(stamp: Stamp) -> Option<u32> {
    let generation = GENERATIONS.get_ptr(stamp.slot())?;
    // SAFETY: points into the map; the agent writes whole words.
    let generation = unsafe { core::ptr::read_volatile(generation) };
    (generation & 0xffff == stamp.generation()).then_some(stamp.slot())
}

/// Where the socket's target is counted. The address of a socket in nobody's namespace is noted if the connection
/// proves it, so that the agent may find out whose namespace it is.
#[inline(always)]
pub(crate) fn of_socket(ops: *mut bpf_sock_ops, is_proven: bool) -> Option<Stamp> {
    // SAFETY: `ops` is the context of the running sock_ops program.
    let namespace = unsafe { bpf_get_netns_cookie(ops.cast()) };
    match of_namespace(namespace) {
        Some(Stamp::BY_CGROUP) => {
            // SAFETY: as above.
            let stamp = by_line(unsafe { bpf_get_socket_cookie(ops.cast()) })?;
            current(stamp).map(|_| stamp)
        }
        Some(Stamp::UNWATCHED) => None,
        Some(stamp) => Some(stamp),
        None => {
            if is_proven {
                identity::claim(ops, namespace);
            }
            None
        }
    }
}

/// Where the target is counted whose namespace the packet's socket lives in.
#[inline(always)]
pub(crate) fn of_skb_by_namespace(ctx: &SkBuffContext) -> Option<Stamp> {
    // SAFETY: the pointer is the context of the running cgroup_skb program.
    let namespace = unsafe { bpf_get_netns_cookie(ctx.skb.skb.cast()) };
    match of_namespace(namespace) {
        Some(Stamp::BY_CGROUP) => of_skb_by_cgroup(ctx),
        Some(Stamp::UNWATCHED) => None,
        Some(stamp) => Some(stamp),
        None => {
            // SAFETY: as above.
            identity::member(namespace, unsafe { bpf_skb_cgroup_id(ctx.skb.skb) });
            identity::claim_by_packet(ctx, namespace);
            None
        }
    }
}

/// Where the `tcp` sensor counts the packet's socket, or else where its cgroup is counted.
#[inline(always)]
pub(crate) fn of_skb_by_socket(ctx: &SkBuffContext) -> Option<Stamp> {
    // SAFETY: the pointer is the context of the running cgroup_skb program.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.skb.skb.cast()) };
    let stamp = match by_line(cookie) {
        Some(stamp) => current(stamp).map(|_| stamp),
        None => of_skb_by_cgroup(ctx),
    };
    if stamp.is_none() {
        count(Counter::PacketUnknown);
    }
    stamp
}

/// Where the cgroup is counted that the packet's socket was made in. A TCP socket's line remembers it for the `tcp` sensor.
#[inline(always)]
fn of_skb_by_cgroup(ctx: &SkBuffContext) -> Option<Stamp> {
    let skb = ctx.skb.skb;
    // SAFETY: the pointer is the context of the running cgroup_skb program.
    let cgroup = unsafe { bpf_skb_cgroup_id(skb) };
    // SAFETY: values are plain integers that only the agent writes.
    let stamp = Stamp(*unsafe { CGROUP_SLOTS.get(&cgroup) }?);
    // SAFETY: as above.
    let cookie = unsafe { bpf_get_socket_cookie(skb.cast()) };
    if let Some(line) = line_of(cookie) {
        if line.stamp != Stamp::LOCAL.0 {
            line.stamp = stamp.0;
        }
    } else if let Some(line) = line(cookie)
        && cookie != 0
        && is_tcp(ctx)
    {
        // SAFETY: points into the map.
        unsafe { *line = Line::new(cookie, Line::UNKNOWN, Line::UNKNOWN, stamp.0) };
    }
    Some(stamp)
}

/// Whether the packet is TCP right after its IP header's first part. cgroup_skb programs see packets from there on.
#[inline(always)]
fn is_tcp(ctx: &SkBuffContext) -> bool {
    const ETH_P_IPV6: u32 = 0x86dd_u16.to_be() as u32;
    const IPPROTO_TCP: u8 = 6;
    let mut protocol = 0u8;
    // SAFETY: reads a context field; the helper writes one byte.
    let read = unsafe {
        let at = if (*ctx.skb.skb).protocol == ETH_P_IPV6 { 6 } else { 9 };
        bpf_skb_load_bytes(ctx.skb.skb.cast(), at, (&raw mut protocol).cast(), 1)
    };
    read == 0 && protocol == IPPROTO_TCP
}

/// What the line of the socket `cookie` says, if it is still that socket's.
#[inline(always)]
fn by_line(cookie: u64) -> Option<Stamp> {
    line_of(cookie).map(|line| Stamp(line.stamp))
}

/// The line that sockets of this cookie share.
#[inline(always)]
pub(crate) fn line(cookie: u64) -> Option<*mut Line> {
    SOCKET_LINES.get_ptr_mut(cookie as u32 & (LINES - 1))
}

/// The line of the socket `cookie`, if it is that socket's.
#[inline(always)]
pub(crate) fn line_of<'a>(cookie: u64) -> Option<&'a mut Line> {
    // SAFETY: points into the map; of two sockets that share a line one at a time has it.
    let line = unsafe { &mut *line(cookie)? };
    (line.cookie == cookie && cookie != 0).then_some(line)
}

/// The epoch of this event.
#[inline(always)]
pub(crate) fn epoch() -> Epoch {
    Epoch(match EPOCH.get_ptr(0) {
        // SAFETY: points into the map; the agent writes whole words.
        Some(epoch) => unsafe { core::ptr::read_volatile(epoch) },
        None => 0,
    })
}

/// Counts something that belongs to no slot.
#[inline(always)]
pub(crate) fn count(what: Counter) {
    if let Some(counter) = COUNTERS.get_ptr_mut(what as u32) {
        // SAFETY: points into this CPU's copy.
        unsafe { *counter += 1 };
    }
}
