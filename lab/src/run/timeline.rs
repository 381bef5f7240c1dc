//! When each fault really began and ended.

use super::Stage;
use crate::{
    labels::{FaultTimes, Instants},
    scenario::{Resolved, Span},
};

/// The faults of a scenario, which come one after the other. Seconds count from the start of the load.
#[derive(Debug)]
pub(super) struct Timeline<'a> {
    scenario: &'a Resolved,
    spans: Vec<Span>,
    started: Instants,
    faults: Vec<FaultTimes>,
}

impl<'a> Timeline<'a> {
    pub(super) fn new(scenario: &'a Resolved, started: Instants) -> Self {
        Self { scenario, spans: scenario.spans(), started, faults: Vec::new() }
    }

    /// Records what the conditions of the second `now` changed. They were in place at `applied`.
    pub(super) fn advance(&mut self, now: f64, applied: f64) -> Stage {
        let applied = self.started.plus(applied);
        if let Some((fault, _)) = self.faults.iter_mut().zip(&self.spans).last().filter(|(_, span)| now >= span.to) {
            fault.end.get_or_insert(applied);
        }
        let next = self.faults.len();
        if self.spans.get(next).is_some_and(|span| now >= span.from) {
            self.faults.push(FaultTimes { effect: self.effect(next).into(), onset: applied, end: None });
        }
        match self.faults.last() {
            Some(fault) if fault.end.is_none() => {
                Stage::Fault(self.faults.len() - 1, self.effect(self.faults.len() - 1))
            }
            _ => Stage::Calm,
        }
    }

    /// The times of all faults that began. `ended` is when a complete episode ended, and with it a fault that was still on.
    pub(super) fn finish(mut self, ended: Option<Instants>) -> Vec<FaultTimes> {
        if let (Some(ended), Some(fault)) = (ended, self.faults.last_mut()) {
            fault.end.get_or_insert(ended);
        }
        self.faults
    }

    fn effect(&self, fault: usize) -> &'static str {
        self.scenario.faults[fault].effect.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Effect, Fault, find};

    #[test]
    fn faults_are_recorded_as_they_were_applied() {
        let mut scenario = find("calm-light").unwrap().resolve(1).unwrap();
        let fault = |after_s, effect| Fault { after_s, lasts_s: 10.0, effect, repeat: None };
        scenario.lead_in_s = 60.0;
        scenario.faults = vec![fault(5.0, Effect::Delay { add_ms: 80.0 }), fault(0.0, Effect::Stall)];
        let started = Instants { unix_ms: 1_000_000, monotonic_ns: 0 };
        let mut timeline = Timeline::new(&scenario, started);
        assert_eq!(timeline.advance(64.9, 64.9), Stage::Calm);
        assert_eq!(timeline.advance(65.0, 65.2), Stage::Fault(0, "delay"));
        assert_eq!(timeline.advance(74.9, 74.9), Stage::Fault(0, "delay"));
        assert_eq!(timeline.advance(75.0, 75.1), Stage::Fault(1, "stall"), "the next begins as one ends");
        let [first, second] = timeline.finish(None).try_into().unwrap();
        assert_eq!((first.onset, first.end), (started.plus(65.2), Some(started.plus(75.1))));
        assert_eq!((second.effect.as_str(), second.onset, second.end), ("stall", started.plus(75.1), None));
    }

    #[test]
    fn a_fault_without_an_end_ends_with_a_complete_episode_only() {
        let mut scenario = find("calm-light").unwrap().resolve(1).unwrap();
        scenario.lead_in_s = 1.0;
        scenario.faults = vec![Fault { after_s: 0.0, lasts_s: 9.0, effect: Effect::Stall, repeat: None }];
        let started = Instants { unix_ms: 0, monotonic_ns: 0 };
        for ended in [None, Some(started.plus(10.0))] {
            let mut timeline = Timeline::new(&scenario, started);
            timeline.advance(1.0, 1.0);
            assert_eq!(timeline.finish(ended)[0].end, ended);
        }
    }
}
