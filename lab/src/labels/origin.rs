//! Where a fault shows at the hosts that it strikes: by what it does to them, whatever a ranking of causes makes of it.

use netprecursor_core::features::Group;

/// Groups of features that a fault moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Where it begins: the right answer to what the cause is.
    pub begins: &'static [Group],
    /// What follows from it at once: not wrong.
    pub follows: &'static [Group],
}

/// Of an effect by its name in scenario and labels; `None` for a name that no scenario has.
pub fn origin(effect: &str) -> Option<Origin> {
    use Group::{Connections, Pressure, Queue, Rates, Recurrence, Retransmits, RttHistory, Scheduling};
    let (begins, follows): (&[Group], &[Group]) = match effect {
        // More is asked for, once or at intervals. Whose neighbour is asked sees the queue that they share.
        "load" => (&[Rates, Connections, Recurrence], &[Queue]),
        // Greedy flows of the target itself fill a long queue: flows and queue are the fault.
        "bulk" => (&[Rates, Queue], &[]),
        // Nothing more is asked for, less gets through.
        // A neighbour fills the queue that they share: a target sees round trips, and less of what it sends gets through.
        "flood" => (&[RttHistory], &[Queue, Retransmits, Rates]),
        "capacity" => (&[Queue], &[Rates]),
        "loss" | "burst-loss" => (&[Retransmits], &[]),
        // The reader's window closes: nothing but what waits to be sent, and how fast it goes, shows it at the sender.
        "stall" => (&[Queue, Rates], &[RttHistory, Retransmits]),
        "cpu" => (&[Scheduling, Pressure], &[]),
        // The path is longer: nothing that a host sees moves, but RTT.
        "delay" => (&[RttHistory], &[Queue]),
        _ => return None,
    };
    Some(Origin { begins, follows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::shipped;

    #[test]
    fn every_effect_of_the_shipped_scenarios_has_an_origin() {
        for scenario in shipped().unwrap() {
            for fault in &scenario.faults {
                let origin = origin(fault.effect.name()).unwrap();
                assert!(!origin.begins.is_empty(), "{}", scenario.name);
                assert!(origin.follows.iter().all(|group| !origin.begins.contains(group)), "{}", scenario.name);
            }
        }
        assert_eq!(origin("weather"), None);
    }
}
