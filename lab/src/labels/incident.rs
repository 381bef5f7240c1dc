//! From seconds to incidents: the reference definition that evaluations share.

use serde::{Deserialize, Serialize};

/// RTT above this many calm medians is a breach.
pub(super) const THRESHOLD_FACTOR: f64 = 3.0;
/// An incident begins where this many of [`OF`] seconds are breaches…
const SUSTAINED: usize = 3;
/// …of this many, and ends where none of them is.
const OF: usize = 5;
/// Share of a second's probes whose loss also counts as a breach: TCP stalls where probes are lost.
const LOSS_SHARE: f64 = 0.2;

/// The observer's probes of a target in one second.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Second {
    /// Round trips, µs.
    pub rtts_us: Vec<u32>,
    /// Probes without an answer.
    pub lost: u32,
}

/// Why a second is a breach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// RTT above the threshold.
    Rtt,
    /// Probes lost.
    Loss,
}

/// A maximal run of breaches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// First breaching second, counted from the start of the load.
    pub from_s: u64,
    /// Second after the last breaching one.
    pub to_s: u64,
    /// Largest round trip in it, µs.
    pub peak_us: u32,
    /// Why its first second is a breach.
    pub cause: Cause,
}

impl Second {
    pub(super) fn add(&mut self, rtt_us: Option<u32>) {
        match rtt_us {
            Some(rtt) => self.rtts_us.push(rtt),
            None => self.lost += 1,
        }
    }

    /// Largest round trip, µs.
    pub fn max_us(&self) -> u32 {
        self.rtts_us.iter().copied().max().unwrap_or(0)
    }

    fn breach(&self, threshold_us: f64) -> Option<Cause> {
        let probes = self.rtts_us.len() as f64 + f64::from(self.lost);
        if f64::from(self.max_us()) > threshold_us {
            Some(Cause::Rtt)
        } else if f64::from(self.lost) > LOSS_SHARE * probes {
            Some(Cause::Loss)
        } else {
            None
        }
    }
}

/// Median of all round trips in these seconds, µs; `None` without any.
pub(super) fn median_us(seconds: &[Second]) -> Option<u32> {
    let mut all: Vec<u32> = seconds.iter().flat_map(|second| &second.rtts_us).copied().collect();
    let middle = all.len() / 2;
    (!all.is_empty()).then(|| *all.select_nth_unstable(middle).1)
}

/// The incidents of a target.
pub fn incidents(seconds: &[Second], threshold_us: f64) -> Vec<Incident> {
    let breaches: Vec<Option<Cause>> = seconds.iter().map(|second| second.breach(threshold_us)).collect();
    let mut found: Vec<Incident> = Vec::new();
    let mut open: Option<Incident> = None;
    for now in 0..breaches.len() {
        let window = (now + 1).saturating_sub(OF)..now + 1;
        let recent: Vec<usize> = window.filter(|s| breaches[*s].is_some()).collect();
        match &mut open {
            None if recent.len() >= SUSTAINED => {
                let from = recent[0];
                let peak_us = seconds[from..=now].iter().map(Second::max_us).max().unwrap_or(0);
                let cause = breaches[from].unwrap_or(Cause::Rtt);
                open = Some(Incident { from_s: from as u64, to_s: now as u64 + 1, peak_us, cause });
            }
            None => {}
            Some(_) if recent.is_empty() => found.extend(open.take()),
            Some(incident) if breaches[now].is_some() => {
                incident.to_s = now as u64 + 1;
                incident.peak_us = incident.peak_us.max(seconds[now].max_us());
            }
            Some(_) => {}
        }
    }
    found.extend(open);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(pattern: &str) -> Vec<Second> {
        pattern
            .chars()
            .map(|c| match c {
                '^' => Second { rtts_us: vec![900, 5000], lost: 0 },
                'x' => Second { rtts_us: vec![900; 5], lost: 5 },
                _ => Second { rtts_us: vec![900, 1100], lost: 0 },
            })
            .collect()
    }

    fn spans(pattern: &str) -> Vec<(u64, u64)> {
        incidents(&seconds(pattern), 3000.0).iter().map(|incident| (incident.from_s, incident.to_s)).collect()
    }

    #[test]
    fn three_of_five_seconds_begin_an_incident_at_their_first() {
        assert_eq!(spans("....^.^^......."), [(4, 8)]);
        assert_eq!(spans("....^..^......."), []);
        assert_eq!(spans("..^...^...^...."), []);
    }

    #[test]
    fn short_pauses_do_not_split_an_incident_and_long_ones_do() {
        assert_eq!(spans("^^^....^^^......"), [(0, 10)]);
        assert_eq!(spans("^^^.....^^^....."), [(0, 3), (8, 11)]);
    }

    #[test]
    fn an_incident_at_the_end_is_kept_and_loss_is_a_cause() {
        let found = incidents(&seconds("...xxx"), 3000.0);
        assert_eq!(found, [Incident { from_s: 3, to_s: 6, peak_us: 900, cause: Cause::Loss }]);
    }

    #[test]
    fn the_median_is_over_probes_and_not_over_seconds() {
        let seconds = [Second { rtts_us: vec![1, 1, 1], lost: 0 }, Second { rtts_us: vec![9], lost: 0 }];
        assert_eq!(median_us(&seconds), Some(1));
        assert_eq!(median_us(&[]), None);
    }
}
