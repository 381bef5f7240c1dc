//! The metrics, and what each is of the alerts that fire. Pure.

use super::firing::Firing;

/// A metric for autoscalers. Each is 0 while no alert fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// How many alerts fire: one for each rule, node and workload.
    AlertsFiring,
    /// The highest chance of a breach within ten seconds, in percent; 100 once there was one.
    BreachChance,
    /// The highest RTT, forecast or measured, in percent of its rule's threshold.
    RttForecast,
}

impl Metric {
    /// All of them, by name.
    pub const ALL: [Self; 3] = [Self::AlertsFiring, Self::BreachChance, Self::RttForecast];

    /// Its name in an autoscaler.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AlertsFiring => "netprecursor_alerts_firing",
            Self::BreachChance => "netprecursor_breach_chance_percent",
            Self::RttForecast => "netprecursor_rtt_forecast_percent",
        }
    }

    /// The metric of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Its value over the alerts that are selected. One value, whatever their number: an autoscaler adds up what it is given, and
    /// the forecasts of two nodes are no forecast of twice the height.
    pub(super) fn over<'a>(self, firing: impl Iterator<Item = &'a Firing>) -> u64 {
        match self {
            Self::AlertsFiring => firing.count() as u64,
            Self::BreachChance => firing.map(|alert| alert.chance_percent).max().unwrap_or(0),
            Self::RttForecast => firing.map(|alert| alert.forecast_percent).max().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firing(forecast_percent: u64, chance_percent: u64) -> Firing {
        Firing { labels: Default::default(), forecast_percent, chance_percent }
    }

    #[test]
    fn the_worst_alert_counts_and_calm_is_zero() {
        let alerts = [firing(115, 74), firing(140, 60)];
        let over = |alerts: &[Firing]| Metric::ALL.map(|metric| metric.over(alerts.iter()));
        assert_eq!(over(&alerts), [2, 74, 140]);
        assert_eq!(over(&[]), [0, 0, 0]);
    }

    #[test]
    fn a_metric_is_found_by_its_name_alone() {
        for metric in Metric::ALL {
            assert_eq!(Metric::named(metric.name()), Some(metric));
        }
        assert_eq!(Metric::named("netprecursor_rtt_forecast"), None);
    }
}
