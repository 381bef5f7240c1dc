//! The counters of `netprecursor_core::score::Scorecard`, field by field: the domain's type does not know of schemas.

use netprecursor_core::score::{LEAD_BUCKETS, Scorecard};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Cumulative counts of one rule over all its pods.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Counters {
    /// Alerts fired.
    pub alerts: u64,
    /// Warnings that an incident followed in time.
    pub confirmed: u64,
    /// Alerts that fired with or after their incident.
    pub late: u64,
    /// Warnings that no incident followed in time: false alerts.
    pub unconfirmed: u64,
    /// Alerts without a verdict because nothing was measured afterwards.
    pub unjudged: u64,
    /// Incidents: runs of measured breaches.
    pub incidents: u64,
    /// Incidents that a warning preceded.
    pub warned: u64,
    /// Incidents that no warning preceded.
    pub missed: u64,
    /// Incidents that started while an alert was firing, after its deadline.
    pub ongoing: u64,
    /// Incidents that started while the rule could not fire.
    pub gated: u64,
    /// A histogram of leads: entry `i` counts leads of `i` seconds, the last of the 32 entries all longer ones. Trailing
    /// zeros are omitted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = LEAD_BUCKETS), extend("x-kubernetes-list-type" = "atomic"))]
    pub lead_seconds: Vec<u64>,
    /// Seconds watched, summed over all pods.
    pub target_seconds: u64,
}

impl From<&Scorecard> for Counters {
    fn from(card: &Scorecard) -> Self {
        let Scorecard {
            alerts,
            confirmed,
            late,
            unconfirmed,
            unjudged,
            incidents,
            warned,
            missed,
            ongoing,
            gated,
            lead_seconds,
            target_seconds,
        } = *card;
        let used = lead_seconds.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        Self {
            alerts,
            confirmed,
            late,
            unconfirmed,
            unjudged,
            incidents,
            warned,
            missed,
            ongoing,
            gated,
            lead_seconds: lead_seconds[..used].to_vec(),
            target_seconds,
        }
    }
}

impl From<&Counters> for Scorecard {
    fn from(counters: &Counters) -> Self {
        let mut lead_seconds = [0; LEAD_BUCKETS];
        for (bucket, count) in lead_seconds.iter_mut().zip(&counters.lead_seconds) {
            *bucket = *count;
        }
        Self {
            alerts: counters.alerts,
            confirmed: counters.confirmed,
            late: counters.late,
            unconfirmed: counters.unconfirmed,
            unjudged: counters.unjudged,
            incidents: counters.incidents,
            warned: counters.warned,
            missed: counters.missed,
            ongoing: counters.ongoing,
            gated: counters.gated,
            lead_seconds,
            target_seconds: counters.target_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_counter_is_lost_on_the_way_to_the_operator() {
        let mut lead_seconds = [0; LEAD_BUCKETS];
        (lead_seconds[0], lead_seconds[7], lead_seconds[LEAD_BUCKETS - 1]) = (1, 2, 3);
        let card = Scorecard {
            alerts: 1,
            confirmed: 2,
            late: 3,
            unconfirmed: 4,
            unjudged: 5,
            incidents: 6,
            warned: 7,
            missed: 8,
            ongoing: 9,
            gated: 10,
            lead_seconds,
            target_seconds: 11,
        };
        let written = serde_json::to_string(&Counters::from(&card)).unwrap();
        let read: Counters = serde_json::from_str(&written).unwrap();
        assert_eq!(Scorecard::from(&read), card);
    }

    #[test]
    fn a_histogram_ends_with_its_last_count() {
        let mut card = Scorecard::default();
        assert!(Counters::from(&card).lead_seconds.is_empty());
        card.lead_seconds[2] = 4;
        assert_eq!(Counters::from(&card).lead_seconds, [0, 0, 4]);
    }
}
