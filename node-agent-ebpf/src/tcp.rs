//! Round trips, retransmits and connections of TCP, by sock_ops callbacks.
//!
//! A sample is *clean* when no receiver had a reason to hold its ACK back. Receivers may delay the ACK of up to one full
//! segment (Linux for up to 40 ms, others for up to 500 ms, RFC 1122 §4.2.3.2), and what looks like a slow network is then
//! a slow answer; once more than a segment waits they acknowledge at once. So more than a segment must have been under way
//! from the oldest byte that this ACK acknowledges, and sent without a pause ([`flight`](crate::flight)). The kernel calls
//! back once a round trip, not once an ACK, so the bytes between two callbacks span several ACKs and prove nothing: the
//! bound is what had been sent by the previous callback. A direct-mapped table keeps that ([`Line`]) for a fraction of
//! what socket storage costs.

use aya_ebpf::{
    helpers::generated::{bpf_get_socket_cookie, bpf_ktime_get_coarse_ns, bpf_ktime_get_ns},
    macros::map,
    maps::Array,
    programs::SockOpsContext,
};
use netprecursor_agent_common::{
    Counter, MAX_SLOTS,
    epoch::{Epoch, QUARTERS},
    identity::Stamp,
    tcp::{Extremes, Line, TcpSlot},
};

use crate::{
    address,
    extremes::{lower, raise},
    histogram, local, slots,
    views::{self, Class},
};

/// Slots × possible CPUs; the loader sets the length.
#[map]
static TCP_SLOTS: Array<TcpSlot> = Array::with_max_entries(MAX_SLOTS, slots::BPF_F_MMAPABLE);

/// Length of a jiffy in ns: the unit of a retransmission timeout in callbacks. Set by the loader.
#[unsafe(no_mangle)]
static JIFFY_NS: u32 = 4_000_000;

// include/uapi/linux/bpf.h: BPF_SOCK_OPS_*_CB and BPF_SOCK_OPS_*_CB_FLAG.
const CONNECT_CB: u32 = 3;
const ACTIVE_ESTABLISHED_CB: u32 = 4;
const PASSIVE_ESTABLISHED_CB: u32 = 5;
const RTO_CB: u32 = 8;
const RETRANS_CB: u32 = 9;
const STATE_CB: u32 = 10;
const LISTEN_CB: u32 = 11;
const RTT_CB: u32 = 12;
const CALLBACK_FLAGS: u32 = 1 | 2 | 4 | 8; // RTO, RETRANS, STATE, RTT

// include/net/tcp_states.h
pub(crate) const TCP_ESTABLISHED: u32 = 1;
pub(crate) const TCP_SYN_SENT: u32 = 2;
const TCP_SYN_RECV: u32 = 3;
const TCP_CLOSE: u32 = 7;

/// Asks for the callbacks of this socket. Other programs' flags stay: setting flags overwrites, so it is a union.
#[inline(always)]
fn subscribe(ctx: &SockOpsContext) {
    // SAFETY: reads a context field.
    let present = unsafe { (*ctx.ops).bpf_sock_ops_cb_flags };
    if present & CALLBACK_FLAGS != CALLBACK_FLAGS {
        // A refusal leaves the socket unseen, which coverage shows.
        let _ = ctx.set_cb_flags((present | CALLBACK_FLAGS) as i32);
    }
}

/// The part of every callback that measures nothing.
#[inline(always)]
pub(crate) fn subscribe_established(ctx: &SockOpsContext) {
    let op = ctx.op();
    if op == ACTIVE_ESTABLISHED_CB || op == PASSIVE_ESTABLISHED_CB {
        subscribe(ctx);
    }
}

