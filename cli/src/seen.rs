//! A recording as a rule sees it. Recordings hold the RTT of all connections of a target together: quantiles are in it,
//! inflation is taken above the target's floor instead of each connection's, and peers cannot be told apart.

use std::collections::VecDeque;

use netprecursor_core::{
    policy::{Measure, Peers, View},
    signal::{Signal, Signals},
    source::FLOOR_SECONDS,
};
use thiserror::Error;

/// Signals that are round trips.
const ROUND_TRIPS: [Signal; 13] = [
    Signal::RttMean,
    Signal::RttP50,
    Signal::RttP90,
    Signal::RttP99,
    Signal::RttMax,
    Signal::RttQuarter1,
    Signal::RttQuarter2,
    Signal::RttQuarter3,
    Signal::RttQuarter4,
    Signal::RttMin,
    Signal::RttAllMean,
    Signal::RttAllP99,
    Signal::RttAllMax,
];

/// A view that recordings do not hold.
#[derive(Debug, Error)]
#[error(
    "got a rule about {peers}, expected one about all peers: a recording holds the RTT of all connections together"
)]
pub(crate) struct NotRecorded {
    peers: Peers,
}

/// Whether a recording can be seen so.
///
/// # Errors
/// It cannot.
pub(crate) fn require_recorded(view: &View) -> Result<(), NotRecorded> {
    if view.peers == Peers::All { Ok(()) } else { Err(NotRecorded { peers: view.peers.clone() }) }
}

/// One target's seconds in a view, in their order.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    view: &'a View,
    /// Seconds with the smallest RTT since, the smallest first.
    lowest: VecDeque<(u64, f32)>,
}

impl<'a> Seen<'a> {
    /// Nothing seen yet.
    pub(crate) const fn new(view: &'a View) -> Self {
        Self { view, lowest: VecDeque::new() }
    }

    /// A second as the view has it.
    pub(crate) fn second(&mut self, tick: u64, plain: &Signals) -> Signals {
        let measured = match self.view.measure {
            Measure::Rtt => *plain,
            Measure::Inflation => self.above_floor(tick, plain),
        };
        self.view.statistic.of(&measured)
    }

    fn above_floor(&mut self, tick: u64, plain: &Signals) -> Signals {
        let least = [Signal::RttFloor, Signal::RttMin, Signal::RttMax].map(|signal| plain.get(signal));
        let least = least.into_iter().fold(f32::NAN, f32::min);
        if least.is_finite() {
            while self.lowest.back().is_some_and(|(_, lowest)| *lowest >= least) {
                self.lowest.pop_back();
            }
            self.lowest.push_back((tick, least));
        }
        while self.lowest.front().is_some_and(|(since, _)| since + FLOOR_SECONDS <= tick) {
            self.lowest.pop_front();
        }
        let floor = self.lowest.front().map_or(f32::NAN, |(_, lowest)| *lowest);
        let mut above = *plain;
        for signal in ROUND_TRIPS {
            // Not measured stays not measured; a smallest value is no less than 1 µs, as in the kernel's count.
            let value = plain.get(signal) - floor;
            above.set(signal, if value.is_nan() { value } else { value.max(1.0) });
        }
        above
    }
}

#[cfg(test)]
mod tests {
    use netprecursor_core::policy::Statistic;

    use super::*;

    fn measured(seconds: impl IntoIterator<Item = f32>) -> Vec<Option<f32>> {
        let view = View { measure: Measure::Inflation, ..View::default() };
        let mut seen = Seen::new(&view);
        let second = |(tick, us): (u64, f32)| {
            let mut plain = Signals::ABSENT;
            plain.set(Signal::RttMax, us);
            seen.second(tick, &plain).measured_rtt_us()
        };
        (0..).zip(seconds).map(second).collect()
    }

    #[test]
    fn inflation_is_above_the_lowest_of_the_last_five_minutes() {
        let series = [50_000.0, 40_000.0, 90_000.0, f32::NAN, 45_000.0];
        assert_eq!(measured(series), [Some(1.0), Some(1.0), Some(50_000.0), None, Some(5_000.0)]);
        // A longer path is a new floor once the old one is five minutes old.
        let moved = measured((0..400).map(|tick| if tick < 10 { 20_000.0 } else { 80_000.0 }));
        assert_eq!((moved[308], moved[309]), (Some(60_000.0), Some(1.0)));
    }

    #[test]
    fn a_rule_about_some_peers_is_refused_and_a_quantile_is_not() {
        let external = View { peers: Peers::External, ..View::default() };
        assert!(require_recorded(&external).unwrap_err().to_string().contains("external peers"));
        assert!(require_recorded(&View { statistic: Statistic::P90, ..View::default() }).is_ok());
    }
}
