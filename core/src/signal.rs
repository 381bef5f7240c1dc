//! What is measured: one value per signal, target and tick. The table below is the only definition of the names,
//! units and meanings; recordings, features, schema and documentation are generated from it.

use serde::{Deserialize, Serialize};

/// What an absent sample means for a signal, and so which number stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Absence {
    /// Nothing happened: the signal is a count or a sum, absent is zero.
    Zero,
    /// Nothing was measured: the signal is a level, absent is NaN (a tick without RTT samples has no RTT).
    Missing,
}

macro_rules! signals {
    ($($(#[doc = $doc:literal])+ $variant:ident, $name:literal, $unit:literal, $absence:ident;)+) => {
        /// A measured quantity. The discriminant is its position in [`Signals`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(usize)]
        pub enum Signal { $($(#[doc = $doc])+ $variant),+ }

        impl Signal {
            /// Every signal, in the order of [`Signals`].
            pub const ALL: &'static [Signal] = &[$(Signal::$variant),+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Column and feature name; ends in the unit where there is one.
            pub const fn name(self) -> &'static str { match self { $(Signal::$variant => $name),+ } }
            /// Unit in words, "1" for plain counts.
            pub const fn unit(self) -> &'static str { match self { $(Signal::$variant => $unit),+ } }
            /// What its absence means.
            pub const fn absence(self) -> Absence { match self { $(Signal::$variant => Absence::$absence),+ } }
            /// One sentence for schema and documentation.
            pub const fn doc(self) -> &'static str { match self { $(Signal::$variant => concat!($($doc),+)),+ } }
        }
    };
}

signals! {
    /// Clean RTT samples: ACKs of at least one full segment, and handshakes.
    RttCount, "rtt_count", "1", Zero;
    /// Mean of the clean RTT samples.
    RttMean, "rtt_mean_us", "µs", Missing;
    /// Median of the clean RTT samples.
    RttP50, "rtt_p50_us", "µs", Missing;
    /// 90th percentile of the clean RTT samples.
    RttP90, "rtt_p90_us", "µs", Missing;
    /// 99th percentile of the clean RTT samples.
    RttP99, "rtt_p99_us", "µs", Missing;
    /// Largest clean RTT sample.
    RttMax, "rtt_max_us", "µs", Missing;
    /// Largest clean RTT sample of the tick's first quarter of a second.
    RttQuarter1, "rtt_quarter1_max_us", "µs", Missing;
    /// Largest clean RTT sample of its second quarter.
    RttQuarter2, "rtt_quarter2_max_us", "µs", Missing;
    /// Largest clean RTT sample of its third quarter.
    RttQuarter3, "rtt_quarter3_max_us", "µs", Missing;
    /// Largest clean RTT sample of its last quarter.
    RttQuarter4, "rtt_quarter4_max_us", "µs", Missing;
    /// Smallest clean RTT sample.
    RttMin, "rtt_min_us", "µs", Missing;
    /// Standard deviation of the clean RTT samples.
    RttJitter, "rtt_jitter_us", "µs", Missing;
    /// All RTT samples, those included that a receiver's delayed ACK may have stretched.
    RttAllCount, "rtt_all_count", "1", Zero;
    /// Mean of all RTT samples.
    RttAllMean, "rtt_all_mean_us", "µs", Missing;
    /// 99th percentile of all RTT samples.
    RttAllP99, "rtt_all_p99_us", "µs", Missing;
    /// Largest RTT sample of all.
    RttAllMax, "rtt_all_max_us", "µs", Missing;
    /// Handshakes whose RTT was measured.
    HandshakeCount, "handshake_count", "1", Zero;
    /// Mean RTT of the handshakes.
    HandshakeMean, "handshake_mean_us", "µs", Missing;
    /// Largest RTT of a handshake.
    HandshakeMax, "handshake_max_us", "µs", Missing;
    /// Longest time that a connection has waited for an ACK so far, of those whose retransmission timer fired.
    Stall, "stall_us", "µs", Zero;
    /// Segments sent again.
    Retransmits, "retransmits", "segments", Zero;
    /// Retransmission timeouts.
    Rtos, "rtos", "1", Zero;
    /// Congestion window, mean over the samples.
    Cwnd, "cwnd_segments", "segments", Missing;
    /// Bytes in flight when the ACK arrived, mean over the samples.
    InFlight, "in_flight_bytes", "bytes", Missing;
    /// Segments believed lost, mean over the samples.
    Lost, "lost_segments", "segments", Missing;
    /// Delivery rate of a connection as the kernel estimates it, mean over the samples.
    DeliveryRate, "delivery_rate_bytes_per_second", "bytes/s", Missing;
    /// Lowest of the kernel's windowed minimum RTTs: the path without its queue.
    RttFloor, "rtt_floor_us", "µs", Missing;
    /// In flight − delivery rate × minimum RTT, mean over the samples: what is queued on the way.
    StandingQueue, "standing_queue_bytes", "bytes", Missing;
    /// Connections that reached ESTABLISHED.
    Opens, "opens", "1", Zero;
    /// Established connections that closed.
    Closes, "closes", "1", Zero;
    /// Connection attempts that failed.
    FailedConnects, "failed_connects", "1", Zero;
    /// Established connections at the tick, as the kernel lists them.
    Established, "established", "1", Missing;
    /// Bytes received, IP headers included.
    RxBytes, "rx_bytes", "bytes", Zero;
    /// Bytes sent, IP headers included.
    TxBytes, "tx_bytes", "bytes", Zero;
    /// Packets received.
    RxPackets, "rx_packets", "packets", Zero;
    /// Packets sent.
    TxPackets, "tx_packets", "packets", Zero;
    /// Times that a task of the target waited for a CPU.
    RunQueueCount, "run_queue_count", "1", Zero;
    /// Mean wait for a CPU.
    RunQueueMean, "run_queue_mean_us", "µs", Missing;
    /// 99th percentile of the wait for a CPU.
    RunQueueP99, "run_queue_p99_us", "µs", Missing;
    /// Share of the tick in which some task of the node waited for CPU (pressure stall information).
    PressureCpu, "pressure_cpu_ratio", "ratio", Missing;
    /// Share of the tick in which some task of the node waited for memory.
    PressureMemory, "pressure_memory_ratio", "ratio", Missing;
    /// Share of the tick in which some task of the node waited for I/O.
    PressureIo, "pressure_io_ratio", "ratio", Missing;
    /// Packets that the node's receive backlog dropped.
    SoftnetDropped, "softnet_dropped", "packets", Zero;
    /// Times that the node's network softirq ran out of budget.
    SoftnetSqueezed, "softnet_squeezed", "1", Zero;
    /// Bytes waiting in queueing disciplines that the agent can see for this target.
    QdiscBacklog, "qdisc_backlog_bytes", "bytes", Zero;
    /// Packets dropped by queueing disciplines that the agent can see for this target.
    QdiscDrops, "qdisc_drops", "packets", Zero;
}

impl Signal {
    /// The largest clean RTT of each quarter of a second, in order.
    pub const RTT_QUARTERS: [Self; 4] = [Self::RttQuarter1, Self::RttQuarter2, Self::RttQuarter3, Self::RttQuarter4];
}

/// The signals of one target at one tick, indexed by [`Signal`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signals([f32; Signal::COUNT]);

impl Default for Signals {
    fn default() -> Self {
        Self::ABSENT
    }
}

impl Signals {
    /// A tick in which nothing was measured.
    pub const ABSENT: Self = {
        let mut values = [0.0; Signal::COUNT];
        let mut i = 0;
        while i < Signal::COUNT {
            if matches!(Signal::ALL[i].absence(), Absence::Missing) {
                values[i] = f32::NAN;
            }
            i += 1;
        }
        Self(values)
    };

    /// The value of one signal; NaN when it is [`Absence::Missing`] and was not measured.
    pub const fn get(&self, signal: Signal) -> f32 {
        self.0[signal as usize]
    }

    /// Sets one signal. What is not finite counts as absent.
    pub const fn set(&mut self, signal: Signal, value: f32) {
        self.0[signal as usize] = if value.is_finite() { value } else { Self::ABSENT.0[signal as usize] };
    }

    /// The values in the order of [`Signal::ALL`].
    pub const fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// Signals from values in the order of [`Signal::ALL`]; what is not finite counts as absent.
    pub fn from_values(values: &[f32; Signal::COUNT]) -> Self {
        let mut signals = Self::ABSENT;
        for (signal, value) in Signal::ALL.iter().zip(values) {
            signals.set(*signal, *value);
        }
        signals
    }

    /// What forecasts predict and rules compare: the maximum clean RTT of the tick in µs, where a stall with
    /// retransmission timeouts counts as an RTT of the time stalled so far. `None`: neither sample nor timeout.
    pub fn measured_rtt_us(&self) -> Option<f32> {
        let (rtt, stall) = (self.get(Signal::RttMax), self.get(Signal::Stall));
        match (rtt.is_finite(), stall > 0.0) {
            (true, _) => Some(rtt.max(stall)),
            (false, true) => Some(stall),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_the_order_of_the_discriminants() {
        for (position, signal) in Signal::ALL.iter().enumerate() {
            assert_eq!(*signal as usize, position);
            assert_eq!(
                Signal::ALL.iter().filter(|other| other.name() == signal.name()).count(),
                1,
                "{}",
                signal.name()
            );
        }
    }

    #[test]
    fn a_value_that_is_not_finite_counts_as_absent() {
        let mut signals = Signals::ABSENT;
        signals.set(Signal::Retransmits, f32::NAN);
        signals.set(Signal::RttMax, f32::INFINITY);
        assert_eq!(signals.get(Signal::Retransmits), 0.0);
        assert!(signals.get(Signal::RttMax).is_nan());
    }

    #[test]
    fn a_stall_counts_as_an_rtt_and_silence_as_none() {
        let mut signals = Signals::ABSENT;
        assert_eq!(signals.measured_rtt_us(), None);
        signals.set(Signal::Stall, 400_000.0);
        assert_eq!(signals.measured_rtt_us(), Some(400_000.0));
        signals.set(Signal::RttMax, 900.0);
        assert_eq!(signals.measured_rtt_us(), Some(400_000.0));
        signals.set(Signal::Stall, 0.0);
        assert_eq!(signals.measured_rtt_us(), Some(900.0));
    }
}
