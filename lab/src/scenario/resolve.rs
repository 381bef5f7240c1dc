//! Resolves a scenario: the seed fills the ranges in, and every value is checked.

mod fault;
mod load;

use std::time::Duration;

use super::{Bottleneck, Draw, Randomness, Scenario, Topology};
use crate::LabError;

/// A scenario whose numbers are fixed.
pub type Resolved = Scenario<f64>;

/// About a day of the demonstration's cycles.
pub(super) const MAX_CYCLES: u32 = 1_500;
/// Requests per second that one lab makes at most for its steady load: several labs share a machine.
const MAX_REQUESTS: f64 = 300.0;
/// Bounds of the mean size of an answer.
const RESPONSE_BYTES: std::ops::RangeInclusive<f64> = 100.0..=4e6;
const PROBE_MS: std::ops::RangeInclusive<u32> = 20..=1000;
/// Longest episode that is not repeated, seconds.
const MAX_SECONDS: f64 = 3600.0;

/// Seconds from the start of the load at which a fault begins and ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Onset.
    pub from: f64,
    /// End.
    pub to: f64,
}

struct Drawing<'a> {
    random: Randomness,
    prefix: String,
    name: &'a str,
}

impl Drawing<'_> {
    fn number(&mut self, field: &str, draw: &Draw, min: f64, max: f64) -> Result<f64, LabError> {
        draw.resolve(&format!("{}{field}", self.prefix), min..=max, &mut self.random)
    }

    fn whole(&mut self, field: &str, draw: &Draw, min: f64, max: f64) -> Result<f64, LabError> {
        self.number(field, draw, min, max).map(f64::round)
    }

    fn refuse(&self, field: &str, got: impl ToString, expected: &str) -> LabError {
        LabError::Range { field: format!("{}{field}", self.prefix), got: got.to_string(), expected: expected.into() }
    }
}

impl Scenario {
    /// Fills the ranges in. The same seed gives the same numbers everywhere.
    ///
    /// # Errors
    /// [`LabError::Range`] for the first value that is out of its bounds.
    pub fn resolve(&self, seed: u64) -> Result<Resolved, LabError> {
        let random = Randomness::new(seed, stream_of(&self.name));
        let mut draw = Drawing { random, prefix: String::new(), name: &self.name };
        check_word(&draw, "name", &self.name)?;
        check_word(&draw, "family", &self.family)?;
        draw.prefix = "topology.".into();
        let topology = self.topology.resolve(&mut draw)?;
        let mut loads = Vec::with_capacity(self.loads.len());
        for (i, load) in self.loads.iter().enumerate() {
            draw.prefix = format!("loads[{i}].");
            for load in load.for_each_server(topology.servers as u32) {
                loads.push(load.resolve(&mut draw, &topology)?);
            }
        }
        draw.prefix.clear();
        if loads.is_empty() {
            return Err(draw.refuse("loads", "an empty list", "at least one load: without traffic there is no RTT"));
        }
        if !(1..=MAX_CYCLES).contains(&self.cycles) {
            return Err(draw.refuse("cycles", self.cycles, &format!("1 to {MAX_CYCLES}")));
        }
        if !PROBE_MS.contains(&self.probe_ms) {
            return Err(draw.refuse("probe_ms", self.probe_ms, "20 to 1000"));
        }
        let lead_in_s = draw.number("lead_in_s", &self.lead_in_s, 0.0, MAX_SECONDS)?;
        let tail_s = draw.number("tail_s", &self.tail_s, 0.0, MAX_SECONDS)?;
        let mut faults = Vec::with_capacity(self.faults.len() * self.cycles as usize);
        for _ in 0..self.cycles {
            for (i, fault) in self.faults.iter().enumerate() {
                draw.prefix = format!("faults[{i}].");
                faults.extend(fault.resolve(&mut draw, &topology)?);
            }
        }
        let Self { name, family, doc, probe_ms, .. } = self;
        let (name, family, doc, probe_ms) = (name.clone(), family.clone(), doc.clone(), *probe_ms);
        let resolved = Scenario { name, family, doc, topology, loads, lead_in_s, tail_s, cycles: 1, faults, probe_ms };
        draw.prefix.clear();
        if self.cycles < MAX_CYCLES && resolved.seconds() > MAX_SECONDS {
            return Err(draw.refuse("lead_in_s", format!("{:.0} s in all", resolved.seconds()), "at most 3600 s"));
        }
        Ok(resolved)
    }
}

