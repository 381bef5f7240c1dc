//! Where the RTT of a target comes from. Conversations of answers below a segment have no clean samples beside handshakes: a
//! receiver may delay each of their ACKs, and a slow answer delays the ACK that rides on it. A queue raises every sample,
//! though, and those raise only some. So what the least delayed samples rise by is the network's.
//!
//! Connections that were opened while no agent ran have no samples at all, but a smoothed RTT, which is all of its samples
//! blurred: the same holds for it.

mod least;

use serde::{Deserialize, Serialize};

use self::least::{LOOK_BACK, Least};
use crate::{
    policy::Measure,
    signal::{Signal, Signals},
    tick::Tick,
};

/// Seconds without a clean sample after which the others are used. Most bursts of a mixed load are closer together.
const PATIENCE: u64 = 30;
/// Seconds over which the kernel takes a connection's smallest RTT by default (tcp_min_rtt_wlen).
pub const FLOOR_SECONDS: u64 = 300;

/// Where the RTT of a target comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RttFrom {
    /// Clean samples of data.
    #[default]
    Clean,
    /// The path's floor, and what the low quantile of the samples that are not clean has risen by above its usual level.
    LowQuantile,
    /// Smoothed RTT of connections that are older than the agent: in bulk transfer as it is, else the path's floor and what
    /// the least smoothed RTT has risen by; what `LowQuantile` infers from other connections counts as well.
    Smoothed,
    /// Handshakes alone.
    Handshake,
}

/// What a second held besides clean samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Others {
    /// The low quantile of the samples that are not clean, µs; NaN without any.
    pub low_us: f32,
    /// What connections showed that are older than the agent.
    pub smoothed: Smoothed,
}

/// The smoothed RTT of connections that are older than the agent, in one second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smoothed {
    /// How often one was looked at.
    pub samples: f32,
    /// The least of those whose ACKs a receiver may have delayed, µs; NaN without any.
    pub low_us: f32,
    /// The largest of those in bulk transfer, µs; NaN without any.
    pub bulk_us: f32,
    /// The smallest RTT of their paths, µs; NaN if it is not known.
    pub floor_us: f32,
}

impl Smoothed {
    /// No such connection sent anything.
    pub const NONE: Self = Self { samples: 0.0, low_us: f32::NAN, bulk_us: f32::NAN, floor_us: f32::NAN };
}

impl Others {
    /// Nothing at all.
    pub const NONE: Self = Self { low_us: f32::NAN, smoothed: Smoothed::NONE };
}

/// What is remembered of a target to choose by.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    measure: Measure,
    from: RttFrom,
    /// The last second with clean samples of data.
    clean: Option<Tick>,
    /// The first second with samples since then that were not clean.
    unclean: Option<Tick>,
    /// The first and the last second since then with smoothed RTT, of those with no more than [`LOOK_BACK`] in between.
    smoothed: Option<(Tick, Tick)>,
    /// The least delayed of the samples that are not clean.
    small: Least,
    /// The least smoothed RTT.
    older: Least,
}

impl Source {
    /// Nothing seen yet of this measure.
    pub fn of(measure: Measure) -> Self {
        Self { measure, ..Self::default() }
    }

    /// Whether it can have come of what was measured; for one that was kept.
    pub fn is_sound(&self) -> bool {
        self.small.is_sound() && self.older.is_sound()
    }

