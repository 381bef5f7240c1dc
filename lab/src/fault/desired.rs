//! The conditions that should hold at a time. The runner compares them with the current ones and applies the difference.

use crate::scenario::{Effect, Resolved, Shape};

/// The settings of the lab's queues, relay and spinners.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    /// Share of the bottleneck's rate that remains.
    pub capacity: f64,
    /// Added to the round trip, ms.
    pub extra_rtt_ms: f64,
    /// Packets that the relay loses, share.
    pub loss: f64,
    /// Spinning threads: how many, how nice, and the share of time that each spins.
    pub spinners: Option<Spinners>,
    /// Greedy iperf3 flows.
    pub greedy_flows: u32,
    /// Datagrams from the neighbour, as a share of the bottleneck's rate.
    pub flood: f64,
    /// Loss in bursts, besides `loss`.
    pub bursts: Option<Bursts>,
    /// Whether the readers at the first client have stopped.
    pub stalled: bool,
}

/// A Markov chain that loses packets (Gilbert 1960, Elliott 1963). All are chances for each packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bursts {
    /// The good state ends.
    pub enter: f64,
    /// The bad state ends.
    pub leave: f64,
    /// The packet is lost in the bad state.
    pub lost: f64,
}

/// Spinning threads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spinners {
    /// How many.
    pub threads: u32,
    /// Nice value.
    pub nice: i32,
    /// Share of the time that each spins.
    pub duty: f64,
}

impl Conditions {
    /// No fault.
    pub const CALM: Self = Self {
        capacity: 1.0,
        extra_rtt_ms: 0.0,
        loss: 0.0,
        spinners: None,
        greedy_flows: 0,
        flood: 0.0,
        bursts: None,
        stalled: false,
    };

    /// The conditions `t` seconds after the start of the load.
    pub fn at(scenario: &Resolved, t: f64) -> Self {
        let mut conditions = Self::CALM;
        for (fault, span) in scenario.faults.iter().zip(scenario.spans()) {
            if !(span.from..span.to).contains(&t) {
                continue;
            }
            // A share grows in whole seconds: each step is one command.
            let grown = |over_s: f64| if over_s <= 0.0 { 1.0 } else { ((t - span.from).floor() / over_s).min(1.0) };
            match &fault.effect {
                Effect::Load { .. } => {}
                Effect::Capacity { to, over_s } => conditions.capacity = 1.0 - (1.0 - to) * grown(*over_s),
                Effect::Delay { add_ms } => conditions.extra_rtt_ms = *add_ms,
                Effect::Loss { percent, over_s } => conditions.loss = percent / 100.0 * grown(*over_s),
                Effect::Cpu { spinners, nice, duty } => {
                    conditions.spinners = Some(Spinners { threads: *spinners as u32, nice: *nice as i32, duty: *duty });
                }
                Effect::Bulk { flows, .. } => conditions.greedy_flows = *flows as u32,
                Effect::BurstLoss { enter_percent, leave_percent, lost_percent } => {
                    let [enter, leave, lost] =
                        [enter_percent, leave_percent, lost_percent].map(|percent| percent / 100.0);
                    conditions.bursts = Some(Bursts { enter, leave, lost });
                }
                Effect::Stall => conditions.stalled = true,
                Effect::Flood { offered, shape } => conditions.flood = offered * load_strength(shape, t - span.from),
            }
        }
        conditions
    }
}

/// Strength in 0..=1 of a load fault `since` seconds after its onset.
pub fn load_strength(shape: &Shape<f64>, since: f64) -> f64 {
    match shape {
        Shape::Constant => 1.0,
        Shape::Ramp { over_s } => (since / over_s).clamp(0.0, 1.0),
        Shape::Pulses { every_s, on_s } => f64::from(u8::from(since.rem_euclid(*every_s) < *on_s)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Fault, find};

    fn with(effect: Effect<f64>) -> Resolved {
        let mut scenario = find("calm-light").unwrap().resolve(1).unwrap();
        scenario.lead_in_s = 60.0;
        scenario.faults = vec![Fault { after_s: 5.0, lasts_s: 20.0, effect, repeat: None }];
        scenario
    }

    #[test]
    fn nothing_is_wrong_before_and_after_a_fault() {
        let scenario = with(Effect::Delay { add_ms: 80.0 });
        assert_eq!(Conditions::at(&scenario, 64.9), Conditions::CALM);
        assert_eq!(Conditions::at(&scenario, 65.0).extra_rtt_ms, 80.0);
        assert_eq!(Conditions::at(&scenario, 85.0), Conditions::CALM);
    }

    #[test]
    fn capacity_falls_in_steps_of_a_second_and_holds() {
        let scenario = with(Effect::Capacity { to: 0.2, over_s: 10.0 });
        let capacity = |t| Conditions::at(&scenario, t).capacity;
        assert_eq!(capacity(65.9), 1.0);
        assert!((capacity(70.0) - 0.6).abs() < 1e-9 && capacity(70.9) == capacity(70.0));
        assert!((capacity(84.0) - 0.2).abs() < 1e-9);
    }

    #[test]
    fn a_step_is_at_full_strength_at_once() {
        let scenario = with(Effect::Loss { percent: 30.0, over_s: 0.0 });
        assert!((Conditions::at(&scenario, 65.0).loss - 0.3).abs() < 1e-9);
    }

    #[test]
    fn a_flood_follows_its_shape() {
        let shape = Shape::Ramp { over_s: 10.0 };
        let scenario = with(Effect::Flood { offered: 1.2, shape });
        let flood = |t| Conditions::at(&scenario, t).flood;
        assert_eq!([64.9, 85.0].map(flood), [0.0, 0.0]);
        assert!((flood(70.0) - 0.6).abs() < 1e-9 && (flood(80.0) - 1.2).abs() < 1e-9);
    }

    #[test]
    fn ramps_rise_linearly_and_pulses_alternate() {
        let ramp = Shape::Ramp { over_s: 20.0 };
        assert_eq!([0.0, 10.0, 20.0, 30.0].map(|t| load_strength(&ramp, t)), [0.0, 0.5, 1.0, 1.0]);
        let pulses = Shape::Pulses { every_s: 10.0, on_s: 3.0 };
        assert_eq!([0.0, 2.9, 3.0, 10.0, 13.5].map(|t| load_strength(&pulses, t)), [1.0, 1.0, 0.0, 1.0, 0.0]);
    }
}