impl Resolved {
    /// When each fault begins and ends, in the order of the list.
    pub fn spans(&self) -> Vec<Span> {
        let mut now = self.lead_in_s;
        self.faults
            .iter()
            .map(|fault| {
                let from = now + fault.after_s;
                now = from + fault.lasts_s;
                Span { from, to: now }
            })
            .collect()
    }

    /// Seconds from the start of the load to the end of the episode.
    pub fn seconds(&self) -> f64 {
        self.spans().last().map_or(self.lead_in_s, |span| span.to) + self.tail_s
    }

    /// Number of servers.
    pub fn servers(&self) -> usize {
        self.topology.servers as usize
    }

    /// Number of clients.
    pub fn clients(&self) -> usize {
        self.topology.clients as usize
    }

    /// Rate of the bottleneck, or of all of them together where each server has its own, bits per second.
    pub fn capacity_bps(&self) -> f64 {
        self.topology.rate_mbit * 1e6 * self.bottlenecks()
    }

    /// How many bottlenecks there are.
    pub fn bottlenecks(&self) -> f64 {
        match self.topology.bottleneck {
            Bottleneck::Router => 1.0,
            Bottleneck::Server => self.topology.servers,
        }
    }

    /// Whether there is a host beside the servers that is no target.
    pub fn has_neighbour(&self) -> bool {
        self.faults.iter().any(|fault| fault.effect.needs_neighbour())
    }

    /// Time between two of the observer's probes of a target.
    pub fn probe_interval(&self) -> Duration {
        Duration::from_millis(self.probe_ms.into())
    }
}

/// Scenarios of the same seed draw different numbers: FNV-1a of the name (RFC 9923).
fn stream_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn check_word(draw: &Drawing<'_>, field: &str, word: &str) -> Result<(), LabError> {
    let fits = !word.is_empty()
        && word.len() <= 63
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits { Ok(()) } else { Err(draw.refuse(field, format!("'{word}'"), "1–63 of a–z, 0–9 and -")) }
}

