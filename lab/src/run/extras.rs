//! What faults start and stop besides changes of the path: stalled readers, spinners, greedy flows and floods.

use super::setup::{Episode, bulk_ports, pinned_cpu};
use crate::{
    LabError,
    fault::{Conditions, Spinners, spin::Spinning},
    load::{self, Flood, Pace, Pacer},
    scenario::{Effect, Sender},
    topology::Running,
};

/// What is running because of a fault.
#[derive(Debug, Default)]
pub(super) struct Extras {
    spinning: Option<Spinning>,
    greedy: Option<Running>,
    flood: Option<Flood>,
    stalled: bool,
}

impl Extras {
    /// Starts and stops what `conditions` ask for.
    pub(super) fn apply(
        &mut self,
        conditions: &Conditions,
        episode: &Episode<'_>,
        pacer: &Pacer,
    ) -> Result<(), LabError> {
        self.stall(conditions.stalled, episode, pacer)?;
        self.spin(conditions.spinners, episode)?;
        self.send_greedily(conditions.greedy_flows, episode)?;
        self.flood(conditions.flood, episode)
    }

    fn stall(&mut self, stalled: bool, episode: &Episode<'_>, pacer: &Pacer) -> Result<(), LabError> {
        if stalled != self.stalled {
            pacer.set_stalled(stalled);
            episode.readers.iter().try_for_each(|reader| reader.set_paused(stalled))?;
            self.stalled = stalled;
        }
        Ok(())
    }

    fn spin(&mut self, spinners: Option<Spinners>, episode: &Episode<'_>) -> Result<(), LabError> {
        match spinners {
            None => self.spinning = None,
            Some(spinners) if self.spinning.is_none() => {
                let spinning = Spinning::start(spinners, pinned_cpu(episode.seed));
                let thread = |error: std::io::Error| LabError::Thread { what: "spinner", got: error.to_string() };
                self.spinning = Some(spinning.map_err(thread)?);
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn send_greedily(&mut self, flows: u32, episode: &Episode<'_>) -> Result<(), LabError> {
        match (flows, &mut self.greedy) {
            (0, greedy) => *greedy = None,
            (_, Some(greedy)) => greedy.check()?,
            (flows, greedy @ None) => {
                let port = bulk_ports(episode.scenario).end - 1;
                let network = &episode.network;
                // A scenario has a neighbour only where its bulk transfers come from there, or floods do.
                let from_neighbour = episode
                    .scenario
                    .faults
                    .iter()
                    .any(|fault| matches!(fault.effect, Effect::Bulk { from: Sender::Neighbour, .. }));
                let sender = network.neighbour.as_ref().filter(|_| from_neighbour).unwrap_or(&network.servers[0]);
                let scratch = &network.record().scratch;
                *greedy =
                    Some(load::start_bulk_sender(scratch, sender, episode.first_client(), port, flows, Pace::Greedy)?);
            }
        }
        Ok(())
    }

    /// Sends `share` of the bottleneck's rate.
    fn flood(&mut self, share: f64, episode: &Episode<'_>) -> Result<(), LabError> {
        if let Some(neighbour) = &episode.network.neighbour {
            let flood = match &mut self.flood {
                Some(flood) => flood,
                none => none.insert(Flood::start(neighbour, &episode.network.clients[0], episode.first_client())?),
            };
            flood.set_rate(share * episode.scenario.capacity_bps());
        }
        Ok(())
    }
}
