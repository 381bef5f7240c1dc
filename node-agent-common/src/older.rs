//! What is counted of *older* sockets: those of which no callback has come, because they were opened while no agent ran.
//! Nothing can ask for their callbacks from outside, but each packet that they send shows the kernel's smoothed RTT.

use crate::tcp::{FLIGHT_UNIT_NS_LOG2, LONGEST_GAP};

/// Largest and smallest values of one epoch, as in [`Extremes`](crate::tcp::Extremes).
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct OlderExtremes {
    /// The epoch these values belong to.
    pub epoch: u32,
    /// How often a socket was looked at.
    pub samples: u32,
    /// Smallest RTT of sockets whose receivers may delay ACKs, µs; `u32::MAX` without one.
    pub low_us: u32,
    /// Largest smoothed RTT of sockets in bulk transfer, µs; zero without one.
    pub bulk_max_us: u32,
    /// Smallest windowed minimum RTT, µs; `u32::MAX` without a sample.
    pub floor_min_us: u32,
}

impl OlderExtremes {
    /// An epoch in which nothing was looked at yet.
    #[inline(always)]
    pub const fn empty(epoch: u32) -> Self {
        Self { epoch, samples: 0, low_us: u32::MAX, bulk_max_us: 0, floor_min_us: u32::MAX }
    }
}

/// One slot on one CPU: two generations, of which the kernel writes the current epoch's and the agent reads the other.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct OlderSlot {
    /// By the parity of their epoch.
    pub extremes: [OlderExtremes; 2],
}

/// What is remembered of an older socket between two packets, in a direct-mapped table indexed by its cookie. A line fills
/// one cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct OlderLine {
    /// The socket's cookie; zero: nobody's.
    pub cookie: u64,
    /// Where the target is counted: an [`identity::Stamp`](crate::identity::Stamp), because a line outlives its target.
    pub stamp: u32,
    /// When the socket was last looked at, in units of 2^[`FLIGHT_UNIT_NS_LOG2`] ns.
    pub looked_at: u32,
    /// When it last sent data, likewise.
    pub sent_at: u32,
    /// Eight times its smoothed RTT when it was last looked at, µs: as the kernel keeps it.
    pub smoothed_us_x8: u32,
    /// Segments that had arrived by then.
    pub arrived: u32,
    /// Segments with data sent so far, as of the last packet that had any.
    pub data_segments: u32,
    /// [`Self::data_segments`] when a receiver may last have delayed an ACK.
    pub delayed_until: u32,
    /// Segments that had arrived by then.
    pub delayed_arrived: u32,
    /// The [`peer sets`](crate::view) that the other end is in, as of `peers_version`.
    pub peers: u32,
    /// The version of the table of peers by which `peers` was looked up; zero: it was not.
    pub peers_version: u32,
    _pad: [u32; 4],
}

impl OlderLine {
    /// A line just taken by the socket `cookie` at `now`, when it had sent so many segments with data, and so many had arrived.
    #[inline(always)]
    pub const fn new(cookie: u64, stamp: u32, now: u32, data_segments: u32, arrived: u32) -> Self {
        Self {
            cookie,
            stamp,
            looked_at: now,
            sent_at: now,
            smoothed_us_x8: 0,
            arrived,
            data_segments,
            delayed_until: data_segments,
            delayed_arrived: arrived,
            peers: 0,
            peers_version: 0,
            _pad: [0; 4],
        }
    }

    /// Whether the socket is in bulk transfer when it has sent so many segments with data, and so many have arrived: enough of
    /// both since a receiver may last have delayed an ACK.
    #[inline(always)]
    pub const fn is_bulk(&self, data_segments: u32, arrived: u32) -> bool {
        data_segments.wrapping_sub(self.delayed_until) >= BULK_SEGMENTS
            && arrived.wrapping_sub(self.delayed_arrived) >= BULK_ARRIVED
    }

    /// Whether the socket has been looked at and sends, as of `now`: a line outlives its socket until another one
    /// needs it. The clock of lines starts anew after 73 minutes, so a line that is left over counts for one of them again.
    #[inline(always)]
    pub const fn is_in_use(&self, now: u32) -> bool {
        self.smoothed_us_x8 != 0 && now.wrapping_sub(self.sent_at) <= RESTS_AFTER
    }
}

/// Whether a receiver may have delayed an ACK before data is sent after a rest, while so many bytes wait for theirs. When
/// nothing waits, a flight has ended: its last segment may have been an odd one, whose ACK nothing hastened. When no more than
/// a segment waits, the pause was within a flight, and what is sent now is what its ACK waited for.
#[inline(always)]
pub const fn may_be_delayed(waiting: u32, segment: u32, rested: u32) -> bool {
    waiting == 0 || (waiting <= segment && rested > LONGEST_GAP)
}

/// The sample by which a socket's smoothed RTT changed since it was last looked at, µs; none if there may have been several.
/// The kernel adds an eighth of each sample to seven eighths of what was (RFC 6298 §2, `tcp_rtt_estimator`): after one segment
/// at most one sample was taken, which follows exactly.
#[inline(always)]
pub const fn exact_us(before_us_x8: u32, now_us_x8: u32, arrived: u32) -> Option<u32> {
    let sample = (now_us_x8 as u64 + (before_us_x8 >> 3) as u64).saturating_sub(before_us_x8 as u64);
    if arrived == 1 && before_us_x8 != 0 && sample != 0 && sample <= u32::MAX as u64 {
        Some(sample as u32)
    } else {
        None
    }
}