impl Topology {
    fn resolve(&self, draw: &mut Drawing<'_>) -> Result<Topology<f64>, LabError> {
        if self.congestion_control.is_empty() {
            return Err(draw.refuse("congestion_control", "an empty list", "at least one of cubic, reno, bbr"));
        }
        Ok(Topology {
            servers: draw.whole("servers", &self.servers, 1.0, 32.0)?,
            clients: draw.whole("clients", &self.clients, 1.0, 8.0)?,
            rate_mbit: draw.number("rate_mbit", &self.rate_mbit, 0.5, 200.0)?,
            base_rtt_ms: draw.number("base_rtt_ms", &self.base_rtt_ms, 0.0, 500.0)?,
            queue_ms: draw.number("queue_ms", &self.queue_ms, 5.0, 2000.0)?,
            bottleneck: self.bottleneck,
            congestion_control: vec![self.congestion_control[draw.random.below(self.congestion_control.len())]],
            pin_servers: self.pin_servers,
            addresses: self.addresses,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Effect, Fault, find, shipped},
        *,
    };

    #[test]
    fn a_seed_gives_the_same_numbers_and_another_seed_others() {
        for scenario in shipped().unwrap() {
            assert_eq!(scenario.resolve(5).unwrap(), scenario.resolve(5).unwrap());
            assert_ne!(scenario.resolve(5).unwrap(), scenario.resolve(6).unwrap(), "{}", scenario.name);
        }
    }

    #[test]
    fn scenarios_of_the_same_seed_are_built_differently() {
        let mut delays: Vec<f64> =
            shipped().unwrap().iter().map(|scenario| scenario.resolve(5).unwrap().topology.base_rtt_ms).collect();
        delays.sort_by(f64::total_cmp);
        delays.dedup();
        assert!(delays.len() > 12, "{delays:?}");
    }

    #[test]
    fn a_resolved_scenario_is_a_scenario_file_that_resolves_to_itself() {
        for scenario in shipped().unwrap() {
            let resolved = scenario.resolve(11).unwrap();
            let text = serde_saphyr::to_string(&resolved).unwrap();
            assert_eq!(Scenario::parse(&text, "resolved").unwrap().resolve(99).unwrap(), resolved, "{text}");
        }
    }

    #[test]
    fn episodes_for_training_have_their_lead_in_and_length() {
        for scenario in shipped().unwrap().into_iter().filter(|scenario| scenario.family != "demo") {
            for seed in 0..200 {
                let resolved = scenario.resolve(seed).unwrap();
                let seconds = resolved.seconds();
                let usual = match scenario.family.as_str() {
                    "long-calm" => 1800.0..=3600.0,
                    "periodic-jobs" => 300.0..=3600.0,
                    _ => 120.0..=200.0,
                };
                assert!(usual.contains(&seconds), "{} seed {seed}: {seconds} s", scenario.name);
                assert!(seconds <= scenario.seconds_at_most() + 1e-6, "{} seed {seed}", scenario.name);
                assert!(resolved.lead_in_s >= 60.0, "{}", scenario.name);
            }
        }
    }

    #[test]
    fn repeated_faults_begin_at_fixed_intervals() {
        let scenario = find("periodic-jobs-short").unwrap().resolve(4).unwrap();
        let spans = scenario.spans();
        let every: Vec<f64> = spans.windows(2).map(|pair| pair[1].from - pair[0].from).collect();
        assert!(spans.len() >= 5 && every.iter().all(|gap| (gap - every[0]).abs() < 1e-6), "{every:?}");
    }

    #[test]
    fn a_neighbour_without_a_shared_bottleneck_is_refused() {
        let mut scenario = find("noisy-neighbour-flood").unwrap();
        scenario.topology.bottleneck = Bottleneck::Server;
        assert!(scenario.resolve(1).unwrap_err().to_string().contains("bottleneck router"));
    }

    #[test]
    fn forever_is_about_a_day_of_the_demonstration() {
        let demo = shipped().unwrap().pop().unwrap().forever().resolve(3).unwrap();
        assert!((12.0..36.0).contains(&(demo.seconds() / 3600.0)), "{} s", demo.seconds());
    }

    #[test]
    fn an_out_of_bounds_value_is_named_by_its_path() {
        let mut scenario = shipped().unwrap().remove(0);
        scenario.topology.rate_mbit = Draw::Uniform { min: 2.0, max: 4000.0 };
        let message = scenario.resolve(1).unwrap_err().to_string();
        assert!(message.contains("topology.rate_mbit") && message.contains("0.5 to 200"), "{message}");
    }

    #[test]
    fn a_relay_fault_without_a_relay_is_refused() {
        let mut scenario = shipped().unwrap().remove(0);
        scenario.topology.base_rtt_ms = Draw::Fixed(0.0);
        scenario.faults = vec![Fault {
            after_s: Draw::Fixed(1.0),
            lasts_s: Draw::Fixed(1.0),
            effect: Effect::Delay { add_ms: Draw::Fixed(5.0) },
            repeat: None,
        }];
        assert!(scenario.resolve(1).unwrap_err().to_string().contains("base_rtt_ms above 0"));
    }
}
