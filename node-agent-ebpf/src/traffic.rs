//! Bytes and packets of every protocol, by cgroup_skb.

use aya_ebpf::{macros::map, maps::Array, programs::SkBuffContext};
use netprecursor_agent_common::{MAX_SLOTS, identity::Stamp, traffic::TrafficSlot};

use crate::slots;

/// Slots × possible CPUs; the loader sets the length.
#[map]
static TRAFFIC_SLOTS: Array<TrafficSlot> = Array::with_max_entries(MAX_SLOTS, slots::BPF_F_MMAPABLE);

/// Which way a packet goes, seen from the target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Received,
    Sent,
}

#[inline(always)]
pub(crate) fn count(ctx: &SkBuffContext, direction: Direction, stamp: Option<Stamp>) {
    let Some(stamp) = stamp else { return };
    let Some(counts) = TRAFFIC_SLOTS.get_ptr_mut(slots::index(stamp.slot())) else { return };
    // SAFETY: points to this CPU's part of the map.
    let counts = unsafe { &mut *counts };
    // SAFETY: reads context fields.
    let (bytes, segments) = unsafe { ((*ctx.skb.skb).len, (*ctx.skb.skb).gso_segs) };
    let packets = if segments > 1 { u64::from(segments) } else { 1 };
    match direction {
        Direction::Received => {
            counts.rx_bytes += u64::from(bytes);
            counts.rx_packets += packets;
        }
        Direction::Sent => {
            counts.tx_bytes += u64::from(bytes);
            counts.tx_packets += packets;
        }
    }
}