/// A time on the monotonic clock in units of [`OlderLine::looked_at`]; never zero.
#[inline(always)]
pub const fn moment(ns: u64) -> u32 {
    (ns >> FLIGHT_UNIT_NS_LOG2) as u32 | 1
}

/// Lines in the table; a power of two (the index is a mask of the cookie).
pub const OLDER_LINES: u32 = 8_192;

/// A socket is looked at so often at most, in units of [`OlderLine::looked_at`]: each 100 ms.
pub const LOOK_EVERY: u32 = 100_000_000 >> FLIGHT_UNIT_NS_LOG2;

/// A line whose socket was not looked at for so long is free for another, likewise: a second.
pub const FREE_AFTER: u32 = 10 * LOOK_EVERY;

/// After a longer rest a smoothed RTT is of another time, unless one sample follows from it, likewise: ten seconds.
pub const STALE_AFTER: u32 = 100 * LOOK_EVERY;

/// A socket that has sent nothing for longer counts as one at rest, likewise: a minute.
pub const RESTS_AFTER: u32 = 600 * LOOK_EVERY;

/// Segments that must be sent without a delayed ACK before a socket counts as in bulk transfer. What arrives meanwhile does not
/// tell alone: it may be the other end's data, which brings no samples.
pub const BULK_SEGMENTS: u32 = 256;

/// Segments that must arrive meanwhile: about a sample comes with each, and 7/8 to the power of 64 is nothing, so that what
/// delays added to the smoothed RTT before is forgotten. What was sent does not tell: offloads put many segments into one
/// packet, which gets one ACK.
pub const BULK_ARRIVED: u32 = 64;

layout!(OlderExtremes: 20, 4; epoch 0, samples 4, low_us 8, bulk_max_us 12, floor_min_us 16);
layout!(OlderSlot: 40, 4; extremes 0);
layout!(
    OlderLine: 64, 8;
    cookie 0, stamp 8, looked_at 12, sent_at 16, smoothed_us_x8 20, arrived 24, data_segments 28, delayed_until 32,
    delayed_arrived 36, peers 40, peers_version 44, _pad 48
);
const _: () = assert!(OLDER_LINES.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's estimator (net/ipv4/tcp_input.c, `tcp_rtt_estimator`).
    fn smoothed(before: u32, sample: u32) -> u32 {
        if before == 0 { sample << 3 } else { before - (before >> 3) + sample }
    }

    #[test]
    fn after_one_segment_its_sample_follows_from_the_smoothed_rtt() {
        for (before, sample) in [(8 * 1_000, 41_000), (8 * 40_000, 700), (8_003, 17)] {
            assert_eq!(exact_us(before, smoothed(before, sample), 1), Some(sample));
        }
        // A segment that acknowledges nothing changes nothing.
        assert_eq!(exact_us(8_000, 8_000, 1), Some(1_000));
    }

    #[test]
    fn after_more_segments_or_at_first_no_sample_follows() {
        assert_eq!(exact_us(8_000, 16_000, 2), None);
        assert_eq!(exact_us(0, 16_000, 1), None);
        // Begun anew: no sample leads there.
        assert_eq!(exact_us(8_000_000, 8_000, 1), None);
    }

    #[test]
    fn an_ack_may_be_delayed_of_every_flight_that_ends_and_of_a_segment_before_a_pause() {
        const SEGMENT: u32 = 1_448;
        // However long the flight was: 3, 5 or 7 segments leave an odd one.
        assert!(may_be_delayed(0, SEGMENT, 0) && may_be_delayed(0, SEGMENT, u32::MAX));
        assert!(may_be_delayed(SEGMENT, SEGMENT, LONGEST_GAP + 1) && !may_be_delayed(SEGMENT, SEGMENT, LONGEST_GAP));
        assert!(!may_be_delayed(SEGMENT + 1, SEGMENT, u32::MAX));
    }

    #[test]
    fn bulk_transfer_is_as_many_segments_as_forget_all_delays() {
        // Counts wrap.
        let line = OlderLine::new(7, 0, 1, u32::MAX - 10, u32::MAX - 5);
        let is_bulk = |sent, arrived| {
            line.is_bulk(line.delayed_until.wrapping_add(sent), line.delayed_arrived.wrapping_add(arrived))
        };
        assert!(is_bulk(BULK_SEGMENTS, BULK_ARRIVED));
        // Few ACKs of large packets, or few segments and much that the other end sends.
        assert!(!is_bulk(100_000, BULK_ARRIVED - 1) && !is_bulk(BULK_SEGMENTS - 1, 100_000));
    }

    #[test]
    fn a_line_is_in_use_once_it_was_looked_at_and_for_a_minute() {
        let sent_at = u32::MAX - 10;
        let looked_at = OlderLine { smoothed_us_x8: 8_000, ..OlderLine::new(7, 0, sent_at, 1, 1) };
        let at = |rested: u32| sent_at.wrapping_add(rested);
        assert!(looked_at.is_in_use(at(0)) && looked_at.is_in_use(at(RESTS_AFTER)));
        assert!(!looked_at.is_in_use(at(RESTS_AFTER + 1)));
        assert!(!OlderLine::new(7, 0, sent_at, 1, 1).is_in_use(at(0)));
    }
}
