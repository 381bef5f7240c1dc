//! Counters of what was right: cumulative, mergeable, kept across restarts.

use serde::{Deserialize, Serialize};

/// Buckets of the lead-time histogram: one per second, the last for all that is longer.
pub const LEAD_BUCKETS: usize = 32;

/// Cumulative counts over all targets of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scorecard {
    /// Alerts fired.
    pub alerts: u64,
    /// … that an incident followed in time.
    pub confirmed: u64,
    /// … that came with or after their incident.
    pub late: u64,
    /// … that no incident followed in time.
    pub unconfirmed: u64,
    /// … after which nothing was measured.
    pub unjudged: u64,
    /// Incidents.
    pub incidents: u64,
    /// … that were warned of.
    pub warned: u64,
    /// … that were not.
    pub missed: u64,
    /// … that started under an alert whose deadline had passed: the user was warned, but not of this one.
    pub ongoing: u64,
    /// … that started while nothing could fire.
    pub gated: u64,
    /// Lead times of the incidents warned of: bucket `i` counts `i` seconds, the last all from there on.
    pub lead_seconds: [u64; LEAD_BUCKETS],
    /// Seconds watched, summed over targets.
    pub target_seconds: u64,
}

impl Scorecard {
    /// Confirmed of all alerts that were judged and not late; `None` without any.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.confirmed, self.confirmed.saturating_add(self.unconfirmed))
    }

    /// Warned of all incidents that could be warned of; `None` without any.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.warned, self.warned.saturating_add(self.missed))
    }

    /// Unconfirmed alerts per target and day; `None` before the first second.
    pub fn false_alerts_per_day(&self) -> Option<f64> {
        ratio(self.unconfirmed, self.target_seconds).map(|per_second| per_second * 86_400.0)
    }

    /// The median lead time in seconds (the lower one of two); the last bucket stands for its lower bound.
    pub fn median_lead(&self) -> Option<u64> {
        self.lead_quantile(0.5)
    }

    /// The nearest-rank quantile of the lead times in seconds.
    pub fn lead_quantile(&self, quantile: f64) -> Option<u64> {
        let total = self.lead_seconds.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let rank = ((quantile * total as f64).ceil() as u64).max(1);
        let mut seen = 0_u64;
        let bucket = self.lead_seconds.iter().position(|count| {
            seen = seen.saturating_add(*count);
            seen >= rank
        })?;
        Some(bucket as u64)
    }

    /// Adds what another card counted.
    pub fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.alerts, other.alerts),
            (&mut self.confirmed, other.confirmed),
            (&mut self.late, other.late),
            (&mut self.unconfirmed, other.unconfirmed),
            (&mut self.unjudged, other.unjudged),
            (&mut self.incidents, other.incidents),
            (&mut self.warned, other.warned),
            (&mut self.missed, other.missed),
            (&mut self.ongoing, other.ongoing),
            (&mut self.gated, other.gated),
            (&mut self.target_seconds, other.target_seconds),
        ];
        for (count, more) in pairs.into_iter().chain(self.lead_seconds.iter_mut().zip(other.lead_seconds)) {
            *count = count.saturating_add(more);
        }
    }

    pub(super) fn warned(&mut self, lead: u64) {
        bump(&mut self.warned);
        bump(&mut self.lead_seconds[(lead as usize).min(LEAD_BUCKETS - 1)]);
    }
}

/// Counts one more, up to the end of the numbers: a card read from a damaged file must not stop the agent.
pub(super) const fn bump(count: &mut u64) {
    *count = count.saturating_add(1);
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_evidence_there_is_no_figure() {
        let card = Scorecard::default();
        assert_eq!(
            (card.precision(), card.recall(), card.median_lead(), card.false_alerts_per_day()),
            (None, None, None, None)
        );
    }

    #[test]
    fn figures_are_shares_of_what_was_judged() {
        let mut card = Scorecard { confirmed: 3, unconfirmed: 1, late: 5, unjudged: 7, ..Scorecard::default() };
        card.missed = 2;
        card.target_seconds = 43_200;
        for lead in [2, 4, 900] {
            card.warned(lead);
        }
        assert_eq!((card.precision(), card.recall()), (Some(0.75), Some(0.6)));
        assert_eq!(
            (card.median_lead(), card.lead_quantile(0.1), card.lead_quantile(1.0)),
            (Some(4), Some(2), Some(31))
        );
        assert_eq!(card.false_alerts_per_day(), Some(2.0));
    }

    #[test]
    fn merging_adds_every_counter() {
        let mut ones = Scorecard { lead_seconds: [1; LEAD_BUCKETS], ..Scorecard::default() };
        let value = serde_json::to_value(&ones).unwrap();
        let filled: serde_json::Map<String, serde_json::Value> = value
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.clone(), if value.is_array() { value.clone() } else { 1.into() }))
            .collect();
        ones = serde_json::from_value(filled.into()).unwrap();
        let mut twos = ones.clone();
        twos.merge(&ones);
        let doubled = serde_json::to_string(&ones).unwrap().replace('1', "2");
        assert_eq!(serde_json::to_string(&twos).unwrap(), doubled);
    }
}
