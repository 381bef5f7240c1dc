//! The RTT of sockets of which no callback has come: the kernel's smoothed one, looked at when they send.
//!
//! Only the socket's own program can ask for its callbacks, and a socket that was opened while no agent ran has met none. What
//! the smoothed RTT lacks of a measured one: it holds the delays of receivers that withhold ACKs, so that its least values
//! alone say something, unless the socket is in *bulk* transfer (of late its flight has neither ended nor paused early).

use aya_ebpf::{
    bindings::{bpf_sock, bpf_tcp_sock},
    macros::map,
    maps::Array,
};
use netprecursor_agent_common::{
    MAX_SLOTS,
    identity::Stamp,
    older::{self, FREE_AFTER, LOOK_EVERY, OlderExtremes, OlderLine, OlderSlot, STALE_AFTER},
};

use crate::{
    address,
    extremes::{lower, raise},
    flight, slots,
    views::{self, Class},
};

/// Slots × possible CPUs; the loader sets the length.
#[map]
static OLDER_SLOTS: Array<OlderSlot> = Array::with_max_entries(MAX_SLOTS, slots::BPF_F_MMAPABLE);

/// What is remembered per socket, indexed by the low bits of its cookie.
#[map]
static OLDER_LINES: Array<OlderLine> = Array::with_max_entries(older::OLDER_LINES, slots::BPF_F_MMAPABLE);

/// A packet of a socket leaves that no callback has come of.
#[inline(always)]
pub(crate) fn sent(cookie: u64, stamp: Stamp, sk: *const bpf_sock, tcp: *const bpf_tcp_sock) {
    // SAFETY: not null. The count of what was sent holds this packet already.
    let (segments, arrived) = unsafe { ((*tcp).data_segs_out, (*tcp).segs_in) };
    if segments == 0 {
        // A handshake, a listener, or a socket that only receives: it has no RTT beyond its handshake's, and takes no line.
        return;
    }
    let Some(line) = OLDER_LINES.get_ptr_mut(cookie as u32 & (older::OLDER_LINES - 1)) else { return };
    // SAFETY: points into the map; a race with another socket of this line costs one sample.
    let line = unsafe { &mut *line };
    let is_ours = line.cookie == cookie;
    if is_ours && segments == line.data_segments {
        return;
    }
    let now = flight::now();
    if !is_ours {
        if line.cookie == 0 || now.wrapping_sub(line.looked_at) > FREE_AFTER {
            // Not looked at yet: of a socket that is just being opened, a callback comes within its first round trip.
            *line = OlderLine::new(cookie, stamp.0, now, segments, arrived);
        }
        return;
    }
    let rested = now.wrapping_sub(line.sent_at);
    // SAFETY: not null. The sequence numbers are those before this packet.
    let (waiting, segment) = unsafe { ((*tcp).snd_nxt.wrapping_sub((*tcp).snd_una), (*tcp).mss_cache) };
    if older::may_be_delayed(waiting, segment, rested) {
        line.delayed_until = segments;
        line.delayed_arrived = arrived;
    }
    line.data_segments = segments;
    line.sent_at = now;
    line.stamp = stamp.0;
    if now.wrapping_sub(line.looked_at) < LOOK_EVERY {
        return;
    }
    line.looked_at = now;
    // SAFETY: not null.
    let (smoothed, floor) = unsafe { ((*tcp).srtt_us, (*tcp).rtt_min) };
    let exact = older::exact_us(line.smoothed_us_x8, smoothed, arrived.wrapping_sub(line.arrived));
    line.smoothed_us_x8 = smoothed;
    line.arrived = arrived;
    let is_bulk = line.is_bulk(segments, arrived);
    // One exact sample is the last request's; what is smoothed goes back further.
    if smoothed == 0 || (rested > STALE_AFTER && (is_bulk || exact.is_none())) {
        return;
    }
    let rtt = match exact {
        Some(exact) if !is_bulk => exact,
        _ => smoothed >> 3,
    };
    count(stamp.slot(), rtt, floor, is_bulk);
    let class = Class { peers: &mut line.peers, version: &mut line.peers_version };
    views::each(
        stamp.slot(),
        class,
        || address::remote_of(sk),
        |slot, is_inflation| {
            let value = if is_inflation { rtt.saturating_sub(floor).max(1) } else { rtt };
            count(slot, value, floor, is_bulk);
        },
    );
}

#[inline(always)]
fn count(slot: u32, rtt: u32, floor: u32, is_bulk: bool) {
    let Some(counts) = OLDER_SLOTS.get_ptr_mut(slots::index(slot)) else { return };
    // SAFETY: points to this CPU's part of the map.
    let counts = unsafe { &mut *counts };
    let epoch = slots::epoch().number();
    let extremes = if epoch & 1 == 0 { &mut counts.extremes[0] } else { &mut counts.extremes[1] };
    if extremes.epoch != epoch {
        *extremes = OlderExtremes::empty(epoch);
    }
    extremes.samples += 1;
    if is_bulk {
        raise(&mut extremes.bulk_max_us, rtt);
    } else {
        lower(&mut extremes.low_us, rtt);
    }
    lower(&mut extremes.floor_min_us, floor);
}
