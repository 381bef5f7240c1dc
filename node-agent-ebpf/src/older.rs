//! The RTT of sockets of which no callback has come: the kernel's smoothed one, looked at when they send.
//!
//! Only the socket's own program can ask for its callbacks, and a socket that was opened while no agent ran has met none. What
//! the smoothed RTT lacks of a measured one: it holds the delays of receivers that withhold ACKs, so that its least values
//! alone say something, unless the socket is in *bulk* transfer (no flight of late that a receiver would delay the ACK of).

use aya_ebpf::{
    bindings::{bpf_sock, bpf_tcp_sock},
    macros::map,
    maps::Array,
};
use netprecursor_agent_common::{
    MAX_SLOTS,
    identity::Stamp,
    older::{self, BULK_SEGMENTS, FREE_AFTER, LOOK_EVERY, OlderExtremes, OlderLine, OlderSlot, STALE_AFTER},
    tcp::LONGEST_GAP,
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
    let Some(line) = OLDER_LINES.get_ptr_mut(cookie as u32 & (older::OLDER_LINES - 1)) else { return };
    // SAFETY: points into the map; a race with another socket of this line costs one sample.
    let line = unsafe { &mut *line };
    // SAFETY: not null. The sequence numbers are those before this packet, the count holds it already.
    let (segments, next) = unsafe { ((*tcp).data_segs_out, (*tcp).snd_nxt) };
    let is_ours = line.cookie == cookie;
    if is_ours && segments == line.data_segments {
        return;
    }
    let now = flight::now();
    if !is_ours {
        if line.cookie == 0 || now.wrapping_sub(line.looked_at) > FREE_AFTER {
            // Not looked at yet: of a socket that is just being opened, a callback comes within its first round trip.
            *line = OlderLine::new(cookie, stamp.0, now, segments, next);
        }
        return;
    }
    let rested = now.wrapping_sub(line.sent_at);
    note_flight(line, tcp, segments, rested);
    line.data_segments = segments;
    line.sent_at = now;
    line.stamp = stamp.0;
    if now.wrapping_sub(line.looked_at) < LOOK_EVERY {
        return;
    }
    line.looked_at = now;
    // SAFETY: not null.
    let (smoothed, arrived, floor) = unsafe { ((*tcp).srtt_us, (*tcp).segs_in, (*tcp).rtt_min) };
    let newest = older::newest_us(line.smoothed_us_x8, smoothed, arrived.wrapping_sub(line.arrived));
    line.smoothed_us_x8 = smoothed;
    line.arrived = arrived;
    if smoothed == 0 || rested > STALE_AFTER {
        return;
    }
    let is_bulk = segments.wrapping_sub(line.delayed_until) >= BULK_SEGMENTS;
    let rtt = if is_bulk { smoothed >> 3 } else { newest };
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

/// Notes whether a receiver may have delayed the ACKs of a flight: of one that was no longer than a segment, or was paused
/// within its first one.
#[inline(always)]
fn note_flight(line: &mut OlderLine, tcp: *const bpf_tcp_sock, segments: u32, rested: u32) {
    // SAFETY: not null.
    let (next, first, segment) = unsafe { ((*tcp).snd_nxt, (*tcp).snd_una, (*tcp).mss_cache) };
    let waiting = next.wrapping_sub(first);
    if waiting == 0 {
        if next.wrapping_sub(line.flight_from) <= segment {
            line.delayed_until = segments;
        }
        line.flight_from = next;
    } else if waiting <= segment && rested > LONGEST_GAP {
        line.delayed_until = segments;
    }
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
