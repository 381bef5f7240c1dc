//! What shows that a group of features is out of its usual: the signals that can only rise with it, never fall.
//!
//! Signals that congestion itself lowers (delivery rate, segments in flight of a loss-based sender) or that rise with
//! everything (established connections, which pile up behind any delay) show nothing. A queue shows by what waits in it
//! where the agent can see that, and by the median RTT where it cannot: by Little's law the wait is the queue, and what
//! only the largest RTT shows is no queue.

use super::excess;
use crate::{
    features::{self, COUNT, Derived, Group},
    signal::Signal,
    window::Window,
};

/// What shows a group, beside what is usual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Evidence {
    /// Signal or feature.
    pub(super) feature: &'static str,
    pub(super) unit: &'static str,
    pub(super) value: f32,
    pub(super) baseline: f32,
    /// ln of how many times what is usual.
    pub(super) excess: f32,
}

/// Signals with what each counts for little below: two packets, a handful of events, a tenth of the time, a scheduler's
/// slice, the shortest retransmission timeout.
const fn signals(group: Group) -> &'static [(Signal, f32)] {
    match group {
        Group::RttHistory => &[(Signal::RttMax, 100.0), (Signal::Stall, 200_000.0)],
        Group::Recurrence => &[],
        Group::Queue => &[(Signal::RttP50, 100.0), (Signal::QdiscBacklog, 3_000.0)],
        Group::Rates => &[
            (Signal::TxBytes, 3_000.0),
            (Signal::RxBytes, 3_000.0),
            (Signal::TxPackets, 4.0),
            (Signal::RxPackets, 4.0),
        ],
        Group::Retransmits => &[(Signal::Retransmits, 3.0), (Signal::Rtos, 3.0), (Signal::Stall, 200_000.0)],
        Group::Connections => &[(Signal::Opens, 3.0), (Signal::FailedConnects, 3.0)],
        Group::Scheduling => &[(Signal::RunQueueP99, 500.0), (Signal::RunQueueMean, 500.0)],
        Group::Pressure => &[
            (Signal::PressureCpu, 0.1),
            (Signal::PressureMemory, 0.1),
            (Signal::PressureIo, 0.1),
            (Signal::SoftnetDropped, 3.0),
            (Signal::SoftnetSqueezed, 3.0),
        ],
    }
}

/// What recurs: its strength, and the peak expected within the horizon over what is measured now (ln).
const RECURRENCES: [(Derived, Derived); 5] = [
    (Derived::MinuteRttStrength, Derived::MinuteRttExpected),
    (Derived::HourRttStrength, Derived::HourRttExpected),
    (Derived::MinuteTxStrength, Derived::MinuteTxExpected),
    (Derived::HourTxStrength, Derived::HourTxExpected),
    (Derived::HourOpensStrength, Derived::HourOpensExpected),
];

/// The strongest evidence of a group; `None` when none was measured, or nothing recurs.
pub(super) fn of(group: Group, window: &Window, features: &[f32; COUNT]) -> Option<Evidence> {
    let found = if group == Group::Recurrence {
        RECURRENCES.iter().map(|(strength, expected)| recurrence(features, *strength, *expected)).max_by(stronger)
    } else {
        let of = |(signal, floor): &(Signal, f32)| {
            let excess = excess::of(window, *signal, *floor)?;
            let (feature, unit) = (signal.name(), signal.unit());
            Some(Evidence { feature, unit, value: excess.now, baseline: excess.usual, excess: excess.ln })
        };
        signals(group).iter().filter_map(of).max_by(stronger)
    };
    found.filter(|evidence| evidence.excess > 0.0)
}

/// A peak counts as much as it is sure to come.
fn recurrence(features: &[f32; COUNT], strength: Derived, expected: Derived) -> Evidence {
    let ln = features[features::position(expected)];
    let excess = features[features::position(strength)] * ln;
    Evidence { feature: expected.name(), unit: expected.unit(), value: ln.exp(), baseline: 1.0, excess }
}

fn stronger(a: &Evidence, b: &Evidence) -> std::cmp::Ordering {
    a.excess.total_cmp(&b.excess)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_something_that_shows_it() {
        for group in Group::ALL {
            assert!(!signals(group).is_empty() || group == Group::Recurrence, "{group:?}");
        }
    }

    #[test]
    fn a_peak_that_recurs_counts_by_its_strength_and_one_that_is_over_counts_nothing() {
        let mut features = [0.0; COUNT];
        features[features::position(Derived::MinuteTxStrength)] = 0.5;
        features[features::position(Derived::MinuteTxExpected)] = 4_f32.ln();
        let found = of(Group::Recurrence, &Window::new(), &features).unwrap();
        assert_eq!((found.feature, found.unit, found.baseline), ("tx_minute_expected_over_mean4", "×", 1.0));
        assert!((found.value - 4.0).abs() < 1e-4 && (found.excess - 2_f32.ln()).abs() < 1e-6, "{found:?}");
        features[features::position(Derived::MinuteTxExpected)] = -1.0;
        assert_eq!(of(Group::Recurrence, &Window::new(), &features), None);
    }
}
