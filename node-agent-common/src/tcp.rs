//! What the `tcp` sensor counts per target and CPU, and what it remembers per socket.

use crate::{epoch::QUARTERS, histogram::BUCKETS};

/// Largest and smallest values of one epoch. The kernel writes the entry of the current epoch's parity and clears it
/// when it still carries an older epoch; the agent reads the other one.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Extremes {
    /// The epoch these values belong to.
    pub epoch: u32,
    /// Largest RTT of all samples, µs.
    pub all_max_us: u32,
    /// Largest clean RTT of each quarter of the epoch, µs; zero without a sample.
    pub clean_quarters_us: [u32; QUARTERS],
    /// Smallest clean RTT, µs; `u32::MAX` without a sample.
    pub clean_min_us: u32,
    /// Largest handshake RTT, µs.
    pub handshake_max_us: u32,
    /// Longest wait for an ACK so far of a connection whose retransmission timer fired, µs.
    pub stall_max_us: u32,
    /// Smallest windowed minimum RTT, µs; `u32::MAX` without a sample.
    pub floor_min_us: u32,
}

impl Extremes {
    /// An epoch in which nothing was measured yet.
    #[inline(always)]
    pub const fn empty(epoch: u32) -> Self {
        Self {
            epoch,
            all_max_us: 0,
            clean_quarters_us: [0; QUARTERS],
            clean_min_us: u32::MAX,
            handshake_max_us: 0,
            stall_max_us: 0,
            floor_min_us: u32::MAX,
        }
    }

    /// Largest clean RTT, µs; zero without a sample.
    pub fn clean_max_us(&self) -> u32 {
        self.clean_quarters_us.into_iter().max().unwrap_or_default()
    }
}

/// Counters of one target on one CPU; they only grow (and wrap).
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct TcpSlot {
    /// Extremes by parity of the epoch.
    pub extremes: [Extremes; 2],
    /// RTT samples that carried the gauges below.
    pub samples: u64,
    /// Sum of the clean RTT samples, µs.
    pub clean_sum_us: u64,
    /// Sum of the other RTT samples, µs.
    pub unclean_sum_us: u64,
    /// Handshakes whose RTT was measured.
    pub handshakes: u64,
    /// Sum of their RTTs, µs.
    pub handshake_sum_us: u64,
    /// Sum of congestion windows, segments.
    pub cwnd_sum: u64,
    /// Sum of bytes in flight when the ACK arrived.
    pub in_flight_sum: u64,
    /// Sum of segments believed lost.
    pub lost_sum: u64,
    /// Sum of bytes of the kernel's delivery rate samples.
    pub rate_bytes_sum: u64,
    /// Sum of their intervals, µs.
    pub rate_interval_sum_us: u64,
    /// Sum of the windowed minimum RTTs, µs.
    pub floor_sum_us: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Retransmission timeouts.
    pub rtos: u64,
    /// Connections that reached ESTABLISHED.
    pub opens: u64,
    /// Established connections that closed.
    pub closes: u64,
    /// Connection attempts that failed.
    pub failed_connects: u64,
    /// Clean RTT samples by [`crate::histogram::bucket`].
    pub clean: [u32; BUCKETS],
    /// The other RTT samples, likewise: each sample is in one of the two.
    pub unclean: [u32; BUCKETS],
}

/// What is remembered of a socket between two events, in a direct-mapped table indexed by its cookie. Cookies are handed
/// out in sequence, so live sockets rarely meet; where they do, the later one takes the line over. A line fills one cache
/// line.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Line {
    /// The socket's cookie; zero: nobody's.
    pub cookie: u64,
    /// Bytes acknowledged at the last callback.
    pub acked: u64,
    /// What `acked` is once all that was sent by the last RTT callback is acknowledged, a FIN included.
    pub sent: u64,
    /// When the unacknowledged segment was sent whose timer fired, ns on the monotonic clock; zero: not stalled.
    pub stalled_since_ns: u64,
    /// Where the target is counted: an [`identity::Stamp`](crate::identity::Stamp), because a line outlives its target.
    pub stamp: u32,
    /// How long after `stalled_since_ns` the wait is believed, µs: until the next timer would have fired. What is
    /// retransmitted yields no RTT sample (Karn & Partridge 1987), so that only a timer that stays silent shows the ACK.
    pub believed_us: u32,
    /// Segments with data sent so far, as of the last packet that had any.
    pub data_segments: u32,
    /// When data was last sent into a flight that was empty or longer than a segment, in units of
    /// 2^[`FLIGHT_UNIT_NS_LOG2`] ns; zero: no packet with data has been seen.
    pub flight_since: u32,
    /// Not zero: the sender paused while no more than a segment was waiting for its ACK.
    pub paused: u32,
    /// The [`peer sets`](crate::view) that the other end is in, as of `peers_version`.
    pub peers: u32,
    /// The version of the table of peers by which `peers` was looked up; zero: it was not.
    pub peers_version: u32,
    _pad: u32,
}

/// Unit of [`Line::flight_since`], as a power of two of ns: about a microsecond, so that 32 bits last for 73 minutes.
pub const FLIGHT_UNIT_NS_LOG2: u32 = 10;

/// The longest gap between the packets of one flight, in units of [`Line::flight_since`]: 1 ms. It bounds what a delayed
/// ACK can add to a clean sample.
pub const LONGEST_GAP: u32 = 1_000_000 >> FLIGHT_UNIT_NS_LOG2;

impl Line {
    /// Instead of `acked` or `sent` where it is not known.
    pub const UNKNOWN: u64 = u64::MAX;

    /// A line just taken by the socket `cookie`.
    #[inline(always)]
    pub const fn new(cookie: u64, acked: u64, sent: u64, stamp: u32) -> Self {
        Self {
            cookie,
            acked,
            sent,
            stalled_since_ns: 0,
            stamp,
            believed_us: 0,
            data_segments: 0,
            flight_since: 0,
            paused: 0,
            peers: 0,
            peers_version: 0,
            _pad: 0,
        }
    }
}

/// Lines in the table; a power of two (the index is a mask of the cookie).
pub const LINES: u32 = 32_768;

layout!(
    Extremes: 40, 4;
    epoch 0, all_max_us 4, clean_quarters_us 8, clean_min_us 24, handshake_max_us 28, stall_max_us 32, floor_min_us 36
);
layout!(
    TcpSlot: 208 + 2 * 4 * BUCKETS, 8;
    extremes 0, samples 80, clean_sum_us 88, unclean_sum_us 96, handshakes 104, handshake_sum_us 112, cwnd_sum 120,
    in_flight_sum 128, lost_sum 136, rate_bytes_sum 144, rate_interval_sum_us 152, floor_sum_us 160, retransmits 168,
    rtos 176, opens 184, closes 192, failed_connects 200, clean 208, unclean 208 + 4 * BUCKETS
);
layout!(
    Line: 64, 8;
    cookie 0, acked 8, sent 16, stalled_since_ns 24, stamp 32, believed_us 36, data_segments 40, flight_since 44,
    paused 48, peers 52, peers_version 56, _pad 60
);
const _: () = assert!(LINES.is_power_of_two());
