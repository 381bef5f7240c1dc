//! Incidents: what was to be warned of.

use serde::{Deserialize, Serialize};

use crate::tick::{HORIZON, Tick};

/// Breaches at most this far apart are one incident: a forecast made between them would leave open which one it meant.
pub const MERGE_TICKS: u64 = HORIZON;

/// A run of measured breaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its first breach.
    pub start: Tick,
    /// Its latest breach.
    pub last: Tick,
}

/// What happens to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentEvent {
    /// Its first breach was measured.
    Started,
    /// No breach for longer than [`MERGE_TICKS`].
    Ended(Incident),
}

/// Follows the incidents of one target and threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incidents {
    current: Option<Incident>,
}

impl Incidents {
    /// Takes in a tick; `breached` is `None` when nothing was measured, which neither prolongs nor ends an incident
    /// by itself. When a breach comes after more than [`MERGE_TICKS`] without a call, only the new incident is returned.
    pub fn observe(&mut self, now: Tick, breached: Option<bool>) -> Option<IncidentEvent> {
        let over = self.current.filter(|incident| now.since(incident.last) > MERGE_TICKS);
        match (breached, &mut self.current) {
            (Some(true), Some(incident)) if over.is_none() => {
                incident.last = now;
                None
            }
            (Some(true), current) => {
                *current = Some(Incident { start: now, last: now });
                Some(IncidentEvent::Started)
            }
            (_, current) => over.map(|incident| {
                *current = None;
                IncidentEvent::Ended(incident)
            }),
        }
    }

    /// The ongoing incident.
    pub const fn current(&self) -> Option<Incident> {
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_ends_when_the_merge_gap_has_passed() {
        let mut incidents = Incidents::default();
        assert_eq!(incidents.observe(Tick(1), Some(true)), Some(IncidentEvent::Started));
        assert_eq!(incidents.observe(Tick(3), Some(true)), None);
        assert_eq!(incidents.observe(Tick(13), None), None);
        let ended = Incident { start: Tick(1), last: Tick(3) };
        assert_eq!(incidents.observe(Tick(14), Some(false)), Some(IncidentEvent::Ended(ended)));
        assert_eq!(incidents.observe(Tick(15), Some(false)), None);
    }

    #[test]
    fn a_breach_after_a_pause_is_a_new_incident() {
        let mut incidents = Incidents::default();
        incidents.observe(Tick(1), Some(true));
        assert_eq!(incidents.observe(Tick(12), Some(true)), Some(IncidentEvent::Started));
        assert_eq!(incidents.current(), Some(Incident { start: Tick(12), last: Tick(12) }));
    }
}
