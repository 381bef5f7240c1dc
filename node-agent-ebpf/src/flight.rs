//! Whether a sender paused within a flight, which only its packets show.
//!
//! The kernel measures a round trip from the oldest segment that an ACK acknowledges. When a sender pauses after its first
//! segment (a header now, the body when it is ready), a receiver that delays its ACK answers the second one, and the pause
//! looks like a slow network.

use aya_ebpf::{
    bindings::bpf_tcp_sock,
    helpers::generated::{bpf_get_socket_cookie, bpf_ktime_get_ns, bpf_tcp_sock},
    programs::SkBuffContext,
};
use netprecursor_agent_common::{
    identity::Stamp,
    older::moment,
    tcp::{LONGEST_GAP, Line},
};

use crate::{older, slots};

/// Notes in the line of a TCP socket that a packet leaves, for the target of `stamp`.
#[inline(always)]
pub(crate) fn sent<const OLDER: bool>(ctx: &SkBuffContext, stamp: Stamp) {
    let skb = ctx.skb.skb;
    // SAFETY: reads a context field.
    let sk = unsafe { (*skb).__bindgen_anon_2.sk };
    if sk.is_null() {
        return;
    }
    // SAFETY: not null.
    let tcp = unsafe { bpf_tcp_sock(sk) };
    if tcp.is_null() {
        return;
    }
    // SAFETY: the pointer is the context of the running cgroup_skb program.
    let cookie = unsafe { bpf_get_socket_cookie(skb.cast()) };
    match slots::line_of(cookie) {
        // A line that only says which cgroup a socket is of has seen no callback.
        Some(line) if line.acked != Line::UNKNOWN => note(line, tcp),
        _ if OLDER => older::sent(cookie, stamp, sk, tcp),
        _ => {}
    }
}

/// Now, in the unit of lines; never zero.
#[inline(always)]
pub(crate) fn now() -> u32 {
    // SAFETY: the helper has no preconditions.
    moment(unsafe { bpf_ktime_get_ns() })
}

#[inline(always)]
fn note(line: &mut Line, tcp: *const bpf_tcp_sock) {
    // SAFETY: not null. The sequence numbers are those before this packet, the count holds it already.
    let (segments, waiting, segment) =
        unsafe { ((*tcp).data_segs_out, (*tcp).snd_nxt.wrapping_sub((*tcp).snd_una), (*tcp).mss_cache) };
    if segments == line.data_segments {
        // A bare ACK starts no wait for one.
        return;
    }
    line.data_segments = segments;
    let now = now();
    if waiting == 0 || waiting > segment {
        line.flight_since = now;
    } else if now.wrapping_sub(line.flight_since) > LONGEST_GAP {
        line.paused = 1;
    }
}