pub(crate) fn callback(ctx: &SockOpsContext) {
    let Some(op) = asked(ctx) else { return };
    // SAFETY: the context is a socket's.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.ops.cast()) };
    let Some(line) = slots::line(cookie) else { return };
    // SAFETY: points into the map; a race with another socket of this line costs one sample.
    let line = unsafe { &mut *line };
    let is_ours = line.cookie == cookie;
    let is_over = op == STATE_CB && ctx.arg(1) == TCP_CLOSE;
    // The line of a socket that was located once spares asking again for its namespace and that for its target.
    let stamp = match is_ours.then_some(Stamp(line.stamp)) {
        Some(Stamp::LOCAL) => Some(Stamp::LOCAL),
        Some(stamp) if slots::current(stamp).is_some() => Some(stamp),
        _ => located(ctx, op),
    };
    let Some(stamp) = stamp else { return };
    let flight = Flight::of(ctx);
    let known = is_ours && line.acked != Line::UNKNOWN;
    if !known {
        if !is_ours && line.cookie != 0 && op == RTT_CB {
            slots::count(Counter::LineTaken);
        }
        *line = Line::new(cookie, flight.acked, flight.end(), stamp.0);
    }
    line.stamp = stamp.0;
    if stamp != Stamp::LOCAL {
        let happened = happened(ctx, op, line, known, &flight);
        if let Some(counts) = counts(stamp.slot()) {
            count(ctx, counts, &happened, false);
        }
        let class = Class { peers: &mut line.peers, version: &mut line.peers_version };
        views::each(
            stamp.slot(),
            class,
            || address::remote(ctx.ops),
            |slot, is_inflation| {
                if let Some(counts) = counts(slot) {
                    count(ctx, counts, &happened, is_inflation);
                }
            },
        );
    }
    if is_over {
        line.cookie = 0;
    }
}

/// What a callback is about, worked out once for all slots that it counts in.
enum Happened {
    /// A round trip was measured.
    RoundTrip {
        rtt_us: u32,
        /// Bytes acknowledged since the last callback.
        newly_acked: u64,
        clean: bool,
    },
    /// A retransmission timer fired: the connection has waited so long.
    Timeout { stalled_us: u32 },
    /// The connection is established.
    Opened,
    /// Segments were sent again.
    Retransmitted { segments: u32 },
    /// A connection attempt failed.
    Failed,
    /// An established connection closed.
    Closed,
    /// Nothing that is counted.
    Nothing,
}

/// What happened, which the socket's line remembers.
#[inline(always)]
fn happened(ctx: &SockOpsContext, op: u32, line: &mut Line, known: bool, flight: &Flight) -> Happened {
    match op {
        RTT_CB => round_trip(ctx, line, known, flight),
        RTO_CB => {
            if flight.acked != line.acked {
                // Something was acknowledged without a sample: what waits now was sent later.
                line.acked = flight.acked;
                line.stalled_since_ns = 0;
            }
            Happened::Timeout { stalled_us: stalled_us(ctx, line) }
        }
        RETRANS_CB => {
            // An ACK of what was sent twice may yield no sample (Karn & Partridge 1987): from which byte on the next
            // ACK with a sample acknowledges is not known.
            line.sent = Line::UNKNOWN;
            Happened::Retransmitted { segments: ctx.arg(1) }
        }
        ACTIVE_ESTABLISHED_CB | PASSIVE_ESTABLISHED_CB => Happened::Opened,
        STATE_CB if ctx.arg(1) == TCP_CLOSE => match ctx.arg(0) {
            TCP_SYN_SENT => Happened::Failed,
            // A listener closes from LISTEN (10), a handshake from SYN_RECV; neither was open.
            TCP_SYN_RECV | 10 => Happened::Nothing,
            _ => Happened::Closed,
        },
        _ => Happened::Nothing,
    }
}

/// What a socket has on the way.
struct Flight {
    /// Bytes acknowledged so far.
    acked: u64,
    /// Bytes sent and not acknowledged; a FIN counts as one.
    ahead: u32,
}

impl Flight {
    #[inline(always)]
    fn of(ctx: &SockOpsContext) -> Self {
        // SAFETY: reads context fields.
        unsafe {
            let ahead = (*ctx.ops).snd_nxt.wrapping_sub((*ctx.ops).snd_una);
            Self { acked: (*ctx.ops).bytes_acked, ahead }
        }
    }

    /// What `acked` is once all of it is acknowledged.
    #[inline(always)]
    fn end(&self) -> u64 {
        self.acked + u64::from(self.ahead)
    }
}

