//! What a rule means by the RTT of a second: of which peers, above what, and which of all samples.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Peers;
use crate::signal::{Signal, Signals};

/// What is measured of a round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Measure {
    /// The round trip. Right where all peers are about as far away.
    #[default]
    Rtt,
    /// The round trip above its connection's own floor, which is the kernel's minimum of the last minutes: what queues
    /// add, whatever the distance. Right where peers are anywhere.
    Inflation,
}

/// Which of a second's samples counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Statistic {
    /// The largest. A connection that waits for a retransmission counts with the time it has waited.
    #[default]
    Max,
    /// The 99th percentile.
    P99,
    /// The 90th percentile.
    P90,
    /// The median.
    P50,
}

impl Statistic {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Max, Self::P99, Self::P90, Self::P50];

    /// The signals of a second in which this statistic stands where the maximum does: what forecasts predict, features
    /// describe and thresholds are compared with. A single connection that stalls is no quantile of all.
    pub fn of(self, signals: &Signals) -> Signals {
        let mut seen = *signals;
        let quantile = match self {
            Self::Max => return seen,
            Self::P99 => Signal::RttP99,
            Self::P90 => Signal::RttP90,
            Self::P50 => Signal::RttP50,
        };
        let value = signals.get(quantile);
        seen.set(Signal::RttMax, value);
        for upper in [Signal::RttP50, Signal::RttP90, Signal::RttP99] {
            seen.set(upper, signals.get(upper).min(value));
        }
        for quarter in Signal::RTT_QUARTERS {
            seen.set(quarter, f32::NAN);
        }
        seen.set(Signal::Stall, 0.0);
        seen
    }
}

/// What a rule means by the RTT of a second.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct View {
    /// Of a round trip.
    pub measure: Measure,
    /// Of the samples.
    pub statistic: Statistic,
    /// Of the connections.
    pub peers: Peers,
}

impl View {
    /// Whether it is the RTT of all connections, which is measured of every target.
    pub fn is_plain(&self) -> bool {
        self.measure == Measure::Rtt && self.peers == Peers::All
    }
}

impl fmt::Display for View {
    /// Such as `RTT` or `P90 of the RTT inflation to external peers`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measure = match self.measure {
            Measure::Rtt => "RTT",
            Measure::Inflation => "RTT inflation",
        };
        match self.statistic {
            Statistic::Max => f.write_str(measure)?,
            statistic => write!(f, "{statistic:?} of the {measure}")?,
        }
        match &self.peers {
            Peers::All => Ok(()),
            peers => write!(f, " to {peers}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signals() -> Signals {
        let mut signals = Signals::ABSENT;
        let values = [
            (Signal::RttP50, 10.0),
            (Signal::RttP90, 20.0),
            (Signal::RttP99, 30.0),
            (Signal::RttMax, 40.0),
            (Signal::RttQuarter1, 40.0),
            (Signal::Stall, 900.0),
        ];
        for (signal, value) in values {
            signals.set(signal, value);
        }
        signals
    }

    #[test]
    fn a_quantile_stands_where_the_maximum_does_and_nothing_lies_above_it() {
        for (statistic, us) in [(Statistic::P99, 30.0), (Statistic::P90, 20.0), (Statistic::P50, 10.0)] {
            let seen = statistic.of(&signals());
            assert_eq!(seen.measured_rtt_us(), Some(us), "{statistic:?}");
            assert!(seen.get(Signal::RttP99) <= us && seen.get(Signal::RttQuarter1).is_nan(), "{statistic:?}");
        }
        assert_eq!(Statistic::Max.of(&signals()).measured_rtt_us(), Some(900.0));
    }

    #[test]
    fn a_second_without_samples_has_no_quantile() {
        assert_eq!(Statistic::P90.of(&Signals::ABSENT).measured_rtt_us(), None);
    }

    #[test]
    fn a_view_reads_as_a_noun() {
        let view = |measure, statistic, peers| View { measure, statistic, peers }.to_string();
        assert_eq!(View::default().to_string(), "RTT");
        assert_eq!(view(Measure::Inflation, Statistic::Max, Peers::All), "RTT inflation");
        assert_eq!(view(Measure::Rtt, Statistic::P90, Peers::External), "P90 of the RTT to external peers");
    }
}
