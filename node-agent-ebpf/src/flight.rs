//! Whether a sender paused within a flight, which only its packets show.
//!
//! The kernel measures a round trip from the oldest segment that an ACK acknowledges. When a sender pauses after its first
//! segment (a header now, the body when it is ready), a receiver that delays its ACK answers the second one, and the pause
//! looks like a slow network.

use aya_ebpf::{
    helpers::generated::{bpf_get_socket_cookie, bpf_ktime_get_ns, bpf_tcp_sock},
    programs::SkBuffContext,
};
use netprecursor_agent_common::tcp::{FLIGHT_UNIT_NS_LOG2, LONGEST_GAP};

use crate::slots;

/// Notes in the socket's line that a packet leaves.
#[inline(always)]
pub(crate) fn sent(ctx: &SkBuffContext) {
    let skb = ctx.skb.skb;
    // SAFETY: the pointer is the context of the running cgroup_skb program.
    let cookie = unsafe { bpf_get_socket_cookie(skb.cast()) };
    let Some(line) = slots::line_of(cookie) else { return };
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
    // SAFETY: not null. The sequence numbers are those before this packet, the count holds it already.
    let (segments, waiting, segment) =
        unsafe { ((*tcp).data_segs_out, (*tcp).snd_nxt.wrapping_sub((*tcp).snd_una), (*tcp).mss_cache) };
    if segments == line.data_segments {
        // A bare ACK starts no wait for one.
        return;
    }
    line.data_segments = segments;
    // SAFETY: the helper has no preconditions.
    let now = (unsafe { bpf_ktime_get_ns() } >> FLIGHT_UNIT_NS_LOG2) as u32 | 1;
    if waiting == 0 || waiting > segment {
        line.flight_since = now;
    } else if now.wrapping_sub(line.flight_since) > LONGEST_GAP {
        line.paused = 1;
    }
}