/// Judges an RTT sample, and remembers what the next one will be judged by.
#[inline(always)]
fn round_trip(ctx: &SockOpsContext, line: &mut Line, known: bool, flight: &Flight) -> Happened {
    // SAFETY: reads a context field.
    let segment = u64::from(unsafe { (*ctx.ops).mss_cache });
    // At least so much did this very ACK acknowledge: the one before it yielded no callback, so it reached no further
    // than what had been sent by the last callback.
    let newly = flight.acked.saturating_sub(line.sent);
    // What was sent behind it without a pause reached the receiver before any timer. Where packets are not seen, pauses
    // are not, and only what was acknowledged counts.
    let behind = if line.flight_since == 0 { 0 } else { u64::from(flight.ahead) };
    let clean = line.paused == 0 && newly + behind > segment;
    let since_callback = flight.acked.wrapping_sub(line.acked);
    line.acked = flight.acked;
    line.sent = flight.end();
    line.paused = 0;
    line.stalled_since_ns = 0;
    // A socket that has just taken its line may be a local one: its next packet says so.
    if known { measured(ctx, since_callback, clean) } else { Happened::Nothing }
}

pub(crate) fn callback_unfiltered(ctx: &SockOpsContext) {
    let Some(op) = asked(ctx) else { return };
    let Some(stamp) = located(ctx, op).filter(|stamp| *stamp != Stamp::LOCAL) else { return };
    if op == RTT_CB
        && let Some(counts) = counts(stamp.slot())
    {
        count(ctx, counts, &measured(ctx, 0, true), false);
    }
}

/// The sample of an RTT callback.
#[inline(always)]
fn measured(ctx: &SockOpsContext, newly_acked: u64, clean: bool) -> Happened {
    let ops = ctx.ops;
    // SAFETY: reads context fields.
    let (state, smoothed) = unsafe { ((*ops).state, (*ops).srtt_us >> 3) };
    // The handshake's sample is taken when the connection is established.
    if state == TCP_SYN_SENT || state == TCP_SYN_RECV {
        return Happened::Nothing;
    }
    // Kernels before 6.10 pass no arguments; the smoothed RTT of before this sample must do, and the agent says so.
    let rtt_us = if ctx.arg(1) != 0 {
        ctx.arg(0)
    } else {
        slots::count(Counter::SmoothedSample);
        smoothed
    };
    Happened::RoundTrip { rtt_us, newly_acked, clean }
}

/// What the callback is about; `None`: nothing that is counted.
#[inline(always)]
fn asked(ctx: &SockOpsContext) -> Option<u32> {
    let op = ctx.op();
    match op {
        RTT_CB | RTO_CB | RETRANS_CB | STATE_CB => {}
        // From CONNECT and LISTEN on, failed connects and lost SYNs are seen too.
        CONNECT_CB | LISTEN_CB | ACTIVE_ESTABLISHED_CB | PASSIVE_ESTABLISHED_CB => subscribe(ctx),
        _ => return None,
    }
    Some(op)
}

/// The socket's target, or that it is local; `None`: it has no target.
#[inline(always)]
fn located(ctx: &SockOpsContext, op: u32) -> Option<Stamp> {
    if local::by_address(ctx.ops) {
        return None;
    }
    // The other end has answered: the address is this namespace's, whatever a socket may be bound to.
    // SAFETY: reads a context field.
    let is_proven =
        matches!(op, ACTIVE_ESTABLISHED_CB | PASSIVE_ESTABLISHED_CB) || unsafe { (*ctx.ops).state } == TCP_ESTABLISHED;
    let stamp = slots::of_socket(ctx.ops, is_proven)?;
    if op == PASSIVE_ESTABLISHED_CB && local::was_connecting(ctx.ops) { Some(Stamp::LOCAL) } else { Some(stamp) }
}

/// Where this CPU counts for a target.
#[inline(always)]
fn counts<'a>(slot: u32) -> Option<&'a mut TcpSlot> {
    let counts = TCP_SLOTS.get_ptr_mut(slots::index(slot))?;
    // SAFETY: points to this CPU's part of the map.
    Some(unsafe { &mut *counts })
}

/// The extremes of the current epoch.
#[inline(always)]
fn extremes(counts: &mut TcpSlot, epoch: Epoch) -> &mut Extremes {
    let epoch = epoch.number();
    let extremes = if epoch & 1 == 0 { &mut counts.extremes[0] } else { &mut counts.extremes[1] };
    if extremes.epoch != epoch {
        *extremes = Extremes::empty(epoch);
    }
    extremes
}

