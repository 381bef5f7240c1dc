//! What is counted of *older* sockets: those of which no callback has come, because they were opened while no agent ran.
//! Nothing can ask for their callbacks from outside, but each packet that they send shows the kernel's smoothed RTT.

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
    /// When the socket was last looked at, in units of 2^[`FLIGHT_UNIT_NS_LOG2`](crate::tcp::FLIGHT_UNIT_NS_LOG2) ns.
    pub looked_at: u32,
    /// When it last sent data, likewise.
    pub sent_at: u32,
    /// Eight times its smoothed RTT when it was last looked at, µs: as the kernel keeps it.
    pub smoothed_us_x8: u32,
    /// Segments that had arrived by then.
    pub arrived: u32,
    /// Segments with data sent so far, as of the last packet that had any.
    pub data_segments: u32,
    /// The sequence number with which the flight began.
    pub flight_from: u32,
    /// [`Self::data_segments`] when the last flight ended whose ACKs a receiver may have delayed.
    pub delayed_until: u32,
    /// The [`peer sets`](crate::view) that the other end is in, as of `peers_version`.
    pub peers: u32,
    /// The version of the table of peers by which `peers` was looked up; zero: it was not.
    pub peers_version: u32,
    _pad: [u32; 4],
}

impl OlderLine {
    /// A line just taken by the socket `cookie` at `now`, when it had sent so many segments up to this sequence number.
    #[inline(always)]
    pub const fn new(cookie: u64, stamp: u32, now: u32, data_segments: u32, flight_from: u32) -> Self {
        Self {
            cookie,
            stamp,
            looked_at: now,
            sent_at: now,
            smoothed_us_x8: 0,
            arrived: 0,
            data_segments,
            flight_from,
            delayed_until: data_segments,
            peers: 0,
            peers_version: 0,
            _pad: [0; 4],
        }
    }
}

/// What a socket's smoothed RTT says when it is looked at again, µs. The kernel adds an eighth of each sample to seven eighths
/// of what was (RFC 6298 §2, `tcp_rtt_estimator`): after one segment at most one sample was taken, which follows exactly.
#[inline(always)]
pub const fn newest_us(before_us_x8: u32, now_us_x8: u32, arrived: u32) -> u32 {
    let sample = (now_us_x8 as u64 + (before_us_x8 >> 3) as u64).saturating_sub(before_us_x8 as u64);
    if arrived == 1 && before_us_x8 != 0 && sample != 0 && sample <= u32::MAX as u64 {
        sample as u32
    } else {
        now_us_x8 >> 3
    }
}

/// Lines in the table; a power of two (the index is a mask of the cookie).
pub const OLDER_LINES: u32 = 8_192;

/// A socket is looked at so often at most, in units of [`OlderLine::looked_at`]: each 100 ms.
pub const LOOK_EVERY: u32 = 100_000_000 >> crate::tcp::FLIGHT_UNIT_NS_LOG2;

/// A line whose socket was not looked at for so long is free for another, likewise: a second.
pub const FREE_AFTER: u32 = 10 * LOOK_EVERY;

/// A smoothed RTT after a longer rest is of another time, likewise: ten seconds.
pub const STALE_AFTER: u32 = 100 * LOOK_EVERY;

/// Segments in flights without delayed ACKs after which what delays added to the smoothed RTT before is forgotten: at least a
/// sample comes with each flight, and 7/8 to the power of 64 is nothing when flights are of four segments.
pub const BULK_SEGMENTS: u32 = 256;

layout!(OlderExtremes: 20, 4; epoch 0, samples 4, low_us 8, bulk_max_us 12, floor_min_us 16);
layout!(OlderSlot: 40, 4; extremes 0);
layout!(
    OlderLine: 64, 8;
    cookie 0, stamp 8, looked_at 12, sent_at 16, smoothed_us_x8 20, arrived 24, data_segments 28, flight_from 32,
    delayed_until 36, peers 40, peers_version 44, _pad 48
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
            assert_eq!(newest_us(before, smoothed(before, sample), 1), sample);
        }
        // A segment that acknowledges nothing changes nothing.
        assert_eq!(newest_us(8_000, 8_000, 1), 1_000);
    }

    #[test]
    fn after_more_segments_or_at_first_the_smoothed_rtt_is_all_there_is() {
        assert_eq!(newest_us(8_000, 16_000, 2), 2_000);
        assert_eq!(newest_us(0, 16_000, 1), 2_000);
        // Begun anew: no sample leads there.
        assert_eq!(newest_us(8_000_000, 8_000, 1), 1_000);
    }
}