    /// Takes in a second with what it held besides clean samples, and makes of its signals what forecasts shall see.
    pub fn second(&mut self, now: Tick, signals: &mut Signals, others: &Others) {
        let handshakes = signals.get(Signal::HandshakeCount);
        let samples = signals.get(Signal::RttAllCount) - signals.get(Signal::RttCount);
        // A handshake is its connection's floor, and no sample of inflation.
        let data = match self.measure {
            Measure::Rtt => signals.get(Signal::RttCount) - handshakes,
            Measure::Inflation => signals.get(Signal::RttCount),
        };
        let Others { low_us, smoothed } = others;
        if data > 0.0 {
            (self.clean, self.unclean, self.smoothed) = (Some(now), None, None);
        } else if samples > 0.0 {
            self.unclean = self.unclean.or(Some(now));
        }
        if smoothed.samples > 0.0 {
            // Connections that send now and then have not been sending in between.
            let going_on = self.smoothed.filter(|(_, last)| now.since(*last) <= LOOK_BACK);
            self.smoothed = Some((going_on.map_or(now, |(first, _)| first), now));
        }
        self.smoothed = self.smoothed.filter(|(_, last)| now.since(*last) <= PATIENCE);
        let low = self.small.take(now, samples, *low_us).filter(|_| samples > 0.0);
        let low_smoothed = self.older.take(now, smoothed.samples, smoothed.low_us);
        self.from = self.chosen(now, handshakes);
        let is_small_used = matches!(self.from, RttFrom::LowQuantile | RttFrom::Smoothed);
        let small = low.filter(|_| is_small_used).map(|low| {
            // The kernel's floor of the path holds no delay of an ACK, if it ever saw a sample without one.
            self.small.infer(low, self.floor(signals.get(Signal::RttFloor)))
        });
        let is_older_used = self.from == RttFrom::Smoothed && smoothed.samples > 0.0;
        let older = is_older_used.then(|| {
            let inferred = low_smoothed
                .filter(|_| smoothed.low_us.is_finite())
                .map_or(f32::NAN, |low| self.older.infer(low, self.floor(smoothed.floor_us)));
            inferred.max(smoothed.bulk_us)
        });
        if is_older_used {
            note_smoothed(signals, smoothed);
        }
        if let Some(rtt) = small.into_iter().chain(older).filter(|rtt| rtt.is_finite()).reduce(f32::max) {
            put(signals, rtt);
        }
    }

    /// Where the RTT came from in the last second.
    pub const fn from(&self) -> RttFrom {
        self.from
    }

    /// What is best of what there was of late.
    fn chosen(&self, now: Tick, handshakes: f32) -> RttFrom {
        // Of a connection that is just being opened, or was seen by the agent before, a callback comes before that.
        let is_older_usable = self.smoothed.is_some_and(|(first, last)| last.since(first) >= LOOK_BACK);
        match (self.clean, self.unclean) {
            (Some(clean), _) if now.since(clean) <= PATIENCE => RttFrom::Clean,
            _ if is_older_usable => RttFrom::Smoothed,
            // Before anything clean was seen there is less to wait for.
            (clean, Some(unclean)) if clean.is_some() || now.since(unclean) >= LOOK_BACK => RttFrom::LowQuantile,
            (clean, None) if handshakes > 0.0 && (clean.is_none() || self.from == RttFrom::Smoothed) => {
                RttFrom::Handshake
            }
            _ => self.from,
        }
    }

    /// The path without queues: its floor, or of inflation as little as the kernel counts.
    const fn floor(&self, floor_us: f32) -> f32 {
        match self.measure {
            Measure::Rtt => floor_us,
            Measure::Inflation => 1.0,
        }
    }
}

/// Lets smoothed RTT pass for samples: what counts them must not take the connections for idle.
fn note_smoothed(signals: &mut Signals, smoothed: &Smoothed) {
    signals.set(Signal::RttAllCount, signals.get(Signal::RttAllCount) + smoothed.samples);
    let floor = signals.get(Signal::RttFloor).min(smoothed.floor_us);
    signals.set(Signal::RttFloor, floor);
}

/// Puts the RTT that is inferred where clean samples would have put theirs; a handshake of the second says more.
fn put(signals: &mut Signals, rtt: f32) {
    let max = rtt.max(signals.get(Signal::HandshakeMax));
    signals.set(Signal::RttCount, signals.get(Signal::RttAllCount));
    for level in [Signal::RttMean, Signal::RttP50, Signal::RttMin] {
        signals.set(level, rtt);
    }
    for upper in [Signal::RttP90, Signal::RttP99, Signal::RttMax] {
        signals.set(upper, max);
    }
    for all in [Signal::RttAllMean, Signal::RttAllP99, Signal::RttAllMax] {
        // Without samples: of older connections nothing but this is known.
        if signals.get(all).is_nan() {
            signals.set(all, max);
        }
    }
    signals.set(Signal::RttJitter, 0.0);
    for quarter in Signal::RTT_QUARTERS {
        signals.set(quarter, f32::NAN);
    }
}

#[cfg(test)]
mod tests;