/// Counts a round trip; the extremes that it belongs to are left for what else was measured with it.
#[inline(always)]
fn count_rtt(counts: &mut TcpSlot, rtt: u32, clean: bool) -> &mut Extremes {
    if clean {
        histogram::count(&mut counts.clean, rtt);
        counts.clean_sum_us += u64::from(rtt);
    } else {
        histogram::count(&mut counts.unclean, rtt);
        counts.unclean_sum_us += u64::from(rtt);
    }
    let epoch = slots::epoch();
    let extremes = extremes(counts, epoch);
    raise(&mut extremes.all_max_us, rtt);
    if clean {
        // The coarse clock is a few ms behind and costs a memory access instead of a read of the hardware's.
        // SAFETY: the helper has no preconditions.
        let quarter = epoch.quarter(unsafe { bpf_ktime_get_coarse_ns() });
        raise(&mut extremes.clean_quarters_us[quarter & (QUARTERS - 1)], rtt);
        lower(&mut extremes.clean_min_us, rtt);
    }
    extremes
}

/// Counts what happened in one slot; `is_inflation`: RTT above the connection's floor.
#[inline(always)]
fn count(ctx: &SockOpsContext, counts: &mut TcpSlot, happened: &Happened, is_inflation: bool) {
    match *happened {
        Happened::RoundTrip { rtt_us, newly_acked, clean } => {
            sample(ctx, counts, rtt_us, newly_acked, clean, is_inflation);
        }
        Happened::Timeout { stalled_us } => {
            counts.rtos += 1;
            raise(&mut extremes(counts, slots::epoch()).stall_max_us, stalled_us);
        }
        Happened::Opened => opened(ctx, counts, is_inflation),
        Happened::Retransmitted { segments } => counts.retransmits += u64::from(segments),
        Happened::Failed => counts.failed_connects += 1,
        Happened::Closed => counts.closes += 1,
        Happened::Nothing => {}
    }
}

#[inline(always)]
fn sample(ctx: &SockOpsContext, counts: &mut TcpSlot, rtt_us: u32, newly_acked: u64, clean: bool, is_inflation: bool) {
    let ops = ctx.ops;
    // SAFETY: reads context fields.
    unsafe {
        let floor = (*ops).rtt_min;
        // The floor is the least of the samples, this one included.
        let value = if is_inflation { rtt_us.saturating_sub(floor).max(1) } else { rtt_us };
        lower(&mut count_rtt(counts, value, clean).floor_min_us, floor);
        let segment = u64::from((*ops).mss_cache);
        counts.samples += 1;
        counts.cwnd_sum += u64::from((*ops).snd_cwnd);
        // packets_out is what is left after this ACK.
        counts.in_flight_sum += u64::from((*ops).packets_out) * segment + newly_acked;
        counts.lost_sum += u64::from((*ops).lost_out);
        counts.rate_bytes_sum += u64::from((*ops).rate_delivered) * segment;
        counts.rate_interval_sum_us += u64::from((*ops).rate_interval_us);
        counts.floor_sum_us += u64::from(floor);
    }
}

/// How long a connection has waited whose timer fired.
#[inline(always)]
fn stalled_us(ctx: &SockOpsContext, line: &mut Line) -> u32 {
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let timeout = u64::from(ctx.arg(1)) * u64::from(slots::constant(&JIFFY_NS));
    if line.stalled_since_ns == 0 {
        // The first timer of a stall: its length is the time since the segment was sent.
        line.stalled_since_ns = now.saturating_sub(timeout).max(1);
    }
    let stalled = now.saturating_sub(line.stalled_since_ns);
    // The next timer fires after twice the time (RFC 6298 §5.5), the kernel's timer wheel up to an eighth later.
    line.believed_us = ((stalled + 2 * timeout + timeout / 4) / 1000).min(u64::from(u32::MAX)) as u32;
    (stalled / 1000).min(u64::from(u32::MAX)) as u32
}

#[inline(always)]
fn opened(ctx: &SockOpsContext, counts: &mut TcpSlot, is_inflation: bool) {
    counts.opens += 1;
    // The first sample is the handshake's, not smoothed yet. No ACK of it is ever delayed. It is its connection's floor, so
    // that nothing of it is inflation.
    // SAFETY: reads a context field.
    let rtt = unsafe { (*ctx.ops).srtt_us } >> 3;
    if rtt != 0 {
        if !is_inflation {
            raise(&mut count_rtt(counts, rtt, true).handshake_max_us, rtt);
        }
        counts.handshakes += 1;
        counts.handshake_sum_us += u64::from(rtt);
    }
}
