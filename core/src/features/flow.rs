//! Features of load and path: queue against path, rates against their recent best, loss, connections.

use super::{
    derived::{Derived, Slots},
    summary::{CAP, Summary, bounded, ln_ratio},
};
use crate::{
    signal::Signal,
    window::{LENGTH, Window},
};

/// The least that a path holds or sends: one packet.
const PACKET_BYTES: f32 = 1_500.0;

/// Writes the features of queue, rates, retransmits and connections.
pub(super) fn extract(window: &Window, summary: &Summary<'_>, slots: &mut Slots<'_>) {
    queue(summary, slots);
    rates(summary, slots);
    retransmits(window, summary, slots);
    connections(window, slots);
}

fn queue(of: &Summary<'_>, slots: &mut Slots<'_>) {
    let median = of.mean4(Signal::RttP50);
    slots.set(Derived::TailInTick, ln_ratio(of.mean4(Signal::RttMax), median, 1.0));
    if of.measured(Signal::RttFloor) && of.measured(Signal::RttP50) {
        slots.set(Derived::OverFloor, ln_ratio(median, of.last(Signal::RttFloor), 1.0));
    }
    if of.measured(Signal::RttFloor) && of.measured(Signal::DeliveryRate) {
        let bdp = (of.mean4(Signal::DeliveryRate) * of.mean4(Signal::RttFloor) * 1e-6).max(PACKET_BYTES);
        slots.set(Derived::StandingOverBdp, (of.mean4(Signal::StandingQueue) / bdp).ln_1p());
        slots.set(Derived::InFlightOverBdp, (of.mean4(Signal::InFlight) / bdp).ln_1p());
    }
    let drain_us = 1e6 * of.last(Signal::QdiscBacklog) / of.max60(Signal::TxBytes).max(PACKET_BYTES);
    slots.set(Derived::Drain, drain_us.clamp(1.0, CAP).ln());
}

fn rates(of: &Summary<'_>, slots: &mut Slots<'_>) {
    let plateau = |signal| ln_ratio(of.mean4(signal), of.max60(signal), 1.0);
    slots.set(Derived::TxPlateau, plateau(Signal::TxBytes));
    slots.set(Derived::RxPlateau, plateau(Signal::RxBytes));
    slots.set(Derived::DeliveryPlateau, plateau(Signal::DeliveryRate));
    let tx = of.mean4(Signal::TxBytes);
    let per_second = of.slope5(Signal::TxBytes) * tx;
    let headroom = (of.max60(Signal::TxBytes) - tx).max(0.0);
    let saturation = if per_second > 0.0 { headroom / per_second } else { f32::INFINITY };
    slots.set(Derived::TxSaturation, saturation.min(LENGTH as f32));
    slots.set(Derived::TxOverRx, ln_ratio(tx, of.mean4(Signal::RxBytes), 1.0));
    let packets = of.mean4(Signal::TxPackets);
    slots.set(Derived::TxPacketSize, if packets > 0.0 { bounded(tx / packets).ln_1p() } else { 0.0 });
}

fn retransmits(window: &Window, of: &Summary<'_>, slots: &mut Slots<'_>) {
    let permille = |again: f32, packets: f32| bounded(1e3 * again / packets.max(1.0)).ln_1p();
    let (again, packets) = (Signal::Retransmits, Signal::TxPackets);
    slots.set(Derived::RetransmitShare4, permille(of.mean4(again), of.mean4(packets)));
    slots.set(Derived::RetransmitShare60, permille(of.mean60(again), of.mean60(packets)));
    let lossy = |signals: &crate::signal::Signals| signals.get(again) > 0.0 || signals.get(Signal::Rtos) > 0.0;
    let age = window.iter().rev().position(lossy).unwrap_or(LENGTH);
    slots.set(Derived::RetransmitAge, age as f32);
}

fn connections(window: &Window, slots: &mut Slots<'_>) {
    let (mut opens, mut closes, mut failed) = (0.0, 0.0, 0.0);
    for signals in window.iter().rev().take(10) {
        opens += bounded(signals.get(Signal::Opens));
        closes += bounded(signals.get(Signal::Closes));
        failed += bounded(signals.get(Signal::FailedConnects));
    }
    slots.set(Derived::OpensOverCloses, ln_ratio(opens, closes, 1.0));
    let attempts: f32 = opens + failed;
    slots.set(Derived::FailedShare, if attempts > 0.0 { failed / attempts } else { 0.0 });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{features::derived_of, signal::Signals, tick::Tick};

    fn window(signals: impl Fn(u64) -> Vec<(Signal, f32)>) -> Window {
        let mut window = Window::new();
        for tick in 0..60 {
            let mut all = Signals::ABSENT;
            for (signal, value) in signals(tick) {
                all.set(signal, value);
            }
            window.push(Tick(tick), &all).unwrap();
        }
        window
    }

    #[test]
    fn a_queue_is_measured_against_its_path() {
        // 10 MB/s × 20 ms = 200 kB on the path, 600 kB standing, 5 MB backlog that drains at 10 MB/s in half a second.
        let of = derived_of(&window(|_| {
            vec![
                (Signal::DeliveryRate, 1e7),
                (Signal::RttFloor, 20_000.0),
                (Signal::RttP50, 80_000.0),
                (Signal::StandingQueue, 6e5),
                (Signal::TxBytes, 1e7),
                (Signal::QdiscBacklog, 5e6),
            ]
        }));
        assert!((of(Derived::StandingOverBdp) - 3_f32.ln_1p()).abs() < 1e-4);
        assert!((of(Derived::OverFloor) - 4_f32.ln()).abs() < 1e-3);
        assert!((of(Derived::Drain) - 500_000_f32.ln()).abs() < 1e-4);
        assert!(of(Derived::TxPlateau).abs() < 1e-4);
    }

    #[test]
    fn a_rate_that_climbs_back_to_its_maximum_has_a_time_to_it() {
        // Once 2 MB/s, then from 500 kB/s up by 10 kB each second: 1.03 MB/s now.
        let of = derived_of(&window(|tick| {
            vec![(Signal::TxBytes, if tick == 0 { 2e6 } else { 5e5 + 1e4 * (tick as f32 - 6.0) })]
        }));
        let falling = derived_of(&window(|tick| vec![(Signal::TxBytes, 1e6 - 1e4 * tick as f32)]));
        assert_eq!(of(Derived::TxSaturation), 60.0, "a hundred seconds away counts as sixty");
        assert_eq!(falling(Derived::TxSaturation), 60.0);
        let near = derived_of(&window(|tick| {
            vec![(Signal::TxBytes, if tick == 0 { 1.1e6 } else { 1e4 * (tick as f32 + 41.0) })]
        }));
        assert!((near(Derived::TxSaturation) - 11.5).abs() < 0.5, "{}", near(Derived::TxSaturation));
    }

    #[test]
    fn losses_and_failures_are_shares_with_an_age() {
        let of = derived_of(&window(|tick| {
            let again = if tick == 57 { 8.0 } else { 0.0 };
            vec![
                (Signal::TxPackets, 100.0),
                (Signal::Retransmits, again),
                (Signal::Opens, 3.0),
                (Signal::FailedConnects, 1.0),
            ]
        }));
        assert_eq!(of(Derived::RetransmitAge), 2.0);
        assert!((of(Derived::RetransmitShare4) - 20_f32.ln_1p()).abs() < 1e-4);
        assert_eq!(of(Derived::FailedShare), 0.25);
        assert!((of(Derived::OpensOverCloses) - 31_f32.ln()).abs() < 1e-4);
    }
}
